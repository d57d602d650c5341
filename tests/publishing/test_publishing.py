"""What a service makes of releases it was sent: looked into, refused as a build refuses them, signed with its own keys."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simdeck_appstore import unpacking
from simdeck_appstore.developer.release import make_release
from simdeck_appstore.publishing import Incoming, Receiver, ReleaseManifest, examine, listed, take
from simdeck_appstore.registry import Registry
from simdeck_appstore.registry_new import create_registry
from simdeck_common.problems import Problem
from synthetic import write_app, write_stand_in

Change = Callable[[str], str]


class Desk:
    """A signed registry of a service, and releases that are sent to it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        create_registry(base / "site", "Apps of a test")
        self.source, self.built = base / "site/source", base / "site/built"
        self.receiver = Receiver(name="ours", source=self.source, publishers=["makers"])
        self.stand_in = write_stand_in(base / "simdeck")
        self.steps: list[str] = []

    def wheel(self, version: str = "1.0.0", **options: Any) -> Path:
        project = write_app(self.base / f"demo-{version}", version=version, **options)
        return make_release(project, project / "dist", Path(sys.executable)).wheel

    def sent(self, wheel: Path, **told: str) -> Incoming:
        content = wheel.read_bytes()
        file = {"name": wheel.name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        said = {"app": "demo", "version": "1.0.0", "file": file} | told
        folder = self.base / "quarantine"
        folder.mkdir(exist_ok=True)
        (folder / wheel.name).write_bytes(content)
        return Incoming(folder / wheel.name, ReleaseManifest.model_validate(said))

    def take(self, incoming: Incoming, *, again: bool = False) -> str:
        return take(incoming, self.receiver, self.stand_in, lambda step, _: self.steps.append(step), again=again)

    def refused(self, incoming: Incoming) -> Problem:
        """Have it refused; nothing in the registry may differ afterwards."""
        before = state(self.source), state(self.built)
        with pytest.raises(Problem) as caught:
            self.take(incoming)
        assert (state(self.source), state(self.built)) == before
        return caught.value


def state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".lock" not in path.name}


def respelled(wheel: Path, inside: str, change: Change) -> Path:
    """Change one text that ``wheel`` carries."""
    target = wheel.parent / "respelled" / wheel.name
    target.parent.mkdir()
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as out:
        for name in source.namelist():
            content = source.read(name)
            out.writestr(name, change(content.decode()).encode() if name.endswith(inside) else content)
    return target


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_release_is_looked_into_and_then_offered_under_the_services_signature(desk: Desk) -> None:
    incoming = desk.sent(desk.wheel())
    assert desk.take(incoming) == "Demo"
    assert desk.steps == ["check", "build"]
    pinned = desk.source.parent / "keys/root.json"
    trust = desk.base / "trust"
    trust.mkdir()
    offered = Registry(desk.built, root=pinned, trust=trust).app("demo").releases[0]
    assert offered.wheel is not None
    assert offered.wheel.sha256 == incoming.manifest.file.sha256
    assert offered.check is None
    assert list((desk.base / "quarantine").iterdir()) == [incoming.file]


def test_a_version_that_is_published_is_refused(desk: Desk) -> None:
    desk.take(desk.sent(desk.wheel()))
    assert desk.refused(desk.sent(desk.wheel())).code == "version-published"


def test_what_a_crash_had_put_into_the_source_is_built(desk: Desk) -> None:
    incoming = desk.sent(desk.wheel())
    desk.take(incoming)
    assert listed(incoming, desk.receiver)
    assert desk.take(incoming, again=True) == "Demo"


def test_an_archive_is_refused_because_building_it_would_run_it_beside_the_keys(desk: Desk) -> None:
    archive = desk.base / "demo-1.0.0.tar.gz"
    archive.write_bytes(b"anything")
    assert desk.refused(desk.sent(archive)).code == "publish-only-wheels"


def test_another_file_than_the_manifest_names_is_refused(desk: Desk) -> None:
    incoming = desk.sent(desk.wheel())
    incoming.file.write_bytes(incoming.file.read_bytes() + b" ")
    assert desk.refused(incoming).code == "publish-unlike"


def test_a_file_whose_name_is_no_wheels_name_is_refused(desk: Desk) -> None:
    incoming = desk.sent(desk.wheel())
    file = incoming.manifest.file
    incoming.file.rename(incoming.file.with_name("demo.whl"))
    manifest = incoming.manifest.model_copy(update={"file": file.model_copy(update={"name": "demo.whl"})})
    assert desk.refused(Incoming(incoming.file.with_name("demo.whl"), manifest)).code == "publish-unlike"


def test_another_version_than_the_manifest_names_is_refused(desk: Desk) -> None:
    assert desk.refused(desk.sent(desk.wheel(), version="2.0.0")).code == "publish-unlike"


def test_an_older_version_may_follow_a_newer_one(desk: Desk) -> None:
    desk.take(desk.sent(desk.wheel("2.0.0"), version="2.0.0"))
    desk.take(desk.sent(desk.wheel("1.0.0")))
    assert [one.version for one in Registry(desk.built).app("demo").releases] == ["2.0.0", "1.0.0"]


def test_looking_into_a_release_runs_none_of_it(desk: Desk) -> None:
    ran = desk.base / "ran"
    wheel = desk.wheel(source=f"open({str(ran)!r}, 'w').close()\nimport six\n")
    examine(desk.sent(wheel), desk.receiver)
    assert not ran.exists()


MANIFESTS: dict[str, tuple[str, Change, str]] = {
    "toml": ("pyproject.toml", lambda text: "[tool.simdeck\n", "manifest-invalid"),
    "unknown-key": ("pyproject.toml", lambda text: text.replace("title =", "titel ="), "manifest-invalid"),
    "title-script": (
        "pyproject.toml",
        lambda text: text.replace('"Demo"', '"<script>x()</script>"'),
        "manifest-invalid",
    ),
    "category": (
        "pyproject.toml",
        lambda text: text.replace("categories = [", 'categories = ["no-such", ', 1),
        "registry-invalid",
    ),
    "lock-index": ("requirements.lock", lambda text: "--index-url https://evil.example\n" + text, "manifest-invalid"),
    "lock-no-hash": ("requirements.lock", lambda text: "six==1.17.0\n", "manifest-invalid"),
    "lock-address": (
        "requirements.lock",
        lambda text: "six @ https://example.org/six.whl --hash=sha256:" + "0" * 64 + "\n",
        "manifest-invalid",
    ),
    "another-name": ("METADATA", lambda text: text.replace("simdeck-app-demo", "simdeck-app-other"), "source-invalid"),
    "description": ("METADATA", lambda text: text + "\n\n<script>x()</script>\n", "source-invalid"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_wheel_that_carries_what_a_build_refuses_is_refused(desk: Desk, name: str) -> None:
    inside, change, code = MANIFESTS[name]
    assert desk.refused(desk.sent(respelled(desk.wheel(), inside, change))).code == code


def crafted(desk: Desk, *members: tuple[str, bytes]) -> Path:
    path = desk.base / "evil-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("evil-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
        for inside, content in members:
            bundle.writestr(inside, content)
    return path


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([], "carries no pyproject.toml"),
        ([("../../evil.pth", b"x")], "leads outside the wheel"),
        ([("/tmp/evil.py", b"x")], "leads outside the wheel"),
        ([("..\\..\\evil.py", b"x")], "leads outside the wheel"),
        ([("evil/zeros", bytes(3 * 2**20))], "holds more than 2 MiB"),
        ([(f"evil/{number}", b"") for number in range(300)], "holds more than 200 files"),
    ],
)
def test_a_hostile_wheel_is_refused_as_a_build_refuses_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, members: list[tuple[str, bytes]], says: str
) -> None:
    monkeypatch.setattr(unpacking, "LARGEST", 2 * 2**20)
    monkeypatch.setattr(unpacking, "MOST_FILES", 200)
    problem = desk.refused(desk.sent(crafted(desk, *members), version="1.0"))
    assert (problem.code, says in problem.detail) == ("source-invalid", True), problem.detail


def test_noise_is_refused(desk: Desk) -> None:
    path = desk.base / "evil-1.0-py3-none-any.whl"
    path.write_bytes(b"noise")
    assert "not a wheel" in desk.refused(desk.sent(path, version="1.0")).detail


@pytest.mark.parametrize(
    "change",
    [
        {"app": "../evil"},
        {"version": "../1"},
        {"file": {"name": "../evil.whl", "sha256": "0" * 64, "size": 1}},
        {"file": {"name": ".whl", "sha256": "0" * 64, "size": 1}},
        {"file": {"name": "a.whl", "sha256": "0" * 63, "size": 1}},
        {"file": {"name": "a.whl", "sha256": "0" * 64, "size": 0}},
    ],
)
def test_a_manifest_whose_names_lead_elsewhere_is_no_manifest(change: dict[str, Any]) -> None:
    honest = {"app": "demo", "version": "1.0.0", "file": {"name": "a.whl", "sha256": "0" * 64, "size": 1}}
    ReleaseManifest.model_validate(json.loads(json.dumps(honest)))
    with pytest.raises(ValueError, match=r"pattern|greater than"):
        ReleaseManifest.model_validate(honest | change)


def test_only_the_groups_named_may_publish() -> None:
    receiver = Receiver(name="ours", source=Path("/srv"), publishers=["makers"])
    assert receiver.takes_from(frozenset({"makers", "others"}))
    assert not receiver.takes_from(frozenset({"others"}))
    assert not Receiver(name="nobodys", source=Path("/srv")).takes_from(frozenset({"others"}))
