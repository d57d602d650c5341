"""Fifty servers at once on a real Slurm: all run, the queue is asked as often as for one, a dead hub loses none."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from slurm.chaos_site import ALICE, BOB, ChaosSite
from slurm.site_stack import missing_for_slurm
from stack import wait_for

NIGHTLY = int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "0")) >= 100
EACH = 25
PEOPLE = (ALICE, BOB)
SERVERS = [(user, f"s{number}") for number in range(EACH) for user in PEOPLE]
LEAST_SECONDS = 2.0
"""Between two `squeue` of one cluster, however many wait."""
RUNNING_SECONDS = 900.0
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.chaos,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(not NIGHTLY, reason="fifty real servers take minutes: `make nightly` starts them"),
]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosSite]:
    """A site whose nodes have room for all; that many servers start slowly on few real processors."""
    reason = missing_for_slurm()
    if reason:
        pytest.skip(reason)
    patience = "handshake_timeout = 900\nboot_timeout = 900\n"
    with ChaosSite(tmp_path_factory.mktemp("crowd"), servers=patience) as site:
        yield site


def phases(site: ChaosSite) -> Counter[str]:
    """Return how many servers are in which phase; empty while the site cannot be asked."""
    found: Counter[str] = Counter()
    for user in PEOPLE:
        answer = site.ask(user, "GET", "/servers")
        if answer is None:
            return Counter()
        found.update(one["phase"] for one in answer["items"] if one["name"])
    return found


def asked_of_the_controller(site: ChaosSite) -> int:
    """Return how often slurmctld was asked for the whole queue since it began, by its own count."""
    found = re.search(r"REQUEST_JOB_INFO +\( *2003\) +count:(\d+)", site.slurm("sdiag"))
    return int(found.group(1)) if found else 0


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def follow(site: ChaosSite, what: str, done: Callable[[Counter[str]], bool]) -> None:
    """Wait until the phases are as wanted, asking no more often than a page does."""
    last: Counter[str] = Counter()

    def there() -> bool:
        nonlocal last
        last = phases(site) or last
        return done(last)

    try:
        wait_for(what, there, RUNNING_SECONDS)
    except AssertionError as error:
        raise AssertionError(f"{error}: {last}") from None


def test_fifty_servers_at_once_run_at_the_cost_of_one_and_outlive_their_hub(
    crowd: ChaosSite, record_property: Callable[[str, object], None]
) -> None:
    hub = crowd.hub
    assert hub is not None
    numbers: dict[str, float] = {"hub without servers, MB": memory_mb(hub)}
    calls, asked, began = crowd.calls(), asked_of_the_controller(crowd), time.monotonic()

    with ThreadPoolExecutor(len(SERVERS)) as people:
        list(people.map(lambda one: crowd.start(*one), SERVERS))
    numbers["all asked for, s"] = time.monotonic() - began
    follow(crowd, "half of them to run", lambda seen: seen["running"] >= len(SERVERS) // 2)
    numbers["half run, s"] = time.monotonic() - began
    crowd.kill(" -m jupyterhub ")
    follow(crowd, "all to run", lambda seen: seen["running"] == len(SERVERS))
    took = time.monotonic() - began
    numbers |= {"all run, s": took, "squeue": crowd.calls() - calls, "asked": asked_of_the_controller(crowd) - asked}
    assert crowd.hub is not None
    numbers["hub with all, MB"] = memory_mb(crowd.hub)
    for name, value in numbers.items():
        record_property(name, round(value, 1))
    print({name: round(value, 1) for name, value in numbers.items()})

    # The hub's watcher and whoever asks once for a person; a poll each server would be hundreds.
    most = took / LEAST_SECONDS + 5
    assert numbers["squeue"] <= most
    assert numbers["asked"] <= most
    for user, server in SERVERS:
        wait_for(f"{user}/{server} to answer", lambda user=user, server=server: crowd.answers(user, server), 180)
    jobs = crowd.jobs("all")
    assert Counter(job.state for job in jobs) == {"RUNNING": len(SERVERS)}
    assert Counter(job.user for job in jobs) == dict.fromkeys(PEOPLE, EACH)
    assert len({job.name for job in jobs}) == len(SERVERS)

    with ThreadPoolExecutor(10) as people:
        list(people.map(lambda one: crowd.stop(*one), SERVERS))
    wait_for("the queue to be empty", lambda: not crowd.jobs(), 300)
    follow(crowd, "none to be shown as running", lambda seen: set(seen) <= {"none"})
