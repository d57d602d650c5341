"""The three parts `simdeck up` keeps running: what each is started with, and how to tell that it answers."""

from __future__ import annotations

import os
import resource
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
from traitlets.config import Config

from simdeck_hub.auth_configure import configure_auth
from simdeck_hub.child import ChildSpec
from simdeck_hub.configure import DECK_PREFIX, Runtime, deck_environment
from simdeck_hub.hub_api import HubApi
from simdeck_hub.inner_tls import InnerTls
from simdeck_hub.places import Checkout, DataFolder, hub_python
from simdeck_hub.ports import HOST
from simdeck_hub.processes import MARK
from simdeck_hub.secrets_file import Secrets
from simdeck_hub.site_file import Site

NOT_INHERITED = ("JUPYTERHUB_", "CONFIGPROXY_", "SIMDECK_", "JPY_")
OPEN_FILES = 65536
KEPT = ("SIMDECK_CHECKOUT", "SIMDECK_SITE")


def base_environment(data: DataFolder, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what every part inherits: the person's environment without another hub's variables, and our mark."""
    kept = {name: value for name, value in environ.items() if name in KEPT or not name.startswith(NOT_INHERITED)}
    # The environment's programs are found first (uv, jupyterhub-singleuser), and output reaches the logs at once.
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return kept | {MARK: data.instance, "SIMDECK_DATA": str(data.root), "PYTHONUNBUFFERED": "1"}


def proxy(runtime: Runtime, data: DataFolder, checkout: Checkout, secrets: Secrets, hub: HubApi) -> ChildSpec:
    """configurable-http-proxy: the only part people's browsers speak to."""
    argv = [
        str(checkout.node()), str(checkout.proxy_script),
        "--ip", runtime.ip, "--port", str(runtime.port),
        "--api-ip", HOST, "--api-port", str(runtime.proxy_api_port),
        "--default-target", runtime.hub,
        "--error-target", f"{runtime.hub}/hub/error",
    ]  # fmt: skip
    if runtime.inner_tls:
        argv += InnerTls.of(data).proxy_arguments()

    async def ready() -> bool:
        return await answers(
            f"{runtime.proxy_api}/api/routes", {"Authorization": f"token {secrets.proxy_token}"}, hub.context
        )

    return ChildSpec(
        name="proxy",
        argv=argv,
        environment=base_environment(data) | {"CONFIGPROXY_AUTH_TOKEN": secrets.proxy_token},
        log=data.logs / "proxy.log",
        ready=ready,
        # A new proxy has no routes: the hub knows them all.
        after_restart=hub.check_routes,
    )


def jupyterhub(data: DataFolder, hub: HubApi) -> ChildSpec:
    """JupyterHub with the configuration made from the site file."""
    config = Path(__file__).parent / "jupyterhub_config.py"
    return ChildSpec(
        name="hub",
        argv=[str(hub_python()), "-m", "jupyterhub", "-f", str(site_config(data) or config)],
        environment=base_environment(data),
        log=data.logs / "hub.log",
        ready=hub.answers,
    )


def allow_many_files() -> None:
    """Let hub and proxy, who inherit it, hold a connection for each of many servers: the usual limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def check_sign_in(site: Site, data: DataFolder) -> None:
    """Configure the sign-in as the hub will: what it refuses is told at once, not by a hub that dies.

    Raises
    ------
    Problem
        ``auth-secret-file`` or ``auth-provider``.
    """
    if site_config(data) is None and site.auth.kind != "one-time":
        data.make(on_site=site.on_site)
        configure_auth(Config(), site, data, public_url=site.hub.public_url or f"http://{HOST}")


def site_config(data: DataFolder) -> Path | None:
    """Return the administrator's own ``jupyterhub_config.py`` in the data folder, where there is one."""
    own = data.root / "jupyterhub_config.py"
    return own if own.is_file() else None


def deck(runtime: Runtime, data: DataFolder, secrets: Secrets) -> ChildSpec:
    """The deck service: pages and REST API."""

    async def ready() -> bool:
        return await answers(f"{runtime.deck}{DECK_PREFIX}api/v1/openapi.json", {})

    return ChildSpec(
        name="deck",
        argv=[str(hub_python()), "-m", "simdeck_deck"],
        environment=base_environment(data) | deck_environment(runtime, secrets, data),
        log=data.logs / "deck.log",
        ready=ready,
    )


async def answers(url: str, headers: dict[str, str], context: ssl.SSLContext | None = None) -> bool:
    """Return whether ``url`` answers 200."""
    try:
        async with httpx.AsyncClient(timeout=2.0, trust_env=False, verify=context or True) as client:
            return (await client.get(url, headers=headers)).status_code == 200
    except httpx.HTTPError:
        return False
