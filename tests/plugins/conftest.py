"""A registry of apps whose workflows need packages, and an index of such packages: all local."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from simdeck_appstore.build import build_registry
from simdeck_appstore.installer import Installer, InstallerSettings

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "appstore")]
from appstore_shop import DESCRIBE
from plugins_wheels import UV, make_backend, write_wheel
from synthetic import write_app, write_source, write_stand_in

WORKS = {"workflows": ["demo.work"]}
POINTS = {"aiida.workflows": {"demo.work": "nowhere:Work"}}
APPS = {
    "sweet": ["honey>=1"],
    "sour": ["vinegar"],
    "bitter": ["honey<2"],
    "salty": ["anchor<1"],
    "lost": ["no-such-package-anywhere"],
}
"""App and what its workflows need. ``vinegar`` needs ``honey>=2``, so ``bitter`` does not go with ``sour``."""


@dataclass(frozen=True)
class Market:
    """The registry, a small backend, and uv's cache."""

    registry: Path
    python: Path
    cache: Path
    describe: list[str]

    def installer(self, apps: Path, **changes: Any) -> Installer:
        given = {
            "registries": [self.registry],
            "uv": UV,
            "describe_argv": self.describe,
            "backend_python": self.python,
            "cache": self.cache,
            **changes,
        }
        return Installer(apps, InstallerSettings(**given))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    write_wheel(folder, "anchor", "1.0")
    for version in ("1.0", "2.0"):
        write_wheel(folder, "honey", version)
    write_wheel(folder, "vinegar", "1.0", requires=["honey>=2", "anchor"])
    return folder


@pytest.fixture
def index(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have uv know these wheels and nothing else."""
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    return wheels


@pytest.fixture(scope="session")
def shelves(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Market:
    base = tmp_path_factory.mktemp("market")
    for name, backend in APPS.items():
        write_app(
            base / name, name, manifest={**WORKS, "backend": backend}, entry_points=POINTS,
            lock="", source="", dependencies=(),
        )  # fmt: skip
    for version, wanted in (("1.0.0", "honey<2"), ("2.0.0", "honey>=2")):
        write_app(
            base / f"twice-{version}", "twice", version, manifest={**WORKS, "backend": [wanted]}, entry_points=POINTS,
            lock="", source="", dependencies=(),
        )  # fmt: skip
    write_app(base / "plain", "plain", lock="", source="", dependencies=())
    apps = {name: [f"file:../{name}"] for name in [*APPS, "plain"]}
    twice = {"twice": ["file:../twice-1.0.0", "file:../twice-2.0.0"]}
    source = write_source(base / "source", {**apps, **twice})
    report = build_registry(source, base / "registry", simdeck=write_stand_in(base / "simdeck"))
    assert report.problems == []
    script = base / "describe.py"
    script.write_text(DESCRIBE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_FIND_LINKS", str(wheels))
        patch.setenv("UV_NO_INDEX", "1")
        python = make_backend(base / "backend", "anchor")
    return Market(base / "registry", python, base / "cache", [sys.executable, "-I", str(script)])


@pytest.fixture
def market(shelves: Market, index: Path) -> Market:
    return shelves
