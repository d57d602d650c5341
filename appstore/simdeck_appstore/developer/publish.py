"""Publishing a release: into a registry's folder and its build at once, or as a commit that its people take over.

Either way the registry's source gets three things: the wheel in ``releases/<app>/``, its address in ``apps.yaml``, and
what the checks found in ``checks/<app>/<version>.json``.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem

from simdeck_appstore.build import BuildReport, build_registry
from simdeck_appstore.developer import apps_yaml
from simdeck_appstore.developer.checks.record import CheckRecord
from simdeck_appstore.developer.release import MadeRelease
from simdeck_appstore.records_of_checks import place_of
from simdeck_appstore.registry_settings import read_settings

GIT_SECONDS = 300
REMOTE = re.compile(r"^(https://|ssh://|git@|file://)|\.git/?$")


@dataclass(frozen=True)
class Proposal:
    """A commit to propose: the patch, and the branch where one was pushed."""

    patch: Path
    branch: str
    pushed: bool


def is_git(registry: str) -> bool:
    """Tell whether ``registry`` is a git repository: an address of one, or a folder that is one."""
    folder = Path(registry)
    if folder.is_dir():
        return (folder / ".git").exists() or (folder / "objects").is_dir()
    return REMOTE.search(registry) is not None


# --- a folder ---------------------------------------------------------------------------------------------------------


def push(release: MadeRelease, registry: Path, record: CheckRecord | None, *, simdeck: Path | None) -> BuildReport:
    """Add ``release`` to the registry's folder and build it; when the build leaves it out, nothing has changed.

    Raises
    ------
    Problem
        ``registry-invalid``, ``version-published``, ``not-a-registry``, ``keys-unusable``, or why the release was left
        out.
    """
    registry = registry.resolve()
    if not (registry / apps_yaml.FILE).is_file():
        raise Problem("not-a-registry", registry=registry)
    with _lock(registry):
        before = (registry / apps_yaml.FILE).read_bytes()
        written = write_release(release, registry, record)
        try:
            report = build_source(registry, simdeck)
            for left_out in report.problems:
                if left_out.app == release.app and release.file_name in str(left_out.source):
                    raise Problem.from_json(left_out.problem)
        except BaseException:
            write_atomically(registry / apps_yaml.FILE, before, mode=0o644)
            for path in written:
                path.unlink(missing_ok=True)
            raise
    return report


def build_source(registry: Path, simdeck: Path | None) -> BuildReport:
    """Build and sign a registry as the ``registry.toml`` in its source says."""
    settings = read_settings(registry)
    if settings.output is None:
        raise Problem("registry-invalid", file="registry.toml", reason="it does not say where to build (output = …)")
    return build_registry(
        registry,
        registry / settings.output,
        simdeck=simdeck,
        base_url=settings.base_url,
        keys=registry / settings.keys if settings.keys else None,
    )


def write_release(release: MadeRelease, registry: Path, record: CheckRecord | None) -> list[Path]:
    """Write wheel, entry and check record into a registry's source; return the files that are new."""
    text = (registry / apps_yaml.FILE).read_text("utf-8")
    inside = f"releases/{release.app}/{release.file_name}"
    address = f"file:{inside}#sha256={release.wheel_sha256}"
    if any(f"/{release.file_name}" in one for one in apps_yaml.releases(text, release.app)):
        raise Problem("version-published", app=release.app, version=release.version)
    new = apps_yaml.with_release(text, release.app, address)
    written = [registry / inside]
    written[0].parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(release.wheel, written[0])
    if record is not None:
        place = place_of(registry, release.app, release.version)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, record.model_dump_json(indent=1) + "\n", mode=0o644)
        written.append(place)
    # Last: a build that runs meanwhile finds the entry only when all it names is there.
    write_atomically(registry / apps_yaml.FILE, new, mode=0o644)
    return written


@contextmanager
def _lock(registry: Path) -> Iterator[None]:
    with (registry / ".publish.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# --- a git repository -------------------------------------------------------------------------------------------------


def propose(
    release: MadeRelease, registry: str, record: CheckRecord | None, output: Path, *, branch: bool = False
) -> Proposal:
    """Write the commit that adds ``release`` to the git repository ``registry`` as a patch into ``output``.

    With ``branch`` the commit is also pushed to it, as the branch ``publish/<app>-<version>``.

    Raises
    ------
    Problem
        ``publish-git`` with git's own words, ``not-a-registry``, ``registry-invalid``, ``version-published``.
    """
    name = f"publish/{release.app}-{release.version}"
    with tempfile.TemporaryDirectory(prefix="simdeck-publish-") as scratch:
        clone = Path(scratch) / "registry"
        _git(Path(scratch), "clone", "--quiet", "--depth", "1", "--no-hardlinks", _remote(registry), str(clone))
        if not (clone / apps_yaml.FILE).is_file():
            raise Problem("not-a-registry", registry=registry)
        _git(clone, "checkout", "--quiet", "-b", name)
        written = write_release(release, clone, record)
        _git(clone, "add", "--force", apps_yaml.FILE, *(str(path.relative_to(clone)) for path in written))
        message = f"Add {release.title} {release.version}\n\nwheel sha256 {release.wheel_sha256}\n"
        _git(clone, *_identity(clone), "commit", "--quiet", "--no-verify", "-m", message)
        output.mkdir(parents=True, exist_ok=True)
        patch = output / f"{release.app}-{release.version}.patch"
        patch.write_bytes(_git(clone, "format-patch", "-1", "--binary", "--stdout"))
        if branch:
            _git(clone, "push", "--quiet", "origin", f"{name}:refs/heads/{name}")
    return Proposal(patch, name, branch)


def _remote(registry: str) -> str:
    folder = Path(registry)
    # As a file:// address git really copies, and heeds --depth.
    return folder.resolve().as_uri() if folder.is_dir() else registry


def _identity(clone: Path) -> list[str]:
    """Return options that name an author where git knows none of this person."""
    known = subprocess.run(["git", "config", "user.email"], cwd=clone, capture_output=True, check=False).stdout.strip()
    return [] if known else ["-c", "user.name=Simdeck app developer", "-c", "user.email=developer@localhost"]


def _git(folder: Path, *arguments: str) -> bytes:
    """Run the person's own git, with their credentials; it asks nothing."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_DIR")}
    env |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=GIT_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise Problem("publish-git", reason="git is not installed") from None
    except subprocess.TimeoutExpired:
        raise Problem("publish-git", reason=f"git did not end within {GIT_SECONDS} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        raise Problem("publish-git", reason=(lines or [f"git ended with {done.returncode}"])[-1][:300].rstrip("."))
    return done.stdout
