"""Installing the app with each Python it says it supports, as far as they are on this machine."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

from simdeck_appstore.process import INDEX_ADDRESS, passed_environment

VERIFY = Path(__file__).parents[2] / "verify_env.py"
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
"""The Pythons that apps may run on."""
SECONDS = 900


@dataclass(frozen=True)
class Tried:
    """One Python: ``outcome`` is ``installed``, ``missing`` (it is not on this machine) or why it failed."""

    version: str
    outcome: str

    @property
    def failed(self) -> bool:
        return self.outcome not in ("installed", "missing")


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
    """Install lock and ``wheels`` with every supported Python but ``done`` into an environment that is thrown away."""
    tried = []
    found = find(uv)
    for minor in SUPPORTED:
        if minor == done or not SpecifierSet(requires).contains(f"{minor}.99"):
            continue
        if minor not in found:
            tried.append(Tried(minor, "missing"))
            continue
        with tempfile.TemporaryDirectory(prefix="simdeck-python-") as scratch:
            tried.append(Tried(minor, _install(uv, found[minor], Path(scratch), lock, wheels, package, notebook)))
    return tried


def _install(uv: Path, python: Path, scratch: Path, lock: Path, wheels: list[Path], package: str, notebook: str) -> str:
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
    for argv in commands:
        try:
            done = subprocess.run(
                argv, cwd=scratch, env=passed_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"it did not end within {SECONDS} s"
        if done.returncode:
            lines = [line.strip(" ×╰─▶│") for line in done.stderr.splitlines() if line.strip(" ×╰─▶│")]
            words = " ".join(lines[-4:]).removeprefix("simdeck: ")
            return INDEX_ADDRESS.sub("<package index>", words)[:300].rstrip(".") or "it failed"
    return "installed"
