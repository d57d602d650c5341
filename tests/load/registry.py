"""A registry of 500 apps: building it, building it again for one new release, searching it, and its web site's pages.

The reference of a build is what it cannot avoid, hatchling building those wheels one after the other; that of a page is
an empty file from the same server.
"""

from __future__ import annotations

import functools
import http.server
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "appstore"))

APPS = 500
SAMPLE = 50
"""Wheels that the reference builds; the time is taken times ``APPS / SAMPLE``."""
SEARCHES = ("phonon", "fit", "spectr", "comp band", "author 3", "a")
ROUNDS = 40
AGAIN = 0.1
"""What building it again may cost of the first build, where nothing changed."""


def measure() -> list[dict[str, Any]]:
    """Build, change, search, fetch: each against its reference in the same run."""
    from simdeck_appstore.build import build_registry
    from simdeck_appstore.registry import Registry
    from simdeck_appstore.signing import init_keys
    from synthetic import write_app, write_many, write_stand_in

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        source, stand_in, built = write_many(base, APPS), write_stand_in(base / "simdeck"), base / "built"
        init_keys(base / "keys")
        build = functools.partial(build_registry, source, built, simdeck=stand_in, keys=base / "keys")
        wheels = bare_wheels(base) * APPS / SAMPLE
        whole, report = timed(build)
        assert report.problems == []
        again, report = timed(build)
        assert not report.changed
        project = sorted((base / "projects").iterdir())[0]
        write_app(project, project.name, "9.0.0")
        one, report = timed(build)
        assert len(report.built) == 1
        rows = [
            row(f"build a registry of {APPS} apps, signed, with its site", whole, "hatchling alone", wheels),
            row("build it again, nothing changed", again, "the whole build", whole, budget=AGAIN),
            row("build it again, one new release", one, "the whole build", whole),
        ]
        registry = Registry(built)
        names = [json.loads((built / "api/v2/index.json").read_text())["apps"][0]["id"]]
        registry.search("")
        linear = statistics.median(timed(lambda: scan(registry))[0] for _ in range(ROUNDS))
        search = statistics.median(
            timed(lambda: [registry.search(words) for words in SEARCHES])[0] for _ in range(ROUNDS)
        )
        rows.append(row("search, one query", search / len(SEARCHES), "looking through all texts", linear))
        rows += pages(built, names[0])
        return rows


def bare_wheels(base: Path) -> float:
    """Return the seconds that hatchling takes for ``SAMPLE`` of the projects."""
    from simdeck_appstore.wheels import WheelBuilder

    projects = sorted((base / "projects").iterdir())[:SAMPLE]
    with tempfile.TemporaryDirectory() as output, WheelBuilder(Path(sys.executable)) as builder:
        builder.build(projects[0], Path(output))
        return timed(lambda: [builder.build(project, Path(output)) for project in projects])[0]


def scan(registry: Any) -> int:
    return sum("phonon" in entry.model_dump_json() for entry in registry.index().apps)


def pages(built: Path, app: str) -> list[dict[str, Any]]:
    """Return the time to the last byte of the site's pages from Python's own file server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

    (built / "empty.html").write_text("")
    handler = functools.partial(Quiet, directory=str(built))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as client:
            floor, _ = fetch(client, "/empty.html")
            rows = []
            for what, path in (("catalogue", "/index.html"), ("app page", f"/apps/{app}/index.html")):
                seconds, size = fetch(client, path)
                name = f"the site's {what} with {APPS} apps ({size / 1024:.0f} KiB)"
                rows.append(row(name, seconds, "an empty file", floor))
        server.shutdown()
    return rows


def fetch(client: httpx.Client, path: str) -> tuple[float, int]:
    """Return the median seconds of a request, and the bytes of its answer."""
    seconds = []
    for _ in range(ROUNDS):
        took, answer = timed(lambda: client.get(path))
        assert answer.status_code == 200, path
        seconds.append(took)
    return statistics.median(seconds), len(answer.content)


def timed(work: Any) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


def row(what: str, ours: float, reference: str, seconds: float, budget: float | None = None) -> dict[str, Any]:
    return {
        "what": what,
        "ours": spoken(ours),
        "reference": f"{reference}, {spoken(seconds)}",
        "ratio": round(ours / seconds, 3),
        "budget": f"≤ {budget}" if budget is not None else "–",
    }


def spoken(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
