"""The few calls `simdeck up` and the simdeck command make to the hub, with the operator's token."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

import httpx
from simdeck_common.problems import Problem


@dataclass(frozen=True)
class HubApi:
    """The hub's REST API at ``url`` (``…/hub/api``)."""

    url: str
    token: str
    log: str = "hub.log"
    context: ssl.SSLContext | None = None
    """The certificates to speak to the hub with, where it asks for them."""

    def client(self, timeout: float = 10.0, token: str | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"token {self.token if token is None else token}"},
            timeout=timeout,
            trust_env=False,
            verify=self.context or True,
        )

    async def answers(self) -> bool:
        """Return whether the hub answers."""
        try:
            async with self.client(timeout=2.0) as client:
                return (await client.get("/")).status_code == 200
        except httpx.HTTPError:
            return False

    async def check_routes(self) -> None:
        """Have the hub compare the proxy's routes with what they should be, now (after a proxy's restart)."""
        async with self.client(timeout=30.0) as client:
            (await client.post("/proxy")).raise_for_status()

    async def owner(self, token: str) -> tuple[str, list[str]]:
        """Return the user whose token this is and what it may do; an empty name when the hub does not know it."""
        async with self.client(token=token) as client:
            answer = await client.get("/user")
        if answer.status_code != 200:
            return "", []
        return str(answer.json().get("name", "")), list(answer.json().get("scopes", []))

    async def make_token(self, user: str, note: str, scopes: list[str] | None, expires_in: int | None = None) -> str:
        """Make a token for ``user``; ``scopes`` of ``None`` means all the user may do.

        Raises
        ------
        Problem
            ``unknown-user``, ``hub-refused``, or ``hub-away`` when it does not answer.
        """
        body: dict[str, Any] = {"note": note}
        if scopes is not None:
            body["scopes"] = scopes
        if expires_in is not None:
            body["expires_in"] = expires_in
        try:
            async with self.client() as client:
                answer = await client.post(f"/users/{user}/tokens", json=body)
        except httpx.TransportError as error:
            raise Problem("hub-away", log=self.log) from error
        if answer.status_code in {200, 201}:
            return str(answer.json()["token"])
        raise Problem("hub-refused", status=answer.status_code, reason=message_of(answer), log=self.log)


def message_of(answer: httpx.Response) -> str:
    """Return the hub's own words for a refusal."""
    try:
        return str(answer.json().get("message") or answer.reason_phrase)
    except ValueError:
        return answer.reason_phrase
