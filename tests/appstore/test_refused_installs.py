"""What a hostile or broken registry serves is refused by an install, with its code and a sentence; nothing is left.

The registry is signed; each case spoils a copy of it, or what the reader knows of it.
"""

from __future__ import annotations

import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from appstore_shop import UV
from simdeck_appstore import registry as reading
from simdeck_appstore import signing
from simdeck_appstore.build import build_registry
from simdeck_appstore.installer import Installer, InstallerSettings
from simdeck_appstore.policy import AppPolicy
from simdeck_appstore.registries import Registries, RegistrySource
from simdeck_common.problems import Problem
from synthetic import write_app, write_source, write_stand_in


@dataclass
class Shelf:
    """A signed registry with two states (1.0.0, then 1.1.0 too), its keys, and another's keys."""

    base: Path

    @property
    def root(self) -> Path:
        return self.base / "pinned.json"

    def build(self, name: str, versions: list[str], keys: str = "keys") -> Path:
        source = write_source(self.base / "source", {"wave": [f"file:../{version}" for version in versions]})
        build_registry(source, self.base / name, simdeck=self.base / "simdeck", keys=self.base / keys)
        return self.base / name


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    base = tmp_path_factory.mktemp("shelf")
    shelf = Shelf(base)
    shutil.copyfile(signing.init_keys(base / "keys"), base / "pinned.json")
    signing.init_keys(base / "other-keys")
    write_stand_in(base / "simdeck")
    for version in ("1.0.0", "1.1.0"):
        write_app(base / version, "wave", version)
    shelf.build("new", ["1.0.0"])
    shutil.copytree(base / "new", base / "old")
    shelf.build("new", ["1.0.0", "1.1.0"])
    shelf.build("foreign", ["1.0.0", "1.1.0"], "other-keys")
    with pytest.MonkeyPatch.context() as patch:
        long_ago = signing.now() - timedelta(days=signing.TIMESTAMP_DAYS + 1)
        patch.setattr(signing, "now", lambda: long_ago)
        shelf.build("frozen", ["1.0.0"])
    return shelf


@dataclass
class Case:
    """One registry to spoil, below ``folder``, and a person's apps."""

    shelf: Shelf
    folder: Path
    apps: Path

    def installer(self, *further: RegistrySource, **keys: Any) -> Installer:
        source = RegistrySource(name="signed", url=str(self.folder), root=self.shelf.root)
        settings = InstallerSettings(registries=[source, *further], uv=UV, **keys)
        return Installer(self.apps, settings)

    def replace(self, name: str) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.shelf.base / name, self.folder)

    def change(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        file.write_text(file.read_text().replace(old, new))

    def files(self, suffix: str) -> list[Path]:
        return sorted(self.folder.glob(f"files/*/*/*{suffix}"))


@pytest.fixture
def case(shelf: Shelf, tmp_path: Path) -> Case:
    made = Case(shelf, tmp_path / "registry", tmp_path / "apps")
    shutil.copytree(shelf.base / "new", made.folder)
    return made


APP = "api/v2/apps/wave.json"
INDEX = "api/v2/index.json"


def unsigned(case: Case) -> None:
    shutil.rmtree(case.folder / "metadata")


def changed_document(case: Case) -> None:
    case.change(APP, "1.1.0", "6.6.6")


def changed_index(case: Case) -> None:
    case.change(INDEX, "1.1.0", "6.6.6")


def foreign(case: Case) -> None:
    case.replace("foreign")


def foreign_signatures(case: Case) -> None:
    shutil.rmtree(case.folder / "metadata")
    shutil.copytree(case.shelf.base / "foreign" / "metadata", case.folder / "metadata")


def expired(case: Case) -> None:
    case.replace("frozen")


def replayed(case: Case) -> None:
    case.installer().registries[0].index()
    case.replace("old")


def replayed_snapshot(case: Case) -> None:
    """Serve old documents below the newest time stamp."""
    for path in ("api", "metadata/1.targets.json", "metadata/1.snapshot.json"):
        target, source = case.folder / path, case.shelf.base / "old" / path
        if source.is_dir():
            shutil.rmtree(target)
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)


def lost_signature(case: Case) -> None:
    for path in case.folder.glob("metadata/*.targets.json"):
        path.unlink()


def noise_in_signatures(case: Case) -> None:
    (case.folder / "metadata" / "timestamp.json").write_bytes(b"\x00 noise")


def no_pin(case: Case) -> None:
    case.shelf = Shelf(case.folder / "nowhere")


def changed_wheel(case: Case) -> None:
    for path in case.files(".whl"):
        path.write_bytes(path.read_bytes() + b"x")


def changed_lock(case: Case) -> None:
    for path in case.files(".lock"):
        path.write_text(path.read_text() + "# changed\n")


def endless_wheel(case: Case) -> None:
    for path in case.files("wave-1.1.0-py3-none-any.whl"):
        with path.open("ab") as stream:
            stream.truncate(2**40)


def lost_wheel(case: Case) -> None:
    for path in case.files(".whl"):
        path.unlink()


def away(case: Case) -> None:
    shutil.rmtree(case.folder)


CASES: dict[str, tuple[Callable[[Case], None], str, str]] = {
    "unsigned": (unsigned, "registry-untrusted", "it is not signed"),
    "changed-document": (changed_document, "registry-untrusted", "is not what was signed"),
    "changed-index": (changed_index, "registry-untrusted", "is not what was signed"),
    "other-key": (foreign, "registry-untrusted", "not signed with the pinned key"),
    "others-signatures": (foreign_signatures, "registry-untrusted", "not signed with the pinned key"),
    "expired": (expired, "registry-expired", "was signed too long ago"),
    "replayed": (replayed, "registry-untrusted", "older than what was read from it before"),
    "old-documents-new-time": (replayed_snapshot, "registry-untrusted", "is not what was signed"),
    "lost-signature": (lost_signature, "registry-untrusted", "it is not signed"),
    "noise-in-signatures": (noise_in_signatures, "registry-untrusted", "its signatures cannot be used"),
    "no-pin": (no_pin, "registry-untrusted", "cannot be read"),
    "changed-wheel": (changed_wheel, "file-changed", "SHA-256"),
    "changed-lock": (changed_lock, "file-changed", "SHA-256"),
    "endless-wheel": (endless_wheel, "file-changed", "SHA-256"),
    "lost-wheel": (lost_wheel, "registry-unreachable", "is not there any more"),
    "away": (away, "registry-unreachable", "there is no registry"),
}


def nothing_left(apps: Path) -> bool:
    left = [path for name in (".staging", ".trash") for path in (apps / name).glob("*")]
    return left == [] and not (apps / "wave").exists()


@pytest.mark.parametrize("name", CASES)
def test_an_install_is_refused_and_leaves_nothing(case: Case, name: str) -> None:
    spoil, code, says = CASES[name]
    spoil(case)
    with pytest.raises(Problem) as caught:
        case.installer().install("wave")
    assert (caught.value.code, says in caught.value.detail) == (code, True), caught.value.detail
    assert caught.value.remedy
    assert nothing_left(case.apps)


# In a registry without a pinned key the documents themselves may lie.
LIES: dict[str, tuple[dict[str, Any], str, str]] = {
    "path-up": ({"path": "files/../../../etc/passwd"}, "registry-unreachable", "is not there any more"),
    "path-absolute": ({"path": "/etc/passwd"}, "registry-unreachable", "is not there any more"),
    "path-of-another": ({"path": "files/00/" + "0" * 64 + "/w.whl"}, "file-changed", "SHA-256"),
    "name-with-path": ({"name": "../../../evil.whl"}, "registry-unreachable", "its index is damaged"),
    "hash-of-another": ({"sha256": "0" * 64}, "file-changed", "SHA-256"),
    "no-hash": ({"sha256": "abc"}, "registry-unreachable", "its index is damaged"),
    "smaller-than-it-is": ({"size": 1}, "file-changed", "SHA-256"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_a_file_is_refused_and_leaves_nothing(case: Case, name: str) -> None:
    changes, code, says = LIES[name]
    path = case.folder / APP
    document = json.loads(path.read_text())
    document["releases"][0]["wheel"] |= changes
    path.write_text(json.dumps(document))
    installer = Installer(case.apps, InstallerSettings(registries=[case.folder], uv=UV))
    with pytest.raises(Problem) as caught:
        installer.install("wave")
    assert (caught.value.code, says in caught.value.detail) == (code, True), caught.value.detail
    assert nothing_left(case.apps)


def test_a_document_without_end_is_not_read_to_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_DOCUMENT", 100)
    with pytest.raises(Problem) as caught:
        Registries([str(case.folder)], case.apps).seen_by(None).index()
    assert (caught.value.code, "is larger than" in caught.value.detail) == ("registry-unreachable", True)


@pytest.fixture
def served(case: Case) -> Iterator[str]:
    """The case's registry on a web server."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(case.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def test_a_signed_registry_on_a_web_server_is_read_and_a_changed_one_refused(case: Case, served: str) -> None:
    source = RegistrySource(name="web", url=served, root=case.shelf.root)
    assert Registries([source], case.apps / ".trust").app("wave").latest == "1.1.0"
    changed_document(case)
    with pytest.raises(Problem) as caught:
        Registries([source], case.apps / ".trust").app("wave")
    assert (caught.value.code, "127.0.0.1" in caught.value.detail) == ("registry-untrusted", True)


def test_an_answer_without_end_is_broken_off(case: Case, served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_DOCUMENT", 100)
    with pytest.raises(Problem) as caught:
        Registries([served], case.apps / ".trust").seen_by(None).index()
    assert (caught.value.code, "is larger than" in caught.value.detail) == ("registry-unreachable", True)


def test_a_registry_whose_server_is_away_is_not_asked_again_for_every_page(case: Case) -> None:
    nobody = "http://127.0.0.1:1"
    shop = Registries([RegistrySource(name="away", url=nobody), str(case.folder)], case.apps / ".trust")
    assert [entry.id for entry in shop.seen_by(()).index().apps] == ["wave"]
    member = shop._members[0]
    assert member.away is not None
    member.registry = None  # type: ignore[assignment]
    assert [problem.code for problem in shop.problems()] == ["registry-unreachable"]


# --- several registries ------------------------------------------------------------------------------------------


def test_no_later_registry_stands_in_for_one_that_is_not_trusted(case: Case) -> None:
    changed_index(case)
    spare = RegistrySource(name="spare", url=str(case.shelf.base / "old"), optional=True)
    with pytest.raises(Problem) as caught:
        case.installer(spare).install("wave")
    assert caught.value.code == "registry-untrusted"


def test_no_later_registry_stands_in_for_one_that_is_away_and_needed(case: Case) -> None:
    away(case)
    spare = RegistrySource(name="spare", url=str(case.shelf.base / "old"))
    with pytest.raises(Problem) as caught:
        case.installer(spare).install("wave")
    assert caught.value.code == "registry-unreachable"


def test_the_store_shows_the_others_and_says_which_is_refused(case: Case) -> None:
    changed_index(case)
    signed = RegistrySource(name="signed", url=str(case.folder), root=case.shelf.root)
    spare = RegistrySource(name="spare", url=str(case.shelf.base / "old"))
    seen = Registries([signed, spare], case.apps / ".trust").seen_by(())
    assert [entry.latest for entry in seen.index().apps] == ["1.0.0"]
    for _ in range(2):
        assert [problem.code for problem in seen.problems()] == ["registry-untrusted"]


def test_an_app_comes_from_the_first_registry_that_has_it(case: Case) -> None:
    first = RegistrySource(name="first", url=str(case.shelf.base / "old"))
    second = RegistrySource(name="second", url=str(case.folder))
    shop = Registries([first, second], case.apps / ".trust")
    assert shop.app("wave").latest == "1.0.0"
    assert [(state.name, state.apps) for state in shop.states()] == [("first", 1), ("second", 0)]


def test_a_registry_that_was_mended_is_read_again(case: Case) -> None:
    signed = RegistrySource(name="signed", url=str(case.folder), root=case.shelf.root)
    shop = Registries([signed], case.apps / ".trust")
    index = (case.folder / INDEX).read_text()
    changed_index(case)
    assert [state.problem is None for state in shop.states()] == [False]
    (case.folder / INDEX).write_text(index)
    assert [state.problem is None for state in shop.states()] == [True]


def test_the_installer_follows_the_policy_too(case: Case) -> None:
    rule = {"app": "wave", "retired": ["1.1.0"], "groups": ["physics"]}
    installer = case.installer(policy=AppPolicy.model_validate({"rules": [rule]}))
    assert installer._resolve("wave", None)[2].version == "1.0.0"
    with pytest.raises(Problem) as caught:
        installer.install("wave", "1.1.0")
    assert caught.value.code == "version-not-offered"
    denied = case.installer(policy=AppPolicy.model_validate({"deny": ["w*"]}))
    with pytest.raises(Problem) as hidden:
        denied.install("wave")
    assert hidden.value.code == "app-not-found"
