"""A registry's source: ``apps.yaml`` and ``categories.yaml`` in AiiDAlab's syntax, and fetching what they name.

``apps.yaml`` is ``{id: {releases: [url | {url, version, environment, metadata}]}}``. Understood addresses: ``file:`` (a
project folder, wheel or archive; relative to the registry's folder), ``https:`` (a wheel or archive, with its
``#sha256=…``) and ``git+https:``, ``git+file:`` (see :mod:`simdeck_appstore.git`; one address may mean many releases).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from simdeck_common.problems import Problem

from simdeck_appstore import git
from simdeck_appstore.aiidalab.tree import root_of
from simdeck_appstore.hashing import sha256_of
from simdeck_appstore.models import Category
from simdeck_appstore.refs import References
from simdeck_appstore.unpacking import unpack

APP_ID = re.compile(r"^[A-Za-z][A-Za-z0-9_-]*$")
ARCHIVES = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar", ".zip")
LARGEST = 512 * 1024 * 1024
# The same language, ten times as fast; not every build of PyYAML has it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ReleaseSpec(BaseModel):
    """One element of ``releases``. ``environment`` and ``metadata`` replace what ``api/v1`` would say."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str
    version: str | None = None
    environment: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class _AppSpec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    releases: list[ReleaseSpec | str]


@dataclass
class RegistrySource:
    """What the two YAML files say. ``broken`` holds apps whose own entry is wrong."""

    folder: Path
    apps: dict[str, list[ReleaseSpec]] = field(default_factory=dict)
    categories: dict[str, Category] = field(default_factory=dict)
    broken: dict[str, Problem] = field(default_factory=dict)


def read_source(folder: Path, references: References | None = None) -> RegistrySource:
    """Read the registry source in ``folder``; ``$ref`` in it are followed (:mod:`simdeck_appstore.refs`).

    Raises
    ------
    Problem
        ``registry-invalid`` when a file as a whole cannot be used; a wrong entry only marks its app as broken.
    """
    source = RegistrySource(folder.resolve())
    references = references or References()
    categories = _mapping(source.folder / "categories.yaml", references)
    for key, value in references.resolve(categories, categories, file="categories.yaml").items():
        try:
            source.categories[str(key)] = Category.model_validate(value)
        except ValidationError as error:
            reason = f"category {key}: {_first(error)}"
            raise Problem("registry-invalid", field=str(key), file="categories.yaml", reason=reason) from None
    apps = _mapping(source.folder / "apps.yaml", references)
    for key, value in apps.items():
        app = str(key)
        if not APP_ID.match(app):
            reason = f"{app!r} is not an app id (a letter, then letters, digits, - or _)"
            source.broken[app] = Problem("registry-invalid", field=app, file="apps.yaml", reason=reason)
            continue
        try:
            spec = _AppSpec.model_validate(references.resolve(value, apps, file="apps.yaml"))
        except Problem as problem:
            source.broken[app] = problem
            continue
        except ValidationError as error:
            reason = f"app {app}: {_first(error)}"
            source.broken[app] = Problem("registry-invalid", field=app, file="apps.yaml", reason=reason)
            continue
        source.apps[app] = [ReleaseSpec(url=item) if isinstance(item, str) else item for item in spec.releases]
    return source


def _mapping(path: Path, references: References) -> dict[Any, Any]:
    try:
        data = yaml.load(path.read_text("utf-8"), LOADER)  # noqa: S506 - both are safe loaders
    except OSError as error:
        raise Problem("registry-invalid", file=path.name, reason=f"cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise Problem(
            "registry-invalid", file=path.name, reason=f"not valid YAML ({' '.join(str(error).split())})"
        ) from None
    if data is None:
        return {}
    if isinstance(data, dict) and isinstance(data.get("$ref"), str):
        data = references.resolve(data, data, file=path.name)
    if not isinstance(data, dict):
        raise Problem("registry-invalid", file=path.name, reason="the top level must be a mapping of ids")
    return data


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"


def expand(spec: ReleaseSpec, folder: Path, mirrors: git.Mirrors) -> list[ReleaseSpec]:
    """Return the releases an entry of ``apps.yaml`` means: of git each pinned to its commit, else the entry itself.

    Raises
    ------
    Problem
        ``source-invalid`` or ``source-unsupported``; also for a version given to an entry that means several releases.
    """
    if not git.is_git(spec.url):
        return [spec]
    address = git.parse(spec.url, folder)
    found = mirrors.releases(address)
    if spec.version is not None and len(found) > 1:
        reason = f"it means {len(found)} releases, so no single version can be given for it"
        raise Problem("source-invalid", url=spec.url, reason=reason)
    return [
        spec.model_copy(update={"url": address.pinned(one.commit), "version": spec.version or one.version})
        for one in found
    ]


def locate(spec: ReleaseSpec, folder: Path, hash_of: Callable[[Path], str] = sha256_of) -> Path | str:
    """Return the local path of a ``file:`` release, or the address of an ``https:`` or pinned ``git+…:`` one.

    ``hash_of`` gives a file's SHA-256.

    Raises
    ------
    Problem
        ``source-unsupported`` for other schemes; ``source-invalid`` for what is not there.
    """
    if git.is_git(spec.url):
        return git.parse(spec.url, folder).text
    parts = urlsplit(spec.url)
    if parts.scheme == "https":
        if not re.fullmatch(r"sha256=[0-9a-f]{64}", parts.fragment):
            raise Problem(
                "source-invalid", url=spec.url, reason="an https: release needs #sha256=<64 digits> at its end"
            )
        if not parts.path.endswith((".whl", *ARCHIVES)):
            raise Problem("source-unsupported", url=spec.url, reason="it is neither a wheel nor a tar or zip archive")
        return spec.url
    if parts.scheme != "file":
        raise Problem("source-unsupported", url=spec.url, reason=f"the scheme {parts.scheme or '(none)'} is not known")
    path = (folder / unquote(parts.path)).resolve()
    if not path.exists():
        raise Problem("source-invalid", url=spec.url, reason="there is no such file or folder")
    if path.is_file() and parts.fragment.startswith("sha256=") and hash_of(path) != parts.fragment[7:]:
        raise Problem("source-invalid", url=spec.url, reason="the file does not match its sha256")
    return path


def fetch(
    spec: ReleaseSpec,
    folder: Path,
    scratch: Path,
    client: httpx.Client | None = None,
    mirrors: git.Mirrors | None = None,
) -> Path:
    """Return the project folder or the wheel of a release, downloading and unpacking into ``scratch``."""
    if git.is_git(spec.url):
        archive = scratch / "tree.tar"
        (mirrors or git.Mirrors(scratch / "git")).export(git.parse(spec.url, folder), archive)
        return _unpack(spec.url, archive, scratch / "unpacked")
    where = locate(spec, folder)
    path = _download(where, scratch, client) if isinstance(where, str) else where
    if path.is_dir() or path.suffix == ".whl":
        return path
    if not path.name.endswith(ARCHIVES):
        raise Problem("source-unsupported", url=spec.url, reason="it is neither a folder, a wheel nor an archive")
    return _unpack(spec.url, path, scratch / "unpacked")


def _download(url: str, scratch: Path, client: httpx.Client | None) -> Path:
    parts = urlsplit(url)
    path = scratch / Path(unquote(parts.path)).name
    digest = hashlib.sha256()
    size = 0
    owned = client is None
    client = client or httpx.Client(follow_redirects=True, timeout=30)
    try:
        with client.stream("GET", url.partition("#")[0]) as answer, path.open("wb") as stream:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                size += len(chunk)
                if size > LARGEST:
                    raise Problem("source-invalid", url=url, reason=f"larger than {LARGEST // 2**20} MiB")
                digest.update(chunk)
                stream.write(chunk)
    except httpx.HTTPError as error:
        raise Problem("source-invalid", url=url, reason=f"download failed ({error})") from None
    finally:
        if owned:
            client.close()
    if digest.hexdigest() != parts.fragment.removeprefix("sha256="):
        raise Problem("source-invalid", url=url, reason="the file does not match its sha256")
    return path


def _unpack(url: str, archive: Path, target: Path) -> Path:
    unpack(url, archive, target)
    root = root_of(target)
    if root is None:
        raise Problem("source-invalid", url=url, reason="it holds neither a pyproject.toml nor an AiiDAlab app")
    return root
