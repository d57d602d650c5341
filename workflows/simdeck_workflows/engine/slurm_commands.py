"""Slurm's commands as this user's worker calls them: argv lists, what their answers say, and running them bounded.

No shell and no login shell anywhere: a job's environment is the small one made here, not what the worker happens to
have.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simdeck_clusters.models import JobState

from simdeck_workflows.clusters import RunCluster

SEPARATOR = "\x1f"
_FIELDS = ("%i", "%j", "%T", "%r", "%P", "%N")
_KEPT = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PATH")
_NUMBER = re.compile(r"(?m)^(\d+)(?:;\S+)?$")
_PAIR = re.compile(r"(?:^| )([A-Za-z]\w*)=(.*?)(?= [A-Za-z][\w/:]*=|$)")

_LATER = ("MaxSubmit", "MaxJobCount", "temporarily unable", "Resource temporarily unavailable")
"""Refusals that end by themselves: a limit of jobs in the queue, a controller that is busy."""

_REFUSED = re.compile(
    r"(?i)invalid|not permitted|not available|not allowed|violates|denied|exceed|can ?not be satisfied"
    r"|more processors requested|unrecognized|too large|required|does not exist|unable to open file|no such file"
    r"|disabled"
)
_BEFORE_ASKING = re.compile(r"(?i)^sbatch: (?:error|fatal): ?")


class SchedulerSilentError(Exception):
    """The scheduler did not answer, or not in a way that says anything: nothing is known, nothing is gone."""


class LaterError(SchedulerSilentError):
    """The scheduler answers, but what is wanted must wait."""


class RefusedError(Exception):
    """The scheduler refused a job for good; the text is its own sentence."""


@dataclass(frozen=True)
class QueueEntry:
    """A job as ``squeue`` shows it."""

    id: str
    name: str
    state: JobState
    reason: str = ""
    partition: str = ""
    nodes: str = ""


def environment(cluster: RunCluster) -> dict[str, str]:
    """The environment of Slurm's commands, which ``sbatch`` hands to the job."""
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if cluster.slurm_conf is not None:
        env["SLURM_CONF"] = str(cluster.slurm_conf)
    return env


def program(cluster: RunCluster, name: str) -> str:
    """The command's path. Raises ``SchedulerSilentError`` where it is not installed."""
    if cluster.commands is not None:
        return str(cluster.commands / name)
    found = shutil.which(name)
    if found is None:
        raise SchedulerSilentError(f"{name} is not installed on this machine")
    return found


def sbatch(name: str, script: str) -> list[str]:
    """Arguments that submit ``script`` of the present folder under a job name."""
    return ["--parsable", f"--job-name={name}", "--comment=simdeck calculation", "--export=ALL", script]


def squeue(names: list[str] | None = None) -> list[str]:
    """Arguments that list our jobs, also those that ended lately: theirs is the word on how they ended."""
    chosen = [f"--name={','.join(names)}"] if names else []
    return ["--me", "--noheader", "--states=all", f"--format={SEPARATOR.join(_FIELDS)}", *chosen]


def parse_squeue(text: str) -> list[QueueEntry]:
    """The jobs in an answer to :func:`squeue`. Raises ``SchedulerSilentError`` for what is not such an answer."""
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split(SEPARATOR)]
        if len(parts) != len(_FIELDS) or not parts[0][:1].isdigit():
            raise SchedulerSilentError(f"squeue answered something that is not a list of jobs: {line[:100]!r}")
        found.append(QueueEntry(parts[0], parts[1], state_of(parts[2]), parts[3], parts[4], parts[5]))
    return found


def state_of(text: str) -> JobState:
    """The state by Slurm's name; ``scontrol`` adds words such as ``by 1000``."""
    try:
        return JobState(text.split()[0].rstrip("+").upper())
    except (ValueError, IndexError):
        return JobState.UNKNOWN


def parse_sbatch(code: int, out: str, err: str) -> str:
    """The job's id.

    Raises
    ------
    RefusedError
        No such job can be made, now or later.
    LaterError
        There is no job now, and one can be made later.
    SchedulerSilentError
        It is not certain whether there is a job now.
    """
    if code == 0 and (match := _NUMBER.search(out)):
        return match[1]
    words = [_BEFORE_ASKING.sub("", line).strip() for line in err.splitlines() if line.strip()]
    sentence = next((word for word in reversed(words) if "submission failed" in word), words[-1] if words else "")
    sentence = sentence.removeprefix("Batch job submission failed:").strip()
    if code != 0 and any(sign in err for sign in _LATER):
        raise LaterError(sentence)
    if code != 0 and _REFUSED.search(sentence):
        raise RefusedError(sentence)
    raise SchedulerSilentError(sentence or f"sbatch ended with {code} and without a word")


def parse_scontrol(text: str) -> dict[str, str]:
    """The pairs in a one-line answer of ``scontrol show job``."""
    return {match[1]: match[2] for match in _PAIR.finditer(text.strip())}


def run(
    cluster: RunCluster, command: str, arguments: list[str], *, timeout: float, cwd: Path | None = None
) -> tuple[int, str, str]:
    """Run a command; return exit code, output and errors.

    Raises
    ------
    SchedulerSilentError
        It cannot be run, or did not end within ``timeout`` seconds.
    """
    argv = [program(cluster, command), *arguments]
    if command == "sbatch" and (setpriv := shutil.which("setpriv")):
        # A killed worker's sbatch, still waiting for a busy controller, must not submit behind the next worker's back.
        argv = [setpriv, "--pdeathsig", "KILL", "--", *argv]
    options: dict[str, Any] = {"capture_output": True, "stdin": subprocess.DEVNULL, "env": environment(cluster)}
    try:
        done = subprocess.run(argv, cwd=cwd, timeout=timeout, check=False, **options)
    except subprocess.TimeoutExpired:
        raise SchedulerSilentError(f"{command} did not answer within {timeout:g} s") from None
    except OSError as error:
        raise SchedulerSilentError(f"{command} cannot be run: {error}") from error
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def ask_queue(cluster: RunCluster, names: list[str] | None = None, *, timeout: float = 20.0) -> list[QueueEntry]:
    """Our jobs now. Raises ``SchedulerSilentError``."""
    code, out, err = run(cluster, "squeue", squeue(names), timeout=timeout)
    if code != 0:
        raise SchedulerSilentError(err.strip() or f"squeue ended with {code}")
    return parse_squeue(out)


def cancel(cluster: RunCluster, name: str, *, timeout: float = 15.0) -> None:
    """End all our jobs of a name. Raises ``SchedulerSilentError``; that there is none left is fine."""
    code, _out, err = run(cluster, "scancel", ["--me", f"--name={name}"], timeout=timeout)
    if code != 0 and "Invalid job id" not in err:
        raise SchedulerSilentError(err.strip() or f"scancel ended with {code}")
