"""Stand-ins for what the pages ask: an agent, the store, the Jupyter server; and the states they can be in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from simdeck_appstore.models import IndexEntry
from simdeck_appstore.search import SearchIndex
from simdeck_common.problems import Problem
from simdeck_deck.pages.sources import Sources

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>\'"&'
LONG = (
    "Conformational_search_of_a_very_long_named_organometallic_complex_with_"
    + "methyl" * 20
    + " and more words after it"
)


def before(**age: float) -> str:
    """Return the ISO time that lies so long ago."""
    return (datetime.now(UTC) - timedelta(**age)).isoformat().replace("+00:00", "Z")


def down() -> Problem:
    return Problem("agent-unavailable", reason="it does not answer", log="agent.log")


@dataclass
class FakeAgent:
    """An agent that answers from dictionaries and writes down what it is sent."""

    apps: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    workflows: list[dict[str, Any]] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    log: str = ""
    worker: dict[str, Any] = field(default_factory=lambda: {"state": "running", "reason": None})
    problem: Problem | None = None
    sent: list[tuple[str, str, Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def get(self, path: str, **params: Any) -> Any:
        if self.problem:
            raise self.problem
        self.asked.append((path, params))
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match parts:
            case ["status"]:
                return {"worker": self.worker}
            case ["apps"]:
                return {"items": self.apps}
            case ["tasks"]:
                return {"items": self.tasks}
            case ["tasks", task]:
                return self._one(self.tasks, task, "task-not-found", task=task)
            case ["workflows"]:
                return {"items": self.workflows}
            case ["workflows", name]:
                found = [item for item in self.workflows if item["name"] == name]
                if not found:
                    raise Problem("workflow-not-found", workflow=name)
                return found[0]
            case ["runs"]:
                return self._page(params)
            case ["runs", run]:
                return self._one(self.runs, run, "run-not-found", run=run)
            case ["runs", _, "inputs"]:
                return self.inputs
            case ["runs", _, "outputs"]:
                return self.outputs
            case ["runs", _, "files"]:
                return {"items": self.files}
        raise AssertionError(f"the fake agent does not know {path}")

    def _page(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found = [
            run
            for run in self.runs
            if all(params.get(key) in (None, run.get(key)) for key in ("state", "workflow", "app"))
        ]
        at = int(params.get("cursor") or 0)
        end = at + int(params.get("limit") or 50)
        return {"items": found[at:end], "next_cursor": str(end) if end < len(found) else None}

    def _one(self, items: list[dict[str, Any]], wanted: str, code: str, **params: Any) -> dict[str, Any]:
        found = [item for item in items if item["id"] == wanted]
        if not found:
            raise Problem(code, **params)
        return found[0]

    async def text(self, path: str) -> str:
        if self.problem:
            raise self.problem
        return self.log

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        if self.problem:
            raise self.problem
        self.sent.append((method, path, body))
        return {"id": "new-id"}

    async def history(self, path: str) -> list[tuple[str, dict[str, Any]]]:
        if self.problem:
            raise self.problem
        return self.events


@dataclass
class FakeStore:
    entries: list[dict[str, Any]] = field(default_factory=list)
    categories: dict[str, dict[str, str]] = field(default_factory=dict)
    problem: Problem | None = None

    async def index(self) -> Mapping[str, Any]:
        if self.problem:
            raise self.problem
        return {"apps": self.entries, "categories": self.categories}

    async def search(self, text: str) -> list[Mapping[str, Any]]:
        if self.problem:
            raise self.problem
        found = SearchIndex([IndexEntry.model_validate(entry) for entry in self.entries]).find(text)
        return [dict(entry) for entry in found]

    async def app(self, app: str) -> Mapping[str, Any] | None:
        if self.problem:
            raise self.problem
        return next((entry for entry in self.entries if entry["id"] == app), None)


@dataclass
class FakeServer:
    answer: dict[str, Any] = field(default_factory=lambda: {"state": "stopped"})
    problem: Problem | None = None
    started: int = 0
    stopped: int = 0

    async def state(self) -> Mapping[str, Any]:
        if self.problem:
            raise self.problem
        return self.answer

    async def start(self) -> None:
        if self.problem:
            raise self.problem
        self.started += 1

    async def stop(self) -> None:
        self.stopped += 1


@dataclass
class World:
    """Everything around one user's pages."""

    agent: FakeAgent = field(default_factory=FakeAgent)
    store: FakeStore = field(default_factory=FakeStore)
    server: FakeServer = field(default_factory=FakeServer)

    def sources(self) -> Sources:
        return Sources(self.agent, self.store, self.server)


def release(version: str, **changes: Any) -> dict[str, Any]:
    wheel = {"name": f"app-{version}.whl", "path": "files/ab/x/app.whl", "sha256": "ab", "size": 48_213}
    return {
        "version": version,
        "wheel": wheel,
        "python": ">=3.11",
        "resources": {"cores": 1, "memory": "1 GiB"},
        "workflows": ["molecule.optimize"],
        "needs": ["Structures of up to 300 atoms, hydrogen to radon.", "No licence and no other program."],
        **changes,
    }


def store_app(identifier: str = "molecule", **changes: Any) -> dict[str, Any]:
    """Return an app as the registry describes it (an index entry and a document in one)."""
    return {
        "id": identifier,
        "title": "Molecule",
        "summary": "Geometry optimisation, vibrational frequencies, IR spectrum and thermochemistry with GFN2-xTB.",
        "description": "Relaxes **one molecule** in vacuum and computes its normal modes.\n\n### Methods\n\n"
        "- GFN2-xTB, GFN1-xTB and IPEA1-xTB through [tblite](https://tblite.readthedocs.io)\n"
        "- harmonic frequencies by finite differences\n\n| Quantity | Unit |\n|---|---|\n| Energy | eV |\n| Wavenumber | cm⁻¹ |",
        "categories": ["quantum-chemistry"],
        "keywords": ["xtb", "infrared"],
        "authors": "The Simdeck developers",
        "license": "BSD-3-Clause",
        "links": {"documentation": "https://example.org/guide", "source": "https://example.org/source"},
        "logo": {"name": "logo.svg", "path": "files/ab/logo/molecule.svg", "sha256": "ab", "size": 900},
        "screenshots": [
            {"name": "result.png", "path": "files/ab/shot/result.png", "sha256": "ab", "size": 90_000},
            {"name": "input-form.png", "path": "files/ab/shot/input-form.png", "sha256": "ab", "size": 90_000},
        ],
        "citations": [
            {
                "text": "C. Bannwarth, S. Ehlert and S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019)",
                "doi": "10.1021/acs.jctc.8b01176",
            },
            {
                "text": "A. Hjorth Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017)",
                "doi": "10.1088/1361-648X/aa680e",
            },
        ],
        "latest": "1.1.0",
        "versions": ["1.1.0", "1.0.0"],
        "releases": [release("1.1.0"), release("1.0.0")],
        **changes,
    }


def index_entry(identifier: str, **changes: Any) -> dict[str, Any]:
    """Return an app whose logo is a path, as in the index."""
    entry = store_app(identifier, **changes)
    if isinstance(entry.get("logo"), dict):
        entry["logo"] = entry["logo"]["path"]
    return entry


def installed_app(identifier: str = "molecule", **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "title": "Molecule",
        "summary": "Geometry optimisation, vibrational frequencies, IR spectrum and thermochemistry with GFN2-xTB.",
        "current": "1.1.0",
        "versions": ["1.0.0", "1.1.0"],
        "previous": "1.0.0",
        "entry": {"kind": "notebook", "path": "simdeck_molecule/app.ipynb"},
        "logo": "files/ab/logo/molecule.svg",
        "workflows": ["molecule.optimize"],
        "installed": before(days=3),
        **changes,
    }


def run(identifier: str = "6f1c2a90-5f0e-4f3b-9d56-0a5b5d1c7e11", **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "workflow": "molecule.optimize",
        "app": "molecule",
        "app_version": "1.1.0",
        "title": "Water, tight convergence",
        "state": "finished",
        "created": before(minutes=42),
        "started": before(minutes=41, seconds=58),
        "ended": before(minutes=41),
        "progress": None,
        "summary": {
            "energy": {"title": "Total energy", "value": -137.9776543, "unit": "eV"},
            "gibbs_energy": {"title": "Gibbs energy at 298.15 K", "value": -137.8791, "unit": "eV"},
            "zero_point_energy": {"title": "Zero-point energy", "value": 0.5583, "unit": "eV"},
        },
        "problem": None,
        "retry_of": None,
        "process": "0a5b5d1c-7e11-4f3b-9d56-6f1c2a905f0e",
        "paused": False,
        **changes,
    }


def running(identifier: str = "1b7e0c52-8a13-4c7d-8d0a-77e3d4f0a2b4", **changes: Any) -> dict[str, Any]:
    energy = {"energy": -1142.31874, "energy_unit": "eV", "fmax": 0.0231, "fmax_unit": "eV/Å"}
    return run(
        identifier,
        **{
            "title": "Caffeine",
            "state": "running",
            "created": before(minutes=2),
            "started": before(minutes=1, seconds=48),
            "ended": None,
            "summary": None,
            "progress": {"stage": "optimise", "step": 23, **energy},
            **changes,
        },
    )


def failed(identifier: str = "c09a4b1e-3f6c-4f53-9f8c-2f1f0a7d9e55", **changes: Any) -> dict[str, Any]:
    problem = {
        "type": "urn:simdeck:problem:calculation-failed",
        "code": "calculation-failed",
        "title": "The calculation failed",
        "status": 422,
        "detail": "The self-consistent field did not converge in 250 iterations at step 3.",
        "remedy": "Check charge and multiplicity; a better starting structure often helps.",
    }
    return run(
        identifier,
        **{
            "title": "Fe(CO)5, triplet",
            "state": "failed",
            "created": before(hours=5),
            "started": before(hours=5),
            "ended": before(hours=4, minutes=52),
            "summary": None,
            "problem": problem,
            **changes,
        },
    )


WORKFLOW = {
    "name": "molecule.optimize",
    "title": "Optimise a molecule",
    "schema": {
        "properties": {
            "structure": {
                "title": "Structure",
                "x-simdeck-type": "structure",
                "description": "One molecule in vacuum.",
            },
            "charge": {"title": "Total charge", "x-simdeck-unit": "e", "description": "Charge of the whole molecule."},
            "fmax": {"title": "Force threshold", "x-simdeck-unit": "eV/Å"},
        }
    },
    "outputs": [
        {"name": "energy", "title": "Total energy", "type": "Float", "unit": "eV"},
        {"name": "frequencies", "title": "Wavenumbers", "type": "List", "unit": "cm⁻¹"},
        {"name": "structure", "title": "Optimised structure", "type": "StructureData", "unit": None},
    ],
}

WATER = "3\nwater\nO 0 0 0\nH 0.76 0.59 0\nH -0.76 0.59 0\n"
INPUTS = {"structure": {"name": "water.xyz", "content": WATER}, "charge": 0, "fmax": 0.005, "method": "GFN2-xTB"}
OUTPUTS = {
    "energy": -137.9776543,
    "frequencies": [1539.4, 3643.1, 3651.7],
    "structure": {
        "symbols": ["O", "H", "H"],
        "positions": [[0, 0, 0], [0.77, 0.55, 0], [-0.77, 0.55, 0]],
        "cell": None,
    },
    "converged": True,
}
FILES = [
    {"path": "optimise/trajectory.xyz", "size": 18_402, "node": "a"},
    {"path": "optimise/input.json", "size": 412, "node": "a"},
    {"path": "vibrations/spectrum.csv", "size": 1_204_331, "node": "b"},
]


def energy_events(count: int = 24) -> list[tuple[str, dict[str, Any]]]:
    """Return the progress of an optimisation, with its processes."""
    events: list[tuple[str, dict[str, Any]]] = [
        ("state", {"state": "running"}),
        (
            "step",
            {
                "process": "p1",
                "label": "OptimizeWorkChain",
                "title": "Geometry and vibrations",
                "kind": "work chain",
                "state": "running",
            },
        ),
        (
            "step",
            {
                "process": "p2",
                "label": "XtbCalculation",
                "title": "Geometry optimisation",
                "kind": "calculation",
                "state": "waiting",
            },
        ),
    ]
    for step in range(count):
        energy = -1142.319 + 1.9 * 0.8**step
        data = {"stage": "optimise", "step": step, "energy": energy, "energy_unit": "eV", "fmax": 0.5 * 0.85**step}
        events.append(("progress", data))
    return events


def task(identifier: str = "task-1", **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "kind": "install",
        "app": "molecule",
        "version": "1.1.0",
        "state": "running",
        "step": "build",
        "message": "Installing 41 packages",
        "problem": None,
        "created": before(seconds=9),
        "ended": None,
        **changes,
    }


CATEGORIES = {
    "quantum-chemistry": {"title": "Quantum chemistry", "description": ""},
    "solids": {"title": "Solids and surfaces", "description": ""},
    "dynamics": {"title": "Molecular dynamics", "description": ""},
    "data": {"title": "Data and analysis", "description": ""},
}


def many_entries(count: int) -> list[dict[str, Any]]:
    """Return so many different apps of the store."""
    kinds = list(CATEGORIES)
    words = (
        "Phonons",
        "Band structure",
        "Surface slab",
        "Docking",
        "Diffusion",
        "Equation of state",
        "Elastic constants",
    )
    return [
        index_entry(
            f"app-{number:03d}",
            title=f"{words[number % len(words)]} {number}",
            summary=f"Computes {words[number % len(words)].lower()} and draws the result with units.",
            categories=[kinds[number % len(kinds)]],
            keywords=["dft"] if number % 3 else ["force field"],
            logo=None,
            latest="0.3.1",
            versions=["0.3.1"],
        )
        for number in range(count)
    ]


def busy_world() -> World:
    """A person in the middle of work."""
    return World(
        FakeAgent(
            apps=[
                installed_app(),
                installed_app(
                    "phonons",
                    title="Phonons",
                    current="0.2.0",
                    previous=None,
                    logo=None,
                    summary="Force constants and band structures of crystals.",
                ),
            ],
            runs=[
                running(),
                running("7d1", title="Benzene dimer, stacked", state="accepted", started=None, progress=None),
                running(
                    "7d2",
                    title="Paused search",
                    paused=True,
                    progress={"stage": "vibrations", "displacement": 4, "displacements": 12},
                ),
                run(),
                failed(),
                run("aa1", title="Ammonia", state="cancelled", summary=None, created=before(days=1)),
                run(
                    "aa2",
                    title="Methane",
                    state="rejected",
                    started=None,
                    ended=before(days=2),
                    summary=None,
                    created=before(days=2),
                    problem={
                        "title": "The inputs do not fit",
                        "detail": "Charge 1 and multiplicity 1 do not fit 10 electrons.",
                        "code": "inputs-rejected",
                    },
                ),
            ],
            workflows=[WORKFLOW],
            inputs=INPUTS,
            outputs=OUTPUTS,
            files=FILES,
            events=energy_events(),
            log="2026-11-21 03:04:05 REPORT optimising the geometry\n2026-11-21 03:04:09 REPORT <converged> & done\n",
        ),
        FakeStore(
            [
                index_entry("molecule"),
                index_entry(
                    "phonons",
                    title="Phonons",
                    latest="0.3.0",
                    versions=["0.3.0", "0.2.0"],
                    logo=None,
                    categories=["solids"],
                    summary="Force constants and band structures of crystals.",
                ),
                *many_entries(40),
            ],
            CATEGORIES,
        ),
        FakeServer({"state": "running", "started": before(hours=2)}),
    )


def empty_world() -> World:
    """A person who has just signed in for the first time."""
    return World(store=FakeStore([index_entry("molecule")], CATEGORIES))


def failed_world() -> World:
    """Agent, registry and hub are all away."""
    return World(
        FakeAgent(problem=down()),
        FakeStore(problem=Problem("registry-unreachable", location="registry", reason="its index is damaged")),
        FakeServer(problem=Problem("hub-unavailable")),
    )


def agent_down_world() -> World:
    world = busy_world()
    world.agent.problem = down()
    return world


def long_world() -> World:
    """Names as long as people and programs make them."""
    world = busy_world()
    world.agent.apps = [
        installed_app(title=LONG, summary=f"{LONG} {LONG}", current="1.1.0.dev20261121+g0123456789abcdef")
    ]
    world.agent.runs = [
        running(title=LONG),
        run(title=LONG),
        failed(title=LONG, problem={"title": LONG, "detail": LONG * 2, "remedy": LONG}),
    ]
    world.store.entries = [
        index_entry(
            "molecule",
            title=LONG,
            summary=LONG * 2,
            latest="1.1.0.dev20261121+g0123456789abcdef",
            authors=LONG,
            license=LONG,
        )
    ]
    world.agent.files = [{"path": f"{LONG}/{LONG}.xyz", "size": 10**12, "node": "a"}]
    world.agent.outputs = {LONG: LONG, "energy": 1.23456789e-19}
    return world


def hostile_world() -> World:
    """Every text that a stranger can set is an attack."""
    world = busy_world()
    attack = HOSTILE
    world.agent.apps = [
        installed_app(title=attack, summary=attack, current=attack, previous=attack, logo=attack, versions=[attack])
    ]
    problem = {"title": attack, "detail": attack, "remedy": attack, "code": attack, "field": attack}
    world.agent.runs = [
        running(
            title=attack, workflow=attack, app=attack, progress={"stage": attack, "energy": 1.0, "energy_unit": attack}
        ),
        run(
            title=attack,
            summary={attack: {"title": attack, "value": attack, "unit": attack}},
            process=attack,
            retry_of=attack,
        ),
        failed(title=attack, problem=problem),
    ]
    world.agent.inputs = {attack: attack, "structure": {"name": attack, "content": attack}}
    world.agent.outputs = {attack: {"value": attack, "unit": attack, "title": attack}}
    world.agent.files = [{"path": f"{attack}/{attack}", "size": 5, "node": attack}]
    world.agent.events = [("progress", {"stage": attack, "energy": float(n), "energy_unit": attack}) for n in range(3)]
    world.agent.events += [
        ("step", {"process": "p", "label": attack, "state": attack, "message": attack}),
        ("log", {"line": attack}),
    ]
    world.agent.log = attack
    world.agent.workflows = [
        {
            "name": attack,
            "title": attack,
            "schema": {"properties": {attack: {"title": attack, "description": attack}}},
            "outputs": [],
        }
    ]
    world.agent.tasks = [task(app="molecule", state="failed", message=attack, version=attack, problem=problem)]
    world.store.entries = [
        index_entry(
            "molecule",
            title=attack,
            summary=attack,
            description=f"{attack}\n\n[x](javascript:alert(1)) ![y](https://example.org/spy.png) <b onclick=alert(1)>b</b>",
            authors=attack,
            license=attack,
            categories=[attack],
            latest=attack,
            versions=[attack],
            releases=[release(attack, needs=[attack], python=attack)],
            citations=[{"text": attack, "doi": f"10.1234/{attack}"}],
            links={"homepage": "javascript:alert(1)", "source": f"https://example.org/{attack}"},
            screenshots=[{"name": attack, "path": attack}],
        )
    ]
    world.store.categories = {attack: {"title": attack}}
    world.server.answer = {"state": attack, "message": attack, "started": attack}
    return world


WORLDS = {
    "busy": busy_world,
    "empty": empty_world,
    "failed": failed_world,
    "agent-down": agent_down_world,
    "long": long_world,
    "hostile": hostile_world,
}
