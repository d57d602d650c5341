"""Workers and generations for real: two people, real installs, AiiDA's workers in different environments."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from simdeck_common.layout import UserHome, user_home
from simdeck_workflows.models import RunRequest, RunState

sys.path += [str(Path(__file__).parents[1] / "workflows" / "fixtures"), str(Path(__file__).parents[1] / "appstore")]
import toy_app
from plugins_wheels import UV
from simdeck_appstore.build import build_registry
from simdeck_appstore.installer import Installer, InstallerSettings
from synthetic import write_app, write_source, write_stand_in
from toy_oven import Oven, until

pytestmark = pytest.mark.backend

WORKFLOW = '''\
import sys

import vinegar
from aiida import orm
from aiida.engine import WorkChain, calcfunction


@calcfunction
def tell(taste):
    return {"taste": orm.Str(f"{taste.value} {vinegar.VERSION}"), "environment": orm.Str(sys.prefix)}


class TasteWorkChain(WorkChain):
    """Says what it tastes, and where it runs."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.input("taste", valid_type=orm.Str)
        spec.outline(cls.try_it)
        spec.output("taste", valid_type=orm.Str)
        spec.output("environment", valid_type=orm.Str)

    def try_it(self):
        for name, node in tell(self.inputs.taste).items():
            self.out(name, node)
'''


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not toy_app.BACKEND_PYTHON.exists():
        pytest.skip("the workflow backend's environment is missing: make up makes it")
    base = tmp_path_factory.mktemp("tasting")
    project = write_app(
        base / "tasting", "tasting", lock="", source="", dependencies=(),
        manifest={"workflows": ["tasting.taste"], "backend": ["vinegar~=1.0"]},
        entry_points={"aiida.workflows": {"tasting.taste": "simdeck_tasting.workflows:TasteWorkChain"}},
    )  # fmt: skip
    (project / "simdeck_tasting" / "workflows.py").write_text(WORKFLOW)
    source = write_source(base / "source", {"tasting": ["file:../tasting"]})
    report = build_registry(source, base / "registry", simdeck=write_stand_in(base / "simdeck"))
    assert report.problems == []
    return base / "registry"


def install(home: UserHome, registry: Path, cache: Path) -> None:
    """Install the app for a person as their agent does, without the agent's own call of ``reload``."""
    settings = InstallerSettings(
        registries=[registry], uv=UV, cache=cache, backend_python=toy_app.BACKEND_PYTHON,
        describe_argv=[str(toy_app.BACKEND_PYTHON), "-m", "simdeck_workflows.engine.describe"],
    )  # fmt: skip
    Installer(home.apps, settings).install("tasting")


def standing(oven: Oven) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((oven.home.workflows / "worker.json").read_text())
    return found


async def taste(oven: Oven) -> dict[str, Any]:
    """Run the app's workflow to its end; return its outputs."""
    run = oven.backend.submit(RunRequest(workflow="tasting.taste", inputs={"taste": "sour"}))
    ended = await oven.end(run)
    assert ended.state is RunState.FINISHED, ended.problem
    return oven.backend.outputs(run.id)


@pytest.fixture(scope="module")
def described(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = toy_app.install(tmp_path_factory.mktemp("describe"))
    return (folder / "workflows.json").read_bytes()


@pytest.fixture
async def people(index: Path, described: bytes) -> AsyncIterator[tuple[Oven, Oven]]:
    """Alice and Bob, each with the toy app and a backend of their own."""
    with tempfile.TemporaryDirectory(prefix="sdpl-") as folder:
        ovens = []
        for name in ("alice", "bob"):
            home = user_home(Path(folder), name)
            toy_app.install(home.apps, described=described)
            ovens.append(Oven(home, toy_app))
            await ovens[-1].backend.start()
        yield ovens[0], ovens[1]
        for oven in ovens:
            await oven.backend.stop()
            oven.clear()
            shutil.rmtree(oven.home.runtime, ignore_errors=True)


async def test_a_run_goes_on_in_the_old_generation_while_the_new_one_carries_out_others(
    people: tuple[Oven, Oven], registry: Path, tmp_path: Path
) -> None:
    alice, bob = people
    base = str(toy_app.BACKEND_PYTHON.parents[1])
    baking = alice.bake(steps=400, pause=2.0)
    await alice.event(baking, "progress")
    for oven in people:
        install(oven.home, registry, tmp_path / "cache")
        await oven.backend.reload()

    # Bob's idle worker moves at once; Alice's stays until it is idle.
    told = await taste(bob)
    assert told["taste"] == "sour 1.0"
    assert told["environment"].startswith(str(bob.home.apps / ".backend"))
    assert (standing(alice)["environment"], alice.worker_pid()) == (base, standing(alice)["pid"])
    assert alice.backend.run(baking.id).state is RunState.RUNNING

    # A run that needs what is new: the next worker takes both over.
    told = await taste(alice)
    assert told["environment"].startswith(str(alice.home.apps / ".backend"))
    assert standing(alice)["environment"] == told["environment"]
    assert alice.backend.run(baking.id).state is RunState.RUNNING
    await alice.backend.cancel(baking.id)
    await alice.end(baking)
    assert len(alice.computed()) == 1


async def test_a_busy_worker_moves_when_its_runs_have_ended(
    people: tuple[Oven, Oven], registry: Path, tmp_path: Path
) -> None:
    alice, _ = people
    baking = alice.bake(steps=400, pause=2.0)
    await alice.event(baking, "progress")
    old = alice.worker_pid()
    install(alice.home, registry, tmp_path / "cache")
    await alice.backend.reload()
    assert alice.worker_pid() == old
    await alice.backend.cancel(baking.id)
    await alice.end(baking)
    await until(lambda: alice.worker_pid() != old)
    assert (await taste(alice))["environment"].startswith(str(alice.home.apps / ".backend"))
