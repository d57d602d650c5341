"""One cluster: asks it, submits to it, ends jobs on it. Combines an executor with Slurm's argument lists and parsers.

What the scheduler says is told apart with care: it refused (``cluster-refused``), it did not answer
(``cluster-unavailable``), or it is not known whether it did what was asked (``cluster-submit-unknown``: look for the
job by its name before anything else).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from simdeck_common.problems import Problem

from simdeck_clusters import refusals
from simdeck_clusters.calls import Calls
from simdeck_clusters.executor import Done, Executor
from simdeck_clusters.models import (
    Association,
    EndRecord,
    Estimate,
    Job,
    JobEnd,
    Node,
    Partition,
    Reservation,
)
from simdeck_clusters.records import end_record
from simdeck_clusters.records import from_record as from_record
from simdeck_clusters.settings import ClusterSettings
from simdeck_clusters.slurm import argv, facts, parse

HISTORY_SECONDS = 14 * 86400.0
T = TypeVar("T")


@dataclass(frozen=True)
class ServerFiles:
    """What a server left in its folder: the end of its log, its end record, the names of its files."""

    log: str = ""
    end: EndRecord | None = None
    files: tuple[str, ...] = ()


class Cluster:
    """A Slurm cluster behind an executor.

    Parameters
    ----------
    settings
        The site file's entry.
    executor
        How commands get there (``executor.make_executor``).
    mark
        Makes the secret mark of each `squeue` call; tests may fix it.
    """

    def __init__(
        self, settings: ClusterSettings, executor: Executor, *, mark: Callable[[], str] = lambda: secrets.token_hex(5)
    ) -> None:
        self.settings = settings
        self.executor = executor
        self.accounting: bool | None = {"on": True, "off": False}.get(settings.accounting)
        """Whether `sacct` answers; ``None`` while not found out."""
        self.calls = Calls()
        self._mark = mark
        self._known: dict[tuple[str, ...], Job] = {}

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.settings.name

    # --- asking -----------------------------------------------------------------------------------------------------

    async def queue(self) -> list[Job]:
        """Return everybody's waiting and running jobs: one `squeue`.

        Raises
        ------
        Problem
            ``cluster-unavailable``: it did not answer, or not with what `squeue` prints.
        """
        mark = self._mark()
        out = await self._ask(argv.queue(mark))
        jobs: dict[tuple[str, ...], Job] = {}
        try:
            for count, fields in enumerate(parse.records(out, mark)):
                # Most records are those of the last call: a long queue must not hold up whoever shares this loop.
                key = tuple(fields)
                jobs[key] = self._known.get(key) or parse.queued(fields)
                if count % 200 == 199:
                    await asyncio.sleep(0)
        except parse.Garbled as error:
            raise self._unavailable(f"its answer makes no sense ({error})") from None
        self._known = jobs
        return list(jobs.values())

    async def find_by_name(self, name: str, user: str) -> list[Job]:
        """Return a user's jobs of one name, asked now, those included that ended lately; never another user's.

        Raises
        ------
        Problem
            ``cluster-unavailable``: nothing is known, so none may be taken for missing.
        """
        mark = self._mark()
        jobs = self._read(await self._ask(argv.queue_by_name(name, mark)), lambda out: parse.queue(out, mark))
        return [job for job in jobs if job.user == user and job.name == name]

    async def job(self, job_id: str) -> tuple[Job, JobEnd | None] | None:
        """Return what the controller knows of a job, and its end; ``None`` when it says that there is no such job.

        Raises
        ------
        Problem
            ``cluster-unavailable``.
        """
        done = await self._run(argv.show_job(job_id))
        if not done.unreached and done.code != 0 and refusals.is_no_such_job(done.message):
            return None
        return self._read(self._answered(done), facts.job)

    async def history(self, job_id: str) -> JobEnd | None:
        """Return how a job ended, from accounting where it exists and knows, else from the controller.

        ``None`` when neither remembers the job or it has not ended.

        Raises
        ------
        Problem
            ``cluster-unavailable``: nobody could be asked.
        """
        shown = await self.job(job_id)
        if shown is not None and shown[1] is None:
            return None
        return await self.accounted(job_id, shown[1] if shown is not None else None)

    async def accounted(self, job_id: str, end: JobEnd | None = None) -> JobEnd | None:
        """Return a job's end from accounting, or ``end`` (the controller's word) where that does not know better."""
        accounted = await self._accounted(job_id)
        if accounted is None:
            return end
        if end is not None and not accounted.state.ended:
            # The accounting database is told later than the controller knows.
            return end
        if not accounted.state.ended:
            return None
        if end is None:
            return accounted
        # For a moment after the end the database may have the state without what the job had asked for.
        return replace(
            accounted,
            nodes=accounted.nodes or end.nodes,
            memory_limit_mb=accounted.memory_limit_mb or end.memory_limit_mb,
            walltime_minutes=accounted.walltime_minutes or end.walltime_minutes,
        )

    async def history_by_name(self, name: str, user: str, seconds: float = HISTORY_SECONDS) -> list[JobEnd]:
        """Return a user's jobs of one name over the last ``seconds`` accounting remembers, running too."""
        if self.accounting is False:
            return []
        done = await self._run(argv.history_by_name(name, user, seconds))
        return self._read(done.out, facts.history) if self._has_accounting(done) else []

    async def nodes(self) -> dict[str, Node]:
        """Return the nodes by name."""
        return self._read(await self._ask(argv.show_nodes()), facts.nodes)

    async def partitions(self) -> dict[str, Partition]:
        """Return the partitions by name."""
        return self._read(await self._ask(argv.show_partitions()), facts.partitions)

    async def reservations(self) -> dict[str, Reservation]:
        """Return the reservations by name."""
        return self._read(await self._ask(argv.show_reservations()), facts.reservations)

    async def associations(self) -> tuple[Association, ...] | None:
        """Return who may charge what; ``None`` where no accounts are kept."""
        if self.accounting is False:
            return None
        done = await self._run(argv.associations())
        if not self._has_accounting(done):
            return None
        users, usage = await self._run(argv.users()), await self._run(argv.usage())
        return self._read(
            done.out,
            lambda out: facts.associations(out, users.out if users.ok else "", usage.out if usage.ok else ""),
        )

    async def version(self) -> str:
        """Return the version of Slurm's commands, "22.05.8"."""
        return parse.version(await self._ask(argv.version()))

    async def node_address(self, node: Node) -> str:
        """Return the address the hub reaches a node at: its name, or Slurm's NodeAddr, as the settings say.

        "auto" takes the node's host name when it resolves, else NodeAddr.
        """
        return await node_address(self.settings.node_address, node)

    # --- acting as a user -------------------------------------------------------------------------------------------

    async def submit(self, user: str, server: str, script: str) -> str:
        """Submit ``script`` as ``user`` for the server's folder ``server``; return the job's id.

        The script carries the job's name, which the caller has stored before.

        Raises
        ------
        Problem
            ``cluster-refused`` (with ``field`` where the words name one), ``cluster-unavailable`` (surely not
            submitted) or ``cluster-submit-unknown``.
        """
        done = await self._run(argv.launch_submit(server, self.name), user=user, stdin=script.encode())
        if done.unreached or (done.code != 0 and refusals.may_have_happened(done.code, done.message)):
            raise Problem("cluster-submit-unknown", cluster=self.settings.label, reason=done.message)
        if done.code != 0:
            raise self._refusal(done, "sbatch", user)
        try:
            return parse.submitted(done.out)
        except parse.Garbled as error:
            raise Problem("cluster-submit-unknown", cluster=self.settings.label, reason=error) from None

    async def estimate(self, user: str, server: str, script: str) -> Estimate:
        """Return when ``script`` would start if it were submitted now (`sbatch --test-only`).

        Raises
        ------
        Problem
            ``cluster-refused`` or ``cluster-unavailable``.
        """
        done = await self._run(argv.launch_test(server, self.name), user=user, stdin=script.encode())
        if done.unreached:
            raise self._unavailable(done.message)
        if done.code != 0:
            raise self._refusal(done, "sbatch-test", user)
        return self._read(done.err + "\n" + done.out, parse.estimate)

    async def cancel(self, user: str, job_id: str) -> None:
        """End the user's job; a job that is over already is well.

        Raises
        ------
        Problem
            ``cluster-unavailable`` or ``cluster-refused``.
        """
        await self._act("scancel", user, argv.launch_cancel(job_id, self.name))

    async def signal(self, user: str, job_id: str, signal: str) -> None:
        """Send ``signal`` ("USR1", "TERM" …) to the batch script of the user's job; errors as of ``cancel``."""
        await self._act("signal", user, argv.launch_signal(job_id, signal, self.name))

    async def write(self, user: str, server: str, files: Mapping[str, Any]) -> None:
        """Write files (name → text, or an object that becomes JSON) into the server's folder, closed to all others.

        Raises
        ------
        Problem
            ``cluster-launcher-failed`` or ``cluster-unavailable``.
        """
        body = json.dumps({"files": dict(files)}).encode()
        await self._act("write", user, argv.launch("write", argv.name(server)), body)

    async def read(self, user: str, server: str) -> ServerFiles:
        """Return what the server left in its folder; errors as of ``write``."""
        out = await self._act("read", user, argv.launch("read", argv.name(server)))
        try:
            answer = json.loads(out)
            return ServerFiles(str(answer["log"]), end_record(answer["end"]), tuple(map(str, answer["files"])))
        except (ValueError, KeyError, TypeError) as error:
            raise self._launcher("read", user, f"unexpected answer ({error})") from None

    async def clean(self, user: str, server: str) -> None:
        """Remove the server's folder; errors as of ``write``."""
        await self._act("clean", user, argv.launch("clean", argv.name(server)))

    async def check(self, user: str) -> dict[str, Any]:
        """Return what the launcher finds of the user's side, for `simdeck doctor`; errors as of ``write``."""
        out = await self._act("check", user, argv.launch("check"))
        try:
            return dict(json.loads(out))
        except (ValueError, TypeError) as error:
            raise self._launcher("check", user, f"unexpected answer ({error})") from None

    # --- within -----------------------------------------------------------------------------------------------------

    async def _run(self, words: list[str], *, user: str | None = None, stdin: bytes = b"") -> Done:
        began = time.monotonic()
        command = words[1] if words[0] == argv.LAUNCHER else words[0]
        words = argv.with_programs(words, self.settings.slurm_bin)
        done = await self.executor.run(words, user=user, stdin=stdin, timeout=self.settings.command_timeout)
        outcome = "unreached" if done.unreached else "ok" if done.ok else "failed"
        self.calls.count(command, outcome, time.monotonic() - began)
        return done

    async def _ask(self, words: list[str]) -> str:
        return self._answered(await self._run(words))

    def _answered(self, done: Done) -> str:
        if not done.ok:
            raise self._unavailable(done.message)
        return done.out

    def _read(self, out: str, parser: Callable[[str], T]) -> T:
        try:
            return parser(out)
        except parse.Garbled as error:
            raise self._unavailable(f"its answer makes no sense ({error})") from None

    async def _act(self, verb: str, user: str, words: list[str], stdin: bytes = b"") -> str:
        done = await self._run(words, user=user, stdin=stdin)
        if done.unreached or (done.code != 0 and refusals.is_outage(done.message)):
            raise self._unavailable(done.message)
        if done.code != 0:
            if verb in {"scancel", "signal"} and refusals.is_no_such_job(done.message):
                return ""
            raise self._refusal(done, verb, user)
        return done.out

    async def _accounted(self, job_id: str) -> JobEnd | None:
        if self.accounting is False:
            return None
        done = await self._run(argv.history(job_id))
        if not self._has_accounting(done):
            return None
        runs = self._read(done.out, facts.history)
        return runs[-1] if runs else None

    def _has_accounting(self, done: Done) -> bool:
        if done.ok:
            if self.settings.accounting == "auto":
                self.accounting = True
            return True
        if not done.unreached and refusals.is_no_accounting(done.message) and self.settings.accounting == "auto":
            self.accounting = False
        return False

    def _unavailable(self, reason: object) -> Problem:
        return Problem("cluster-unavailable", cluster=self.settings.label, reason=reason)

    def _launcher(self, verb: str, user: str, reason: object) -> Problem:
        return Problem("cluster-launcher-failed", verb=verb, user=user, reason=reason)

    def _refusal(self, done: Done, verb: str, user: str) -> Problem:
        if refusals.is_outage(done.message):
            return self._unavailable(done.message)
        if verb in {"write", "read", "clean", "check"} or refusals.is_launcher(done.message):
            return self._launcher(verb, user, done.message)
        field, hint = refusals.explain(done.message)
        return Problem(
            "cluster-refused",
            field=field,
            cluster=self.settings.label,
            reason=refusals.words(done.message),
            hint=hint,
        )


async def node_address(kind: str, node: Node) -> str:
    """Return a node's address by ``kind`` ("auto", "name", "address"); resolving is done off the event loop."""
    if kind == "address":
        return node.address
    if kind == "name":
        return node.host
    try:
        await asyncio.get_running_loop().getaddrinfo(node.host, None, type=socket.SOCK_STREAM)
    except OSError:
        return node.address
    return node.host
