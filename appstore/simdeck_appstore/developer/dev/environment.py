"""The environment an app is developed in: its lock, simdeck, and the project itself by path, so that a save is enough.

It is kept in a cache folder under a name made of everything it stands on; another lock makes another environment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

from simdeck_common.problems import Problem

from simdeck_appstore.hashing import sha256_of
from simdeck_appstore.manifest import Project
from simdeck_appstore.process import INDEX_ADDRESS, passed_environment
from simdeck_appstore.rubbish import remove_tree

LEFT = frozenset({"__pycache__", ".ipynb_checkpoints"})
KEPT = 4
"""Environments that stay in the cache, the last used."""


def cache_folder() -> Path:
    """Return where environments of projects under development are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "simdeck" / "dev"


def environment_for(
    project: Project, *, uv: Path, python: Path, simdeck: Path | None, cache: Path, tell: Callable[[str], None]
) -> Path:
    """Return the project's environment, made or brought up to date.

    Raises
    ------
    Problem
        ``dev-environment`` with uv's own reason.
    """
    wanted = cache / f"{project.name}-{_key(project, python, simdeck)}"
    if not (wanted / "bin" / "python").exists():
        tell("Making the app's environment …")
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=cache, prefix=".half-"))
        try:
            _make(half / "env", project, uv, python, simdeck)
            with_rename(half / "env", wanted)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    os.utime(wanted)
    _forget_old(cache, wanted)
    link_project(wanted, project)
    return wanted


def with_rename(source: Path, target: Path) -> None:
    """Put ``source`` in the place of ``target``; another session that was faster is no failure."""
    try:
        source.rename(target)
    except OSError:
        if not (target / "bin" / "python").exists():
            raise


def link_project(environment: Path, project: Project) -> None:
    """Let the environment import the project from its folder, and find its notebooks where an install has them."""
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "_simdeck_project.pth").write_text(f"{project.folder}\n", "utf-8")
    _describe(site, project)
    # A folder without __init__.py: Python goes on to the project's own package; what is opened by path is found here.
    package, origin = site / project.package, project.folder / project.package
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(
        origin,
        package,
        ignore=lambda folder, names: [
            name for name in names if name in LEFT or (Path(folder) == origin and name == "__init__.py")
        ],
    )


def _describe(site: Path, project: Project) -> None:
    """Write the project's entry points and version as an install would, so that plug-ins are found."""
    for old in site.glob("*.dist-info/_simdeck_project"):
        shutil.rmtree(old.parent, ignore_errors=True)
    folder = site / f"{project.name.replace('-', '_')}-{project.version}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "_simdeck_project").write_text("", "utf-8")
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project.name}\nVersion: {project.version}\n")
    lines = []
    for group, points in project.entry_points.items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items()), ""]
    (folder / "entry_points.txt").write_text("\n".join(lines), "utf-8")


def _key(project: Project, python: Path, simdeck: Path | None) -> str:
    own = ""
    if simdeck is not None:
        # A checkout is linked by path, so only its place counts; a wheel is unpacked.
        own = str(simdeck) if simdeck.is_dir() else sha256_of(simdeck)
    text = "\n".join([sha256_of(project.lock), str(python), own])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _make(target: Path, project: Project, uv: Path, python: Path, simdeck: Path | None) -> None:
    plain = ["--quiet", "--relocatable", "--no-project", "--no-python-downloads"]
    _run([str(uv), "venv", *plain, "--python", str(python), str(target)])
    install = [str(uv), "pip", "install", "--quiet", "--python", str(target)]
    _run([*install, "--require-hashes", "-r", str(project.lock)])
    if simdeck is None:
        return
    if simdeck.is_file():
        _run([*install, "--no-deps", str(simdeck)])
        return
    config = tomllib.loads((simdeck / "pyproject.toml").read_text("utf-8"))
    folders = config.get("tool", {}).get("hatch", {}).get("build", {}).get("dev-mode-dirs", ["."])
    site = next(target.glob("lib/python*/site-packages"))
    (site / "_simdeck.pth").write_text("".join(f"{simdeck / folder}\n" for folder in folders), "utf-8")


def _run(argv: list[str]) -> None:
    done = subprocess.run(
        argv, env=passed_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line.strip(" ×╰─▶│") for line in done.stderr.splitlines() if line.strip(" ×╰─▶│")]
        reason = INDEX_ADDRESS.sub("<package index>", " ".join(lines))[:600].rstrip(".")
        raise Problem("dev-environment", reason=reason or "uv gave no reason")


def _forget_old(cache: Path, used: Path) -> None:
    found = [path for path in cache.iterdir() if path.is_dir() and not path.name.startswith(".") and path != used]
    for old in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        remove_tree(old)
