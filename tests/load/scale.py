"""A real hub with a thousand users: started, waited for, killed, started again, on a simulated cluster.

``measure()`` gives the rows of `make bench`; ``python scale.py USERS WAITING`` prints the numbers alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

from load.scale_site import Probe, Scale, percentile

FULL = (1000, 200)
"""Users, and how many of them wait in the queue."""
WINDOW_SECONDS = 60.0


async def run(folder: Path, users: int, waiting: int, window: float = WINDOW_SECONDS) -> dict[str, Any]:
    """Go through it all; return the numbers."""
    async with Scale(folder, users, waiting) as site:
        found: dict[str, Any] = {"users": users, "waiting": waiting, "memory_empty": site.memory()}
        await site.add_users()
        # A third of the way the first hub dies.
        early = asyncio.create_task(site.ask_for(site.users[: users // 3]))
        await site.until("the first jobs", lambda: _some(site, users // 9))
        await site.kill_hub()
        await early
        await site.start_hub()
        since, began = time.time(), time.monotonic()
        with Probe(f"{site.api}/") as probe:
            statuses = await site.ask_for(site.users)
            assert set(statuses) <= {201, 202, 400}, statuses
            await site.until("all servers", lambda: site.settled(site.running, waiting))
            found["start_all"] = time.monotonic() - began
        found |= times("start", site.lags(since), probe.times)
        await site.check()
        before, since, began = await site.calls(), time.time(), time.monotonic()
        with Probe(f"{site.api}/") as probe:
            await site.live_with_it(window)
        found["seconds"] = time.monotonic() - began
        found |= times("steady", site.lags(since), probe.times)
        found["calls"] = dict((await site.calls()) - before)
        found["memory"] = site.memory()
        before_kill = await site.through_the_proxy()
        await site.kill_hub()
        began = time.monotonic()
        found["restart_answers"] = await site.start_hub()
        since = time.time()
        await site.until("all servers again", lambda: site.settled(site.running, waiting))
        found["restart_all"] = time.monotonic() - began
        found["memory_restarted"] = site.memory()
        await site.check()
        assert await site.through_the_proxy() == before_kill
        found |= times("restart", site.lags(since), [])
        await site.more_room()
        began = time.monotonic()
        await site.until("those who waited", lambda: site.settled(users, 0))
        found["room_all"] = time.monotonic() - began
        await site.check()
        assert len(set((await site.through_the_proxy()).values())) == users
        await site.stop_all()
        await site.until("the end of all", lambda: site.settled(0, 0))
        await site.until("the end of all jobs", lambda: _none_left(site))
        found["submitted"] = (await site.calls())["sbatch"]
        return found


def times(what: str, lags: list[float], answers: list[float]) -> dict[str, float]:
    """Return the p50, p99 and most of lags and answers, in milliseconds."""
    found = {}
    for name, values in (("lag", lags), ("api", answers)):
        for label, share in (("p50", 0.5), ("p99", 0.99), ("most", 1.0)):
            if values:
                found[f"{what}_{name}_{label}_ms"] = round(percentile(values, share) * 1000, 1)
    return found


def measure() -> list[dict[str, Any]]:
    """A thousand users, two hundred of them in the queue."""
    with tempfile.TemporaryDirectory() as place:
        found = asyncio.run(run(Path(place), *FULL))
    print(found, file=sys.stderr)
    return rows(found)


def rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the numbers as `make bench` shows them."""
    who = f"{found['users']} users, {found['waiting']} in the queue"
    squeue, others = found["calls"]["squeue"], sum(found["calls"].values()) - found["calls"]["squeue"]
    told = {
        "a hub's memory": f"{found['memory']:.0f} MiB ({found['memory_empty']:.0f} with none)",
        "lag of the hub's event loop, p50 and p99": f"{found['steady_lag_p50_ms']} and {found['steady_lag_p99_ms']} ms",
        "answer of /hub/api/, p50 and p99": f"{found['steady_api_p50_ms']} and {found['steady_api_p99_ms']} ms",
        "looks at the queue a second": f"{squeue / found['seconds']:.2f}",
        "further questions to the controller a second": f"{others / found['seconds']:.2f}",
        "all asked for at once until all run or wait": f"{found['start_all']:.0f} s",
        "lag while they start, p50 and p99": f"{found['start_lag_p50_ms']} and {found['start_lag_p99_ms']} ms",
        "killed hub started again: answers": f"{found['restart_answers']:.1f} s",
        "killed hub started again: has every server": f"{found['restart_all']:.1f} s",
    }
    budgets = {"looks at the queue a second": "≤ 0.5"}
    return [
        {"what": f"{who}: {what}", "ours": ours, "reference": "–", "ratio": "–", "budget": budgets.get(what, "–")}
        for what, ours in told.items()
    ]


async def _some(site: Scale, count: int) -> bool:
    return len(await site.jobs()) >= count


async def _none_left(site: Scale) -> bool:
    return not [one for one in await site.jobs() if one["state"] in {"PENDING", "RUNNING"}]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        try:
            print(
                json.dumps(asyncio.run(run(Path(place), int(sys.argv[1]), int(sys.argv[2]))), indent=1), os.getloadavg()
            )
        finally:
            if "--log" in sys.argv:
                print((Path(place) / "hub.log").read_text()[-20000:], file=sys.stderr)
