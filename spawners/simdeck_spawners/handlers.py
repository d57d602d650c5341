"""The hub's routes of ours, ``/hub/api/simdeck/…``: what servers tell it, what the deck asks in a person's name."""

from __future__ import annotations

import hmac
import json
from typing import Any

from jupyterhub.apihandlers import APIHandler
from jupyterhub.user import User
from simdeck_common.problems import Problem

from simdeck_spawners import choices, dossier, options, views
from simdeck_spawners.book import Entry
from simdeck_spawners.fleet import SlurmFleet, current

DEFAULT = "-"
"""The default server's name in addresses."""
PORTS = range(1024, 65536)


class SimdeckHandler(APIHandler):  # type: ignore[misc]
    """Answers problems as problem+json."""

    @property
    def fleet(self) -> SlurmFleet:
        """This hub's servers."""
        return current()

    def answer(self, body: Any, status: int = 200) -> None:
        """Answer with JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(body))

    def refuse(self, problem: Problem) -> None:
        """Answer with the problem."""
        self.set_status(problem.status)
        self.set_header("Content-Type", "application/problem+json")
        self.finish(json.dumps(problem.to_json()))

    def caller(self) -> Any:
        """Return the user whose token or session this is.

        Raises
        ------
        Problem
            ``not-signed-in``, or ``not-a-user`` for a service.
        """
        if self.current_user is None:
            raise Problem("not-signed-in")
        if not isinstance(self.current_user, User):
            raise Problem("not-a-user")
        return self.current_user

    def groups(self, user: Any) -> list[str]:
        """Return the names of the user's groups."""
        return [group.name for group in user.groups]

    def need(self, scope: str) -> None:
        """Refuse a token without ``scope``.

        Raises
        ------
        Problem
            ``missing-scope``.
        """
        if not self.has_scope(scope):
            raise Problem("missing-scope", scope=scope.partition("=")[0])


class ReadyHandler(SimdeckHandler):
    """A server says on which port it listens. Its own token, while it is expected; anything else is refused."""

    _accept_cookie_auth = False

    async def post(self) -> None:
        try:
            entry = self._whose()
            if not await self.fleet.announced(entry, self._port(), self._peer()):
                raise Problem("server-not-expected")
        except Problem as problem:
            self.refuse(problem)
            return
        self.set_status(204)
        self.finish()

    def _whose(self) -> Entry:
        user = self.caller()
        token = self.get_auth_token() or ""
        for entry in self.fleet.book.unfinished():
            if entry.user == user.name and hmac.compare_digest(self.fleet.token(entry).encode(), token.encode()):
                return entry
        raise Problem("missing-scope", scope="a server's own token")

    def _port(self) -> int:
        try:
            body = json.loads(self.request.body)
        except ValueError:
            raise Problem("bad-request") from None
        if not isinstance(body, dict) or set(body) != {"port"}:
            raise Problem("bad-request", detail="The body must hold one field, port.")
        port = body["port"]
        if not isinstance(port, int) or isinstance(port, bool) or port not in PORTS:
            raise Problem(
                "invalid-input", field="port", detail=f"port must be a whole number from {PORTS[0]} to {PORTS[-1]}."
            )
        return port

    def _peer(self) -> str:
        """The address the connection comes from; what headers say of it counts for nothing."""
        address = getattr(getattr(self.request.connection, "context", None), "address", None)
        return str(address[0]) if isinstance(address, tuple) and address else ""


class ServersHandler(SimdeckHandler):
    """The caller's servers."""

    async def get(self) -> None:
        try:
            user = self.caller()
            self.items(user)
        except Problem as problem:
            self.refuse(problem)

    def items(self, user: Any) -> None:
        names = {*user.orm_spawners, *(entry.server for entry in self.fleet.book.servers(user.name)), ""}
        seen = [name for name in sorted(names) if self.has_scope(f"read:servers!server={user.name}/{name}")]
        if not seen:
            raise Problem("missing-scope", scope="read:servers!user")
        self.answer({"items": [view_of(self.fleet, user, name) for name in seen]})


class ServerHandler(SimdeckHandler):
    """One of the caller's servers."""

    async def get(self, name: str, what: str | None = None) -> None:
        try:
            user, server = self.caller(), "" if name == DEFAULT else name
            self.need(f"read:servers!server={user.name}/{server}")
            entry = self.fleet.book.live(user.name, server) or self.fleet.book.latest(user.name, server)
            if entry is None and server and server not in user.orm_spawners:
                raise Problem("server-not-found", server=name)
            view = view_of(self.fleet, user, server)
            if what is None:
                self.answer(view)
                return
            if entry is None:
                raise Problem("server-not-found", server=name)
            packed = await dossier.bundle(self.fleet, entry, view)
        except Problem as problem:
            self.refuse(problem)
            return
        self.set_header("Content-Type", "application/zip")
        self.set_header("Content-Disposition", f'attachment; filename="simdeck-{entry.job_id or entry.id}.zip"')
        self.finish(packed)


class ClustersHandler(SimdeckHandler):
    """What the caller may choose."""

    async def get(self) -> None:
        try:
            user = self.caller()
            self.need(f"read:servers!user={user.name}")
            await options.clusters_known(self.fleet)
            self.answer({"items": choices.clusters(self.fleet, user.name, self.groups(user))})
        except Problem as problem:
            self.refuse(problem)


class EstimateHandler(SimdeckHandler):
    """When a request would start and what it costs."""

    async def post(self) -> None:
        try:
            user = self.caller()
            self.need(f"servers!user={user.name}")
            try:
                body = json.loads(self.request.body or b"{}")
            except ValueError:
                raise Problem("bad-request") from None
            raw = body.get("options", {}) if isinstance(body, dict) else None
            if not isinstance(raw, dict):
                raise Problem("bad-request")
            await options.clusters_known(self.fleet)
            self.answer(await choices.estimate(self.fleet, user.name, self.groups(user), raw))
        except Problem as problem:
            self.refuse(problem)


def view_of(fleet: SlurmFleet, user: Any, server: str) -> dict[str, Any]:
    """Return the ServerView as the API gives it: the default server is called ``-``."""
    return views.server(fleet, user, server) | {"name": server or DEFAULT}


def routes() -> list[tuple[str, type[SimdeckHandler]]]:
    """Return what goes into ``c.JupyterHub.extra_handlers``."""
    return [
        (r"/api/simdeck/ready", ReadyHandler),
        (r"/api/simdeck/servers", ServersHandler),
        (r"/api/simdeck/servers/([^/]+)", ServerHandler),
        (r"/api/simdeck/servers/([^/]+)/(bundle)", ServerHandler),
        (r"/api/simdeck/clusters", ClustersHandler),
        (r"/api/simdeck/estimate", EstimateHandler),
    ]
