"""The addresses of an OpenID provider, as its own OpenID configuration states them.

A hub that starts while the provider is away uses what it learned last time, so that a provider's outage does not keep
people who are signed in from their work.
"""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem

from simdeck_hub.auth_settings import on_this_machine

log = logging.getLogger(__name__)

TRIES = 3
TIMEOUT_SECONDS = 10.0
Fetch = Callable[[str], Any]


@dataclass(frozen=True)
class Endpoints:
    """Where the provider does what."""

    issuer: str
    authorize: str
    token: str
    userinfo: str
    end_session: str | None
    basic_auth: bool
    """The client's secret goes into a header rather than the body."""


def discover(issuer: str, kept: Path, *, ca_file: Path | None = None, fetch: Fetch | None = None) -> Endpoints:
    """Return the provider's addresses, asked for now; ``kept`` is the file that remembers them. Blocking.

    Raises
    ------
    Problem
        ``auth-provider``: it does not answer and never has, or what it answers cannot be used.
    """
    address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    remembered = _remembered(kept, issuer)
    ask = fetch or _fetcher(ca_file)
    tries = 1 if remembered else TRIES
    for number in range(tries):
        try:
            document = ask(address)
        except (httpx.HTTPError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            if remembered:
                log.warning("%s does not answer (%s); its addresses of last time are used", address, reason)
                return endpoints_of(issuer, remembered)
            if number + 1 < tries:
                time.sleep(number + 1)
                continue
            raise Problem(
                "auth-provider",
                field="auth.oidc.issuer",
                what=f"The sign-in provider does not answer at {address}: {reason}",
                hint="Compare the address with the provider's documentation, and open it from this machine",
            ) from error
        found = endpoints_of(issuer, document)
        write_atomically(kept, json.dumps(document), mode=0o600)
        return found
    raise AssertionError("unreachable")


def endpoints_of(issuer: str, document: Any) -> Endpoints:
    """Check the provider's OpenID configuration; return what of it is needed.

    Raises
    ------
    Problem
        ``auth-provider``.
    """

    def refuse(what: str, hint: str) -> Problem:
        return Problem("auth-provider", field="auth.oidc.issuer", what=what, hint=hint)

    if not isinstance(document, dict):
        raise refuse(f"What {issuer} answers is no OpenID configuration", "Correct the address of the issuer")
    stated = document.get("issuer")
    if not isinstance(stated, str) or stated.rstrip("/") != issuer.rstrip("/"):
        raise refuse(
            f"The provider at {issuer} calls itself {stated!r}", "Write that address as issuer, if it is meant"
        )
    addresses: dict[str, str | None] = {}
    for key, needed in (
        ("authorization_endpoint", True),
        ("token_endpoint", True),
        ("userinfo_endpoint", True),
        ("end_session_endpoint", False),
    ):
        value = document.get(key)
        parts = urlsplit(value) if isinstance(value, str) else None
        safe = parts and parts.hostname and (parts.scheme == "https" or on_this_machine(parts.hostname))
        if value is not None and not safe:
            raise refuse(f"The provider's {key} is not an https address: {value!r}", "Ask the provider's administrator")
        if value is None and needed:
            raise refuse(f"The provider's OpenID configuration has no {key}", "Use a provider that has one")
        addresses[key] = value
    # Not stated means the header, by the standard.
    methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return Endpoints(
        issuer=stated,
        authorize=str(addresses["authorization_endpoint"]),
        token=str(addresses["token_endpoint"]),
        userinfo=str(addresses["userinfo_endpoint"]),
        end_session=addresses["end_session_endpoint"],
        basic_auth="client_secret_post" not in methods,
    )


def _remembered(kept: Path, issuer: str) -> dict[str, Any] | None:
    """Return what the same provider said last time, where it can still be used."""
    try:
        document = json.loads(kept.read_text(encoding="utf-8"))
        endpoints_of(issuer, document)
    except (OSError, ValueError, Problem):
        return None
    return dict(document)


def _fetcher(ca_file: Path | None) -> Fetch:
    # JupyterHub's own client, which asks the provider at each sign-in, takes no proxy from the environment either.
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)

    def fetch(address: str) -> Any:
        answer = httpx.get(address, timeout=TIMEOUT_SECONDS, verify=context, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    return fetch
