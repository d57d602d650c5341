"""What the deck service reads from its environment, once, at start.

==================================  =================================================================================
``JUPYTERHUB_SERVICE_PREFIX``       path of the service; default ``/services/deck/``
``JUPYTERHUB_API_TOKEN``            the service's own token (also its OAuth client secret); required
``JUPYTERHUB_API_URL``              the hub's API, for example ``http://127.0.0.1:8081/hub/api``; required
``JUPYTERHUB_CLIENT_ID``            OAuth client; default ``service-deck``
``JUPYTERHUB_OAUTH_CALLBACK_URL``   default ``<prefix>oauth_callback``
``JUPYTERHUB_OAUTH_ACCESS_SCOPES``  JSON list; default ``["access:services!service=deck"]``
``JUPYTERHUB_BASE_URL``             the hub's base address; default ``/``
``JUPYTERHUB_HOST``                 public host of the hub, only when servers have subdomains
``JUPYTERHUB_PUBLIC_URL``           public address; ``https`` marks cookies as secure
``JUPYTERHUB_SSL_KEYFILE``          with ``…_CERTFILE`` and ``…_CLIENT_CA``: certificates for a hub with inner TLS
``JUPYTERHUB_SERVICE_URL``          where to listen: ``http://127.0.0.1:PORT``; required
``SIMDECK_AGENT_SETTINGS``          the ``agent.json`` that agents are started with; required
``SIMDECK_REGISTRY``                folder of the built registry; default ``<data>/registry``
``SIMDECK_DATA``                    data folder; default: the one of ``agent.json``
``SIMDECK_MAX_REQUEST_BYTES``       largest request body; default that of ``agent.json``
==================================  =================================================================================

What the hub must grant: users hold ``access:services!service=deck`` and the custom scopes filtered to themselves; the
OAuth client is allowed the same and ``servers!user`` (``oauth_client_allowed_scopes``), so that a session may start the
user's server. The service itself needs no scope: it asks the hub with its callers' tokens only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from simdeck_agent.settings import AgentSettings


@dataclass(frozen=True)
class DeckSettings:
    """The deck's settings; see the module for the variables they come from."""

    prefix: str
    api_token: str = field(repr=False)
    api_url: str
    client_id: str
    callback_url: str
    access_scopes: frozenset[str]
    hub_prefix: str
    hub_host: str
    secure_cookies: bool
    listen_host: str
    listen_port: int
    data: Path
    registry: Path
    agent_settings_file: Path
    agent_settings: AgentSettings
    max_request_bytes: int
    token_cache_seconds: int = 10

    @property
    def api_prefix(self) -> str:
        """Path of the REST API, without a slash at its end."""
        return self.prefix + "api/v1"

    @property
    def hpcwaas_prefix(self) -> str:
        """Path of the HPCWaaS API, without a slash at its end."""
        return self.prefix + "api/hpcwaas"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> DeckSettings:
        """Read the environment.

        Raises
        ------
        ValueError
            A required variable is missing; the message names it.
        """
        env = os.environ if env is None else env

        def need(name: str) -> str:
            value = env.get(name, "")
            if not value:
                raise ValueError(f"The environment variable {name} is missing; `simdeck up` sets it.")
            return value

        prefix = "/" + env.get("JUPYTERHUB_SERVICE_PREFIX", "/services/deck/").strip("/") + "/"
        client_id = env.get("JUPYTERHUB_CLIENT_ID") or "service-deck"
        service = env.get("JUPYTERHUB_SERVICE_NAME") or client_id.removeprefix("service-")
        scopes = env.get("JUPYTERHUB_OAUTH_ACCESS_SCOPES")
        listen = urlsplit(need("JUPYTERHUB_SERVICE_URL"))
        agent_file = Path(need("SIMDECK_AGENT_SETTINGS"))
        agent = AgentSettings.read(agent_file)
        data = Path(env.get("SIMDECK_DATA") or agent.data)
        base = "/" + env.get("JUPYTERHUB_BASE_URL", "/").strip("/")
        return cls(
            prefix=prefix,
            api_token=need("JUPYTERHUB_API_TOKEN"),
            api_url=need("JUPYTERHUB_API_URL").rstrip("/"),
            client_id=client_id,
            callback_url=env.get("JUPYTERHUB_OAUTH_CALLBACK_URL") or prefix + "oauth_callback",
            access_scopes=frozenset(json.loads(scopes))
            if scopes
            else frozenset({f"access:services!service={service}"}),
            hub_prefix=base.rstrip("/") + "/hub/",
            hub_host=env.get("JUPYTERHUB_HOST", ""),
            secure_cookies=env.get("JUPYTERHUB_PUBLIC_URL", "").startswith("https:"),
            listen_host=listen.hostname or "127.0.0.1",
            listen_port=listen.port or 0,
            data=data,
            registry=Path(env.get("SIMDECK_REGISTRY") or data / "registry"),
            agent_settings_file=agent_file,
            agent_settings=agent,
            max_request_bytes=int(env.get("SIMDECK_MAX_REQUEST_BYTES") or agent.max_request_bytes),
        )
