"""The hub's side of the fleet: what it needs in the configuration, and bringing the hub's view and the book together.

``install(c)`` in `jupyterhub_config.py` is all an administrator writes. When the hub has started, starts that an
earlier hub left are asked for anew (the spawner then takes up the job that is there), servers that ended are taken off
the proxy, and those whose job Slurm started again are put back under their new address.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from jupyterhub.apihandlers import APIHandler
from jupyterhub.app import JupyterHub
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from simdeck_spawners.book import LIVE, Entry, Stage
from simdeck_spawners.fleet import SlurmFleet, current
from simdeck_spawners.handlers import routes

SWEEP_SECONDS = 3.0
ROUTES_SECONDS = 300.0
"""How often the proxy's routes are compared with the hub's servers."""
TAKEN_UP_SECONDS = 5.0
"""How long the next start waits at most until this one is taken up."""
TAKING_UP_SECONDS = 0.02


def install(c: Any) -> None:
    """Set what the Slurm spawner needs in JupyterHub's configuration; take up earlier servers when the hub starts."""
    c.JupyterHub.spawner_class = "simdeck_spawners.slurm.SimdeckSlurmSpawner"
    c.JupyterHub.allow_named_servers = True
    c.JupyterHub.concurrent_spawn_limit = 0
    c.JupyterHub.cleanup_servers = False
    # Servers tell of their use themselves. To ask the proxy about all of them would hold up the hub for seconds.
    c.JupyterHub.last_activity_interval = 0
    c.JupyterHub.tornado_settings.update({"slow_spawn_timeout": 1})
    c.JupyterHub.extra_handlers.extend(routes())
    # A configuration is also read where no hub runs: to check it, to upgrade the database.
    with contextlib.suppress(RuntimeError):
        _begun.add(asyncio.get_running_loop().create_task(_when_started()))


_begun: set[asyncio.Task[None]] = set()


async def _when_started() -> None:
    # The configuration is read by the application itself, right after it has made this future.
    app = JupyterHub.instance()
    await asyncio.shield(app._start_future)
    hub_side = HubSide(app, current(app.config))
    await hub_side.run()


class HubSide:
    """Keeps JupyterHub's view of servers in step with the book."""

    def __init__(self, app: Any, fleet: SlurmFleet) -> None:
        self.app = app
        self.fleet = fleet
        self.pause = SWEEP_SECONDS
        self._idle: dict[str, int] = {}
        self._ids: dict[str, int] = {}
        """Users' numbers in the hub's database, by name."""

    async def run(self) -> None:
        """Start the fleet and keep step until cancelled."""
        self.fleet.listeners.append(self._heard)
        await self.fleet.start()
        now = asyncio.get_running_loop().time
        compared = now()
        while True:
            try:
                await self.sweep()
                if now() > compared + ROUTES_SECONDS:
                    compared = now()
                    await self.app.proxy.check_routes(self.app.users, self.app._service_map)
            except Exception:
                self.app.log.exception("Bringing hub and servers together")
            await asyncio.sleep(self.pause)

    # --- starts the hub does not know of ------------------------------------------------------------------------

    async def sweep(self, *, twice: bool = True) -> None:
        """Take up what the book holds and the hub does not; ``twice``: only when a second look finds the same."""
        for entry in self.fleet.book.unfinished():
            if entry.stage not in LIVE or self._active(entry):
                self._idle.pop(entry.id, None)
                continue
            self._idle[entry.id] = self._idle.get(entry.id, 0) + 1
            # A start or a stop has moments in which the hub calls the server idle.
            if self._idle[entry.id] >= (2 if twice else 1):
                await self._take_up(entry)

    def _active(self, entry: Entry) -> bool:
        user = self._user(entry)
        if user is None or entry.server not in user.spawners:
            return False
        spawner = user.spawners[entry.server]
        return bool(spawner.active or spawner._start_pending)

    def _user(self, entry: Entry) -> Any:
        from jupyterhub import orm

        # Asked for every server at every sweep: it must not cost a query.
        known = dict.get(self.app.users, self._ids.get(entry.user))
        if known is not None and known.name == entry.user:
            return known
        found = orm.User.find(self.app.db, entry.user)
        if found is None:
            return None
        self._ids[entry.user] = found.id
        return self.app.users[found]

    async def _take_up(self, entry: Entry) -> None:
        self._idle.pop(entry.id, None)
        user = self._user(entry)
        if user is None or entry.user in self.app.authenticator.blocked_users:
            self.app.log.warning("Ending the job %s: %s is no user of this hub", entry.job_id or "?", entry.user)
            await self.fleet.end(entry.id)
            return
        self.fleet.spawn(self._spawn(user, entry))
        # One after the other: many at once would keep the hub from answering for seconds.
        deadline = asyncio.get_running_loop().time() + TAKEN_UP_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(TAKING_UP_SECONDS)
            spawner = user.spawners[entry.server]
            if spawner.entry_id == entry.id or not (spawner.active or spawner._start_pending):
                return

    async def _spawn(self, user: Any, entry: Entry) -> None:
        handler = _Resume(self.app)
        try:
            await handler.spawn_single_user(user, entry.server, display_name=entry.server)
        except Exception as error:
            self.app.log.warning("Taking up server %r of %s: %s", entry.server, entry.user, error)

    # --- what happens to servers --------------------------------------------------------------------------------

    def _heard(self, what: str, entry: Entry) -> None:
        user = self._user(entry)
        spawner = user.spawners[entry.server] if user is not None and entry.server in user.spawners else None
        if spawner is None or getattr(spawner, "entry_id", "") != entry.id:
            return
        if what == "ended":
            self.fleet.spawn(self._ended(spawner))
        elif what == "announced" and spawner.ready and (entry.was_running or entry.stage is Stage.RUNNING):
            self.fleet.spawn(self._moved(user, spawner, entry))

    async def _ended(self, spawner: Any) -> None:
        if spawner.ready:
            await spawner.poll_and_notify()

    async def _moved(self, user: Any, spawner: Any, entry: Entry) -> None:
        """Put a server that runs elsewhere now under its new address."""
        if not entry.host:
            return
        server = spawner.server
        if (server.ip, server.port) != (entry.host, entry.port):
            self.app.log.warning("%s is at %s:%i now", spawner._log_name, entry.host, entry.port)
            server.ip, server.port = entry.host, entry.port
            self.app.db.commit()
        await self.app.proxy.add_user(user, spawner.name)
        while entry.stage is Stage.ANNOUNCED:
            if await self.fleet.while_live(entry.id, spawner._answers(spawner._url(entry))):
                now = self.fleet.book.get(entry.id)
                if now is not None and (now.port, now.host) == (entry.port, entry.host):
                    self.fleet.move(entry.id, Stage.ANNOUNCED, stage=Stage.RUNNING)
            now = self.fleet.book.get(entry.id)
            if now is None or (now.port, now.host) != (entry.port, entry.host):
                # It is elsewhere by now, which was told as well.
                return
            entry = now


class _Resume(APIHandler):  # type: ignore[misc]
    """Starts a server as a request would, without one: nobody is there to be asked to sign in again."""

    def __init__(self, app: Any) -> None:
        line = RequestStartLine("POST", "/", "HTTP/1.1")
        request = HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": "hub"}), connection=_NoConnection())
        super().__init__(app.tornado_application, request)

    async def refresh_auth(self, user: Any, force: bool = False) -> Any:
        return user

    @property
    def slow_spawn_timeout(self) -> float:
        return 0

    @property
    def concurrent_spawn_limit(self) -> int:
        return 0


class _NoConnection:
    """Stands where a request has its connection."""

    context = None
    no_keep_alive = False

    def set_close_callback(self, callback: Any) -> None:
        """Nobody goes away."""
