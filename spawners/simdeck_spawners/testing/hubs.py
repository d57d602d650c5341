"""A real JupyterHub in the test's own loop: its database in a file, its proxy outside, so that it can be killed."""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
from jupyterhub import orm, roles
from jupyterhub.app import JupyterHub
from jupyterhub.httpclient import JupyterHubHTTPClient
from jupyterhub.proxy import Proxy
from jupyterhub.utils import make_ssl_context
from traitlets import Dict
from traitlets.config import Config

from simdeck_spawners import fleet as fleets
from simdeck_spawners.book import Book
from simdeck_spawners.fleet import SlurmFleet
from simdeck_spawners.handlers import routes
from simdeck_spawners.hub import HubSide

SECRET = b"\x17" * 32
_life: contextvars.ContextVar[weakref.WeakSet[asyncio.Task[Any]] | None] = contextvars.ContextVar("life", default=None)
"""The tasks of the hub in whose context something runs: what ends with it."""


def _make_task(
    loop: asyncio.AbstractEventLoop, work: Any, context: contextvars.Context | None = None, **_: Any
) -> asyncio.Task[Any]:
    task = asyncio.Task(work, loop=loop, context=context)
    tasks = _life.get() if context is None else context.get(_life)
    if tasks is not None:
        tasks.add(task)
    return task


def outside(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run ``work`` so that it does not end with the hub that happened to begin it."""
    return asyncio.get_running_loop().create_task(work, context=contextvars.Context())


class RememberedProxy(Proxy):  # type: ignore[misc]
    """Routes in a dictionary that outlives the hub, as an external proxy's do."""

    should_start = False
    table: dict[str, dict[str, Any]] = Dict()

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        """Remember the route."""
        self.table[self.validate_routespec(routespec)] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        """Forget the route."""
        self.table.pop(self.validate_routespec(routespec), None)

    async def get_all_routes(self) -> dict[str, dict[str, Any]]:
        """Return all routes."""
        return dict(self.table)


class _Hub(JupyterHub):  # type: ignore[misc]
    def load_config_file(self, *_: Any, **__: Any) -> None:
        """There is none."""

    def init_signal(self) -> None:
        """The test's process keeps its signals."""

    def init_logging(self) -> None:
        super().init_logging()
        self.log.handlers.clear()
        self.log.propagate = True
        self.log.setLevel(self.log_level)


class HubLife:
    """One life of a hub: from its start to its orderly stop or its sudden death."""

    def __init__(self, folder: Path, port: int, configure: Callable[[Config], None], table: dict[str, Any]) -> None:
        self.folder = folder
        self.port = port
        self.table = table
        self.config = Config()
        self.config.JupyterHub.db_url = f"sqlite:///{folder}/hub.sqlite"
        self.config.JupyterHub.cookie_secret = SECRET
        self.config.JupyterHub.hub_ip = "127.0.0.1"
        self.config.JupyterHub.hub_port = port
        self.config.JupyterHub.bind_url = "http://127.0.0.1:1/"
        self.config.JupyterHub.authenticator_class = "dummy"
        self.config.JupyterHub.init_spawners_timeout = 1
        self.config.JupyterHub.last_activity_interval = 0
        self.config.JupyterHub.service_check_interval = 0
        self.config.JupyterHub.allow_named_servers = True
        self.config.JupyterHub.concurrent_spawn_limit = 0
        self.config.JupyterHub.tornado_settings = {"slow_spawn_timeout": 1}
        self.config.JupyterHub.cleanup_servers = False
        self.config.JupyterHub.extra_handlers = routes()
        self.config.JupyterHub.log_level = 30
        self.config.Authenticator.allow_all = True
        configure(self.config)
        self.app: Any = None
        self.fleet: SlurmFleet
        self.side: HubSide
        self._tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    async def start(self, make_fleet: Callable[[Config], SlurmFleet]) -> None:
        """Start as `jupyterhub` does, then bring hub and book together."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(_make_task)
        context = contextvars.copy_context()
        context.run(_life.set, self._tasks)
        await loop.create_task(self._start(make_fleet), context=context)

    async def _start(self, make_fleet: Callable[[Config], SlurmFleet]) -> None:
        self.fleet = make_fleet(self.config)
        fleets.set_current(self.fleet)
        self.app = _Hub(config=self.config)
        self.app.proxy_class = type("TableProxy", (RememberedProxy,), {"table": self.table})
        await self.app.initialize([])
        self.app.log.setLevel(self.config.JupyterHub.log_level)
        await self.app.start()
        self.side = HubSide(self.app, self.fleet)
        self.side.pause = 0.05
        self.fleet.spawn(self.side.run())

    def user(self, name: str) -> Any:
        """Return the hub's user, made when it is not there."""
        found = orm.User.find(self.app.db, name)
        if found is None:
            found = orm.User(name=name)
            self.app.db.add(found)
            self.app.db.commit()
            roles.assign_default_roles(self.app.db, entity=found)
            self.app.db.commit()
        return self.app.users[found]

    def client(self, name: str, scopes: list[str] | None = None) -> httpx.AsyncClient:
        """Return a client of the hub's API with a token of the user's own."""
        token = self.user(name).new_api_token(scopes=scopes)
        inner = self.app.internal_ssl
        context = (
            make_ssl_context(self.app.internal_ssl_key, self.app.internal_ssl_cert, cafile=self.app.internal_ssl_ca)
            if inner
            else None
        )
        return httpx.AsyncClient(
            base_url=f"{'https' if inner else 'http'}://127.0.0.1:{self.port}/hub/api",
            verify=context or True,
            headers={"Authorization": f"token {token}"},
            trust_env=False,
            timeout=30,
        )

    async def die(self) -> None:
        """End as `kill -9` does: nothing is written or said any more, whatever was under way."""
        self.fleet.book.close()
        self.fleet.book = _Dead()
        self.app.http_server.stop()
        await self._end()

    async def stop(self) -> None:
        """End in order; servers stay."""
        self.app.http_server.stop()
        await self.fleet.stop()
        await self._end()

    async def _end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.sleep(0)
        await self.app.http_server.close_all_connections()
        for callback in self.app._periodic_callbacks.values():
            callback.stop()
        for user in self.app.users.values():
            for spawner in user.spawners.values():
                spawner.stop_polling()
        self.app.metrics_collector.stop()
        self.app.db.rollback()
        self.app.db.close()
        self.app.db.get_bind().dispose()
        if JupyterHubHTTPClient.initialized():
            await JupyterHubHTTPClient.instance().close()
            JupyterHubHTTPClient.clear_instance()
        JupyterHub.clear_instance()
        fleets.set_current(None)


class _Dead(Book):
    """Stands where a dead hub had its book: nothing of it can be read or written."""

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> Any:
        raise asyncio.CancelledError
