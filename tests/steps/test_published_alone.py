"""`simdeck workflow publish`: a Python file becomes an app without a page, for groups alone, that installs and runs."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
import steps_app
from click.testing import CliRunner
from simdeck_appstore.developer.alone import project_of, toml_text
from simdeck_appstore.installer import Installer, InstallerSettings
from simdeck_appstore.registries import Registries
from simdeck_common.layout import user_home
from simdeck_common.problems import Problem
from simdeck_hub.cli import main
from simdeck_workflows.models import RunRequest, RunState
from toy_oven import Oven

SOURCE = '''# /// script
# requires-python = ">=3.11"
# [tool.simdeck]
# version = "1.2.0"
# methods = ["Hooke's law"]
# ///
from typing import Annotated

from simdeck_workflows.steps import Unit, step, workflow


@step
def energy(strain: float) -> Annotated[float, Unit("eV")]:
    return 2.0 * strain * strain


@workflow(title="Law of springs")
def law(strains: list[float]) -> Annotated[float, Unit("eV")]:
    """Sums the energies of springs."""
    return sum(energy.map(strains))
'''


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "spring_law.py"
    path.write_text(SOURCE)
    return path


def test_a_file_says_all_that_a_project_needs(script: Path, tmp_path: Path) -> None:
    project = project_of(script, tmp_path / "project", groups=["lab"])
    data = tomllib.loads((project / "pyproject.toml").read_text())
    assert data["project"]["name"] == "simdeck-app-spring-law"
    assert data["project"]["version"] == "1.2.0"
    assert data["project"]["entry-points"] == {"simdeck.workflows": {"spring-law.law": "spring_law:law"}}
    assert data["tool"]["simdeck"] == {
        "title": "Law of springs",
        "summary": "Sums the energies of springs.",
        "methods": ["Hooke's law"],
        "entry": {"kind": "workflow"},
        "workflows": ["spring-law.law"],
        "groups": ["lab"],
    }
    assert (project / "spring_law" / "__init__.py").read_text() == SOURCE
    assert "pydantic" in (project / "requirements.in").read_text()


def test_a_project_without_a_page_keeps_what_it_says(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    points = {"aiida.workflows": {"law.run": "law:RunWorkChain"}}
    table = {"title": "Law", "summary": "S.", "codes": ["pw.x"]}
    data = {"project": {"name": "law", "version": "1", "entry-points": points}, "tool": {"simdeck": table}}
    (source / "pyproject.toml").write_text(toml_text(data))
    project = project_of(source, tmp_path / "project", version="2.0")
    found = tomllib.loads((project / "pyproject.toml").read_text())
    assert found["project"]["version"] == "2.0"
    assert found["tool"]["simdeck"] == {**table, "entry": {"kind": "workflow"}, "workflows": ["law.run"]}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a-b.py", SOURCE, "must be that of a Python module"),
        ("law.py", "x = 1\n", "no function in it has the decorator @workflow"),
        ("law.py", "def (\n", "line 1"),
        ("law.py", SOURCE.replace('"1.2.0"', "1.2.0"), "not valid TOML"),
    ],
)
def test_what_cannot_be_published_is_told_why(tmp_path: Path, name: str, text: str, reason: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(Problem) as refused:
        project_of(path, tmp_path / "project")
    assert refused.value.code == "workflow-file"
    assert reason in refused.value.detail


def test_an_app_with_a_page_is_not_published_as_a_workflow(tmp_path: Path) -> None:
    entry = {"kind": "notebook", "path": "law/app.ipynb"}
    (tmp_path / "pyproject.toml").write_text(toml_text({"tool": {"simdeck": {"entry": entry}}}))
    with pytest.raises(Problem, match="it has a page"):
        project_of(tmp_path, tmp_path / "project")


@pytest.mark.backend
async def test_published_it_is_seen_by_its_groups_installed_and_run(
    script: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if not steps_app.BACKEND_PYTHON.exists():
        pytest.skip("the workflow backend's environment is missing: make up makes it")
    registry = tmp_path / "registry"
    assert CliRunner().invoke(main, ["registry", "init", str(registry)]).exit_code == 0
    argv = [
        "workflow",
        "publish",
        str(script),
        "--to",
        str(registry / "source"),
        "--groups",
        "lab, staff",
        "--no-checks",
    ]
    published = CliRunner().invoke(main, argv)
    assert published.exit_code == 0, published.output
    assert "For members of lab, staff: simdeck install spring-law, then simdeck run spring-law.law" in published.output
    again = CliRunner().invoke(main, argv)
    assert again.exit_code == 1
    assert "1.2.0" in again.output

    store = Registries([registry / "built"], tmp_path / "trust")
    assert [entry.id for entry in store.seen_by(["lab"]).search()] == ["spring-law"]
    assert store.seen_by(["visitors"]).search() == []
    with pytest.raises(Problem) as hidden:
        store.seen_by([]).app("spring-law")
    assert hidden.value.code == "app-not-found"

    home = user_home(tmp_path_factory.mktemp("h"), "a")
    settings = {
        "registries": [registry / "built"],
        "uv": Path(sys.executable).with_name("uv"),
        "describe_argv": [str(steps_app.BACKEND_PYTHON), "-m", "simdeck_workflows.engine.describe"],
        "backend_python": steps_app.BACKEND_PYTHON,
    }
    installer = Installer(home.apps, InstallerSettings(**settings))
    with pytest.raises(Problem):
        installer.version_for("spring-law", None, frozenset({"visitors"}))
    assert installer.version_for("spring-law", None, frozenset({"staff"})) == "1.2.0"
    app = installer.install("spring-law")
    assert (app.entry.kind, app.workflows) == ("workflow", ["spring-law.law"])

    oven = Oven(home, steps_app)
    await oven.backend.start()
    try:
        assert oven.backend.workflow("spring-law.law").groups == ["lab", "staff"]
        run = oven.backend.submit(RunRequest(workflow="spring-law.law", inputs={"strains": [1.0, 2.0]}))
        ended = await oven.end(run)
        assert ended.state is RunState.FINISHED, ended.problem
        assert oven.backend.outputs(run.id) == {"result": 10.0}
    finally:
        await oven.backend.stop()
        oven.clear()
