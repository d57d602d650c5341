"""A Slurm that is not there: an executor that answers our own commands as Slurm and the launcher would.

For tests of what stands on a cluster, at any size and without waiting: it understands the argument lists of
``slurm.argv`` and nothing else, keeps a clock of its own, counts every call, and fails on demand.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simdeck_clusters import simulated_output
from simdeck_clusters.clock import Clock
from simdeck_clusters.executor import Done, as_launcher
from simdeck_clusters.models import JobState
from simdeck_clusters.simulation import (
    Machine,
    SimulatedClock,
    SimulatedJob,
    SimulatedNode,
)

__all__ = ["Fault", "SimulatedClock", "SimulatedJob", "SimulatedNode", "SimulatedSlurm"]

OUTAGE = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
GARBAGE = "\x00\x01 %!s(MISSING) slurm: free(): invalid pointer\n??"
KINDS = ("error", "hang", "garbage", "slow", "lost", "empty", "cut", "refuse")


@dataclass
class Fault:
    """How a command fails.

    ``kind``: ``error`` (the controller cannot be reached), ``hang`` (no answer until the time limit), ``garbage``,
    ``slow`` (answers after ``seconds``), ``lost`` (does its work, but the answer never comes), ``empty`` (succeeds and
    prints nothing), ``cut`` (the output breaks off), ``refuse`` (Slurm refuses, with ``message``).
    """

    kind: str
    left: int | None = None
    seconds: float = 1.0
    message: str = ""


class SimulatedSlurm:
    """An ``Executor`` with a cluster of its own behind it.

    Parameters
    ----------
    nodes
        The nodes, or how many (of 32 cores and 128,000 MiB).
    clock
        Time; give ``RealClock()`` to use it under a real hub.
    accounting
        Whether `sacct` and `sacctmgr` answer.
    accounts
        User → accounts, the default one first; with ``accounting`` only.
    """

    def __init__(
        self,
        nodes: int | Sequence[SimulatedNode] = 4,
        *,
        clock: Clock | None = None,
        accounting: bool = False,
        accounts: dict[str, list[str]] | None = None,
        max_minutes: dict[str, int] | None = None,
    ) -> None:
        made = [SimulatedNode(f"cn{n}") for n in range(1, nodes + 1)] if isinstance(nodes, int) else list(nodes)
        self.clock: Clock = clock or SimulatedClock()
        self.machine = Machine(made, max_minutes=max_minutes)
        self.accounting = accounting
        self.accounts = accounts or {}
        self.calls: Counter[str] = Counter()
        """How often each command (a launcher's verb by its name) was run."""
        self.call_times: list[tuple[float, str]] = []
        self.files: dict[tuple[str, str], dict[str, str]] = {}
        """Files of each (user, server) as ``write`` left them; ``read`` shows ``job.log`` and ``end.json``."""
        self._faults: dict[str, Fault] = {}
        self._commands: dict[str, Callable[[list[str]], Done]] = {
            "squeue": self._squeue,
            "scontrol": self._scontrol,
            "sacct": self._sacct,
            "sacctmgr": self._sacctmgr,
            "sshare": lambda _: self._accounted(""),
        }

    # --- what a test does -------------------------------------------------------------------------------------------

    def fault(
        self, command: str, kind: str, *, times: int | None = None, seconds: float = 1.0, message: str = ""
    ) -> None:
        """Let ``command`` ("squeue", "sbatch" …, "*" for all) fail, the next ``times`` or until ``heal``."""
        if kind not in KINDS:
            raise ValueError(f"kinds of faults are {', '.join(KINDS)}")
        self._faults[command] = Fault(kind, times, seconds, message)

    def heal(self, command: str | None = None) -> None:
        """End the fault of ``command``, or all of them."""
        if command is None:
            self._faults.clear()
        else:
            self._faults.pop(command, None)

    def tick(self) -> None:
        """Let everything happen that is due."""
        self.machine.catch_up(self.clock.time())

    def jobs(self, *, user: str | None = None, name: str | None = None, active: bool = True) -> list[SimulatedJob]:
        """Return jobs, the oldest first; with ``active`` only those that wait or run."""
        self.tick()
        return [
            job
            for job in self.machine.jobs.values()
            if (user is None or job.user == user)
            and (name is None or job.name == name)
            and not (active and job.state.ended)
        ]

    def job(self, job_id: str) -> SimulatedJob:
        """Return a job by its id."""
        self.tick()
        return self.machine.jobs[job_id]

    def finish(self, job_id: str, code: int = 0, state: JobState | None = None, signal: int = 0) -> None:
        """End a job by itself, with an exit status."""
        chosen = state or (JobState.FAILED if code or signal else JobState.COMPLETED)
        self.machine.end(self.job(job_id), chosen, self.clock.time(), code=code, signal=signal)

    def cancel(self, job_id: str, by: str = "") -> None:
        """Cancel a job behind everybody's back."""
        self.machine.end(self.job(job_id), JobState.CANCELLED, self.clock.time(), signal=15, by=by)

    def requeue(self, job_id: str, pause: float = 0.0) -> None:
        """Put a running job back into the queue."""
        self.machine.requeue(self.job(job_id), self.clock.time(), pause=pause)
        self.tick()

    def preempt(self, job_id: str) -> None:
        """Take a job's node away: it goes back into the queue where it may, else it ends."""
        job = self.job(job_id)
        if job.requeue:
            self.requeue(job_id, pause=60.0)
        else:
            self.machine.end(job, JobState.PREEMPTED, self.clock.time(), signal=15)

    def node_down(self, name: str) -> None:
        """Take a node out of service with what runs on it."""
        self.machine.fail_node(name, self.clock.time())

    def node_up(self, name: str) -> None:
        """Put a node back into service."""
        self.machine.nodes[name].down = False
        self.machine.changed()
        self.tick()

    def hold(self, job_id: str, reason: str = "JobHeldAdmin") -> None:
        """Hold a waiting job; an empty reason lets it go."""
        self.job(job_id).held = reason
        self.machine.changed()
        self.tick()

    def forget(self, job_id: str) -> None:
        """Make the controller forget a job that ended."""
        self.machine.forgotten.add(job_id)

    def rate(self, command: str, seconds: float) -> float:
        """Return how often a second ``command`` was run over the last ``seconds``."""
        begin = self.clock.time() - seconds
        return sum(1 for when, name in self.call_times if name == command and when > begin) / seconds

    # --- the executor -----------------------------------------------------------------------------------------------

    async def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        stdin: bytes = b"",
        timeout: float = 20.0,  # noqa: ASYNC109
    ) -> Done:
        """Answer a command as Slurm would, or as its fault says."""
        words = list(argv)
        launching = as_launcher(words, user)
        name = words[1] if launching else words[0].rsplit("/", 1)[-1]
        command = "sbatch" if name == "sbatch-test" else name
        self.calls[name] += 1
        self.call_times.append((self.clock.time(), name))
        await asyncio.sleep(0)
        fault = self._fault(name) or self._fault(command) or self._fault("*")
        if fault is not None and fault.kind == "error":
            return Done(1, err=OUTAGE)
        if fault is not None and fault.kind == "refuse":
            return Done(1, err=fault.message or "sbatch: error: Batch job submission failed: Access/permission denied")
        if fault is not None and fault.kind == "hang":
            await self.clock.wait(asyncio.Event(), timeout)
            return Done(-9, err=f"{name} did not answer within {timeout:g} seconds", unreached=True)
        if fault is not None and fault.kind == "slow":
            await self.clock.wait(asyncio.Event(), min(fault.seconds, timeout))
            if fault.seconds > timeout:
                return Done(-9, err=f"{name} did not answer within {timeout:g} seconds", unreached=True)
        self.tick()
        done = self._launch(words[1:], str(user), stdin) if launching else self._service(name, words)
        self.tick()
        if fault is not None and fault.kind == "lost":
            return Done(-9, err=f"{name}: Socket timed out on send/recv operation", unreached=True)
        if fault is not None and fault.kind in {"garbage", "empty", "cut"}:
            kept = {"garbage": GARBAGE, "empty": "", "cut": done.out[: max(1, len(done.out) // 2)]}[fault.kind]
            return Done(0, kept)
        return done

    def _fault(self, name: str) -> Fault | None:
        fault = self._faults.get(name)
        if fault is not None and fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                del self._faults[name]
        return fault

    def _service(self, name: str, words: list[str]) -> Done:
        if name == "squeue" and "--version" in words:
            return Done(0, "slurm 24.05.3\n")
        answer = self._commands.get(name)
        return answer(words[1:]) if answer is not None else Done(127, err=f"{name}: command not found", unreached=True)

    # --- the launcher's verbs ---------------------------------------------------------------------------------------

    def _launch(self, words: list[str], user: str, stdin: bytes) -> Done:
        verb, *rest = words
        if verb == "write":
            files = json.loads(stdin)["files"]
            made = {name: text if isinstance(text, str) else json.dumps(text) for name, text in files.items()}
            self.files.setdefault((user, rest[0]), {}).update(made)
            return Done(0)
        if verb in {"sbatch", "sbatch-test"}:
            return self._sbatch(rest[0], user, stdin.decode(), test=verb == "sbatch-test")
        if verb in {"scancel", "signal"}:
            return self._scancel(rest[0], user, rest[1] if verb == "signal" else "")
        if verb == "read":
            files = self.files.get((user, rest[0]), {})
            end = json.loads(files.get("end.json", "null"))
            return Done(0, json.dumps({"log": files.get("job.log", ""), "end": end, "files": sorted(files)}))
        if verb == "clean":
            self.files.pop((user, rest[0]), None)
            return Done(0)
        if verb == "check":
            return Done(0, json.dumps({"user": user, "home": f"/home/{user}", "folder_problem": None}))
        return Done(2, err=f"simdeck-launch: no verb {verb}")

    def _sbatch(self, server: str, user: str, script: str, *, test: bool) -> Done:
        options = dict(re.findall(r"^#SBATCH --([a-z\-]+)(?:=(.*))?$", script, re.MULTILINE))
        gpu = re.fullmatch(r"gpu(?::([^:]+))?:(\d+)", options.get("gres", ""))
        now = self.clock.time()
        job = SimulatedJob(
            id=self.machine.next_id(),
            user=user,
            server=server,
            script=script,
            name=options.get("job-name", "sbatch"),
            comment=options.get("comment", ""),
            partition=options.get("partition", self.machine.partitions[0]),
            cores=int(options.get("cpus-per-task", "1")),
            memory_mb=int(options.get("mem", "1024M").rstrip("M")),
            gpus=int(gpu[2]) if gpu else 0,
            gpu_type=(gpu[1] or "") if gpu else "",
            walltime_minutes=int(options.get("time", "60")),
            submitted=now,
            account=options.get("account", ""),
            qos=options.get("qos", ""),
            reservation=options.get("reservation", ""),
            requeue="requeue" in options,
        )
        refusal = self._refused(job)
        if refusal:
            return Done(1, err=f"sbatch: error: Batch job submission failed: {refusal}")
        if test:
            start = self.machine.expected_start(job, now)
            if start is None:
                return Done(1, err="allocation failure: Requested node configuration is not available")
            where = f"using {job.cores} processors on nodes {start[1]} in partition {job.partition}"
            return Done(0, err=f"sbatch: Job {job.id} to start at {int(start[0])} {where}\n")
        self.machine.add(job, now)
        return Done(0, f"{job.id}\n")

    def _refused(self, job: SimulatedJob) -> str:
        if job.partition not in self.machine.partitions:
            return "Invalid partition name specified"
        if job.account and self.accounting and job.account not in self.accounts.get(job.user, []):
            return "Invalid account or account/partition combination specified"
        if not any(node.could_hold(job) for node in self.machine.nodes.values()):
            return "Requested node configuration is not available"
        if job.walltime_minutes > self.machine.max_minutes.get(job.partition, job.walltime_minutes):
            return "Requested time limit is invalid (missing or exceeds some limit)"
        return ""

    def _scancel(self, job_id: str, user: str, signal: str) -> Done:
        job = self.machine.remembers(job_id, self.clock.time())
        if job is None:
            return Done(1, err=f"scancel: error: Kill job error on job id {job_id}: Invalid job id specified")
        if job.user != user:
            return Done(1, err=f"scancel: error: Kill job error on job id {job_id}: Access/permission denied")
        if signal:
            job.signals.append(signal)
        elif not job.state.ended:
            self.machine.end(job, JobState.CANCELLED, self.clock.time(), signal=15, by=user)
        return Done(0)

    # --- Slurm's own commands ---------------------------------------------------------------------------------------

    def _squeue(self, words: list[str]) -> Done:
        mark = re.match(r"<([a-z0-9]+)>", words[words.index("-o") + 1])
        assert mark is not None
        name = next((word.partition("=")[2] for word in words if word.startswith("--name=")), None)
        every = "--states=all" in words
        if every:
            now = self.clock.time()
            chosen = [job for job in self.machine.jobs.values() if self.machine.remembers(job.id, now)]
        else:
            chosen = [*self.machine.waiting.values(), *self.machine.running.values()]
        lines = [simulated_output.record(job, mark[1]) for job in chosen if name is None or job.name == name]
        return Done(0, "".join(lines))

    def _scontrol(self, words: list[str]) -> Done:
        what = words[1] if words[0] == "show" else words[0]
        if what == "job":
            return self._show_job(words[2])
        if what == "node":
            return Done(0, "".join(simulated_output.node(node) for node in self.machine.nodes.values()))
        if what == "partition":
            return Done(0, "".join(simulated_output.partition(name, self.machine) for name in self.machine.partitions))
        if what == "reservation":
            return Done(0, "No reservations in the system\n")
        return Done(0, "Slurmctld(primary) at vm is UP\n")

    def _show_job(self, job_id: str) -> Done:
        job = self.machine.remembers(job_id, self.clock.time())
        if job is None:
            return Done(1, err="slurm_load_jobs error: Invalid job id specified")
        return Done(0, simulated_output.job(job))

    def _accounted(self, out: str) -> Done:
        return Done(0, out) if self.accounting else Done(1, err="Slurm accounting storage is disabled")

    def _sacct(self, words: list[str]) -> Done:
        values = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
        lines = []
        for job in self.machine.jobs.values():
            if job.id == values.get("jobs") or (job.name == values.get("name") and job.user == values.get("user")):
                by = f" by {job.cancelled_by}" if job.cancelled_by else ""
                fields = [job.id, job.user, job.state.value + by, f"{job.exit_code}:{job.signal}", job.reason]
                fields += [
                    simulated_output.seconds(job.started),
                    simulated_output.seconds(job.ended),
                    job.node,
                    "",
                    f"{job.memory_mb}M",
                ]
                fields += [str(job.walltime_minutes), "1", str(job.cores)]
                lines.append("|".join(fields) + "\n")
        return self._accounted("".join(lines))

    def _sacctmgr(self, words: list[str]) -> Done:
        if "users" in words:
            return self._accounted("".join(f"{user}|{names[0]}\n" for user, names in self.accounts.items() if names))
        lines = [f"{user}|{name}||normal|normal|||\n" for user, names in self.accounts.items() for name in names]
        return self._accounted("".join(lines))
