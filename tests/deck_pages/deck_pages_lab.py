"""A person's runs in all the states that have something to tell: waiting, failed with cures, reused, swept, compared."""

from __future__ import annotations

from typing import Any

from deck_pages_fakes import FakeAgent, World
from deck_pages_samples import HOSTILE, INPUTS, LONG, OUTPUTS, WORKFLOW, before, failed, run, running

RUN, FAILED = (str(kind()["id"]) for kind in (run, failed))
WAITING = "3c1f8a77-0a51-4f0e-a7aa-0c6f2f5c9f01"
REUSED = "8e2b41d0-63a5-4b4b-9a9e-55d3b3a1c902"
RETRIED = "9f3c52e1-74b6-4c5c-8baf-66e4c4b2da03"
SWEEP = "77aa3c10-9a0e-4a0b-8c55-1e9f0a6b7c04"

CURES = [
    {"title": "More cycles", "inputs": {"max_steps": 800}},
    {"title": "A looser threshold and another method", "inputs": {"fmax": 0.05, "method": "GFN1-xTB"}},
]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["structure"],
    "properties": {
        **WORKFLOW["schema"]["properties"],
        "charge": {
            "title": "Total charge", "type": "integer", "minimum": -10, "maximum": 10, "default": 0,
            "x-simdeck-unit": "e", "description": "Charge of the whole molecule.",
        },
        "fmax": {"title": "Force threshold", "type": "number", "exclusiveMinimum": 0, "x-simdeck-unit": "eV/Å"},
        "method": {"title": "Method", "type": "string", "enum": ["GFN2-xTB", "GFN1-xTB", "IPEA1-xTB"]},
        "frequencies": {"title": "Frequencies", "type": "boolean", "default": True},
        "max_steps": {"title": "Steps at most", "type": "integer", "minimum": 1, "default": 400, "x-simdeck-advanced": True},
        "label": {"title": "Label", "type": "string"},
        "solver": {"title": "Solver", "type": "object", "properties": {
            "mixing": {"title": "Mixing", "type": "number", "default": 0.4},
            "options": {"title": "Options", "type": "object", "x-simdeck-advanced": True},
        }},
    },
}  # fmt: skip


def waiting_run(**changes: Any) -> dict[str, Any]:
    waiting = {
        "code": "waiting-user-limit",
        "title": "Your limit is reached",
        "detail": "4 of your calculations run, which is as many as one user may have here.",
        "since": before(minutes=12),
    }
    told = {"title": "Benzene dimer", "state": "running", "progress": None, "waiting": waiting, "summary": None}
    return running(WAITING, **{**told, **changes})


def row(number: int, state: str = "finished", **changes: Any) -> dict[str, Any]:
    """Return a line of a sweep's table: the charge varies."""
    return {
        "run": f"0000000{number}-63a5-4b4b-9a9e-55d3b3a1c902",
        "values": {"charge": number - 3, "method": "GFN2-xTB" if number % 2 else "GFN1-xTB"},
        "state": state,
        "results": {"energy": -137.9 + 0.31 * number * number, "gap": 12.25 - number} if state == "finished" else {},
        "problem": None,
        "waiting": None,
        "reused": 0,
        **changes,
    }


def sweep(identifier: str = SWEEP, **changes: Any) -> dict[str, Any]:
    rows = [
        row(1), row(2), row(3, reused=1), row(4, "running"),
        row(5, "accepted", waiting="4 of your calculations run, which is as many as one user may have here."),
        row(6, "failed", problem="The self-consistent field did not converge in 250 iterations at step 3."),
    ]  # fmt: skip
    return {
        "id": identifier,
        "workflow": "molecule.optimize",
        "title": "Water: charge",
        "created": before(minutes=30),
        "runs": 6,
        "states": {"finished": 3, "running": 1, "accepted": 1, "failed": 1},
        "ended": False,
        "varied": ["charge", "method"],
        "columns": [
            {"name": "energy", "title": "Total energy", "unit": "eV"},
            {"name": "gap", "title": "Gap", "unit": "eV"},
        ],
        "rows": rows,
        **changes,
    }


def difference(path: str, left: Any, right: Any, **changes: Any) -> dict[str, Any]:
    return {"path": path, "left": left, "right": right, "only": None, "change": None, **changes}


def diff() -> dict[str, Any]:
    moved = [difference(f"structure.positions.{n}.{x}", 0.1, 0.2, change=0.1) for n in range(3) for x in range(3)]
    return {
        "left": run(),
        "right": run(RETRIED, title="Water, tight convergence", retry_of=RUN, app_version="1.2.0"),
        "run": [difference("app_version", "1.1.0", "1.2.0")],
        "inputs": [
            difference("charge", 0, 1, change=1),
            difference("fmax", 0.005, None, only="left"),
            difference("solver.mixing", 0.4, 0.1, change=-0.30000000000000004),
        ],
        "outputs": [difference("energy", -137.9776543, -131.20011, change=6.7775443), *moved],
    }


def deletion(**changes: Any) -> dict[str, Any]:
    kept = [
        {"kind": "code", "name": "molecule-1.1.0@localhost", "runs": []},
        {"kind": "data", "name": "structure", "runs": [FAILED, "gone"]},
    ]
    sizes = {"nodes": 31, "files": 12, "size": 1_204_331, "folders": 2, "scratch": 48_120_832}
    return {"run": run(), **sizes, "kept": kept, **changes}


def lab_world() -> World:
    """A person whose runs have something to tell."""
    problem = failed()["problem"] | {"cures": CURES}
    taken = {"process": "p1", "label": "XtbCalculation", "kind": "calculation", "state": "finished", "reused_from": RUN}
    agent = FakeAgent(
        runs=[
            waiting_run(),
            run(REUSED, title="Water once more", reuse=True, reused=1, sweep=SWEEP),
            run(RETRIED, title="Water, changed", retry_of=RUN),
            run(),
            failed(problem=problem),
        ],
        workflows=[WORKFLOW | {"schema": SCHEMA, "app_version": "1.2.0"}],
        inputs=INPUTS | {"solver": {"mixing": 0.4, "options": {"level": 3}}},
        outputs=OUTPUTS,
        events=[("step", taken)],
        more={
            "/sweeps": {"items": [sweep(), sweep("s2", title="Ethane: method", ended=True, runs=3, states={"finished": 3})]},
            f"/sweeps/{SWEEP}": sweep(),
            f"/runs/{RUN}/diff": diff(),
            f"/runs/{RUN}/deletion": deletion(),
        },
    )  # fmt: skip
    return World(agent)


def _everywhere(value: Any, text: str) -> Any:
    """Return ``value`` with ``text`` behind all its texts that are for people."""
    words = ("title", "detail", "remedy", "description", "problem", "waiting", "unit", "x-simdeck-unit", "name", "enum")
    if isinstance(value, dict):
        return {
            key: f"{one} {text}"
            if key in words and isinstance(one, str) and one not in ("energy", "gap")
            else _everywhere(one, text)
            for key, one in value.items()
        }
    return [_everywhere(one, text) for one in value] if isinstance(value, list) else value


def told_with(text: str) -> World:
    """Return the same with ``text`` in everything that has words."""
    world = lab_world()
    workflow = world.agent.workflows[0]
    for part in ("runs", "workflows", "more"):
        setattr(world.agent, part, _everywhere(getattr(world.agent, part), text))
    world.agent.workflows[0]["name"] = workflow["name"]
    world.agent.inputs |= {"label": text}
    table = world.agent.more[f"/sweeps/{SWEEP}"]
    table["varied"] = ["charge", "label"]
    for line in table["rows"]:
        line["values"] = {"charge": line["values"]["charge"], "label": text}
    answer = world.agent.more[f"/runs/{RUN}/diff"]
    answer["inputs"].append(difference("label", text, text * 2))
    answer["outputs"].append(difference(text, text, None, only="left"))
    return world


def bare_world() -> World:
    """A person with one run of a workflow that takes nothing that could be typed, and no sweep."""
    schema = {"properties": {"structure": {"title": "Structure", "x-simdeck-type": "structure"}}}
    nothing = {"nodes": 0, "files": 0, "size": 0, "folders": 0, "scratch": 0, "kept": []}
    return World(
        FakeAgent(
            runs=[failed()],
            workflows=[WORKFLOW | {"schema": schema}],
            inputs={"structure": INPUTS["structure"]},
            more={"/sweeps": {"items": []}, f"/runs/{FAILED}/deletion": deletion(run=failed(), **nothing)},
        )
    )


LAB_WORLDS = {
    "lab": lab_world,
    "bare-lab": bare_world,
    "long-lab": lambda: told_with(LONG),
    "hostile-lab": lambda: told_with(HOSTILE),
}
LAB_PAGES = [
    "runs",
    "runs?deleted=1",
    "workflows/molecule.optimize",
    f"runs/{WAITING}",
    f"runs/{FAILED}",
    f"runs/{REUSED}",
    f"runs/{RETRIED}",
    f"runs/{RUN}/again",
    f"runs/{FAILED}/again?cure=2",
    f"runs/{RUN}/sweep",
    f"runs/{RUN}/sweep?input1=charge&values1=1,2,x&input2=method",
    f"runs/{RUN}/delete",
    f"runs/{WAITING}/delete",
    "sweeps",
    f"sweeps/{SWEEP}?by=r:energy&down=1",
    "compare",
    f"compare?run={RUN}",
    f"compare?run={RUN}&run={RETRIED}",
]
BARE_PAGES = [f"runs/{FAILED}/{page}" for page in ("again", "sweep", "delete")]
BARE_PAGES += ["sweeps", f"sweeps/{SWEEP}", f"compare?run={FAILED}"]
LAB_FRAGMENTS = [
    "sweeps",
    f"sweeps/{SWEEP}",
    f"runs/{RUN}/sweep/plan?input1=charge&values1=1,x",
    f"runs/{WAITING}/live",
]
