"""Random rounds on a hurt site: servers start and run, one fault strikes, and what must be true is true all the same.

A fault knows how to hurt, how to heal, and whom it ends for good: those must be shown as ended, with their cause.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from simdeck_hub.trial import machine
from slurm.chaos_site import ALICE, BOB, ChaosSite, QueuedJob, eventually
from stack import wait_for

Server = tuple[str, str]
SERVERS: tuple[Server, ...] = (
    (ALICE, "-"), (ALICE, "one"), (ALICE, "two"), (BOB, "-"), (BOB, "three"), (BOB, "four"),
)  # fmt: skip
KEPT = 2
"""Servers that go on from one round to the next."""
MOMENTS = ("asking", "queued", "starting", "running")
"""While servers are asked for; while their jobs wait; a little later; once they run."""
NOTICED_SECONDS = 120.0
SLURMD_PORT = 6818


@dataclass
class Round:
    """What is done in one round."""

    number: int
    fault: str
    moment: str
    pause: float
    """Seconds until the fault strikes, where it falls into the start: from the first request, or from the last."""
    count: int
    """Servers to start, if it is not one that runs already that is struck."""
    order: list[Server]
    """Who is started, or struck, first."""
    servers: list[Server] = field(default_factory=list)
    """Who was started."""
    jobs: list[str] = field(default_factory=list)
    """Ids, as found afterwards."""


class Faults:
    """Every fault as a pair: ``hurt`` strikes and returns when it is felt, ``heal`` undoes it."""

    def __init__(self, site: ChaosSite) -> None:
        self.site = site

    # --- the site's own processes -------------------------------------------------------------------------------

    def hub_killed(self, job: QueuedJob | None) -> None:
        self.site.kill(" -m jupyterhub ")

    def deck_killed(self, job: QueuedJob | None) -> None:
        self.site.kill(" -m simdeck_deck ")

    def both_killed(self, job: QueuedJob | None) -> None:
        self.site.kill(" -m simdeck_deck ")
        self.site.kill(" -m jupyterhub ")

    # --- the scheduler ------------------------------------------------------------------------------------------

    def controller_frozen(self, job: QueuedJob | None) -> None:
        pid = self.site.trial.slurm.daemons["controller"].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            self._unknown()
        finally:
            os.kill(pid, signal.SIGCONT)

    def controller_ended(self, job: QueuedJob | None) -> None:
        slurm = self.site.trial.slurm
        slurm.stop_daemon("controller")
        try:
            self._unknown()
        finally:
            slurm.start_controller()

    def controller_ended_and_hub_killed(self, job: QueuedJob | None) -> None:
        slurm = self.site.trial.slurm
        slurm.stop_daemon("controller")
        try:
            self._unknown()
            self.site.kill(" -m jupyterhub ")
            # The new hub has nobody to ask.
            self._unknown()
        finally:
            slurm.start_controller()

    def squeue_fails(self, job: QueuedJob | None) -> None:
        self._squeue("fail")

    def squeue_hangs(self, job: QueuedJob | None) -> None:
        self._squeue("hang")

    def squeue_prints_garbage(self, job: QueuedJob | None) -> None:
        self._squeue("garbage")

    def squeue_prints_nothing(self, job: QueuedJob | None) -> None:
        """A good status and no jobs at all: the answer of a controller that has lost its memory for a moment."""
        begun = self.site.calls()
        self.site.squeue("empty")
        try:
            wait_for("the site to believe it three times", lambda: self.site.calls() >= begun + 3, 300)
        finally:
            self.site.squeue("")

    def _squeue(self, mode: str) -> None:
        self.site.squeue(mode)
        try:
            self._unknown()
        finally:
            self.site.squeue("")

    def _unknown(self) -> None:
        """Wait until the site says that the scheduler does not answer."""
        wait_for("the outage to be noticed", lambda: self.site.scheduler_known() is False, NOTICED_SECONDS)

    # --- nodes and jobs -----------------------------------------------------------------------------------------

    def node_lost(self, job: QueuedJob | None) -> None:
        """Pull a node's plug, with all that runs on it, and put it in again once Slurm has given up on it."""
        slurm = self.site.trial.slurm
        name = (job.node if job else "") or "cn1"
        node = slurm.nodes[name].node
        slurm.stop_node(name)
        # Slurm would find out by itself in half a minute.
        self.site.nodes("DOWN", name)
        # A node that is back before Slurm has taken its jobs away loses what Slurm starts on it meanwhile; Slurm finds
        # that out by itself, but only after minutes.
        wait_for("the jobs to leave the node", lambda: not self._on(name), 180)
        slurm.start_node(node)

    def _on(self, node: str) -> bool:
        return any(job.node == node and job.state == "RUNNING" for job in self.site.jobs())

    def requeue(self, job: QueuedJob | None) -> None:
        assert job is not None
        self.site.slurm("scontrol", "requeue", job.id)

    def link_down(self, job: QueuedJob | None) -> None:
        node = (job.node if job else "") or "cn1"
        cable = self.site.trial.slurm.nodes[node]
        machine.run(["ip", "link", "set", cable.link, "down"])
        try:
            address = str(cable.node.address)
            for _ in range(3):
                # Each try waits for an answer for a second; the site's own requests fail meanwhile.
                wait_for("the node not to answer", lambda: not answers(address, SLURMD_PORT), 10)
        finally:
            machine.run(["ip", "link", "set", cable.link, "up"])
        wait_for("the node to answer", lambda: answers(address, SLURMD_PORT), 30)

    def job_cancelled(self, job: QueuedJob | None) -> None:
        assert job is not None
        self.site.slurm("scancel", job.id)

    def cancelled_unseen(self, job: QueuedJob | None) -> None:
        """The job ends while no hub looks."""
        self.hub_killed(job)
        self.job_cancelled(job)

    def requeued_unseen(self, job: QueuedJob | None) -> None:
        """The job is started again while no hub looks."""
        self.hub_killed(job)
        self.requeue(job)

    def walltime_reached(self, job: QueuedJob | None) -> None:
        assert job is not None
        self.site.slurm("scontrol", "update", f"JobId={job.id}", "EndTime=now+2")


ENDS_ITS_JOB = {"job_cancelled", "cancelled_unseen", "walltime_reached"}
NEEDS_A_JOB = {"job_cancelled", "cancelled_unseen"}
"""What may be struck as soon as there is a job."""
NEEDS_A_RUNNING_JOB = {"requeue", "requeued_unseen", "walltime_reached"}
NIGHTLY = int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "0")) >= 100
# A lost node's job may stay "RUNNING" in the controller's books for minutes after its processes are gone, when the node
# is back soon: which of its two endings comes is Slurm's to say, and takes longer than a round of the everyday tests.
EVERYDAY: tuple[str, ...] = (
    "hub_killed", "deck_killed", "both_killed", "controller_frozen", "controller_ended",
    "controller_ended_and_hub_killed", "squeue_fails", "squeue_hangs", "squeue_prints_garbage",
    "squeue_prints_nothing",
    "requeue", "link_down", "job_cancelled", "cancelled_unseen", "requeued_unseen", "walltime_reached",
)  # fmt: skip
EVERY = (*EVERYDAY, "node_lost") if NIGHTLY else EVERYDAY


def plan(dice: random.Random, rounds: int) -> list[Round]:
    """Return what the rounds shall be; every fault gets its turns, their order and moments are random."""
    planned: list[Round] = []
    order: list[str] = []
    for number in range(rounds):
        order = order or dice.sample(EVERY, len(EVERY))
        fault = order.pop()
        moments = MOMENTS[3:] if fault in NEEDS_A_RUNNING_JOB else MOMENTS[1:] if fault in NEEDS_A_JOB else MOMENTS
        moment = dice.choice(moments)
        pause = dice.uniform(0.0, 0.5 if moment == "asking" else 3.0)
        planned.append(Round(number, fault, moment, pause, dice.randint(1, 2), dice.sample(SERVERS, len(SERVERS))))
    return planned


class Rounds:
    """Rounds on one site, one after the other: servers that outlive a round are there in the next."""

    def __init__(self, site: ChaosSite) -> None:
        self.site = site
        self.alive: dict[Server, str] = {}
        """Servers that must run, the oldest first, and the ids of their jobs."""
        self.ending: list[Server] = []
        """Servers that were asked to end in the last round, and may not have yet."""

    def play(self, one: Round) -> None:
        """Do one round and hold the site to its promises.

        Raises
        ------
        AssertionError
            A job without a server, a server without its job, or two jobs of one server.
        """
        site = self.site
        for each in self.ending if one.moment != "asking" else []:
            site.wait_phase(*each, "none", seconds=60)
        before = {job.id for job in site.jobs("all")}
        if one.moment == "queued":
            site.nodes("DRAIN")
        fresh = [each for each in one.order if each not in self.alive and each not in self.ending]
        one.servers = fresh[: 0 if one.moment == "running" and self.alive else one.count]
        victim = self._start_and_strike(one)
        site.nodes_in_order()
        struck = {victim} if one.fault in ENDS_ITS_JOB else set()
        for user, server in [*self.alive, *one.servers]:
            if (user, server) in struck:
                view = site.wait_phase(user, server, "failed", seconds=150)
                assert view["failure"]["code"], view
                assert view["failure"]["detail"], view
            elif _wait_settled(site, user, server, may_fail=one.fault == "node_lost") == "failed":
                # A job that Slurm starts again on a node that is just coming back may be ended with the node for good.
                struck.add((user, server))
        self._check(one, before, struck)
        if len(self.alive) > KEPT:
            oldest = next(iter(self.alive))
            del self.alive[oldest]
            site.stop(*oldest)
            self.ending = [oldest]

    def _start_and_strike(self, one: Round) -> Server:
        """Start the round's servers, do the harm at its moment, and return the server that was aimed at."""
        site = self.site
        hurt: Callable[[QueuedJob | None], None] = getattr(Faults(site), one.fault)
        victim = next(each for each in [*one.servers, *one.order] if each in one.servers or each in self.alive)

        def strike(job: QueuedJob | None) -> None:
            if one.moment in {"asking", "starting"}:
                eventually("the moment", lambda: None, one.pause)
            hurt(job)

        with ThreadPoolExecutor(1) as beside:
            struck = beside.submit(strike, None) if one.moment == "asking" else None
            for user, server in one.servers:
                site.start(user, server)
            if struck is not None:
                struck.result()
        if struck is None:
            strike(self._job_of(victim, one))
        return victim

    def _job_of(self, victim: Server, one: Round) -> QueuedJob | None:
        site = self.site
        if one.moment == "running":
            for each in one.servers:
                site.wait_phase(*each, "running")
        elif one.moment == "starting" and one.fault not in NEEDS_A_JOB:
            return None

        def its_job() -> QueuedJob | None:
            name = (site.view(*victim).get("job") or {}).get("name")
            return site.job(name) if name else None

        return wait_for(f"the job of {victim}", its_job, 180)

    def _check(self, one: Round, before: set[str], struck: set[Server]) -> None:
        """Each server that must live has the one job it had, and there are no others."""
        site = self.site
        for each in self.ending:
            site.wait_phase(*each, "none", seconds=60)
        self.ending = []
        known = set()
        for each in [*self.alive, *one.servers]:
            if each in struck:
                self.alive.pop(each, None)
                continue
            job = site.view(*each)["job"]
            assert self.alive.setdefault(each, job["id"]) == job["id"]
            known.add((job["id"], job["name"], each[0]))

        def living() -> set[tuple[str, str, str]]:
            jobs = [job for job in site.jobs() if job.state not in {"COMPLETING", "CANCELLED"}]
            return {(job.id, job.name, job.user) for job in jobs}

        assert living() == known
        made = [job for job in site.jobs("all") if job.id not in before]
        one.jobs = sorted(job.id for job in made)
        # Slurm remembers every job of the last minutes: as many as servers were asked for, each of a name of its own.
        assert len({job.name for job in made}) == len({job.id for job in made}) == len(one.servers), made

    def finish(self) -> None:
        """End what still runs; nothing may be left."""
        for each in self.alive:
            self.site.stop(*each)
        wait_for("the queue to be empty", lambda: not self.site.jobs(), 180)
        for each in [*self.alive, *self.ending]:
            self.site.wait_phase(*each, "none", seconds=60)


def _wait_settled(site: ChaosSite, user: str, server: str, *, may_fail: bool) -> str:
    """Return the phase: running and reachable, or, where it ``may_fail``, ended by its node as the page says."""
    seen: dict[str, Any] = {}

    def there() -> bool:
        site.hurry()
        seen.update(site.view(user, server))
        if may_fail and seen["phase"] == "failed":
            return bool(seen["failure"]["code"] == "server-node-failure")
        return seen["phase"] == "running" and site.answers(user, server)

    try:
        wait_for(f"{user}/{server} to run and answer", there, 300)
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen}; {site.last_answer}; {site.jobs('all')[-6:]}") from None
    return str(seen["phase"])


def answers(address: str, port: int) -> bool:
    """Return whether somebody takes connections there within a second."""
    try:
        socket.create_connection((address, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def told(rounds: list[Round], seed: int) -> str:
    """Return what was done so far, for a failure's message."""
    return f"SIMDECK_CHAOS_SEED={seed}; " + "; ".join(str(asdict(one)) for one in rounds)
