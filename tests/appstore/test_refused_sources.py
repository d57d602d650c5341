"""Broken and hostile manifests and archives: each is left out of the registry with its code and a plain sentence.

All stand in one registry beside an honest app, which none of them harms.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simdeck_appstore import unpacking
from simdeck_appstore.build import BuildReport, build_registry
from simdeck_common.problems import Problem
from synthetic import SIX, write_app, write_source, write_stand_in

Make = Callable[[Path], str]
"""Makes a release in a folder and returns its address."""


def project(folder: Path, **options: Any) -> str:
    write_app(folder / "app", "evil", **options)
    return f"file:{folder / 'app'}"


def with_manifest(**keys: Any) -> Make:
    return lambda folder: project(folder, manifest=keys)


def with_project(**keys: Any) -> Make:
    return lambda folder: project(folder, project=keys)


def with_lock(text: str) -> Make:
    return lambda folder: project(folder, lock=text)


def with_file(name: str, content: bytes | str, **manifest: Any) -> Make:
    """Make a project and then write or replace one of its files."""

    def make(folder: Path) -> str:
        address = project(folder, manifest=manifest)
        path = folder / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return address

    return make


def with_link(name: str, target: str, **manifest: Any) -> Make:
    def make(folder: Path) -> str:
        address = project(folder, manifest=manifest)
        (folder / "app" / name).symlink_to(target)
        return address

    return make


def without(name: str) -> Make:
    def make(folder: Path) -> str:
        address = project(folder)
        (folder / "app" / name).unlink()
        return address

    return make


def with_readme(text: str) -> Make:
    def make(folder: Path) -> str:
        address = project(folder, project={"readme": "README.md"})
        (folder / "app" / "README.md").write_text(text)
        return address

    return make


def tar_with(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz", name: str = "app.tar.gz") -> Make:
    """Make an archive of an honest project and these members."""

    def make(folder: Path) -> str:
        write_app(folder / "app", "evil")
        with tarfile.open(folder / name, mode) as bundle:
            bundle.add(folder / "app", "app")
            for member, content in members:
                member.size = len(content) if member.isfile() else 0
                bundle.addfile(member, io.BytesIO(content))
        return f"file:{folder / name}"

    return make


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def zip_with(*members: tuple[str, bytes], name: str = "app.zip") -> Make:
    def make(folder: Path) -> str:
        write_app(folder / "app", "evil")
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as bundle:
            for path in sorted((folder / "app").rglob("*")):
                bundle.write(path, Path("app") / path.relative_to(folder / "app"))
            for inside, content in members:
                bundle.writestr(inside, content)
        return f"file:{folder / name}"

    return make


def spoilt(make: Make, spoil: Callable[[bytes], bytes]) -> Make:
    """Make an archive and change its bytes."""

    def made(folder: Path) -> str:
        address = make(folder)
        path = Path(address.removeprefix("file:"))
        path.write_bytes(spoil(path.read_bytes()))
        return address

    return made


def encrypted(data: bytes) -> bytes:
    """Set the flag of encryption in every entry of a zip file."""
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(mark)
        while at >= 0:
            changed[at + offset : at + offset + 2] = struct.pack("<H", 1)
            at = changed.find(mark, at + 4)
    return bytes(changed)


def plain(name: str, content: bytes) -> Make:
    def make(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return f"file:{folder / name}"

    return make


def address(text: str) -> Make:
    return lambda folder: text


def wheel_with(*members: tuple[str, bytes]) -> Make:
    def make(folder: Path) -> str:
        path = folder / "evil-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("evil-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
            for inside, content in members:
                bundle.writestr(inside, content)
        return f"file:{path}"

    return make


def aiidalab_with_link(folder: Path) -> str:
    (folder / "app").mkdir()
    (folder / "app" / "start.md").write_text("- [A page](a.ipynb)\n")
    (folder / "app" / "setup.cfg").write_text("[metadata]\nname = evil\nversion = 1.0\n[aiidalab]\ntitle = Evil\n")
    (folder / "app" / "secrets").symlink_to("/etc")
    return f"file:{folder / 'app'}"


MANIFEST, SOURCE, UNSUPPORTED, REGISTRY = (
    "manifest-invalid",
    "source-invalid",
    "source-unsupported",
    "registry-invalid",
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg">{}</svg>'
LOGO = "simdeck_evil/logo.svg"
DIRECT = "six @ https://example.org/six.whl --hash=sha256:" + "0" * 64 + "\n"

CASES: dict[str, tuple[Make, str, str]] = {
    # the manifest
    "toml": (with_file("pyproject.toml", "[tool.simdeck\n"), MANIFEST, "not valid TOML"),
    "no-table": (with_file("pyproject.toml", '[project]\nname = "x"\n'), MANIFEST, "no [tool.simdeck] table"),
    "binary-toml": (with_file("pyproject.toml", b"\xff\xfe\x00"), MANIFEST, "no readable pyproject.toml"),
    "unknown-key": (with_manifest(titel="x"), MANIFEST, "titel is not a known key"),
    "no-title": (with_manifest(title=None), MANIFEST, "title is missing"),
    "title-script": (with_manifest(title="<script>x()</script>"), MANIFEST, "title: must be plain text"),
    "title-turned": (with_manifest(title="Safe \u202e exe.ppa"), MANIFEST, "must not hold control characters"),
    "summary-long": (with_manifest(summary="x" * 10_000), MANIFEST, "at most 200 characters"),
    "need-markup": (with_manifest(needs=["<img src=x onerror=x()>"]), MANIFEST, "must be plain text"),
    "entry-kind": (with_manifest(entry={"kind": "shell", "command": ["sh"]}), MANIFEST, "entry needs a kind"),
    "entry-outside": (
        with_manifest(entry={"kind": "notebook", "path": "../../x.ipynb"}),
        MANIFEST,
        "must stay inside the project's folder",
    ),
    "entry-absent": (
        with_manifest(entry={"kind": "notebook", "path": "simdeck_evil/no.ipynb"}),
        MANIFEST,
        "there is no file simdeck_evil/no.ipynb",
    ),
    "logo-link-out": (
        with_link("simdeck_evil/passwd.svg", "/etc/passwd", logo="simdeck_evil/passwd.svg"),
        MANIFEST,
        "leads outside the project",
    ),
    "logo-huge": (with_file(LOGO, SVG.format(" " * 300_000)), MANIFEST, "is too large: 29"),
    "logo-script": (with_file(LOGO, SVG.format("<script>x()</script>")), MANIFEST, "carries a script"),
    "logo-handler": (with_file(LOGO, SVG.format('<g onload="x()"/>')), MANIFEST, "carries a script"),
    "logo-disguised": (
        with_file("simdeck_evil/logo.png", SVG.format(""), logo="simdeck_evil/logo.png"),
        MANIFEST,
        "is not a real PNG file",
    ),
    "logo-program": (with_file("a.exe", b"MZ", logo="a.exe"), MANIFEST, "is not an SVG, PNG or JPEG file"),
    "shot-huge": (
        with_file("s.png", b"\x89PNG\r\n\x1a\n" + b"0" * 1_100_000, screenshots=["s.png"]),
        MANIFEST,
        "s.png is too large",
    ),
    "lock-absent": (without("requirements.lock"), MANIFEST, "there is no requirements.lock"),
    "lock-index": (with_lock("--index-url https://evil.example\n" + SIX), MANIFEST, "--index-url does not belong"),
    "lock-no-hash": (with_lock("six==1.17.0\n"), MANIFEST, "six has no SHA-256 hash"),
    "lock-loose": (with_lock(SIX.replace("==", ">=", 1)), MANIFEST, "six is not pinned to one version"),
    "lock-address": (with_lock(DIRECT), MANIFEST, "six is locked to an address"),
    "version": (with_project(version="newest"), MANIFEST, "'newest' is not a version number"),
    "workflow": (with_manifest(workflows=["no.such"]), MANIFEST, "no.such"),
    "check-module": (with_manifest(checks=["os; rm"]), MANIFEST, "checks.0"),
    "citation-url": (
        with_manifest(citations=[{"text": "x", "url": "javascript:x()"}]),
        MANIFEST,
        "must be an https:// address",
    ),
    "memory": (with_manifest(resources={"cores": 10**9, "memory": "1 GiB"}), MANIFEST, "resources.cores"),
    "category": (with_manifest(categories=["no-such"]), REGISTRY, "has no category no-such"),
    # what is shown of it
    "readme-script": (with_readme("# Hi\n<script>x()</script>\n"), SOURCE, "its description carries an active part"),
    "readme-handler": (with_readme('<img src="x" onerror="x()">\n'), SOURCE, "its description carries an active part"),
    "readme-link": (with_readme("[click](javascript:x())\n"), SOURCE, "its description carries an active part"),
    # archives
    "tar-up": (tar_with((member("../../evil.py"), b"x")), SOURCE, "cannot be unpacked"),
    "tar-absolute-link": (tar_with((member("app/l", tarfile.SYMTYPE, "/etc"), b"")), SOURCE, "cannot be unpacked"),
    "tar-link-up": (tar_with((member("app/l", tarfile.SYMTYPE, "../../../x"), b"")), SOURCE, "cannot be unpacked"),
    "tar-hard-link": (tar_with((member("app/l", tarfile.LNKTYPE, "/etc/passwd"), b"")), SOURCE, "cannot be unpacked"),
    "tar-device": (tar_with((member("app/zero", tarfile.CHRTYPE), b"")), SOURCE, "cannot be unpacked"),
    "tar-bomb": (tar_with((member("app/zeros"), bytes(3 * 2**20))), SOURCE, "holds more than 2 MiB"),
    "tar-many": (
        tar_with(*((member(f"app/{number}"), b"") for number in range(300))),
        SOURCE,
        "holds more than 200 files",
    ),
    "tar-cut": (spoilt(tar_with(), lambda data: data[:-200]), SOURCE, "cannot be unpacked"),
    "tar-noise": (plain("app.tar.gz", b"\x1f\x8b noise" * 99), SOURCE, "cannot be unpacked"),
    "zip-up": (zip_with(("../../evil.py", b"x")), SOURCE, "../../evil.py leads outside the archive"),
    "zip-absolute": (zip_with(("/tmp/evil.py", b"x")), SOURCE, "leads outside the archive"),
    "zip-backslash": (zip_with(("..\\..\\evil.py", b"x")), SOURCE, "leads outside the archive"),
    "zip-bomb": (zip_with(("app/zeros", bytes(3 * 2**20))), SOURCE, "holds more than 2 MiB"),
    "zip-encrypted": (spoilt(zip_with(), encrypted), SOURCE, "encrypted"),
    "zip-noise": (plain("app.zip", b"PK noise" * 99), SOURCE, "cannot be unpacked"),
    "no-project": (plain("app.zip", b"PK\x05\x06" + bytes(18)), SOURCE, "neither a pyproject.toml nor"),
    "wheel-noise": (plain("evil-1.0-py3-none-any.whl", b"noise"), SOURCE, "it is not a wheel"),
    "wheel-bare": (wheel_with(), SOURCE, "carries no pyproject.toml"),
    "wheel-bomb": (wheel_with(("evil/zeros", bytes(3 * 2**20))), SOURCE, "the wheel holds more than 2 MiB"),
    "wheel-up": (wheel_with(("../../evil.pth", b"x")), SOURCE, "leads outside the wheel"),
    "aiidalab-link": (aiidalab_with_link, SOURCE, "leads outside the app"),
    # addresses
    "wrong-hash": (lambda folder: tar_with()(folder) + "#sha256=" + "0" * 64, SOURCE, "does not match its sha256"),
    "no-hash": (address("https://example.org/app.whl"), SOURCE, "needs #sha256="),
    "scheme": (address("http://example.org/app.whl"), UNSUPPORTED, "the scheme http is not known"),
    "absent": (address("file:/nowhere/app"), SOURCE, "there is no such file or folder"),
    "program": (plain("app.sh", b"#!/bin/sh"), UNSUPPORTED, "neither a folder, a wheel nor an archive"),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    """One registry of all of them and an honest app; a release may hold 2 MiB and 200 files here."""
    base = tmp_path_factory.mktemp("refused")
    apps: dict[str, list[Any]] = {"honest": [f"file:{write_app(base / 'honest', 'honest')}"]}
    for name, (make, _, _) in CASES.items():
        folder = base / "cases" / name
        folder.mkdir(parents=True)
        apps[name] = [make(folder)]
    stand_in = write_stand_in(base / "simdeck")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpacking, "LARGEST", 2 * 2**20)
        patch.setattr(unpacking, "MOST_FILES", 200)
        return build_registry(write_source(base / "source", apps), base / "registry", simdeck=stand_in)


@pytest.mark.parametrize("name", CASES)
def test_it_is_left_out_with_its_code_and_a_plain_sentence(built: BuildReport, name: str) -> None:
    _, code, says = CASES[name]
    (left_out,) = [problem for problem in built.problems if problem.app == name]
    assert (left_out.problem["code"], says in left_out.problem["detail"]) == (code, True), left_out.problem["detail"]
    assert left_out.problem["remedy"]


def test_the_honest_app_beside_them_is_offered_alone(built: BuildReport) -> None:
    assert [app.id for app in built.index.apps] == ["honest"]
    assert len(built.problems) == len(CASES)


def test_nothing_of_theirs_was_written_outside(built: BuildReport, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = next(tmp_path_factory.getbasetemp().glob("refused*"))
    assert not Path("/tmp/evil.py").exists()
    assert list(base.parent.glob("evil*")) == []
    assert {path.name for path in base.iterdir()} >= {"honest", "registry", "source", "cases"}
    assert list((base / "registry").rglob("*zeros*")) == []


def test_code_samples_in_a_description_are_no_active_part() -> None:
    from simdeck_appstore.texts import fault_of_description

    text = "# App\n\n```html\n<script>x()</script>\n```\nuse `<iframe>` and on time = 3.\n"
    assert fault_of_description(text) is None


def test_a_bomb_is_refused_before_its_members_are_all_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is looked at member by member: the rest of the archive is not even unpacked to find them."""
    bomb = tmp_path / "bomb.tar.gz"
    with tarfile.open(bomb, "w:gz") as bundle:
        for number in range(50):
            entry = tarfile.TarInfo(f"app/{number}")
            entry.size = 2**20
            bundle.addfile(entry, io.BytesIO(bytes(entry.size)))
    seen: list[str] = []
    following = tarfile.TarFile.next

    def counted(bundle: tarfile.TarFile) -> tarfile.TarInfo | None:
        found = following(bundle)
        seen.append(found.name if found else "")
        return found

    monkeypatch.setattr(tarfile.TarFile, "next", counted)
    with pytest.raises(Problem, match="more than 2 MiB") as caught:
        unpacking.unpack(
            "bomb.tar.gz",
            bomb,
            tmp_path / "unpacked",
            refuse=lambda reason: Problem("app-broken", app="Bomb", version="1", reason=reason),
            largest=2 * 2**20,
        )
    assert caught.value.code == "app-broken"
    assert len(seen) < 6
