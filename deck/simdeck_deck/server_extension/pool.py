"""Warm kernels: one warm parent process per app, and a few forked kernels that wait, ready, for a page.

The parent (:mod:`.forkserver`) runs with the app's own Python and has the app's imports done. Each waiting kernel is a
process of its own that no page has used before: pages share nothing. Kernels talk over Unix sockets in a folder of mode
700, not over TCP ports that every user of the machine could reach. On any trouble :meth:`WarmPool.take` answers
None and the kernel starts cold.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simdeck_common.layout import private_dir

from simdeck_deck.server_extension.aiida_profile import make_folder
from simdeck_deck.server_extension.apps import AppPage, own_packages_alone

FORKSERVER = Path(__file__).with_name("forkserver.py")
PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "hb_port": 4, "control_port": 5}


def sockets_folder() -> Path:
    """Make this process's folder for kernel sockets, and remove those of servers that were killed."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    prefix = f"simdeck-{os.getuid()}-k"
    for old in base.glob(prefix + "*"):
        pid = old.name.removeprefix(prefix)
        if pid.isdigit() and int(pid) != os.getpid() and not Path("/proc", pid).exists():
            shutil.rmtree(old, ignore_errors=True)
    return private_dir(base / f"{prefix}{os.getpid()}")


class WarmProcess:
    """A forked kernel, with as much of ``subprocess.Popen`` as jupyter_client's provisioner uses.

    It is not our child, so its end is learned from a pid descriptor: exact, and safe from a reused pid.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                signal.pidfd_send_signal(self._descriptor, 0)
            except ProcessLookupError:
                self._ended()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code; the caller has polled until the process ended."""
        return self.poll()

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def discard(self) -> None:
        """End it without waiting for its end: its parent reaps it."""
        if self.returncode is None:
            self.terminate()
            self._ended()

    def _ended(self) -> None:
        self.returncode = 0
        os.close(self._descriptor)


@dataclass
class WarmKernel:
    """A kernel that waits: initialised, its imports done, its sockets bound."""

    name: str
    parent: WarmParent
    folder: Path
    connection: dict[str, Any]
    process: WarmProcess | None = None

    def go(self, env: dict[str, str], cwd: str) -> None:
        """Let it run with this environment in this folder."""
        self.parent.send({"op": "go", "id": self.name, "env": env, "cwd": cwd})

    def discard(self) -> None:
        """End a kernel that no page uses."""
        if self.process is not None:
            self.process.discard()
        self.clean()

    def clean(self) -> None:
        """Remove its sockets."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(eq=False)
class WarmParent:
    """One warm parent process: the imports of one version of one app."""

    app: AppPage
    process: asyncio.subprocess.Process
    waiting: dict[str, WarmKernel] = field(default_factory=dict)
    starting: dict[str, WarmKernel] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0
    retired: bool = False

    def send(self, message: dict[str, Any]) -> None:
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write((json.dumps(message) + "\n").encode())

    @property
    def alive(self) -> bool:
        return self.process.returncode is None and not self.retired

    def serves(self, app: AppPage) -> bool:
        """Whether its imports are those of this version of ``app``, and were done with the same AiiDA folder."""
        aiida = (one.environment.get("AIIDA_PATH") for one in (self.app, app))
        return self.app.env == app.env and len(set(aiida)) == 1


class WarmPool:
    """Keeps at most ``limit`` apps warm, ``spare`` kernels waiting for each.

    Parameters
    ----------
    refill_delay
        Seconds between handing out a kernel and making the next: the page that just opened needs the processor first.
    """

    def __init__(
        self, *, limit: int = 3, spare: int = 1, refill_delay: float = 3.0, log: logging.Logger | None = None
    ) -> None:
        self.limit = limit
        self.spare = spare
        self.refill_delay = refill_delay
        self.log = log or logging.getLogger(__name__)
        self.folder: Path | None = None
        self._parents: dict[str, WarmParent] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    # --- what the provisioner and the pages use

    def take(self, app: AppPage) -> WarmKernel | None:
        """Hand out a waiting kernel of exactly this version of ``app``, or None: start it cold."""
        parent = self._parents.get(app.id)
        if parent is None or not parent.alive or not parent.serves(app):
            self.warm(app)
            return None
        while parent.waiting:
            kernel = parent.waiting.pop(next(iter(parent.waiting)))
            self._later(self._refill(parent, self.refill_delay))
            if kernel.process is not None and kernel.process.poll() is None:
                # Last used is last in the order that decides who is dropped.
                self._parents[app.id] = self._parents.pop(app.id)
                return kernel
            kernel.clean()
        return None

    def warm(self, app: AppPage) -> None:
        """See that kernels of this version of ``app`` are being kept ready. Returns at once."""
        parent = self._parents.get(app.id)
        if self._closed or self.spare < 1 or self.limit < 1:
            return
        if parent is not None and parent.alive and parent.serves(app):
            return
        task = self._starting.get(app.id)
        if task is None or task.done():
            self._starting[app.id] = self._later(self._start(app))

    async def ready(self, app: str, seconds: float = 30.0) -> bool:
        """Wait until a kernel of ``app`` waits; False when that takes longer than ``seconds``."""

        async def until() -> None:
            while True:
                if (task := self._starting.get(app)) is not None:
                    await asyncio.wait({task})
                parent = self._parents.get(app)
                if parent is not None and parent.waiting:
                    return
                if parent is None:
                    await asyncio.sleep(0.05)
                    continue
                parent.changed.clear()
                await parent.changed.wait()

        try:
            await asyncio.wait_for(until(), seconds)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """End every warm parent and with it every kernel forked from it."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        for parent in self._parents.values():
            parent.retired = True
            if parent.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    parent.process.terminate()
                await parent.process.wait()
        self._parents.clear()
        self.remove_folder()

    def pids(self) -> list[int]:
        """The warm parents that run."""
        return [p.process.pid for p in self._parents.values() if p.process.returncode is None]

    def make_folder(self) -> Path:
        """Return the folder for this server's sockets (700), made when it is first asked for."""
        if self.folder is None:
            self.folder = sockets_folder()
        return self.folder

    def remove_folder(self) -> None:
        """Remove the sockets' folder; no kernel of this process is left."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- inside

    def _later(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _start(self, app: AppPage) -> None:
        old = self._parents.pop(app.id, None)
        if old is not None:
            self._retire(old)
        while len(self._parents) >= self.limit:
            self._retire(self._parents.pop(next(iter(self._parents))))
        try:
            if folder := app.environment.get("AIIDA_PATH"):
                await asyncio.to_thread(make_folder, Path(folder))
            process = await asyncio.create_subprocess_exec(
                str(app.python),
                str(FORKSERVER),
                *app.warm,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
                # Modules read some of it when they are imported (AiiDA: where its profiles are).
                env={
                    **own_packages_alone(os.environ),
                    **app.environment,
                    "PYTHONUNBUFFERED": "1",
                    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
                },
            )
        except OSError as error:
            self.log.warning("No warm kernels for %s: %s", app.id, error)
            return
        parent = WarmParent(app, process)
        self._parents[app.id] = parent
        self._later(self._listen(parent))

    def _retire(self, parent: WarmParent) -> None:
        """Stop forking from ``parent``; it ends when the last page that came from it is closed."""
        parent.retired = True
        for kernel in [*parent.waiting.values(), *parent.starting.values()]:
            if kernel.process is not None:
                kernel.discard()
        parent.waiting.clear()
        self.log.info("Warm kernels of %s %s retired", parent.app.id, parent.app.version)
        # The process is left running: kernels in use are its children and end with it. close() of its input ends it.
        self._later(self._end_when_idle(parent))

    async def _end_when_idle(self, parent: WarmParent) -> None:
        children = Path(f"/proc/{parent.process.pid}/task/{parent.process.pid}/children")
        while parent.process.returncode is None:
            try:
                if not (await asyncio.to_thread(children.read_text)).split():
                    break
            except OSError:
                break
            await asyncio.sleep(5)
        if parent.process.stdin is not None:
            parent.process.stdin.close()

    async def _refill(self, parent: WarmParent, delay: float = 0.0) -> None:
        await asyncio.sleep(delay)
        while parent.alive and len(parent.waiting) + len(parent.starting) < self.spare and parent.failures < 3:
            name = secrets.token_hex(4)
            folder = private_dir(self.make_folder() / name)
            connection = {
                **PORTS,
                "transport": "ipc",
                "ip": str(folder / "k"),
                "key": secrets.token_hex(16),
                "signature_scheme": "hmac-sha256",
                "kernel_name": parent.app.kernel,
            }
            path = folder / "connection.json"
            path.touch(mode=0o600)
            path.write_text(json.dumps(connection))
            parent.starting[name] = WarmKernel(name, parent, folder, connection)
            parent.send({"op": "fork", "id": name, "connection_file": str(path)})

    async def _listen(self, parent: WarmParent) -> None:
        assert parent.process.stdout is not None
        async for line in parent.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            await self._heard(parent, message)
        await parent.process.wait()
        for kernel in [*parent.waiting.values(), *parent.starting.values()]:
            kernel.discard()
        if self._parents.get(parent.app.id) is parent:
            # Gone by itself; the next page starts cold and warms anew.
            del self._parents[parent.app.id]
        parent.changed.set()

    async def _heard(self, parent: WarmParent, message: dict[str, Any]) -> None:
        event, name = message.get("event"), str(message.get("id"))
        if event == "warm":
            await self._refill(parent)
        elif event == "ready" and (kernel := parent.starting.pop(name, None)) is not None:
            try:
                kernel.process = WarmProcess(int(message["pid"]))
            except OSError:
                kernel.clean()
                return
            if parent.retired:
                kernel.discard()
                return
            parent.failures = 0
            parent.waiting[name] = kernel
            parent.changed.set()
        elif event in {"failed", "exit"}:
            kernel = parent.starting.pop(name, None) or parent.waiting.pop(name, None)
            if kernel is None:
                return  # in use: its page's kernel manager sees to it
            kernel.discard()
            parent.failures += 1
            self.log.warning("A warm kernel of %s ended: %s", parent.app.id, message.get("reason") or "it exited")
            self._later(self._refill(parent, self.refill_delay))
