"""From an AiiDAlab app's tree to its release record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from simdeck_common.problems import Problem

from simdeck_appstore import git
from simdeck_appstore.aiidalab.metadata import AppFiles, AppMetadata, read_metadata, written_version
from simdeck_appstore.aiidalab.requirements import build_package, has_package, make_app_lock, read_requirements
from simdeck_appstore.aiidalab.tree import find_logo, has_post_install, pack, pages_of, start_of
from simdeck_appstore.images import check_image
from simdeck_appstore.manifest import LOGO_BYTES
from simdeck_appstore.models import AiidalabEntry, Citation, FileRef, Links, Release
from simdeck_appstore.records import FileStore, ReleaseRecord
from simdeck_appstore.sources import ReleaseSpec
from simdeck_appstore.wheels import WheelInfo, inspect_wheel

README_BYTES = 100 * 1024
SCRIPT = "It brings a script of its own (post_install), which runs only where the administrator allows it."


def make_aiidalab_record(
    app: str,
    spec: ReleaseSpec,
    folder: Path,
    root: Path,
    key: str,
    scratch: Path,
    store: FileStore,
    uv: Path,
    python: Path,
) -> ReleaseRecord:
    """Read the AiiDAlab app in ``root``, build its package, lock what it asks for and pack its tree.

    Raises
    ------
    Problem
        ``source-invalid``, or ``aiidalab-unresolved`` with the solver's reason.
    """
    try:
        files = AppFiles(root)
        metadata = read_metadata(files)
        asked = _asked(spec, files)
        version = _version(spec, root, metadata)
        tree = pack(root, scratch / f"{app}-{version}.tar.gz", f"{app}-{version}")
    except ValueError as error:
        raise Problem("source-invalid", url=spec.url, reason=str(error)) from None
    metadata = _named(metadata, app, spec, version)
    info = None
    wheel: Path | None = None
    if has_package(files):
        output = scratch / "package"
        output.mkdir()
        wheel = build_package(root, output, uv, python, version, url=spec.url)
        info = inspect_wheel(wheel)
    lock = make_app_lock([*asked, *_asked_by(info)], info.name if info else "", scratch, uv, app=f"{app} {version}")
    logo, warnings = _logo(root, metadata, store)
    script = has_post_install(root)
    release = Release(
        version=version,
        tree=store.add(tree),
        wheel=store.add(wheel) if wheel else None,
        lock=store.add(lock),
        package="",
        python=metadata.requires_python if _is_range(metadata.requires_python) else "",
        entry=AiidalabEntry(tree=f"apps/{app}", start=start_of(root), pages=pages_of(root), post_install=script),
        needs=[SCRIPT] if script else [],
        source=_source(spec, folder),
    )
    published = dict(spec.metadata or metadata.published())
    if str(published.get("version", "")).startswith(("attr:", "file:")):
        # AiiDAlab's own registries publish it like that.
        published["version"] = spec.version or version
    return ReleaseRecord(
        key=key,
        distribution=info.name if info else app.lower(),
        tag=spec.version,
        release=release,
        title=metadata.title,
        summary=metadata.description,
        description=_readme(root),
        categories=[str(name) for name in published.get("categories") or []],
        keywords=metadata.keywords,
        authors=metadata.authors,
        license=metadata.license,
        links=Links(homepage=_https(metadata.external_url), documentation=_https(metadata.documentation_url)),
        logo=logo,
        screenshots=[],
        citations=[_citation(item) for item in published.get("citations") or []],
        # Without the comments, for which AiiDAlab's client would drop the whole requirement.
        requires=asked,
        metadata=published,
        warnings=warnings,
    )


def _asked(spec: ReleaseSpec, files: AppFiles) -> list[str]:
    if spec.environment is None:
        return read_requirements(files)
    given = spec.environment.get("python_requirements") or []
    return [str(Requirement(str(line).partition(" #")[0].strip())) for line in given]


def _asked_by(info: WheelInfo | None) -> list[str]:
    """Return what the app's own package asks for, without its extras."""
    return [line for line in info.requires if "extra ==" not in line] if info else []


def _version(spec: ReleaseSpec, root: Path, metadata: AppMetadata) -> str:
    """Return the release's version: the tag or ``apps.yaml`` says it, else the app itself."""
    said = spec.version or written_version(root, metadata.version)
    if not said:
        what = f"its version is written as {metadata.version}" if metadata.version else "it says no version"
        raise ValueError(f"{what}; a tag, or version in apps.yaml, must say which it is")
    try:
        return str(Version(said))
    except InvalidVersion:
        raise ValueError(f"{said!r} is not a version number") from None


def _named(metadata: AppMetadata, app: str, spec: ReleaseSpec, version: str) -> AppMetadata:
    """Fill in what an app left open, and put what ``apps.yaml`` says in its place."""
    given: dict[str, Any] = {
        name: str(value)
        for name, value in (spec.metadata or {}).items()
        if name in ("title", "description", "authors", "external_url", "documentation_url", "logo") and value
    }
    if metadata.version.startswith(("attr:", "file:")):
        given["version"] = spec.version or version
    named = replace(metadata, **given)
    return replace(named, title=named.title or app)


def _source(spec: ReleaseSpec, folder: Path) -> str | None:
    """Return the address AiiDAlab's client can fetch by itself, or None: then it is this registry's archive."""
    if spec.url.startswith("git+file:"):
        address = git.parse(spec.url, folder)
        return f"git+file://{address.remote}@{address.tip}"
    return spec.url if spec.url.startswith("git+https:") else None


def _logo(root: Path, metadata: AppMetadata, store: FileStore) -> tuple[FileRef | None, list[str]]:
    path = find_logo(root, metadata.logo) if metadata.logo else None
    if path is None:
        return None, []
    fault = check_image(path, LOGO_BYTES)
    return (None, [f"its logo {path.name} {fault} and is not shown"]) if fault else (store.add(path), [])


def _readme(root: Path) -> str:
    path = root / "README.md"
    return path.read_bytes()[:README_BYTES].decode("utf-8", "replace") if path.is_file() else ""


def _https(address: str) -> str | None:
    return address if urlsplit(address).scheme == "https" else None


def _is_range(text: str) -> bool:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return False
    return True


def _citation(item: dict[str, Any]) -> Citation:
    if item.get("text"):
        return Citation(text=str(item["text"]), url=_https(str(item.get("link") or "")))
    parts = [", ".join(item.get("authors") or []), item.get("title"), item.get("journal"), item.get("volume")]
    parts += [item.get("pages"), f"({item.get('year')})"]
    return Citation(text=", ".join(str(part) for part in parts if part), doi=item.get("doi"))
