"""Signed registries: what is genuine is read; what was changed, replayed, held back or signed by others is refused."""

from __future__ import annotations

import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from simdeck_appstore import signing
from simdeck_appstore.build import build_registry
from simdeck_appstore.registry import Registry
from simdeck_common.problems import Problem
from synthetic import write_app, write_source, write_stand_in


class Shelf:
    """A registry of one app that can be built again with more releases, and its keys."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.keys = base / "keys"
        self.root = signing.init_keys(self.keys)
        self.pinned = Path(shutil.copyfile(self.root, base / "pinned.json"))
        self.stand_in = write_stand_in(base / "simdeck")
        self.output = base / "registry"
        self.releases: list[str] = []
        self.publish("1.0.0")

    def publish(self, version: str) -> None:
        write_app(self.base / version, "wave", version)
        self.releases.append(f"file:../{version}")
        self.build()

    def build(self, keys: Path | None = None) -> bool:
        source = write_source(self.base / "source", {"wave": list(self.releases)})
        return build_registry(source, self.output, simdeck=self.stand_in, keys=keys or self.keys).changed

    def copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.output, self.base / name))

    def replace(self, copy: Path) -> None:
        shutil.rmtree(self.output)
        copy.rename(self.output)

    def registry(self, state: str = "state", root: Path | None = None) -> Registry:
        return Registry(self.output, root=root or self.pinned, trust=self.base / state)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def refusal(registry: Registry) -> Problem:
    with pytest.raises(Problem) as caught:
        registry.app("wave")
    return caught.value


def test_a_registry_signed_with_the_pinned_key_is_read(shelf: Shelf) -> None:
    assert shelf.registry().app("wave").latest == "1.0.0"


def test_a_new_release_is_seen_by_a_reader_that_was_there_before(shelf: Shelf) -> None:
    registry = shelf.registry()
    registry.index()
    shelf.publish("1.1.0")
    assert registry.app("wave").latest == "1.1.0"


def test_a_registry_without_signatures_is_refused(shelf: Shelf) -> None:
    shutil.rmtree(shelf.output / "metadata")
    problem = refusal(shelf.registry())
    assert (problem.code, "not signed" in problem.detail) == ("registry-untrusted", True)


def test_a_document_changed_after_signing_is_refused(shelf: Shelf) -> None:
    document = shelf.output / "api" / "v2" / "apps" / "wave.json"
    document.write_text(document.read_text().replace("1.0.0", "6.6.6"))
    problem = refusal(shelf.registry())
    assert (problem.code, "not what was signed" in problem.detail) == ("registry-untrusted", True)


def test_an_index_changed_after_signing_is_refused(shelf: Shelf) -> None:
    index = shelf.output / "api" / "v2" / "index.json"
    index.write_text(index.read_text().replace("1.0.0", "6.6.6"))
    assert refusal(shelf.registry()).code == "registry-untrusted"


def test_a_registry_signed_with_other_keys_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    signing.init_keys(tmp_path / "other")
    shutil.rmtree(shelf.output)
    shelf.build(tmp_path / "other")
    problem = refusal(shelf.registry())
    assert (problem.code, "pinned key" in problem.detail) == ("registry-untrusted", True)


def test_an_older_state_of_the_registry_is_refused_by_who_has_seen_the_newer_one(shelf: Shelf) -> None:
    old = shelf.copy("old")
    shelf.publish("1.1.0")
    shelf.registry().index()
    shelf.replace(old)
    problem = refusal(shelf.registry())
    assert (problem.code, "older" in problem.detail) == ("registry-untrusted", True)


def test_a_frozen_copy_is_refused_when_its_signatures_have_run_out(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = signing.now() - timedelta(days=signing.TIMESTAMP_DAYS + 1)
    shutil.rmtree(shelf.output)
    monkeypatch.setattr(signing, "now", lambda: past)
    shelf.build()
    assert refusal(shelf.registry()).code == "registry-expired"


def test_a_reader_that_is_open_notices_that_the_signatures_run_out(shelf: Shelf) -> None:
    registry = shelf.registry()
    registry.index()
    origin = registry.origin
    assert not origin.changed()
    origin._expires = signing.now() - timedelta(seconds=1)  # type: ignore[attr-defined]
    assert origin.changed()


def test_a_build_that_changes_nothing_signs_nothing_anew(shelf: Shelf) -> None:
    before = {path.name: path.read_bytes() for path in (shelf.output / "metadata").iterdir()}
    assert not shelf.build()
    assert {path.name: path.read_bytes() for path in (shelf.output / "metadata").iterdir()} == before


def test_signatures_past_half_their_time_are_renewed_by_the_next_build(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = signing.now() + timedelta(days=signing.TIMESTAMP_DAYS / 2 + 1)
    before = (shelf.output / "metadata" / "timestamp.json").read_bytes()
    monkeypatch.setattr(signing, "now", lambda: later)
    assert shelf.build()
    assert (shelf.output / "metadata" / "timestamp.json").read_bytes() != before


def test_a_renewed_root_is_followed_from_the_pinned_one(shelf: Shelf) -> None:
    (shelf.keys / "targets.pem").unlink()
    (shelf.keys / "targets.pem").write_bytes((_other_key(shelf.base) / "targets.pem").read_bytes())
    (shelf.keys / "targets.pem").chmod(0o600)
    signing.renew_root(shelf.keys)
    shelf.publish("1.1.0")
    assert shelf.registry().app("wave").latest == "1.1.0"


def _other_key(base: Path) -> Path:
    signing.init_keys(base / "second")
    return base / "second"


def test_a_missing_pin_is_named(shelf: Shelf) -> None:
    assert "nowhere.json cannot be read" in refusal(shelf.registry(root=shelf.base / "nowhere.json")).detail


def test_keys_are_for_their_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    signing.init_keys(tmp_path / "keys")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").glob("*.pem")}
    assert modes == {0o600}
    with pytest.raises(Problem) as caught:
        signing.init_keys(tmp_path / "keys")
    assert caught.value.code == "keys-exist"


@pytest.mark.parametrize("harm", ["missing", "open", "damaged"])
def test_a_key_that_cannot_be_used_stops_the_build_and_leaves_the_registry_as_it_was(shelf: Shelf, harm: str) -> None:
    key = shelf.keys / "timestamp.pem"
    before = (shelf.output / "api" / "v2" / "index.json").read_bytes()
    {
        "missing": key.unlink,
        "open": lambda: key.chmod(0o644),
        "damaged": lambda: key.write_text("no key"),
    }[harm]()
    with pytest.raises(Problem) as caught:
        shelf.publish("1.1.0")
    assert caught.value.code == "keys-unusable"
    assert (shelf.output / "api" / "v2" / "index.json").read_bytes() == before
    assert shelf.registry().app("wave").latest == "1.0.0"


def test_making_keys_and_building_signed_works_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signing.main(["init", str(tmp_path / "keys")]) == 0
    assert "root.json is what sites pin" in capsys.readouterr().out
    assert signing.main(["init", str(tmp_path / "keys")]) == 2
