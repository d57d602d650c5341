"""`simdeck up`: starts everything, keeps it running, stops everything.

It is the only parent. What it starts inherits the instance's mark, and as child subreaper it inherits what others
leave, so that stopping can leave no process behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from simdeck_agent.settings import AgentSettings
from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem

from simdeck_hub import instance, parts, processes, scopes
from simdeck_hub.child import Child, ChildSpec, cut_log
from simdeck_hub.configure import Runtime
from simdeck_hub.hub_api import HubApi
from simdeck_hub.instance import Running
from simdeck_hub.passwords import PasswordStore
from simdeck_hub.places import Checkout, DataFolder, hub_python
from simdeck_hub.ports import free_ports, holder, is_free, next_free
from simdeck_hub.progress import Progress
from simdeck_hub.secrets_file import Secrets
from simdeck_hub.site_file import Site

START_SECONDS = 60.0
PR_SET_CHILD_SUBREAPER = 36
HOUSEKEEPING_SECONDS = 2.0
PORT_SECONDS = 5.0


@dataclass
class Supervisor:
    """One start of one data folder. :meth:`run` returns the exit code when all has been stopped."""

    data: DataFolder
    checkout: Checkout
    site: Site
    site_file: Path | None
    port: int
    progress: Progress
    children: list[Child] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    signals: int = 0
    own: set[int] = field(default_factory=set)

    async def run(self) -> int:
        """Start, wait for Ctrl-C or SIGTERM, stop.

        Raises
        ------
        Problem
            ``already-running``, ``port-taken``, ``start-failed`` …: everything that was started has been stopped again.
        """
        self.data.make()
        with instance.single_instance(self.data):
            become_subreaper()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._on_signal)
            try:
                async with self._housekeeping():
                    starting = asyncio.create_task(self._start())
                    stopped = asyncio.create_task(self.stop.wait())
                    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
                    if not starting.done():
                        starting.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await starting
                    await stopped
            finally:
                await self._stop_all()
            return 0

    def _on_signal(self) -> None:
        self.signals += 1
        self.stop.set()

    # --- starting ---------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        cleared = await self._clear_strays()
        if not await self._free_port(wait=cleared):
            raise Problem("port-taken", port=self.port, holder=holder(self.port), other=next_free(self.port))
        self.checkout.check()
        secrets = Secrets.load_or_make(self.data.private)
        proxy_api, hub_port, deck_port = free_ports(3)
        chosen = str(self.site_file) if self.site_file else None
        runtime = Runtime(self.port, proxy_api, hub_port, deck_port, chosen)
        runtime.write(self.data)
        write_agent_settings(self.data, self.checkout, self.site)
        hub = HubApi(runtime.hub_api, secrets.operator_token, str(self.data.logs / "hub.log"))
        running = Running(
            pid=os.getpid(), address=runtime.address, api=runtime.api, hub_api=runtime.hub_api, started=instance.now(),
            users=self.site.hub_users(),
        )  # fmt: skip
        instance.write_state(self.data, running)
        instance.remember(self.data)

        with self.progress:
            # The deck reads the registry when asked, so nothing waits for it.
            await asyncio.gather(
                self._step("Registry", self._build_registry()),
                self._step("Proxy", self._child(parts.proxy(runtime, self.data, self.checkout, secrets, hub))),
                self._step("Hub", self._child(parts.jupyterhub(self.data, hub))),
                self._step("Deck", self._child(parts.deck(runtime, self.data, secrets))),
            )
            await self._step("Routes", self._routes(runtime, hub))
            await self._step("Tokens", self._cli_tokens(hub))
        instance.write_state(self.data, Running(**{**running.__dict__, "ready": True}))
        self._say_ready(runtime)

    async def _step(self, name: str, work: object) -> None:
        self.progress.begin(name)
        await work  # type: ignore[misc]
        self.progress.done(name)

    async def _clear_strays(self) -> bool:
        """End what an earlier start left behind when it was killed; return whether there was anything."""
        if not processes.find(self.data.instance):
            return False
        self.progress.console.print("Ending what the last start left behind …")
        await processes.stop_all(self.data.instance)
        return True

    async def _free_port(self, *, wait: bool) -> bool:
        """Return whether the port is free; ``wait``: a killed proxy's socket closes a moment after its process."""
        deadline = time.monotonic() + (PORT_SECONDS if wait else 0.0)
        while not is_free(self.port):
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _child(self, spec: ChildSpec) -> None:
        child = Child(spec, died=self._died)
        self.children.append(child)
        await child.start()
        reason = await child.wait_ready(START_SECONDS)
        if reason is not None:
            raise Problem("start-failed", what=f"the {spec.name}", reason=reason, log=spec.log)

    def _died(self, name: str, code: int | None, pause: float) -> None:
        if not self.stop.is_set():
            after = f" in {pause:.1f} s" if pause else ""
            self.progress.console.print(f"The {name} ended unexpectedly ({ending(code)}); starting it again{after}.")

    async def _build_registry(self) -> None:
        log = self.data.logs / "registry.log"
        argv = [str(hub_python()), "-m", "simdeck_appstore.build"]
        argv += ["--source", str(self.checkout.registry), "--output", str(self.data.built_registry)]
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=parts.base_environment(self.data),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.close(output)
        self.own.add(process.pid)
        code = await process.wait()
        self.own.discard(process.pid)
        if code:
            # An older built registry, or none, still leaves installed apps usable.
            self.progress.console.print(f"The registry could not be built; the store shows the last one. See {log}.")

    async def _routes(self, runtime: Runtime, hub: HubApi) -> None:
        """Wait until the deck answers through the proxy."""
        url = f"{runtime.api}/openapi.json"
        for attempt in range(int(START_SECONDS / 0.05)):
            if await parts.answers(url, {}):
                return
            if attempt % 40 == 39:
                await hub.check_routes()
            await asyncio.sleep(0.05)
        raise Problem(
            "start-failed", what="the deck's address", reason=f"{url} does not answer", log=self.data.logs / "proxy.log"
        )

    async def _cli_tokens(self, hub: HubApi) -> None:
        """Keep one token per user for the simdeck command; made anew where the hub does not know the old one."""
        for user in self.site.hub_users():
            path = self.data.cli_token(user)
            kept = path.read_text(encoding="utf-8").strip() if path.exists() else ""
            if kept:
                owner, granted = await hub.owner(kept)
                if owner == user and scopes.covers(granted, scopes.CLI_TOKEN, user):
                    continue
            token = await hub.make_token(user, "simdeck command on the hub's machine", scopes.CLI_TOKEN)
            write_atomically(path, f"{token}\n", mode=0o600)

    def _say_ready(self, runtime: Runtime) -> None:
        """Print where to go and how to sign in: one line (and one for each further user of the site file)."""
        store = PasswordStore(self.data.private)
        for position, user in enumerate(self.site.hub_users()):
            lead = f"{self.site.site.name} is ready: {runtime.address} –" if position == 0 else "  also:"
            sys.stdout.write(f"{lead} sign in as {user} with the one-time password {store.make(user)}\n")
        sys.stdout.flush()

    # --- while it runs, and the end -----------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _housekeeping(self) -> AsyncIterator[None]:
        async def tidy() -> None:
            ended: set[int] = set()
            while True:
                ended = reap_orphans(self.own | {child.pid for child in self.children if child.pid}, ended)
                for log in self.data.logs.glob("*.log"):
                    await asyncio.to_thread(cut_log, log)
                await asyncio.sleep(HOUSEKEEPING_SECONDS)

        task = asyncio.create_task(tidy(), name="housekeeping")
        try:
            yield
        finally:
            task.cancel()

    async def _stop_all(self) -> None:
        for child in self.children:
            child.let_go()
        if self.signals:
            self.progress.console.print("Stopping … (Ctrl-C again ends everything at once)")
        stubborn = await processes.stop_all(
            self.data.instance,
            hurry=lambda: self.signals > 1,
        )
        for child in self.children:
            if child.process is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(child.process.wait(), 1.0)
        collect_ended()
        for found in stubborn:
            self.progress.console.print(f"Process {found.pid} does not end: {found.command[:120]}")
        instance.clear_state(self.data)
        if self.signals:
            self.progress.console.print("Stopped.")


def write_agent_settings(data: DataFolder, checkout: Checkout, site: Site) -> None:
    """Write ``agent.json``: what every user's agent is started with."""
    given = {
        "data": data.root,
        "backend_python": checkout.backend_python,
        "app_python": str(real_python()),
        "uv": uv_program(),
        "registries": [str(data.built_registry), *site.store.registries],
        "idle_seconds": site.agent.idle_seconds,
        "worker_idle_seconds": site.agent.worker_idle_seconds,
    }
    AgentSettings.model_validate({name: value for name, value in given.items() if value is not None}).write(
        data.agent_settings
    )


def uv_program() -> Path:
    """Return the uv of the hub's environment, else the one on ``PATH``."""
    beside = hub_python().parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise Problem("environment-missing", what="uv")
    return Path(found)


def real_python() -> Path:
    """Return the interpreter this environment was made from: apps' environments must not hang on this one."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def become_subreaper() -> None:
    """Have the kernel hand us the children that others leave (Linux); elsewhere the mark alone finds them."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(own: set[int], before: set[int]) -> set[int]:
    """Collect ended processes that were handed to us; return the ended ones that are left for the next time.

    asyncio collects the children it started itself (``own``). One it started a moment ago may not be in ``own`` yet, so
    only what had ended the time ``before`` already is collected.
    """
    seen: set[int] = set()
    for entry in Path("/proc/self/task").iterdir():
        try:
            children = (entry / "children").read_text(encoding="ascii").split()
        except OSError:
            continue
        for pid in map(int, children):
            if pid in own or not is_zombie(pid):
                continue
            if pid in before:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            else:
                seen.add(pid)
    return seen


def collect_ended() -> None:
    """Collect every ended child, at the end: none is left to whoever is above us."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] == "Z"


def ending(code: int | None) -> str:
    """Return how a process ended, in words."""
    if code is None:
        return "no exit status"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
