"""A real site on a real Slurm, hurt while servers start and run: no job without a server, none lost, none twice.

``SIMDECK_CHAOS_ROUNDS`` sets the number of random rounds, ``SIMDECK_CHAOS_SEED`` the seed; a failure names its seed. Without them
the rounds are the same at each run; `make nightly` draws others each night.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest
from simdeck_spawners.points import POINTS
from slurm.chaos_rounds import Rounds, plan, told
from slurm.chaos_site import ALICE, ChaosSite
from slurm.site_stack import missing_for_slurm
from stack import wait_for

ROUNDS = int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "20"))
DRAWN = random.SystemRandom().randrange(10**6) if "SIMDECK_CHAOS_ROUNDS" in os.environ else 20
SEED = int(os.environ.get("SIMDECK_CHAOS_SEED", str(DRAWN)))
STARTING = POINTS[: POINTS.index("running") + 1]
STOPPING = ("before-ending", "before-scancel", "after-scancel", "before-end")
pytestmark = [pytest.mark.slurm, pytest.mark.chaos, pytest.mark.timeout(900 + 90 * ROUNDS)]


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosSite]:
    """The site; at the end none of its servers' jobs is left."""
    reason = missing_for_slurm()
    if reason:
        pytest.skip(reason)
    with ChaosSite(tmp_path_factory.mktemp("hurt")) as site:
        yield site


def check_one_server(site: ChaosSite, server: str, before: set[str]) -> None:
    """The server runs as one job that was submitted once, is reachable, and nothing else is in the queue."""
    view = site.wait_phase(ALICE, server, "running")
    wait_for(f"{server} to answer", lambda: site.answers(ALICE, server), 180)
    assert [(job.id, job.name, job.user) for job in site.jobs() if job.state == "RUNNING"] == [
        (view["job"]["id"], view["job"]["name"], ALICE)
    ]
    assert len({job.id for job in site.jobs("all")} - before) == 1


def end(site: ChaosSite, server: str) -> None:
    site.stop(ALICE, server)
    site.wait_phase(ALICE, server, "none")
    wait_for("the queue to be empty", lambda: not site.jobs(), 180)


@pytest.mark.parametrize("points", [(one,) for one in STARTING] + [("after-id", "before-adopt")], ids=" ".join)
def test_a_hub_killed_at_a_step_of_a_start_comes_back_to_one_running_server(
    hurt: ChaosSite, points: tuple[str, ...]
) -> None:
    before = {job.id for job in hurt.jobs("all")}
    options = {}
    if points == ("queued",):
        hurt.nodes("DRAIN")
    elif points == ("booting",):
        # Else the server may have announced itself before the queue was looked at.
        options["environment"] = "slow"
    hurt.die_at(*points)
    hurt.start(ALICE, "-", **options)
    wait_for(f"the hub to die at {points}", hurt.died_everywhere, 180)
    hurt.nodes_in_order()
    if points == ("before-intent",):
        # Nothing was written down: it is not started, and can be.
        wait_for("the hub", lambda: hurt.view(ALICE, "-")["phase"] != "?", 180)
        hurt.start(ALICE, "-")
    check_one_server(hurt, "-", before)
    end(hurt, "-")


@pytest.mark.parametrize("point", STOPPING)
def test_a_hub_killed_at_a_step_of_a_stop_leaves_a_whole_server_or_none(hurt: ChaosSite, point: str) -> None:
    before = {job.id for job in hurt.jobs("all")}
    hurt.start(ALICE, "-")
    hurt.wait_phase(ALICE, "-", "running")
    hurt.die_at(point)
    hurt.ask(ALICE, "DELETE", "/servers/-")
    wait_for(f"the hub to die at {point}", hurt.died_everywhere, 180)
    if point == "before-ending":
        # The stop was not written down.
        check_one_server(hurt, "-", before)
        end(hurt, "-")
        return
    hurt.wait_phase(ALICE, "-", "none")
    wait_for("the queue to be empty", lambda: not hurt.jobs(), 180)
    assert len({job.id for job in hurt.jobs("all")} - before) == 1


def test_no_fault_at_any_moment_orphans_loses_or_doubles_a_server(hurt: ChaosSite) -> None:
    planned = plan(random.Random(SEED), ROUNDS)
    rounds = Rounds(hurt)
    for number, one in enumerate(planned):
        began = time.monotonic()
        try:
            rounds.play(one)
        except Exception as error:
            raise AssertionError(f"{error}\n{told(planned[: number + 1], SEED)}\n{hurt.logs()}") from error
        print(f"round {number}: {one.fault} while {one.moment}, {time.monotonic() - began:.1f} s", flush=True)
    rounds.finish()
