"""Running commands: here, as a user through the launcher, or on a cluster's login node over ssh. Never a shell here.

The service's own questions (`squeue`, `scontrol show`) run as the service. What is done as a user is a verb of the
launcher (``argv.launch``); each executor knows how to reach it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from simdeck_clusters.settings import NAME, ClusterSettings, SshSettings
from simdeck_clusters.slurm.argv import ENVIRONMENT, LAUNCHER

OUTPUT_LIMIT = 128 * 1024**2
KILLED_GRACE = 2.0
DEFAULT_LAUNCHER = "/opt/simdeck/libexec/simdeck-launch"


@dataclass(frozen=True, slots=True)
class Done:
    """A command's end: exit status (negative: signal, as Python has it), output and errors as text.

    ``unreached`` is set when it is not the command that failed: it could not be started, took too long, or the
    connection broke. What it did is then not known.
    """

    code: int
    out: str = ""
    err: str = ""
    unreached: bool = False

    @property
    def ok(self) -> bool:
        """Whether the command ran and succeeded."""
        return self.code == 0 and not self.unreached

    @property
    def message(self) -> str:
        """The last lines it said about what went wrong."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return "; ".join(lines[-3:])[:500] or f"exit status {self.code}"


class Executor(Protocol):
    """Runs an argument list. With ``user`` the list must begin with ``LAUNCHER``; without, it runs as the service."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        stdin: bytes = b"",
        timeout: float = 20.0,  # noqa: ASYNC109
    ) -> Done:
        """Run ``argv`` and return how it ended; it never raises for what the command does.

        Raises
        ------
        ValueError
            ``argv`` and ``user`` do not go together: a bug in the caller.
        """
        ...


class LocalExecutor:
    """Runs on this machine as who we are. For a user it calls the launcher without sudo, so only for ourselves."""

    def __init__(self, launcher: str | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.launcher = launcher
        self.environment = dict(environment or {})

    async def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        stdin: bytes = b"",
        timeout: float = 20.0,  # noqa: ASYNC109
    ) -> Done:
        """Run ``argv`` here."""
        if not as_launcher(argv, user):
            return await run_process(argv, stdin=stdin, timeout=timeout, environment=self.environment)
        if self.launcher is None:
            return Done(127, err="no launcher is configured", unreached=True)
        if user != pwd.getpwuid(os.getuid()).pw_name:
            return Done(1, err=f"this service cannot act as {user} without sudo")
        return await run_process([self.launcher, *argv[1:]], stdin=stdin, timeout=timeout, environment=self.environment)


class SudoExecutor:
    """Runs on this machine; for a user through sudo's one rule."""

    def __init__(
        self,
        launcher: str = DEFAULT_LAUNCHER,
        environment: Mapping[str, str] | None = None,
        sudo: str = "sudo",
    ) -> None:
        self.launcher = launcher
        self.environment = dict(environment or {})
        self.sudo = sudo

    async def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        stdin: bytes = b"",
        timeout: float = 20.0,  # noqa: ASYNC109
    ) -> Done:
        """Run ``argv`` here, as ``user`` when one is given."""
        if as_launcher(argv, user):
            argv = [self.sudo, "-n", "-u", str(user), "--", self.launcher, *argv[1:]]
        return await run_process(argv, stdin=stdin, timeout=timeout, environment=self.environment)


class SshExecutor:
    """Runs on a login node with OpenSSH's client: known host keys only, no questions, nothing forwarded.

    The remote side gives what it is sent to a shell; every word is quoted for it.
    """

    def __init__(self, settings: SshSettings, environment: Mapping[str, str] | None = None, ssh: str = "ssh") -> None:
        self.settings = settings
        self.environment = dict(environment or {})
        self.ssh = ssh

    async def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        stdin: bytes = b"",
        timeout: float = 20.0,  # noqa: ASYNC109
    ) -> Done:
        """Run ``argv`` on the login node, signed in as ``user`` when one is given."""
        if as_launcher(argv, user):
            argv = [self.settings.launcher, *argv[1:]]
        done = await run_process(self.command(argv, user, timeout), stdin=stdin, timeout=timeout)
        # ssh's own status for "no connection"; the command's outcome is then not known.
        return Done(done.code, done.out, self._plain(done.err), unreached=True) if done.code == 255 else done

    def _plain(self, said: str) -> str:
        """Return what ssh said, a refused host key in one sentence instead of its page."""
        if "Host key verification failed" not in said:
            return said
        place = self.settings.known_hosts or "the known_hosts file of the account that asks"
        begin = f"the host key of {self.settings.host} (port {self.settings.port}) is not"
        if "IDENTIFICATION HAS CHANGED" in said:
            return (
                f"{begin} the one known here: the host was set up anew or another one answers in its place; ask those "
                f"who run it before the key in {place} is replaced"
            )
        return f"{begin} known here: compare it with what those who run the host say, then add it to {place}"

    def command(self, argv: Sequence[str], user: str | None, timeout: float) -> list[str]:
        """Return the `ssh` command that runs ``argv`` there."""
        chosen = self.settings
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ClearAllForwardings": "yes",
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "PermitLocalCommand": "no",
            "ConnectTimeout": str(max(1, int(timeout / 2))),
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "2",
            "ControlMaster": "auto" if chosen.multiplex else "no",
        }
        if chosen.multiplex:
            options |= {"ControlPath": "~/.ssh/simdeck-%C", "ControlPersist": "60"}
        else:
            options["ControlPath"] = "none"
        if chosen.identity is not None:
            options |= {"IdentityFile": str(chosen.identity), "IdentitiesOnly": "yes"}
        if chosen.known_hosts is not None:
            options["UserKnownHostsFile"] = str(chosen.known_hosts)
        words = [self.ssh, "-T", "-p", str(chosen.port)]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        login = user or chosen.user
        if login is not None:
            words += ["-l", login]
        # sshd passes on no environment by default.
        remote = [f"{name}={value}" for name, value in (ENVIRONMENT | self.environment).items()]
        return [*words, "--", chosen.host, shlex.join(["env", *remote, *argv])]


def as_launcher(argv: Sequence[str], user: str | None) -> bool:
    """Return whether this is a launcher's verb for ``user``.

    Raises
    ------
    ValueError
        A verb without a user, a user without a verb, or a name no Unix user has.
    """
    launching = bool(argv) and argv[0] == LAUNCHER
    if not argv or launching != (user is not None):
        raise ValueError("a launcher's verb needs a user, and anything else may have none")
    if user is not None and (re.fullmatch(f"_?{NAME}", user) is None or user == "root"):
        raise ValueError(f"not a user to act as: {user[:40]!r}")
    if any("\0" in word for word in argv):
        raise ValueError("no word may hold a null byte")
    return launching


def make_executor(settings: ClusterSettings, launcher: str | None = None) -> Executor:
    """Return the executor a cluster's settings ask for; ``launcher`` is the site's, for those that name none."""
    extra = {"SLURM_CONF": settings.slurm_conf} if settings.slurm_conf is not None else {}
    chosen = settings.launcher or launcher
    if settings.executor == "ssh":
        assert settings.ssh is not None
        return SshExecutor(settings.ssh, extra)
    if settings.executor == "local":
        return LocalExecutor(chosen, extra)
    return SudoExecutor(chosen or DEFAULT_LAUNCHER, extra)


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of commands: ours, without what would change Slurm's output, with ``extra``."""
    dropped = ("SQUEUE_", "SBATCH_", "SINFO_", "SACCT_", "SLURM_", "SCONTROL_", "SHOW_", "LC_", "JUPYTERHUB_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped) or name == "SLURM_CONF"}
    kept = {name: value for name, value in kept.items() if "TOKEN" not in name and "SECRET" not in name}
    return {**kept, **ENVIRONMENT, **extra}


async def run_process(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout: float,  # noqa: ASYNC109 - the command is ended, not only no longer waited for
    environment: Mapping[str, str] | None = None,
) -> Done:
    """Run ``argv`` in a session of its own; after ``timeout`` seconds end it and all it started, and say so."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=clean_environment(environment or {}),
            start_new_session=True,
            limit=2**20,
        )
    except OSError as error:
        return Done(127, err=f"{argv[0]}: {error.strerror or error}", unreached=True)
    talk = asyncio.ensure_future(_communicate(process, stdin))
    try:
        out, err = await asyncio.wait_for(asyncio.shield(talk), timeout)
    except TimeoutError:
        await _end(process, talk)
        return Done(-signal.SIGKILL, err=f"{argv[0]} did not answer within {timeout:g} seconds", unreached=True)
    except asyncio.CancelledError:
        await _end(process, talk)
        raise
    if len(out) >= OUTPUT_LIMIT:
        return Done(1, err=f"{argv[0]} printed more than {OUTPUT_LIMIT} bytes", unreached=True)
    return Done(process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


async def _communicate(process: asyncio.subprocess.Process, stdin: bytes) -> tuple[bytes, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    async def feed() -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(stdin)
            await process.stdin.drain()
        process.stdin.close()

    _, out, err = await asyncio.gather(feed(), _read(process.stdout), _read(process.stderr))
    await process.wait()
    return out, err


async def _read(stream: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await stream.read(2**16):
        # Past the limit the rest is read and dropped, so that the command ends by itself.
        if size < OUTPUT_LIMIT:
            parts.append(part)
            size += len(part)
    return b"".join(parts)


async def _end(process: asyncio.subprocess.Process, talk: asyncio.Future[tuple[bytes, bytes]]) -> None:
    """Kill the command's whole session; root's sudo cannot be killed by us: its launcher keeps a limit of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(Exception):
        await asyncio.wait_for(asyncio.shield(talk), KILLED_GRACE)
    if not talk.done():
        _left_over.add(talk)
        talk.add_done_callback(_left_over.discard)


_left_over: set[asyncio.Future[tuple[bytes, bytes]]] = set()
