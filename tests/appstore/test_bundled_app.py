"""The project's own registry and its molecule app, installed for real: environment, workflows and kernel."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from appstore_shop import UV
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import start_new_kernel
from simdeck_appstore.build import build_registry
from simdeck_appstore.installer import Installer, InstallerSettings

ROOT = Path(__file__).parents[2]
BACKEND = ROOT / ".simdeck/envs/backend/bin/python"


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("bundled")
    report = build_registry(ROOT / "registry", base / "registry")
    assert report.problems == []
    describe = [str(BACKEND), "-m", "simdeck_workflows.engine.describe"]
    settings = InstallerSettings(registries=[base / "registry"], uv=UV, describe_argv=describe)
    Installer(base / "apps", settings).install("molecule")
    return base / "apps"


@pytest.mark.backend
def test_its_workflow_is_described_by_the_backend(apps: Path) -> None:
    found = json.loads((apps / "molecule/current/workflows.json").read_text())["workflows"]
    assert [workflow["name"] for workflow in found] == ["molecule.optimize"]
    assert "structure" in found[0]["schema"]["properties"]


@pytest.mark.backend
def test_its_notebook_lies_where_its_record_says(apps: Path) -> None:
    record = json.loads((apps / "molecule/current/app.json").read_text())
    notebook = apps / "molecule/current" / record["entry"]["file"]
    assert json.loads(notebook.read_text())["cells"]


@pytest.mark.backend
def test_its_kernel_runs_in_the_versions_own_environment(apps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(apps / ".jupyter"))
    specs = KernelSpecManager()
    assert specs.get_kernel_spec("simdeck-molecule").display_name == "Molecule"
    manager, client = start_new_kernel(kernel_name="simdeck-molecule")
    try:
        said: list[str] = []
        client.execute_interactive(
            "import os, sys, simdeck_molecule\n"
            "print(sys.prefix, os.environ['SIMDECK_APP'], os.environ['SIMDECK_APP_VERSION'])",
            output_hook=lambda message: said.append(message["content"].get("text", "")),
            timeout=180,
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    version = (apps / "molecule/current").resolve()
    assert "".join(said).split() == [str(version / "env"), "molecule", version.name]


@pytest.mark.backend
def test_nothing_of_this_environment_is_in_the_apps(apps: Path) -> None:
    site = next((apps / "molecule/current/env/lib").glob("python*/site-packages"))
    names = {path.name for path in site.iterdir()}
    assert {"simdeck_molecule", "simdeck_widgets", "tblite"} <= names
    assert not names & {"aiida", "jupyterhub", "fastapi"}
    assert sys.prefix not in (site.parents[2] / "pyvenv.cfg").read_text()
