"""The states a user's world can be in, by name."""

from __future__ import annotations

from deck_pages_fakes import FakeAgent, FakeServer, FakeServers, FakeSharing, FakeStore, World, down
from deck_pages_lab import LAB_WORLDS
from deck_pages_samples import (
    CATEGORIES,
    CHECKED,
    FILES,
    HOSTILE,
    INPUTS,
    LONG,
    OUTPUTS,
    WORKFLOW,
    before,
    energy_events,
    failed,
    index_entry,
    installed_app,
    many_entries,
    received,
    release,
    run,
    running,
    share_view,
    task,
)
from deck_pages_servers import OPTIONS, an_estimate, beta, cluster_view, ended, job, queued, running_job, server
from simdeck_common.problems import Problem


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


def shop_world() -> World:
    """A person with two versions of an app of which the newest needs codes, on a site that offers one of them."""
    world = busy_world()
    newest = release(
        "2.0.0",
        codes=["quantum-espresso >= 7", "cp2k"],
        needs=["A node with 16 GB of memory.", "No licence and no other program."],
        resources={"cores": 2, "memory": "2 GiB"},
        changelog="- Periodic systems\n- **Breaking**: reads `.cif` with its own symmetry",
        released="2026-11-20",
        check=CHECKED,
        python=">=3.12",
        wheel={"name": "app.whl", "path": "files/ab/x/app.whl", "sha256": "ab", "size": 98_213},
    )
    older = [
        release("1.1.0", changelog="Mends the *frequencies* of linear molecules.", released="2026-05-02"),
        release("1.0.0", changelog="The first release.", released="2026-01-15"),
    ]
    world.store.entries[0] |= {
        "latest": "2.0.0",
        "versions": ["2.0.0", "1.1.0", "1.0.0"],
        "releases": [newest, *older],
        "methods": ["GFN2-xTB", "Harmonic frequencies"],
        "codes": newest["codes"],
    }
    world.agent.apps[0] |= {"current": "1.1.0", "versions": ["1.1.0", "1.0.0"], "previous": "1.0.0"}
    world.facts.people["molecule"] = 7
    world.facts.offered.append("Quantum ESPRESSO 7.3")
    return world


def pinned_world() -> World:
    """The same, with the app pinned to the older version."""
    world = shop_world()
    world.agent.apps[0] |= {"current": "1.0.0", "previous": None, "pinned": "1.0.0"}
    world.store.entries[0]["releases"][0]["check"] = CHECKED | {
        "passed": False,
        "items": [{"name": "Page opens in Chromium", "state": "failed", "detail": "a traceback in cell 3"}],
    }
    world.store.entries[1]["healthy"] = False
    return world


def sharing_world() -> World:
    """A person who shares results and is given some."""
    world = busy_world()
    of = str(run()["id"])
    world.sharing = FakeSharing(
        shares=[
            share_view(run=of),
            share_view("s2", run=of, people=[], groups=["theory", "lab"], ended=True, revoked=before(days=1)),
            share_view("s3", ended=True, title=LONG, people=["carol"], groups=[], expires=before(days=1)),
        ],
        items=[received(), received("t2", title=LONG, owner="a-very-long-account-name-of-somebody.else")],
        told={
            "run": run(owner="grace", title="Ammonia inversion", expires=before(days=-20)),
            "inputs": INPUTS,
            "outputs": OUTPUTS,
            "files": {"items": FILES},
        },
    )
    return world


def empty_world() -> World:
    """A person who has just signed in for the first time."""
    return World(store=FakeStore([index_entry("molecule")], CATEGORIES))


def stopped_world() -> World:
    """A person with one app, whose server does not run."""
    return World(FakeAgent(apps=[installed_app()]), FakeStore([index_entry("molecule")], CATEGORIES))


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


def site_world() -> World:
    """A site with two clusters, and a person with a server in each phase of its life."""
    world = busy_world()
    world.servers = FakeServers(
        told=[cluster_view(), beta()],
        views=[
            running_job(left=7 * 60.0, options={**OPTIONS, "app": "phonons", "cores": 2}),
            queued("queue-1", options={**OPTIONS, "app": "phonons"}),
            ended("molecule-2"),
            server("booting-1", "booting", job=job(state="RUNNING", reason="", position=None, nodes="node03"), options=OPTIONS | {"app": "phonons"}),
            server("idle-1"),
        ],
        answer=an_estimate(),
        begun={key: value for key, value in OPTIONS.items() if key != "app"},
        source="last",
    )  # fmt: skip
    return world


def plain_site_world() -> World:
    """A small site: one cluster without accounts, presets or numbers, and nobody's server."""
    world = empty_world()
    world.agent.apps = [installed_app()]
    world.servers = FakeServers(told=[beta()], answer={"start": None}, begun={"cluster": "beta", "cores": 1})
    return world


def _everywhere(value: object, text: str) -> object:
    """Return ``value`` with ``text`` behind all its texts that are for people."""
    if isinstance(value, dict):
        plain = ("since", "phase", "start", "end", "url", "submitted", "started", "ends", "when", "unknown_since")
        return {key: one if key in plain else _everywhere(one, text) for key, one in value.items()}
    if isinstance(value, list):
        return [_everywhere(one, text) for one in value]
    return f"{value} {text}" if isinstance(value, str) and value not in ("-", "") else value


def told_with(text: str) -> World:
    """Return the site's world with ``text`` in everything the hub tells."""
    world = site_world()
    names = [one["name"] for one in world.servers.views]
    for part in ("told", "views", "answer", "begun"):
        setattr(world.servers, part, _everywhere(getattr(world.servers, part), text))
    for view, name in zip(world.servers.views, names, strict=True):
        view["name"] = name
    world.servers.refusal = Problem("invalid-input", field="cores", detail=text)
    return world


SITE_WORLDS = {
    "site": site_world,
    "plain-site": plain_site_world,
    "long-site": lambda: told_with(LONG),
    "hostile-site": lambda: told_with(HOSTILE),
}

WORLDS = (
    SITE_WORLDS
    | LAB_WORLDS
    | {
        "busy": busy_world,
        "shop": shop_world,
        "sharing": sharing_world,
        "pinned": pinned_world,
        "empty": empty_world,
        "stopped": stopped_world,
        "failed": failed_world,
        "agent-down": agent_down_world,
        "long": long_world,
        "hostile": hostile_world,
    }
)
