"""The job script, from a checked request: directives, environment, the server, and a record of how it ended.

Only values that match a pattern get in, each one quoted for the shell; another one raises instead of being mended. The
script's own part is constant text (``BODY``), so what a person chose is never more than a word in an assignment.

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

BODY = r"""
umask 077
[ -n "$HOME" ] || HOME=~
[ -n "$USER" ] || USER=$(id -un)
[ -n "$PATH" ] || PATH=/usr/local/bin:/usr/bin:/bin
export HOME USER PATH
simdeck_folder=$HOME/.simdeck/servers/$simdeck_name
simdeck_stage=environment simdeck_detail= simdeck_code= simdeck_server= simdeck_signal= simdeck_warned=false
simdeck_cgroup= simdeck_peak=
mkdir -p -m 700 "$simdeck_folder" && rm -f "$simdeck_folder/end.json" "$simdeck_folder/peak"
echo "simdeck: job $SLURM_JOB_ID on $SLURMD_NODENAME, $(date)"

# The control group of the whole job, where the node has one: version 2, then 1.
while IFS=: read -r simdeck_n simdeck_kind simdeck_path; do
    case $simdeck_path in */job_$SLURM_JOB_ID/*) ;; */job_$SLURM_JOB_ID) ;; *) continue ;; esac
    simdeck_path=${simdeck_path%%/job_$SLURM_JOB_ID*}/job_$SLURM_JOB_ID
    for simdeck_try in "/sys/fs/cgroup$simdeck_path" "/sys/fs/cgroup/memory$simdeck_path"; do
        if [ -r "$simdeck_try/memory.peak" ] || [ -r "$simdeck_try/memory.max_usage_in_bytes" ]; then
            simdeck_cgroup=$simdeck_try
        fi
    done
done 2>/dev/null </proc/self/cgroup

simdeck_tree() {
    local simdeck_children simdeck_child
    echo "$1"
    read -r simdeck_children 2>/dev/null <"/proc/$1/task/$1/children" || [ -n "$simdeck_children" ] || return 0
    for simdeck_child in $simdeck_children; do simdeck_tree "$simdeck_child"; done
}

# Without a control group: the memory of the server and all it started, looked at every few seconds.
simdeck_sample() {
    local most=0 sum pid key value rest
    while kill -0 "$1" 2>/dev/null; do
        sum=0
        for pid in $(simdeck_tree "$1"); do
            while read -r key value rest; do
                [ "$key" = VmRSS: ] && sum=$((sum + value)) && break
            done 2>/dev/null <"/proc/$pid/status"
        done
        if [ "$sum" -gt "$most" ]; then most=$sum; echo "$most" >"$simdeck_folder/peak"; fi
        sleep "$2"
    done
}

simdeck_read() { simdeck_value=; [ -r "$1" ] && read -r simdeck_value <"$1"; [ -n "$simdeck_value" ]; }

simdeck_memory() {
    simdeck_kills=0
    if [ -n "$simdeck_cgroup" ]; then
        simdeck_read "$simdeck_cgroup/memory.peak" || simdeck_read "$simdeck_cgroup/memory.max_usage_in_bytes"
        simdeck_peak=$((${simdeck_value:-0} / 1048576))
        while read -r key value; do
            [ "$key" = oom_kill ] && simdeck_kills=$value
        done < <(cat "$simdeck_cgroup/memory.events" "$simdeck_cgroup/memory.oom_control" 2>/dev/null)
    elif simdeck_read "$simdeck_folder/peak"; then
        simdeck_peak=$((simdeck_value / 1024))
    fi
}

simdeck_record() {
    trap - EXIT
    simdeck_memory
    simdeck_detail=${simdeck_detail//[^A-Za-z0-9 ._\/+:@=-]/}
    printf '{"job":"%s","stage":"%s","code":%d,"detail":"%s","signal":"%s","warned":%s,"peak_memory_mb":%d,' \
        "$SLURM_JOB_ID" "$simdeck_stage" "$1" "$simdeck_detail" "$simdeck_signal" "$simdeck_warned" \
        "${simdeck_peak:-0}" >"$simdeck_folder/end.json.new"
    printf '"memory_limit_mb":%d,"out_of_memory_kills":%d,"restarts":%d,"ended":%d}\n' \
        "${SLURM_MEM_PER_NODE:-0}" "$simdeck_kills" "${SLURM_RESTART_COUNT:-0}" "$(date +%s)" \
        >>"$simdeck_folder/end.json.new"
    mv -f "$simdeck_folder/end.json.new" "$simdeck_folder/end.json"
    exit "$1"
}

simdeck_fail() { simdeck_detail=$2; echo "simdeck: $simdeck_stage: $2" >&2; simdeck_record "$1"; }

# bwrap stands between us and the server and passes no signals on.
simdeck_pass() {
    local target=$simdeck_server name next
    [ -n "$target" ] || return 0
    while read -r name <"/proc/$target/comm" && [ "$name" = bwrap ] \
        && { read -r next _ <"/proc/$target/task/$target/children" || [ -n "$next" ]; }; do
        target=$next next=
    done 2>/dev/null
    kill "-$1" "$target" 2>/dev/null
}

simdeck_stop() {
    simdeck_signal=$1
    if [ -n "$simdeck_server" ]; then simdeck_pass TERM; else simdeck_record 143; fi
}

trap 'simdeck_record "${simdeck_code:-$?}"' EXIT
trap 'simdeck_warned=true; simdeck_pass USR1' USR1
trap 'simdeck_stop 15' TERM
trap 'simdeck_stop 2' INT

if [ "${#simdeck_modules[@]}" -gt 0 ]; then
    simdeck_stage=modules
    if ! type module >/dev/null 2>&1; then
        for simdeck_try in "$simdeck_module_init" /etc/profile.d/{z00_lmod,lmod,modules}.sh \
            /usr/share/lmod/lmod/init/bash /usr/share/modules/init/bash; do
            if [ -n "$simdeck_try" ] && [ -r "$simdeck_try" ]; then . "$simdeck_try"; break; fi
        done
    fi
    type module >/dev/null 2>&1 || simdeck_fail 72 'the module command'
    for simdeck_try in "${simdeck_modules[@]}"; do
        module load "$simdeck_try" || simdeck_fail 72 "$simdeck_try"
        # Older module commands fail without saying so in their exit status.
        case ":$LOADEDMODULES:" in *":$simdeck_try:"* | *":$simdeck_try/"*) ;; *) simdeck_fail 72 "$simdeck_try" ;; esac
    done
fi
if [ -n "$simdeck_venv" ]; then
    [ -x "$simdeck_venv/bin/python" ] || simdeck_fail 71 "$simdeck_venv"
    VIRTUAL_ENV=$simdeck_venv PATH=$simdeck_venv/bin:$PATH
    export VIRTUAL_ENV PATH
fi
[ -z "$simdeck_image" ] || [ -r "$simdeck_image" ] || simdeck_fail 71 "$simdeck_image"

# What puts the home at its own path inside the image, which nobody may write: a bind given for it, a fresh /home, or a
# folder that is there. A folder that is not there cannot be made.
simdeck_home() {
    local place kind=${simdeck_command[0]}
    if [ "$kind" = bwrap ]; then words+=(--chdir "$HOME"); else words+=(--cd "$HOME"); fi
    # Variables the image was built with; ch-run takes a missing file for an error.
    if [ "$kind" = ch-run ] && [ -r "$simdeck_image/ch/environment" ]; then words+=(--set-env); fi
    for place in "${simdeck_inside[@]}"; do
        case $HOME/ in "${place%/}"/*) return ;; esac
    done
    if [ "$HOME" = "/home/$USER" ]; then
        if [ "$kind" = bwrap ]; then words+=(--tmpfs /home --bind "$HOME" "$HOME"); else words+=(--home); fi
    elif [ -d "$simdeck_image$HOME" ]; then
        if [ "$kind" = bwrap ]; then words+=(--bind "$HOME" "$HOME"); else words+=(-b "$HOME:$HOME"); fi
    else
        simdeck_fail 71 "a folder $HOME in $simdeck_image"
    fi
}

simdeck_etc() {
    local file
    for file in /etc/resolv.conf /etc/hosts /etc/passwd /etc/group; do
        if [ -f "$simdeck_image$file" ] && [ ! -L "$simdeck_image$file" ]; then
            words+=(--ro-bind-try "$file" "$file")
        fi
    done
}

simdeck_run() {
    local word words=() code
    simdeck_stage=environment simdeck_code=
    for word in "${simdeck_command[@]}"; do
        case $word in
            @simdeck-home@) simdeck_home ;;
            @simdeck-etc@) simdeck_etc ;;
            *) words+=("$word") ;;
        esac
    done
    simdeck_stage=command simdeck_code=
    type -P "${words[0]}" >/dev/null || simdeck_fail 127 "${words[0]}"
    simdeck_stage=server
    SIMDECK_SERVER=$simdeck_name "${words[@]}" &
    simdeck_server=$!
    if [ -z "$simdeck_cgroup" ]; then
        simdeck_sample "$simdeck_server" "${SIMDECK_SAMPLE_SECONDS:-5}" </dev/null >/dev/null 2>&1 &
    fi
    while :; do
        wait "$simdeck_server"
        code=$?
        kill -0 "$simdeck_server" 2>/dev/null || break
    done
    # A signal may have ended the wait, and the server just then: ask once more for the server's own status.
    wait "$simdeck_server" 2>/dev/null
    simdeck_code=$?
    [ "$simdeck_code" -eq 127 ] || code=$simdeck_code
    simdeck_server=
    simdeck_record "$code"
}
"""
