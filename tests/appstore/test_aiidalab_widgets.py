"""Real AiiDAlab packages: apps whose needs contradict each other run side by side."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from aiidalab_fixtures import write_notebooks
from appstore_shop import UV
from simdeck_appstore.build import build_registry
from simdeck_appstore.installer import Installer, InstallerSettings
from synthetic import write_source, write_stand_in

pytestmark = pytest.mark.backend

CODE = "import aiida, ipywidgets; print(ipywidgets.__version__.partition('.')[0])"


def test_an_app_on_aiidalab_s_widgets_and_one_on_newer_widgets_are_installed_beside_each_other(tmp_path: Path) -> None:
    write_notebooks(tmp_path / "older", "aiidalab-widgets-base~=2.4\naiidalab>=23\n")
    write_notebooks(tmp_path / "newer", "ipywidgets~=8.1\naiida-core~=2.5\n")
    source = write_source(tmp_path / "source", {"older": ["file:../older"], "newer": ["file:../newer"]})
    report = build_registry(source, tmp_path / "registry", simdeck=write_stand_in(tmp_path / "simdeck"))
    assert report.problems == []
    manager = Installer(tmp_path / "apps", InstallerSettings(registries=[tmp_path / "registry"], uv=UV))
    found = {}
    for app, more in (("older", "import aiidalab_widgets_base; "), ("newer", "")):
        manager.install(app)
        argv = [str(tmp_path / f"apps/{app}/current/env/bin/python"), "-I", "-c", more + CODE]
        found[app] = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    assert found == {"older": "7", "newer": "8"}
