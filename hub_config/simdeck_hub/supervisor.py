"""`simdeck up`: starts everything, keeps it running, stops everything.

It is the only parent. What it starts inherits the instance's mark, and as child subreaper it inherits what others
leave, so that stopping can leave no process behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem

from simdeck_hub import instance, parts, processes, scopes
from simdeck_hub.agent_settings import write_agent_settings
from simdeck_hub.child import Child, ChildSpec, cut_log
from simdeck_hub.configure import Runtime
from simdeck_hub.hub_api import HubApi
from simdeck_hub.inner_tls import InnerTls, is_address
from simdeck_hub.instance import Running
from simdeck_hub.passwords import PasswordStore
from simdeck_hub.places import Checkout, DataFolder, hub_python
from simdeck_hub.ports import HOST, free_ports, holder, is_free, next_free
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
        if self.site.on_site:
            # What users are to read they can read; everything private has its mode set.
            os.umask(0o022)
        self.data.make(on_site=self.site.on_site)
        with instance.single_instance(self.data):
            if not self.site.on_site:
                # On a site agents outlive us, so they are not to become our children.
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
            raise Problem(
                "port-taken", host=self.ip, port=self.port, holder=holder(self.port), other=next_free(self.port)
            )
        self.checkout.check()
        secrets = Secrets.load_or_make(self.data.private)
        runtime = self._runtime()
        runtime.write(self.data)
        write_agent_settings(self.data, self.checkout, self.site, self.site_file)
        running = Running(
            pid=os.getpid(), address=runtime.address, api=runtime.own_api, hub_api=runtime.own_hub_api,
            started=instance.now(), users=self.site.hub_users(),
        )  # fmt: skip
        instance.write_state(self.data, running)
        instance.remember(self.data)

        with self.progress:
            tls = await self._certificates(runtime) if runtime.inner_tls else None
            hub = HubApi(runtime.hub_api, secrets.operator_token, str(self.data.logs / "hub.log"), tls)
            # The deck reads the registry when asked, so nothing waits for it.
            await asyncio.gather(
                self._step("Registry", self._build_registry()),
                self._step("Proxy", self._child(parts.proxy(runtime, self.data, self.checkout, secrets, hub))),
                self._step("Hub", self._child(parts.jupyterhub(self.data, hub))),
                self._step("Deck", self._child(parts.deck(runtime, self.data, secrets))),
            )
            await self._step("Routes", self._routes(runtime, hub))
            if not self.site.on_site:
                await self._step("Tokens", self._cli_tokens(hub))
        instance.write_state(self.data, Running(**{**running.__dict__, "ready": True}))
        self._say_ready(runtime)

    def _runtime(self) -> Runtime:
        """Choose ports and addresses."""
        proxy_api, hub_port, deck_port = free_ports(3)
        node_address = self.site.hub.node_address if self.site.on_site else None
        runtime = Runtime(
            self.port, proxy_api, hub_port, deck_port, str(self.site_file) if self.site_file else None,
            ip=self.ip, node_address=node_address, public_url=self.site.hub.public_url,
            inner_tls=self.site.hub.internal_tls,
        )  # fmt: skip
        return replace(runtime, hub_port=self._hub_port(runtime)) if self.site.on_site else runtime

    def _hub_port(self, runtime: Runtime) -> int:
        """Return the port of the hub's own interface: the last start's, because servers on nodes know it."""
        wanted = self.site.hub.api_port
        if wanted is not None:
            if not is_free(wanted, runtime.hub_ip):
                raise Problem(
                    "port-taken", host=runtime.hub_ip, port=wanted, holder=holder(wanted), other=runtime.hub_port
                )
            return wanted
        try:
            last = Runtime.read(self.data).hub_port
        except (OSError, ValueError, TypeError):
            return runtime.hub_port
        return last if is_free(last, runtime.hub_ip) else runtime.hub_port

    @property
    def ip(self) -> str:
        """The address people's port is opened on."""
        if self.site.hub.ip is not None:
            return self.site.hub.ip
        node = self.site.hub.node_address
        if not self.site.on_site or node is None:
            return HOST
        return node if is_address(node) else "0.0.0.0"  # noqa: S104

    async def _step(self, name: str, work: object) -> None:
        self.progress.begin(name)
        await work  # type: ignore[misc]
        self.progress.done(name)

    async def _clear_strays(self) -> bool:
        """End what an earlier start left behind when it was killed; return whether there was anything."""
        if not processes.find(self.data.instance, own_only=self.site.on_site):
            return False
        self.progress.console.print("Ending what the last start left behind …")
        await processes.stop_all(self.data.instance, own_only=self.site.on_site)
        return True

    async def _free_port(self, *, wait: bool) -> bool:
        """Return whether the port is free; ``wait``: a killed proxy's socket closes a moment after its process."""
        deadline = time.monotonic() + (PORT_SECONDS if wait else 0.0)
        while not is_free(self.port, self.ip):
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

    async def _certificates(self, runtime: Runtime) -> ssl.SSLContext:
        """Make the certificates of the inner TLS, where they are not there yet; return how we use them ourselves."""
        tls = InnerTls.of(self.data)
        make = asyncio.to_thread(
            tls.make, runtime.node_address or HOST, self.data.logs / "tls.log", parts.base_environment(self.data)
        )
        await self._step("Certificates", make)
        return tls.context()

    async def _build_registry(self) -> None:
        log = self.data.logs / "registry.log"
        argv = [str(hub_python()), "-m", "simdeck_appstore.build"]
        argv += ["--source", str(self.checkout.registry), "--output", str(self.data.built_registry)]
        if self.checkout.own_wheel is not None:
            argv += ["--simdeck", str(self.checkout.own_wheel)]
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
        url = f"{runtime.own_api}/openapi.json"
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
        if self.site.auth.kind != "one-time":
            sys.stdout.write(f"{self.site.site.name} is ready: {runtime.address}\n")
            sys.stdout.flush()
            return
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
            own_only=self.site.on_site,
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
