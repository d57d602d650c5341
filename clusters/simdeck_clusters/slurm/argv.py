"""The commands asked of Slurm, as argument lists. Every value is checked here once more; nothing meets a shell.

Commands for the service's own questions begin with the Slurm program's bare name; what is done as a user goes through
the launcher's verbs (``docs/contracts.md``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

LAUNCHER = "simdeck-launch"
"""First word of an argument list that an executor turns into a call of the launcher."""

ENVIRONMENT = {"SLURM_TIME_FORMAT": "%s", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
"""What commands get in their environment: times as seconds since the epoch, messages in English."""

QUEUE_FIELDS = "iuTPraqNBVSelQCmbvDjk"
"""`squeue -o` letters, in the order ``parse.queue`` reads them; known since long before Slurm 22.05."""

HISTORY_FIELDS = "JobIDRaw,User,State,ExitCode,Reason,Start,End,NodeList,MaxRSS,ReqMem,TimelimitRaw,NNodes,ReqCPUS"
"""`sacct` fields, in the order ``parse.history`` reads them. No text of a user's is among them."""

_ID = re.compile(r"[1-9][0-9]{0,11}(?:[_+][0-9]{1,9})?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
_MARK = re.compile(r"[a-z0-9]{8,32}")
_SIGNAL = frozenset({"HUP", "INT", "TERM", "USR1", "USR2"})


def _checked(pattern: re.Pattern[str], value: str, what: str) -> str:
    if pattern.fullmatch(value) is None:
        raise ValueError(f"not a {what}: {value[:60]!r}")
    return value


def job_id(value: str) -> str:
    """Return ``value`` when it is a Slurm job id.

    Raises
    ------
    ValueError
        It is not.
    """
    return _checked(_ID, value, "job id")


def name(value: str) -> str:
    """Return ``value`` when it may name a job or a server's folder.

    Raises
    ------
    ValueError
        It may not.
    """
    return _checked(_NAME, value, "name")


def queue_format(mark: str) -> str:
    """Return the `squeue` format whose records begin with ``mark`` and whose fields are set apart by it.

    Other people's job names may hold anything, even line ends. Only who knows the mark, made new for each call, could
    write something that reads as a record.
    """
    _checked(_MARK, mark, "mark")
    return f"<{mark}>" + f"|{mark}|".join(f"%{letter}" for letter in QUEUE_FIELDS) + f"</{mark}>"


def queue(mark: str) -> list[str]:
    """Everybody's waiting and running jobs, in one call; array tasks that wait are one line."""
    return ["squeue", "--noheader", "--all", "-o", queue_format(mark)]


def queue_by_name(job_name: str, mark: str) -> list[str]:
    """Jobs of one name in any state Slurm still remembers."""
    return ["squeue", "--noheader", "--all", "--states=all", f"--name={name(job_name)}", "-o", queue_format(mark)]


def show_job(job: str) -> list[str]:
    """One job, for as long as Slurm remembers it (MinJobAge, usually five minutes after its end)."""
    return ["scontrol", "show", "job", job_id(job)]


def show_nodes() -> list[str]:
    """All nodes with addresses, sizes, use and state."""
    return ["scontrol", "show", "node", "--oneliner", "--all", "--details"]


def show_partitions() -> list[str]:
    """All partitions with their limits."""
    return ["scontrol", "show", "partition", "--oneliner", "--all"]


def show_reservations() -> list[str]:
    """All reservations."""
    return ["scontrol", "show", "reservation", "--oneliner", "--all"]


def history(job: str) -> list[str]:
    """What accounting knows of one job and its steps; every run of a requeued job."""
    return [*_sacct(), f"--jobs={job_id(job)}"]


def history_by_name(job_name: str, user: str, seconds: float) -> list[str]:
    """What accounting knows of a user's jobs of one name over the last ``seconds``."""
    _checked(_NAME, user, "user")
    return [*_sacct(), "--allocations", f"--name={name(job_name)}", f"--user={user}", f"--starttime=now-{int(seconds)}"]


def _sacct() -> list[str]:
    return ["sacct", "--noheader", "--parsable2", "--duplicates", f"--format={HISTORY_FIELDS}"]


def associations() -> list[str]:
    """Who may charge which account, with which QoS."""
    fields = "User,Account,Partition,QOS,DefaultQOS,MaxWall,MaxJobs,GrpTRESMins"
    return ["sacctmgr", "--noheader", "--parsable2", "show", "associations", f"format={fields}"]


def users() -> list[str]:
    """Each user's default account."""
    return ["sacctmgr", "--noheader", "--parsable2", "show", "users", "format=User,DefaultAccount"]


def usage() -> list[str]:
    """What accounts have used of their limits, and fair-share."""
    fields = "Account,User,GrpTRESMins,GrpTRESRaw,FairShare"
    return ["sshare", "--noheader", "--parsable2", "--all", f"--format={fields}"]


def version() -> list[str]:
    """The version of Slurm's commands; asks no controller."""
    return ["squeue", "--version"]


def ping() -> list[str]:
    """Whether the controller answers."""
    return ["scontrol", "ping"]


def launch(verb: str, *arguments: str) -> list[str]:
    """A verb of the launcher with its arguments, for an executor to run as a user."""
    return [LAUNCHER, verb, *arguments]


def launch_submit(server: str, cluster: str) -> list[str]:
    """Submit the script on standard input for the server's folder."""
    return launch("sbatch", name(server), cluster)


def launch_test(server: str, cluster: str) -> list[str]:
    """Ask when the script on standard input would start."""
    return launch("sbatch-test", name(server), cluster)


def launch_cancel(job: str, cluster: str) -> list[str]:
    """End the user's job."""
    return launch("scancel", job_id(job), cluster)


def launch_signal(job: str, signal: str, cluster: str) -> list[str]:
    """Signal the user's job's batch script."""
    if signal not in _SIGNAL:
        raise ValueError(f"not a signal for jobs: {signal[:20]!r}")
    return launch("signal", job_id(job), signal, cluster)


def with_programs(argv: Sequence[str], folder: str | None) -> list[str]:
    """Return ``argv`` with Slurm's program by its full path, where a folder is given."""
    if folder is None or argv[0] == LAUNCHER:
        return list(argv)
    return [f"{folder.rstrip('/')}/{argv[0]}", *argv[1:]]


def known_programs() -> Iterable[str]:
    """Return the Slurm programs this room calls; `simdeck doctor` looks for them."""
    return ("sbatch", "squeue", "scancel", "scontrol", "sacct", "sacctmgr", "sshare")
