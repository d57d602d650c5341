"""A whole site on a real Slurm that can be hurt: by name, on purpose, while people's servers start and run.

An administrator's own lines in `jupyterhub_config.py` let the hub kill itself at a named point of a start; the site
file names a folder of Slurm's commands in which `squeue` fails, hangs or prints garbage when a file says so.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from simdeck_hub.trial import slurm_files
from simdeck_hub.trial.trial import Options, Trial
from slurm.site_stack import SiteStack
from stack import wait_for

ALICE, BOB = "sdk-alice", "sdk-bob"
OPTIONS = Options(
    folder=Path("/var/lib/simdeck-trial-chaos"), users=(ALICE, BOB), service="sdk-service", group="sdk-people"
)
COMMAND_SECONDS = 4
"""How long the site waits for a command of Slurm; a hanging `squeue` costs a round that much."""

HUB_CONFIG = """\
import os
import signal
from pathlib import Path

from simdeck_hub.configure import configure
from simdeck_spawners import points

configure(get_config())
ORDERS = Path({orders!r})


async def die(name):
    try:
        first, *rest = ORDERS.read_text().split()
    except (FileNotFoundError, ValueError):
        return
    if name == first:
        ORDERS.write_text(" ".join(rest))
        os.kill(os.getpid(), signal.SIGKILL)


points.arm(die)
"""
# The supervisor waits longer after each death that follows soon on a start. Here deaths are all there is.
UP = (
    "from simdeck_hub import child; child.STEADY_SECONDS = 0.0;"
    " from simdeck_hub.cli import main; import sys; sys.argv = ['simdeck', 'up']; main()"
)
SQUEUE = """\
#!/bin/sh
echo >> {calls}
case "$(cat {mode})" in
    fail) echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1 ;;
    hang) exec sleep 600 ;;
    garbage) echo "JOBID|PARTITION"; head -c 200 /dev/urandom; exit 0 ;;
    empty) exit 0 ;;
esac
exec /usr/bin/squeue "$@"
"""
EXTRA = """
[[environments]]
name = "slow"
title = "Takes its time"
setup = ["sleep 5"]
"""
MARKED = re.compile(r"simdeck-[0-9a-f]{8}-[0-9a-f]{12}")


@dataclass(frozen=True)
class QueuedJob:
    """One line of `squeue`."""

    id: str
    name: str
    state: str
    user: str
    node: str


class ChaosTrial(Trial):
    """A trial with large nodes, with ``servers`` (further lines of that table), and with what hurts the site."""

    cpus = 32
    """What each node claims; servers idle, so that this machine's own number does not matter."""
    servers = ""

    def start_cluster(self) -> None:
        kept = slurm_files.CPUS_PER_NODE, slurm_files.MEMORY_MB_PER_NODE
        slurm_files.CPUS_PER_NODE, slurm_files.MEMORY_MB_PER_NODE = self.cpus, self.cpus * 2000
        try:
            super().start_cluster()
        finally:
            slurm_files.CPUS_PER_NODE, slurm_files.MEMORY_MB_PER_NODE = kept

    @property
    def mode(self) -> Path:
        """The file that says what `squeue` does."""
        return self.run / "slurm-bin" / "mode"

    @property
    def calls(self) -> Path:
        """A line for each `squeue` of the site."""
        return self.mode.with_name("calls")

    @property
    def orders(self) -> Path:
        """The file that names the points at which the hub dies, one after the other."""
        return self.data / "die-at"

    def write_site(self) -> None:
        super().write_site()
        commands = self.mode.parent
        commands.mkdir(mode=0o755)
        for program in ("sinfo", "scontrol", "sacct", "sacctmgr", "sshare", "sbatch", "scancel", "sdiag", "sprio"):
            (commands / program).symlink_to(Path("/usr/bin") / program)
        self.mode.write_text("", encoding="utf-8")
        squeue = commands / "squeue"
        squeue.write_text(SQUEUE.format(mode=self.mode, calls=self.calls), encoding="utf-8")
        self.calls.touch()
        os.chown(self.calls, pwd.getpwnam(self.options.service).pw_uid, -1)
        squeue.chmod(0o755)
        text = self.site_file.read_text(encoding="utf-8")
        text = text.replace('kind = "slurm"\n', f'kind = "slurm"\nnamed_limit = 60\n{self.servers}')
        text = text.replace(
            "poll_seconds = 2\n",
            f'poll_seconds = 2\nidle_poll_seconds = 4\nslurm_bin = "{commands}"\ncommand_timeout = {COMMAND_SECONDS}\n',
        )
        self.site_file.write_text(text, encoding="utf-8")
        config = self.data / "jupyterhub_config.py"
        config.write_text(HUB_CONFIG.format(orders=str(self.orders)), encoding="utf-8")
        config.chmod(0o644)

    def start_up(self) -> None:
        self.up = self.start_as(self.options.service, [str(self.prefix / "env" / "bin" / "python"), "-c", UP])


class ChaosSite(SiteStack):
    """The site, its people's servers as they see them, and Slurm's word on their jobs."""

    def __init__(self, folder: Path, options: Options = OPTIONS, servers: str = "") -> None:
        super().__init__(folder, extra=EXTRA, options=options)
        self.trial: ChaosTrial = ChaosTrial(self.options, say=self._say)
        self.trial.servers = servers
        self._clients: dict[str, httpx.Client] = {}
        self._keys: dict[str, str] = {}
        self.last_answer = ""
        """What a server said last, for a failure's message."""

    def __enter__(self) -> ChaosSite:
        super().__enter__()
        for user in self.options.users:
            self._clients[user] = self.client(user, timeout=20.0)
            self._keys[user] = self.token(user, "access:servers!user")
        return self

    # --- as people see it ---------------------------------------------------------------------------------------

    def ask(self, user: str, method: str, path: str, **options: Any) -> dict[str, Any] | None:
        """Return the REST API's answer; None while the site cannot be asked.

        Raises
        ------
        AssertionError
            The request itself was refused.
        """
        try:
            answer = self._clients[user].request(method, path, **options)
        except httpx.TransportError:
            return None
        if answer.status_code >= 500:
            return None
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return dict(answer.json())

    def start(self, user: str, server: str, **options: Any) -> None:
        """Ask for a server as a person does whose connection breaks: again, until it is under way."""
        body = {"options": {"partition": "normal", "cores": 1, "memory": "500 MiB", "walltime": "2:00:00"} | options}

        def under_way() -> bool:
            # What has just failed may still be the start that the hub knows of.
            view = self.ask(user, "POST", f"/servers/{server}", json=body)
            return view is not None and view["phase"] not in {"none", "failed"}

        wait_for(f"the start of {user}/{server} to be heard", under_way, 240)

    def stop(self, user: str, server: str) -> None:
        wait_for(
            f"the stop of {user}/{server} to be heard", lambda: self.ask(user, "DELETE", f"/servers/{server}"), 240
        )

    def view(self, user: str, server: str) -> dict[str, Any]:
        """Return the ServerView, or nothing while the site cannot be asked."""
        return self.ask(user, "GET", f"/servers/{server}") or {"phase": "?"}

    def wait_phase(self, user: str, server: str, *phases: str, seconds: float = 120) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def there() -> dict[str, Any] | None:
            seen.update(self.view(user, server))
            return dict(seen) if seen["phase"] in phases else None

        try:
            return wait_for(f"{user}/{server} to be {' or '.join(phases)}", there, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen}; {self.jobs()}") from None

    def answers(self, user: str, server: str) -> bool:
        """Return whether the server itself answers through the proxy, with a token of its person."""
        name = "" if server == "-" else f"/{server}"
        try:
            answer = httpx.get(
                f"{self.url}/user/{user}{name}/api/status",
                headers={"Authorization": f"token {self._keys[user]}"}, trust_env=False, timeout=10,
            )  # fmt: skip
        except httpx.TransportError as error:
            self.last_answer = repr(error)
            return False
        self.last_answer = f"{answer.status_code} {answer.text[:300]}"
        return answer.status_code == 200 and "kernels" in answer.text

    def scheduler_known(self, user: str = ALICE) -> bool | None:
        """Return whether the site says that it knows the queue; None while the site cannot be asked."""
        answer = self.ask(user, "GET", "/clusters")
        return None if answer is None else answer["items"][0]["unknown_since"] is None

    # --- as Slurm sees it ---------------------------------------------------------------------------------------

    def jobs(self, *states: str) -> list[QueuedJob]:
        """Return the servers' jobs; without ``states`` those that are not over."""
        wanted = [f"--states={','.join(states)}"] if states else []
        listed = self.slurm("squeue", "--noheader", "--format=%i|%j|%T|%u|%N", *wanted)
        found = [QueuedJob(*line.split("|")) for line in listed.splitlines()]
        return [job for job in found if MARKED.fullmatch(job.name)]

    def job(self, name: str) -> QueuedJob | None:
        return next((job for job in self.jobs() if job.name == name), None)

    def hurry(self) -> None:
        """Let jobs that Slurm took back begin at once: by itself it waits two minutes."""
        for line in self.slurm("squeue", "--noheader", "--states=PENDING", "--format=%i %r").splitlines():
            job, reason = line.split(maxsplit=1)
            if reason == "BeginTime":
                with contextlib.suppress(Exception):
                    self.slurm("scontrol", "update", f"JobId={job}", "StartTime=now")

    # --- what hurts ---------------------------------------------------------------------------------------------

    def part(self, words: str) -> int | None:
        """Return the pid of the service's process with these words in its command line."""
        uid = pwd.getpwnam(self.options.service).pw_uid
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.stat(entry).st_uid == uid and words in _command(entry) and _state(entry) != "Z":
                        return int(entry.name)
                except OSError:
                    continue
        return None

    @property
    def hub(self) -> int | None:
        return self.part(" -m jupyterhub ")

    def kill(self, words: str) -> None:
        """`kill -9` of a part that the supervisor starts again."""
        pid = wait_for(f"a process {words!r}", lambda: self.part(words), 180)
        os.kill(pid, signal.SIGKILL)

    def die_at(self, *points: str) -> None:
        """Let the hub kill itself at the first of ``points``, the hub that follows at the next, and so on."""
        orders = self.trial.orders
        orders.write_text(" ".join(points), encoding="utf-8")
        account = pwd.getpwnam(self.options.service)
        os.chown(orders, account.pw_uid, account.pw_gid)

    def died_everywhere(self) -> bool:
        return not self.trial.orders.read_text(encoding="utf-8").strip()

    def squeue(self, mode: str) -> None:
        self.trial.mode.write_text(mode, encoding="utf-8")

    def calls(self) -> int:
        """Return how often the site has called `squeue`."""
        return self.trial.calls.stat().st_size

    def nodes(self, state: str, *names: str) -> None:
        self.slurm("scontrol", "update", f"NodeName={','.join(names or ('cn1', 'cn2'))}", f"State={state}", "Reason=t")

    def nodes_in_order(self) -> None:
        """Give every node back to Slurm, whatever was done to it."""

        def usable() -> bool:
            states = self.slurm("sinfo", "--noheader", "--Node", "--format=%n %T").split()
            bad = {n for n, s in zip(states[::2], states[1::2], strict=True) if s not in {"idle", "mixed", "allocated"}}
            for name in bad:
                with contextlib.suppress(Exception):
                    self.nodes("RESUME", name)
            return not bad

        wait_for("the nodes", usable, 240)


def eventually(what: str, ask: Callable[[], bool | None], seconds: float) -> bool:
    """Return whether ``ask`` came true within ``seconds``; for outages that may end before anybody notices."""
    try:
        return bool(wait_for(what, ask, seconds))
    except AssertionError:
        return False


def _command(entry: Path) -> str:
    return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace") + " "


def _state(entry: Path) -> str:
    return (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
