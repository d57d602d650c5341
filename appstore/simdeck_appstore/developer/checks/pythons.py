"""Trying the app with each Python it says it supports.

With an interpreter that is on this machine it is installed and imported, and its page is executed. For the others uv
resolves the lock as that Python would: whether every package in it may be used there, and whether it names all that is
needed.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version
from simdeck_common.problems import Problem

from simdeck_appstore.developer.checks import kernel_page
from simdeck_appstore.developer.checks.record import PAGE_SECONDS
from simdeck_appstore.developer.checks.vulnerabilities import pinned
from simdeck_appstore.process import INDEX_ADDRESS, passed_environment
from simdeck_appstore.wheels import inspect_wheel

VERIFY = Path(__file__).parents[2] / "verify_env.py"
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
"""The Pythons that apps may run on."""
SECONDS = 900


NEWEST = "3.14"
"""The Python that packages may not be ready for: what cannot be resolved for it is told, and is no failure."""


@dataclass(frozen=True)
class Tried:
    """One Python: how far it was tried, and why that failed, if it did.

    ``installed`` (and imported), ``rendered`` (its notebook page was executed, too), or ``resolved`` alone.
    """

    version: str
    how: Literal["installed", "rendered", "resolved"]
    reason: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.reason) and not self.unready

    @property
    def unready(self) -> bool:
        """Whether it is the newest Python, which the app's packages do not know yet."""
        return bool(self.reason) and self.how == "resolved" and self.version == NEWEST

    @property
    def outcome(self) -> str:
        """What the record says."""
        return f"{self.how}: {self.reason}" if self.reason else self.how


def find(uv: Path) -> dict[str, Path]:
    """Return the interpreters on this machine by their minor version, as uv finds them."""
    argv = [str(uv), "python", "list", "--only-installed", "--no-python-downloads", "--output-format", "json"]
    done = subprocess.run(
        argv, env=passed_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    found: dict[str, Path] = {}
    try:
        listed = json.loads(done.stdout or "[]")
    except ValueError:
        return {}
    for one in listed:
        minor = ".".join(str(one["version"]).split(".")[:2])
        if one.get("implementation") == "cpython" and one.get("path"):
            found.setdefault(minor, Path(one["path"]))
    return found


def try_each(
    uv: Path, requires: str, lock: Path, wheels: list[Path], package: str, notebook: str, done: str
) -> list[Tried]:
    """Install lock and ``wheels`` with every supported Python but ``done``, in environments that are thrown away.

    For a Python that is not on this machine they are resolved alone.
    """
    tried: list[Tried] = []
    found = find(uv)
    for minor in SUPPORTED:
        if minor == done or not SpecifierSet(requires).contains(f"{minor}.99"):
            continue
        with tempfile.TemporaryDirectory(prefix="simdeck-python-") as scratch:
            if minor in found:
                tried.append(_try(minor, uv, found[minor], Path(scratch), lock, wheels, package, notebook))
            else:
                tried.append(Tried(minor, "resolved", resolve(uv, minor, Path(scratch), lock, wheels)))
    return tried


def report(mine: str, tried: list[Tried]) -> tuple[Literal["passed", "warning", "failed"], str]:
    """Return how it ended, and the sentence for people."""
    failed = next((one for one in tried if one.failed), None)
    if failed is not None:
        verb = {"installed": "install", "rendered": "show its page", "resolved": "resolve"}[failed.how]
        return "failed", f"with Python {failed.version} it does not {verb}: {failed.reason}"
    works = [mine, *(one.version for one in tried if one.how != "resolved")]
    words = f"it installs with Python {', '.join(sorted(works, key=Version))}"
    rendered = [one.version for one in tried if one.how == "rendered"]
    if rendered:
        words += f", and its page runs with {', '.join(rendered)}"
    resolved = [one.version for one in tried if one.how == "resolved" and not one.reason]
    if resolved:
        words += f"; resolved only, because not on this machine: {', '.join(resolved)}"
    unready = next((one for one in tried if one.unready), None)
    if unready is not None:
        return "warning", f"{words}; its packages are not ready for {unready.version}: {unready.reason}"
    return "passed", words


def resolve(uv: Path, minor: str, scratch: Path, lock: Path, wheels: list[Path]) -> str:
    """Return why the lock does not serve Python ``minor``; nothing, where it does. No such interpreter is needed."""
    source, output = scratch / "wanted.in", scratch / "resolved.txt"
    pins = lock.read_text("utf-8")
    apps = [f"{inspect_wheel(wheel).name} @ {wheel.resolve().as_uri()}" for wheel in wheels]
    source.write_text("\n".join([pins, *apps, ""]), "utf-8")
    argv = [
        str(uv), "pip", "compile", "--quiet", "--python-version", minor, "--no-header", "--no-annotate",
        "--no-emit-index-url", "--no-python-downloads", "--output-file", str(output), str(source),
    ]  # fmt: skip
    reason = _run(argv, scratch)
    if reason:
        return reason
    unpinned = sorted(pinned(output.read_text("utf-8")).keys() - pinned(pins).keys())
    return f"the lock lacks {', '.join(unpinned[:3])}" if unpinned else ""


def _try(
    minor: str, uv: Path, python: Path, scratch: Path, lock: Path, wheels: list[Path], package: str, notebook: str
) -> Tried:
    reason = _install(uv, python, scratch, lock, wheels, package, notebook)
    site = next((scratch / "env").glob("lib/python*/site-packages"), None)
    if reason or not notebook or site is None or not (site / "ipykernel").is_dir():
        return Tried(minor, "installed", reason)
    return Tried(minor, "rendered", _render(site / notebook, scratch))


def _render(notebook: Path, scratch: Path) -> str:
    """Return why the page's notebook cannot be executed in ``scratch/env``; nothing, where it can."""
    (scratch / "app.json").write_text(json.dumps({"entry": {"file": str(notebook.relative_to(scratch))}}), "utf-8")
    spec = scratch / "apps" / ".jupyter" / "kernels" / "simdeck-tried"
    spec.mkdir(parents=True)
    argv = [str(scratch / "env" / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    described = {"argv": argv, "display_name": "Tried", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(described), "utf-8")
    try:
        kernel_page.run_page(scratch, scratch / "apps", "tried", PAGE_SECONDS)
    except Problem as problem:
        return problem.detail.rstrip(".")
    return ""


def _install(uv: Path, python: Path, scratch: Path, lock: Path, wheels: list[Path], package: str, notebook: str) -> str:
    """Return why it cannot be installed with ``python``; nothing, where it can."""
    environment = scratch / "env"
    install = [str(uv), "pip", "install", "--quiet", "--python", str(environment)]
    making = [str(uv), "venv", "--quiet", "--no-project", "--no-python-downloads"]
    commands = [
        [*making, "--python", str(python), str(environment)],
        [*install, "--require-hashes", "-r", str(lock)],
        [*install, "--no-deps", *map(str, wheels)],
        [str(uv), "pip", "check", "--quiet", "--python", str(environment)],
        [str(environment / "bin" / "python"), "-I", str(VERIFY), package, notebook],
    ]
    return next(filter(None, (_run(argv, scratch) for argv in commands)), "")


def _run(argv: list[str], cwd: Path) -> str:
    """Return why the command failed, in its own words; nothing, where it did not."""
    try:
        done = subprocess.run(
            argv, cwd=cwd, env=passed_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"it did not end within {SECONDS} s"
    if not done.returncode:
        return ""
    lines = [line.strip(" ×╰─▶│") for line in done.stderr.splitlines() if line.strip(" ×╰─▶│")]
    words = " ".join(lines[-4:]).removeprefix("simdeck: ")
    return INDEX_ADDRESS.sub("<package index>", words)[:300].rstrip(".") or "it failed"
