"""What an AiiDAlab app asks for, and the lock made of it.

``install_requires`` of ``setup.cfg``, else ``requirements.txt``, as AiiDAlab reads it; else the dependencies of
``pyproject.toml``. Comments behind a requirement are cut off and markers are kept: uv decides what they mean.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from simdeck_common.problems import Problem

from simdeck_appstore.aiidalab.metadata import AppFiles
from simdeck_appstore.developer.lock import compile_lock
from simdeck_appstore.lockfile import check_lock
from simdeck_appstore.process import INDEX_ADDRESS, passed_environment

# What every AiiDAlab image has and no app names: a kernel for its pages, and the widgets of its banner.
BASE = ("ipykernel", "ipywidgets")
_DEPTH = 5
_BUILD_SECONDS = 600


def read_requirements(files: AppFiles) -> list[str]:
    """Return the requirement lines.

    Raises
    ------
    ValueError
        One of them is no requirement; the words say which.
    """
    listed = _clean(files.option("install_requires").splitlines())
    if not listed and (files.root / "requirements.txt").is_file():
        listed = _from_file(files.root, "requirements.txt")
    if not listed:
        listed = _clean([str(line) for line in files.project.get("dependencies") or []])
    for line in listed:
        try:
            Requirement(line)
        except InvalidRequirement:
            raise ValueError(f"its requirement {line!r} cannot be read") from None
    return listed


def _clean(lines: list[str]) -> list[str]:
    bare = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in lines)
    return [line for line in bare if line]


def _from_file(root: Path, name: str, depth: int = 0) -> list[str]:
    path = (root / name).resolve()
    if depth > _DEPTH or not path.is_relative_to(root.resolve()) or not path.is_file():
        raise ValueError(f"its {name} is not there")
    found: list[str] = []
    for line in _clean(path.read_text("utf-8", "replace").replace("\\\n", " ").splitlines()):
        option, _, value = line.replace("=", " ", 1).partition(" ")
        if option in ("-r", "--requirement"):
            found += _from_file(root, value.strip(), depth + 1)
        elif line.startswith("-") or line in (".", "./"):
            # Where packages come from is the site's business; the app itself is installed anyway.
            continue
        else:
            found.append(line)
    return found


def has_package(files: AppFiles) -> bool:
    """Tell whether the tree is a Python project that pip would install."""
    declared = "project" in files.pyproject or "build-system" in files.pyproject
    return declared or (files.root / "setup.py").is_file()


def build_package(root: Path, output: Path, uv: Path, python: Path, version: str, *, url: str) -> Path:
    """Build the wheel of the app's own package (uv, isolated: its build needs the package index) and return its path.

    Raises
    ------
    Problem
        ``source-invalid`` with the build's last words.
    """
    argv = [str(uv), "build", "--wheel", "--python", str(python), "--out-dir", str(output), str(root)]
    # The tree has no .git: projects whose version is made of it are told the tag. A fixed date makes builds repeatable.
    extra = {"SETUPTOOLS_SCM_PRETEND_VERSION": version, "SOURCE_DATE_EPOCH": "946684800"}
    try:
        done = subprocess.run(
            argv, cwd=root, env=passed_environment() | extra, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=_BUILD_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Problem("source-invalid", url=url, reason=f"uv could not be run ({type(error).__name__})") from None
    wheels = sorted(output.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise Problem("source-invalid", url=url, reason=f"its package cannot be built ({_said(done.stderr)})")
    return wheels[0]


def _said(stderr: str) -> str:
    """Return the last words of the failed build itself, before uv's own."""
    lines = [line.strip() for line in INDEX_ADDRESS.sub("<package index>", stderr).splitlines() if line.strip()]
    end = next((number for number, line in enumerate(lines) if line.startswith("error: Failed to build")), len(lines))
    causes = [line for line in lines[end:] if line.startswith("cause:")]
    return ((lines[:end] or causes or ["uv gave no reason"])[-1]).rstrip(".")[:300]


def make_app_lock(lines: list[str], own: str, scratch: Path, uv: Path, *, app: str) -> Path:
    """Resolve ``lines`` and :data:`BASE` together into a lock with hashes and return its path.

    ``own`` is the name of the app's own distribution, which no lock holds.

    Raises
    ------
    Problem
        ``aiidalab-unresolved`` with the solver's reason.
    """
    wanted = [line for line in dict.fromkeys(lines) if canonicalize_name(Requirement(line).name) != own]
    source, output = scratch / "requirements.in", scratch / "requirements.lock"
    source.write_text("\n".join([*wanted, *BASE]) + "\n", "utf-8")
    reason = compile_lock(uv, source, output, scratch)
    if reason is not None:
        words = re.sub(r"^error: (No solution found when resolving dependencies cause: )?", "", reason)
        clean = INDEX_ADDRESS.sub("<package index>", words.replace(f"{scratch}/", ""))
        raise Problem("aiidalab-unresolved", app=app, reason=clean)
    fault = check_lock(output)
    if fault is not None:
        raise Problem("aiidalab-unresolved", app=app, reason=fault[1])
    return output
