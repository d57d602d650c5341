"""A small real registry with two versions of an app, shared by the tests of guest versions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from simdeck_appstore.build import build_registry

# At the end: that folder has a conftest.py of its own.
sys.path.append(str(Path(__file__).parents[1] / "appstore"))
from appstore_shop import DESCRIBE, Shop
from synthetic import write_app, write_source, write_stand_in


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    base = tmp_path_factory.mktemp("guests-shop")
    workflow = {
        "entry_points": {"aiida.workflows": {"demo.work": "simdeck_demo:Work"}},
        "manifest": {"workflows": ["demo.work"]},
    }
    write_app(base / "one", version="1.0.0", **workflow)
    write_app(base / "two", version="2.0.0", **workflow)
    write_app(base / "crash", "crash", source="raise RuntimeError('no licence')\n")
    apps = {"demo": ["file:../one", "file:../two"], "crash": ["file:../crash"]}
    source = write_source(base / "source", apps)
    stand_in = write_stand_in(base / "simdeck")
    assert build_registry(source, base / "registry", simdeck=stand_in).problems == []
    script = base / "describe.py"
    script.write_text(DESCRIBE)
    return Shop(base / "registry", source, stand_in, [sys.executable, "-I", str(script)])
