"""`make bench`: the budgets, measured as ratios in one run on one machine. Nothing fails because a machine is slow.

Prints a table and writes ``tests/artifacts/bench.json``. ``--only`` picks parts: open, install, submit, runs, pages, registry, servers,
scale.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import install
import pages
import runs
import scale
import servers
import submit

import registry

ARTIFACTS = Path(__file__).parents[1] / "artifacts"


def open_page() -> list[dict[str, Any]]:
    """Click on an app to usable widget, against a plain Voilà page of the same notebook."""
    import open_page as measured

    report = asyncio.run(measured.measure(8, None, ["ase.io", "ipywidgets"], ".jupyter-widgets", 1.0))
    plain = report["plain_voila"]
    rows = []
    for name in ("cold", "warm"):
        ours = report[f"simdeck_{name}"]
        rows.append(
            {
                "what": f"open an app, {name} kernel: click to usable widget (p50)",
                "ours": f"{ours['p50_ms']} ms",
                "reference": f"plain Voilà page, {plain['p50_ms']} ms",
                "ratio": report[f"{name}_to_plain"],
                "budget": "≤ 0.25" if name == "warm" else "–",
            }
        )
    rows.append(
        {
            "what": "open an app: requests that reach the server, later visits",
            "ours": str(report["simdeck_warm"]["requests_to_server"]),
            "reference": f"plain Voilà page, {plain['requests_to_server']}",
            "ratio": round(report["simdeck_warm"]["requests_to_server"] / max(1, plain["requests_to_server"]), 3),
            "budget": "–",
        }
    )
    return rows


PARTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "open": open_page,
    "install": install.measure,
    "submit": submit.measure,
    "runs": runs.measure,
    "pages": pages.measure,
    "servers": servers.measure,
    "scale": scale.measure,
    "registry": registry.measure,
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Measure the budgets as ratios in one run.")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    chosen = parser.parse_args().only
    rows: list[dict[str, Any]] = []
    for name in chosen:
        print(f"Measuring: {name} …", file=sys.stderr, flush=True)
        rows += PARTS[name]()
    widths = [max(len(str(row[key])) for row in [*rows, {key: key}]) for key in rows[0]]
    for row in [{key: key for key in rows[0]}, *rows]:
        print("  ".join(str(value).ljust(width) for value, width in zip(row.values(), widths, strict=True)).rstrip())
    ARTIFACTS.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()}
    (ARTIFACTS / "bench.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
