"""The job script, from a checked request: directives, environment, the server, and a record of how it ended.

Only values that match a pattern get in, each one quoted for the shell; another one raises instead of being mended. The
script's own part is constant text (``script_body``), so what a person chose is never more than a word in an assignment.

The server runs as a child of the script. The warning signal (USR1, some minutes before the end) and TERM are passed on
to it; when it ends, or when the environment cannot be made, ``~/.simdeck/servers/<name>/end.json`` says how.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import IntEnum

from simdeck_clusters.request import ResourceRequest
from simdeck_clusters.settings import (
    ContainerEnvironment,
    Environment,
    ModulesEnvironment,
    VenvEnvironment,
)
from simdeck_clusters.slurm.script_body import BODY

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
_WORD = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")
_DIRECTIVE = re.compile(r"[A-Za-z0-9_.:=@%/+\-]+")
LONGEST_WARNING = 65_000
"""Seconds; Slurm takes no more than 65535 in `--signal`."""


class ExitCode(IntEnum):
    """Exit statuses that mean something of ours; ``ends`` reads them."""

    HUB_UNREACHABLE = 69
    """The server's own: the node cannot reach the hub."""
    ENVIRONMENT_MISSING = 71
    MODULE_MISSING = 72
    SETUP_FAILED = 73
    COMMAND_MISSING = 127


@dataclass(frozen=True)
class JobSpec:
    """What the hub decides about a server's job, besides the resources."""

    name: str
    """The job's name, unique, stored before it is submitted."""
    server: str
    """The server's folder below ``~/.simdeck/servers``."""
    instance: str
    """Id of the Simdeck this belongs to; the job carries it as its comment."""
    command: tuple[str, ...]
    """The server's program and arguments. No secrets: job scripts can be read by administrators."""
    warning_minutes: int = 10
    requeue: bool = True


def comment(instance: str) -> str:
    """Return the comment that marks a job as one of this Simdeck's."""
    return f"simdeck:{instance}"


def job_script(request: ResourceRequest, spec: JobSpec, environment: Environment) -> str:
    """Return the batch script.

    Raises
    ------
    ValueError
        A value does not have the form it should have been checked for.
    """
    for name in (spec.name, spec.server, spec.instance):
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"not a name: {name[:60]!r}")
    if not spec.command:
        raise ValueError("no command")
    words = [environment.server or spec.command[0], *spec.command[1:]]
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {directive}" for directive in directives(request, spec)),
        "",
        f"simdeck_name={_word(spec.server)}",
        *_source(environment, words),
        "",
        BODY.strip("\n"),
        "",
        f"simdeck_stage=setup simdeck_code={int(ExitCode.SETUP_FAILED)}",
        *environment.setup,
        "simdeck_run",
        "",
    ]
    return "\n".join(lines)


def directives(request: ResourceRequest, spec: JobSpec) -> list[str]:
    """Return the `sbatch` options of the job, one each; they stand in the script as directives.

    Raises
    ------
    ValueError
        A value does not have the form it should have been checked for.
    """
    options = {
        "job-name": spec.name,
        "comment": comment(spec.instance),
        "partition": request.partition,
        "account": request.account,
        "qos": request.qos,
        "reservation": request.reservation,
        "nodes": "1",
        "ntasks": "1",
        "cpus-per-task": str(request.cores),
        "mem": f"{request.memory_mb}M",
        "gres": _gres(request),
        "time": str(request.walltime_minutes),
        "signal": _signal(request, spec),
        "export": "NONE",
        "open-mode": "append",
        "output": f".simdeck/servers/{spec.server}/job.log",
    }
    chosen = [f"--{name}={value}" for name, value in options.items() if value is not None]
    chosen.append("--requeue" if spec.requeue else "--no-requeue")
    for directive in chosen:
        if _DIRECTIVE.fullmatch(directive) is None:
            raise ValueError(f"not a directive: {directive[:80]!r}")
    return chosen


def _gres(request: ResourceRequest) -> str | None:
    if not request.gpus.count:
        return None
    kind = f":{request.gpus.type}" if request.gpus.type else ""
    return f"gpu{kind}:{request.gpus.count}"


def _signal(request: ResourceRequest, spec: JobSpec) -> str | None:
    # In a short job the warning comes when half of it is left at the earliest.
    seconds = min(spec.warning_minutes * 60, request.walltime_minutes * 30, LONGEST_WARNING)
    return f"B:USR1@{seconds}" if seconds > 0 else None


def _word(value: str) -> str:
    if _WORD.fullmatch(value) is None:
        raise ValueError(f"not a word of one line: {value[:60]!r}")
    return shlex.quote(value)


def _words(values: list[str]) -> str:
    return "(" + " ".join(_word(value) for value in values) + ")"


def _source(environment: Environment, command: list[str]) -> list[str]:
    source = environment.source
    modules: list[str] = []
    inside: list[str] = []
    init, venv, image = "", "", ""
    if isinstance(source, ModulesEnvironment):
        modules, init = list(source.load), source.init or ""
    elif isinstance(source, VenvEnvironment):
        venv = source.path
    elif isinstance(source, ContainerEnvironment):
        image = source.image
        inside = [place for _, place in inside_and_out(source)]
        command = [*container(source), *command]
    return [
        f"simdeck_modules={_words(modules)}",
        f"simdeck_module_init={_word(init) if init else chr(39) * 2}",
        f"simdeck_venv={_word(venv) if venv else chr(39) * 2}",
        f"simdeck_image={_word(image) if image else chr(39) * 2}",
        f"simdeck_inside={_words(inside)}",
        f"simdeck_command={_words(command)}",
    ]


def container(source: ContainerEnvironment) -> list[str]:
    """Return the words that run a command inside the image; the job itself fills in ``HOME_BIND`` and ``ETC_BIND``.

    The user's home, the binds, the node's devices, its temporary files (``bwrap``: fresh ones) and its names of hosts
    and people are inside; everything else comes from the image. For ``apptainer`` this follows its documentation and is
    untested.
    """
    pairs = inside_and_out(source)
    if source.runtime == "ch-run":
        binds = [word for host, inside in pairs for word in ("-b", f"{host}:{inside}")]
        return ["ch-run", HOME_BIND, *binds, source.image, "--"]
    if source.runtime == "apptainer":
        binds = [word for host, inside in pairs for word in ("--bind", f"{host}:{inside}")]
        return ["apptainer", "exec", *binds, source.image]
    binds = [word for host, inside in pairs for word in ("--bind", host, inside)]
    return [
        *("bwrap", "--ro-bind", source.image, "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc"),
        *("--ro-bind", "/sys", "/sys", "--tmpfs", "/tmp", ETC_BIND, HOME_BIND, *binds, "--"),  # noqa: S108
    ]


def inside_and_out(source: ContainerEnvironment) -> list[list[str]]:
    """Return each bind as the path outside and the path inside."""
    return [bind.split(":", 1) if ":" in bind else [bind, bind] for bind in source.binds]


HOME_BIND = "@simdeck-home@"
"""Stands for what puts the user's home at its own path inside, which only the job knows."""
ETC_BIND = "@simdeck-etc@"
"""Stands for the node's files in /etc that the image has a place for."""
