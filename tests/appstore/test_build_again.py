"""Building a registry again: what did not change is not looked into, and the result is that of a build from nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from simdeck_appstore import build as building
from simdeck_appstore import seen as seeing
from simdeck_appstore.build import BuildReport, build_registry
from simdeck_appstore.seen import Seen
from simdeck_appstore.signing import init_keys
from synthetic import write_app, write_source, write_stand_in

ADDRESS = "https://apps.example.org"


class Source:
    """A registry's source with some apps, one of them broken, built into ``built``."""

    def __init__(self, base: Path) -> None:
        self.base, self.built = base, base / "built"
        self.stand_in = write_stand_in(base / "simdeck")
        self.offer("ash", "birch", "cedar")

    def offer(self, *names: str) -> None:
        for name in names:
            if not (self.base / name).exists():
                write_app(self.base / name, name)
        write_app(self.base / "broken", "broken", manifest={"title": None})
        write_source(self.base / "source", {name: [f"file:../{name}"] for name in [*names, "broken"]})

    def build(self, output: Path | None = None, *, keys: Path | None = None) -> BuildReport:
        return build_registry(
            self.base / "source", output or self.built, simdeck=self.stand_in, base_url=ADDRESS, keys=keys
        )


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was just written counts as written long ago."""
    monkeypatch.setattr(seeing, "SETTLED_SECONDS", -1000.0)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("settled")
def test_an_unchanged_source_is_neither_read_nor_built(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    first = source.build()

    def never(*_: object) -> str:
        raise AssertionError("this was to be left alone")

    monkeypatch.setattr(seeing, "sha256_of", never)
    monkeypatch.setattr(seeing, "tree_hash", never)
    monkeypatch.setattr(building, "_Build", never)
    again = source.build()
    assert not again.changed
    assert again.index == first.index
    assert again.reused == ["ash 1.0.0", "birch 1.0.0", "cedar 1.0.0"]
    assert [problem.app for problem in again.problems] == ["broken"]


@pytest.mark.usefixtures("settled")
def test_building_step_by_step_gives_the_bytes_of_a_build_from_nothing(source: Source, tmp_path: Path) -> None:
    source.build()
    write_app(source.base / "birch", "birch", "2.0.0")
    source.build()
    source.offer("birch", "ash", "dogwood")
    stepwise = source.build()
    assert [name.split()[0] for name in stepwise.built] == ["dogwood"]
    source.build(tmp_path / "clean")
    assert contents(source.built) == contents(tmp_path / "clean")


@pytest.mark.usefixtures("settled")
def test_a_change_that_keeps_size_and_time_of_a_file_is_seen(source: Source) -> None:
    source.build()
    module = source.base / "ash/simdeck_ash/__init__.py"
    before = module.stat()
    module.write_text(module.read_text().replace("import six", "import os "))
    os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert module.stat().st_size == before.st_size
    assert source.build().built == ["ash 1.0.0"]


def test_what_was_written_a_moment_ago_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_text("first")
    seen = Seen(tmp_path / "seen.json")
    seen.file(path)
    seen.save()
    assert not (tmp_path / "seen.json").exists()


@pytest.mark.usefixtures("settled")
def test_a_file_of_the_built_registry_that_was_touched_is_made_again(source: Source) -> None:
    source.build()
    index = source.built / "index.html"
    page = index.read_bytes()
    index.unlink()
    assert source.build().changed
    assert index.read_bytes() == page


@pytest.mark.usefixtures("settled")
def test_signatures_are_renewed_when_half_their_time_is_over(source: Source) -> None:
    init_keys(source.base / "keys")
    source.build(keys=source.base / "keys")
    kept = source.base / ".built.seen.json"
    state = json.loads(kept.read_text())
    assert state["state"]["renewal"] is not None
    state["state"]["renewal"] = "2020-01-01T00:00:00+00:00"
    kept.write_text(json.dumps(state))
    report = source.build(keys=source.base / "keys")
    # The signatures themselves are still young, so that looking at them changed nothing but the note.
    assert not report.changed
    assert json.loads(kept.read_text())["state"]["renewal"] > "2021"


@pytest.mark.usefixtures("settled")
def test_a_damaged_note_costs_a_build_and_nothing_else(source: Source) -> None:
    first = source.build()
    (source.base / ".built.seen.json").write_text('{"format": 1, "known": {')
    again = source.build()
    assert not again.changed
    assert again.index == first.index
