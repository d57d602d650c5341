"""Deck, store and search with 500 apps in the registry: time to the last byte of the page, through hub's proxy and session."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from simdeck_hub.places import hub_python
from stack import Stack

sys.path.insert(0, str(Path(__file__).parents[1] / "appstore"))

APPS = 500
FEW = 5
ROUNDS = 40
PAGES = {
    "deck page": "/services/deck/",
    "store page": "/services/deck/store",
    "store search": "/services/deck/store?q=phonon",
}


def series(client: httpx.Client, path: str) -> list[float]:
    """Seconds of each request after three uncounted ones."""
    seconds = []
    for _ in range(ROUNDS + 3):
        begun = time.perf_counter()
        answer = client.get(path)
        seconds.append(time.perf_counter() - begun)
        assert answer.status_code == 200, (path, answer.status_code)
    return seconds[3:]


def build(stack: Stack, folder: Path, apps: int) -> None:
    """Put a synthetic registry of so many apps in the place of the stack's."""
    import synthetic

    source = folder / f"source-{apps}"
    subprocess.run(
        [sys.executable, synthetic.__file__, "--apps", str(apps), "--output", str(source)],
        check=True,
        capture_output=True,
    )
    found = source if (source / "apps.yaml").exists() else source / "registry"
    subprocess.run(
        [str(hub_python()), "-m", "simdeck_appstore.build", "--source", str(found), "--output", str(stack.data.built_registry)],
        check=True, capture_output=True,
    )  # fmt: skip


def measure() -> list[dict[str, Any]]:
    """Pages with 500 apps in the registry; the reference is the same page with 5 apps, in the same run."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder) / "stack") as stack,
        contextlib.closing(stack.sign_in()) as client,
    ):
        client.get("/services/deck/")
        small, large = {}, {}
        for apps, told in ((FEW, small), (APPS, large)):
            build(stack, Path(folder), apps)
            for name, path in PAGES.items():
                told[name] = series(client, path)
        rows = []
        for name in PAGES:
            middle, late = statistics.median(large[name]), statistics.quantiles(large[name], n=20)[-1]
            before = statistics.median(small[name])
            rows.append(
                {
                    "what": f"{name} with {APPS} apps (p50, p95 {late * 1000:.0f} ms)",
                    "ours": f"{middle * 1000:.1f} ms",
                    "reference": f"the same page with {FEW} apps, {before * 1000:.1f} ms",
                    "ratio": round(middle / before, 3),
                    "budget": "p95 ≤ 100 ms" if "store" in name else "–",
                }
            )
    return rows
