"""Installing the molecule app with a warm cache, against ``pip install`` of the same lock in a fresh venv, pip's cache warm too."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from simdeck_hub.places import Checkout
from stack import Stack

ROUNDS = 3


def with_pip(lock: Path) -> float:
    """Seconds for ``python -m venv`` and ``pip install --require-hashes`` of the app's lock."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
        subprocess.run(
            [f"{folder}/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)],
            check=True, capture_output=True,
        )  # fmt: skip
        return time.perf_counter() - begun


def with_store(stack: Stack) -> float:
    """Seconds from the request to *ready* as a person meets them: everything, checks included; the app is removed again."""
    begun = time.perf_counter()
    stack.run("install", "molecule", "--wait")
    seconds = time.perf_counter() - begun
    with stack.client() as client:
        task = client.delete("/apps/molecule").raise_for_status().json()["id"]
        with client.stream("GET", f"/tasks/{task}/events") as events:
            for _ in events.iter_lines():
                pass
    return seconds


def measure() -> list[dict[str, Any]]:
    """Both in turn, after one uncounted round each."""
    lock = Checkout.find().root / "apps" / "molecule" / "requirements.lock"
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        pairs = [(with_store(stack), with_pip(lock)) for _ in range(ROUNDS + 1)][1:]
    ours, pip = (statistics.median(column) for column in zip(*pairs, strict=True))
    return [
        {
            "what": "install the molecule app, warm cache",
            "ours": f"{ours:.2f} s",
            "reference": f"pip install in a fresh venv, {pip:.2f} s",
            "ratio": round(ours / pip, 3),
            "budget": "≤ 0.2",
        }
    ]
