"""Where the simdeck command finds the API and its token."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import click
import httpx
from simdeck_common.problems import Problem
from simdeck_workflows.client import Client
from simdeck_workflows.client.requests import problem_of

from simdeck_hub.instance import find_running


@dataclass(frozen=True)
class Address:
    """The API's base URL (ending in ``/api/v1``) and the token to use."""

    api: str
    token: str


def find_address(user: str | None = None) -> Address:
    """Return ``SIMDECK_API`` with ``SIMDECK_TOKEN`` (or the server's token), else this machine's running instance.

    Raises
    ------
    Problem
        ``not-running``, ``unknown-user``.
    """
    api = os.environ.get("SIMDECK_API")
    token = os.environ.get("SIMDECK_TOKEN") or os.environ.get("JUPYTERHUB_API_TOKEN")
    if api and token and user is None:
        return Address(api.rstrip("/"), token)
    data, running = find_running()
    name = user or running.users[0]
    if name not in running.users:
        raise Problem("unknown-user", user=name, known=", ".join(running.users))
    return Address(running.api, data.cli_token(name).read_text(encoding="utf-8").strip())


@contextmanager
def client() -> Iterator[Client]:
    """Open the light client as the user of ``--user``; a service out of reach becomes a refusal."""
    address = find_address(chosen_user())
    without_proxy(address.api)
    try:
        with Client(address.api, address.token) as opened:
            yield opened
    except httpx.TransportError as error:
        raise Problem("not-running", looked=f"{address.api} does not answer: {error}") from error


@contextmanager
def rest() -> Iterator[httpx.Client]:
    """Open a plain HTTP client of the API, for what the light client does not offer (apps and tasks)."""
    address = find_address(chosen_user())
    without_proxy(address.api)

    def refuse(answer: httpx.Response) -> None:
        if not answer.is_success:
            answer.read()
            raise problem_of(answer) or AssertionError

    try:
        with httpx.Client(
            base_url=f"{address.api}/",
            headers={"Authorization": f"token {address.token}"},
            timeout=httpx.Timeout(30.0, read=120.0),
            event_hooks={"response": [refuse]},
        ) as opened:
            yield opened
    except httpx.TransportError as error:
        raise Problem("not-running", looked=f"{address.api} does not answer: {error}") from error


def without_proxy(api: str) -> None:
    """Keep requests to this machine away from the site's web proxy."""
    host = urlsplit(api).hostname or ""
    if host in {"127.0.0.1", "localhost", "::1"}:
        for name in ("NO_PROXY", "no_proxy"):
            os.environ[name] = ",".join(filter(None, [os.environ.get(name, ""), host]))


def chosen_user() -> str | None:
    """Return ``--user`` of the command being run."""
    context = click.get_current_context(silent=True)
    while context is not None:
        if context.params.get("user"):
            return str(context.params["user"])
        context = context.parent
    return None
