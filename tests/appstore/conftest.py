"""A small real registry, built once: apps made by ``synthetic.py``, beside a stand-in for the simdeck wheel."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from simdeck_appstore.build import build_registry

sys.path.insert(0, str(Path(__file__).parent))
from appstore_shop import DESCRIBE, Shop
from synthetic import SIX, write_app, write_source, write_stand_in


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    base = tmp_path_factory.mktemp("shop")
    workflow = {
        "entry_points": {"aiida.workflows": {"demo.work": "simdeck_demo:Work"}},
        "manifest": {"workflows": ["demo.work"]},
    }
    write_app(base / "one", version="1.0.0", **workflow)
    write_app(base / "two", version="2.0.0", **workflow)
    write_app(base / "crash", "crash", source="raise RuntimeError('no licence')\n")
    write_app(base / "blind", "blind", notebook=True)
    write_app(base / "lacking", "lacking", dependencies=("six", "tomli-w"))
    write_app(base / "forged", "forged", lock=SIX.replace("4721f391", "00000000").replace("ff70335d", "00000000"))
    write_app(base / "ghost", "ghost", lock=SIX.replace("1.17.0", "1.17.99"))
    write_app(base / "future", "future", project={"requires-python": ">=3.99"})
    write_app(base / "newest", "newest", manifest={"minimum_simdeck": "99.0"})
    apps = {name: [f"file:../{name}"] for name in ("crash", "blind", "lacking", "forged", "ghost", "future", "newest")}
    source = write_source(base / "source", {"demo": ["file:../one", "file:../two"], **apps})
    stand_in = write_stand_in(base / "simdeck")
    report = build_registry(source, base / "registry", simdeck=stand_in)
    assert report.problems == []
    script = base / "describe.py"
    script.write_text(DESCRIBE)
    return Shop(base / "registry", source, stand_in, [sys.executable, "-I", str(script)])


@pytest.fixture
def registry_copy(shop: Shop, tmp_path: Path) -> Path:
    """A copy of the registry to spoil."""
    return Path(shutil.copytree(shop.registry, tmp_path / "registry"))
