"""An app's lock: every third-party package with its hashes, resolved by uv for all platforms."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from simdeck_common.problems import Problem

from simdeck_appstore.manifest import LOCK_NAME

SOURCE = "requirements.in"
OLDEST_PYTHON = "3.11"
_SECONDS = 600


def lock_argv(uv: Path, source: Path, output: Path) -> list[str]:
    """Return uv's command line; the lock names no package index."""
    return [
        str(uv), "pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes",
        "--no-emit-index-url", "--no-header", "--no-annotate", str(source), "--output-file", str(output),
    ]  # fmt: skip


def make_lock(project: Path, uv: Path, *, upgrade: bool = False) -> Path:
    """Resolve ``requirements.in`` of ``project`` into ``requirements.lock`` and return it.

    Pins of an earlier lock are kept unless ``upgrade``. The earlier lock stays as it is when this fails.

    Raises
    ------
    Problem
        ``lock-failed`` with uv's own reason.
    """
    project = project.resolve()
    source, target = project / SOURCE, project / LOCK_NAME
    if not source.is_file():
        raise Problem("lock-failed", reason=f"there is no {SOURCE} in {project}")
    with tempfile.TemporaryDirectory(dir=project, prefix=".lock-") as scratch:
        output = Path(scratch) / LOCK_NAME
        if target.is_file() and not upgrade:
            output.write_bytes(target.read_bytes())
        reason = compile_lock(uv, source, output, project)
        if reason is not None:
            raise Problem("lock-failed", reason=reason)
        output.replace(target)
    return target


def compile_lock(uv: Path, source: Path, output: Path, cwd: Path) -> str | None:
    """Resolve ``source`` into the lock ``output``; return uv's reason where that cannot be done."""
    try:
        done = subprocess.run(
            lock_argv(uv, source, output), cwd=cwd, env=dict(os.environ), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"uv could not be run ({type(error).__name__})"
    return _reason(done.stderr) if done.returncode else None


def _reason(stderr: str) -> str:
    lines = [line.strip(" ×╰─▶│") for line in stderr.splitlines() if line.strip(" ×╰─▶│")]
    return " ".join(lines)[:600].rstrip(".") or "uv gave no reason"
