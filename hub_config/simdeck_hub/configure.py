"""From the site file to JupyterHub's configuration.

``jupyterhub_config.py`` calls :func:`configure` and nothing else; plain ``c.…`` lines after it win.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simdeck_common.files import write_atomically

from simdeck_hub import scopes, site_file
from simdeck_hub.auth_configure import admins_of, configure_auth
from simdeck_hub.configure_slurm import slurm_servers
from simdeck_hub.database import do_not_wait_for_the_disk
from simdeck_hub.inner_tls import InnerTls, is_address
from simdeck_hub.places import DataFolder
from simdeck_hub.ports import HOST
from simdeck_hub.secrets_file import Secrets

DECK_PREFIX = f"/services/{scopes.DECK}/"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Runtime:
    """What `simdeck up` decided for this start: ports and addresses, and the site file it read."""

    port: int
    proxy_api_port: int
    hub_port: int
    deck_port: int
    site_file: str | None
    ip: str = HOST
    node_address: str | None = None
    public_url: str | None = None
    inner_tls: bool = False

    @property
    def here(self) -> str:
        """Where this machine's own processes reach the proxy."""
        return f"http://{url_host(reachable(self.ip))}:{self.port}"

    @property
    def address(self) -> str:
        """What people open."""
        return self.public_url or self.here

    @property
    def own_api(self) -> str:
        """Base URL of the REST API for this machine's own processes, through the proxy."""
        return f"{self.here}{DECK_PREFIX}api/v1"

    @property
    def api(self) -> str:
        """Base URL of the REST API for users' servers, wherever they run."""
        if self.node_address is None:
            return self.own_api
        return f"http://{url_host(self.node_address)}:{self.port}{DECK_PREFIX}api/v1"

    @property
    def hub(self) -> str:
        """The hub past the proxy, for its servers and services."""
        return f"{self.inner_scheme}://{url_host(self.node_address or HOST)}:{self.hub_port}"

    @property
    def inner_scheme(self) -> str:
        """How hub, proxy and servers speak to each other."""
        return "https" if self.inner_tls else "http"

    @property
    def proxy_api(self) -> str:
        """The proxy's own interface, where it is told its routes."""
        return f"{self.inner_scheme}://{HOST}:{self.proxy_api_port}"

    @property
    def hub_ip(self) -> str:
        """The address the hub's own interface listens on: the nodes' one where that is an address, else all."""
        if self.node_address is None or is_address(self.node_address):
            return self.node_address or HOST
        return "0.0.0.0"  # noqa: S104  (a name says nothing about which of this machine's addresses it is)

    @property
    def hub_api(self) -> str:
        return f"{self.hub}/hub/api"

    @property
    def own_hub_api(self) -> str:
        """The hub's REST API for commands on this machine: through the proxy where the hub asks for certificates."""
        return f"{self.here}/hub/api" if self.inner_tls else self.hub_api

    @property
    def deck(self) -> str:
        return f"http://{HOST}:{self.deck_port}"

    def write(self, data: DataFolder) -> None:
        write_atomically(data.runtime, json.dumps(asdict(self), indent=1), mode=0o600)

    @classmethod
    def read(cls, data: DataFolder) -> Runtime:
        return cls(**json.loads(data.runtime.read_text(encoding="utf-8")))


def configure(c: Any, environ: Mapping[str, str] = os.environ) -> site_file.Site:
    """Fill JupyterHub's ``c`` for the data folder of ``SIMDECK_DATA``; return the site file's content."""
    data = DataFolder.find(environ)
    runtime = Runtime.read(data)
    site = site_file.load(Path(runtime.site_file) if runtime.site_file else None)
    apply(c, site, runtime, data, Secrets.load(data.private))
    return site


def reachable(ip: str) -> str:
    """Return an address to reach a listener of ``ip`` at: this machine itself where that is all addresses."""
    return {"0.0.0.0": HOST, "::": "::1"}.get(ip, ip)  # noqa: S104


def url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def apply(c: Any, site: site_file.Site, runtime: Runtime, data: DataFolder, secrets: Secrets) -> None:
    """Set every option."""
    _hub(c, site, runtime, data)
    _proxy(c, runtime, secrets)
    configure_auth(
        c,
        site,
        data,
        public_url=runtime.address,
        unix_accounts=site.on_site,
        unix_group=site.service.group if site.on_site else None,
        # Policies read the groups of a site: one taken out of the file must be out of the hub too.
        groups=site.groups if site.on_site else site.groups or None,
    )
    _services(c, runtime, secrets)
    if site.on_site:
        c.Authenticator.admin_users = set()
        c.JupyterHub.load_roles = scopes.roles(admins_of(site), on_site=True)
        slurm_servers(c, site, runtime, data)
    else:
        _local_servers(c, site, runtime, data)


def _hub(c: Any, site: site_file.Site, runtime: Runtime, data: DataFolder) -> None:
    hub = c.JupyterHub
    hub.bind_url = f"http://{url_host(runtime.ip)}:{runtime.port}/"
    hub.hub_bind_url = f"{runtime.inner_scheme}://{url_host(runtime.hub_ip)}:{runtime.hub_port}"
    hub.hub_connect_url = runtime.hub
    if runtime.inner_tls:
        InnerTls.of(data).configure(c, runtime.node_address or HOST)
    hub.db_url = f"sqlite:///{data.hub / 'jupyterhub.sqlite'}"
    do_not_wait_for_the_disk()
    hub.cookie_secret_file = str(data.private / "cookie-secret")
    hub.default_url = DECK_PREFIX
    hub.log_level = site.hub.log_level
    # A hub that ends leaves its servers alone; `simdeck up` ends them when all is to end.
    hub.cleanup_servers = False
    hub.cleanup_proxy = False
    hub.allow_named_servers = False
    hub.template_paths = [str(HERE / "templates")]
    hub.template_vars = {"site_name": site.site.name, "deck_url": DECK_PREFIX}
    hub.extra_handlers = [(r"/simdeck/(.*)", "simdeck_hub.static_handler.SimdeckStaticHandler")]
    hub.tornado_settings = {"slow_spawn_timeout": 0}
    hub.activity_resolution = 60


def _proxy(c: Any, runtime: Runtime, secrets: Secrets) -> None:
    c.JupyterHub.proxy_class = "configurable-http-proxy"
    proxy = c.ConfigurableHTTPProxy
    proxy.should_start = False
    proxy.api_url = runtime.proxy_api
    proxy.auth_token = secrets.proxy_token


def _services(c: Any, runtime: Runtime, secrets: Secrets) -> None:
    c.JupyterHub.services = [
        {
            "name": scopes.DECK,
            "url": runtime.deck,
            "api_token": secrets.deck_token,
            "oauth_client_id": f"service-{scopes.DECK}",
            "oauth_no_confirm": True,
            "oauth_redirect_uri": f"{DECK_PREFIX}oauth_callback",
            "oauth_client_allowed_scopes": scopes.DECK_ON_BEHALF,
            "display": False,
        },
        {"name": scopes.OPERATOR, "api_token": secrets.operator_token, "display": False},
    ]


def _local_servers(c: Any, site: site_file.Site, runtime: Runtime, data: DataFolder) -> None:
    c.JupyterHub.spawner_class = "simdeck_spawners.local.LocalSpawner"
    local = c.LocalSpawner
    local.data = str(data.root)
    local.instance = data.instance
    local.api = runtime.api
    local.log_folder = str(data.logs)
    local.ip = HOST
    local.cmd = [str(Path(sys.executable).parent / "jupyterhub-singleuser")]
    local.notebook_dir = site.server.folder.replace("{user}", "{username}")
    local.default_url = "/lab"
    local.start_timeout = site.server.start_timeout
    local.http_timeout = site.server.start_timeout
    local.poll_interval = 5
    local.oauth_client_allowed_scopes = scopes.IN_SERVER


def deck_environment(runtime: Runtime, secrets: Secrets, data: DataFolder) -> dict[str, str]:
    """Return what the deck service is told, as JupyterHub tells a service it starts itself, and our own."""
    certificates = InnerTls.of(data).deck_environment() if runtime.inner_tls else {}
    return certificates | {
        "JUPYTERHUB_SERVICE_NAME": scopes.DECK,
        "JUPYTERHUB_CLIENT_ID": f"service-{scopes.DECK}",
        "JUPYTERHUB_API_TOKEN": secrets.deck_token,
        "JUPYTERHUB_API_URL": runtime.hub_api,
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_SERVICE_PREFIX": DECK_PREFIX,
        "JUPYTERHUB_SERVICE_URL": runtime.deck,
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{DECK_PREFIX}oauth_callback",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps([scopes.ACCESS_DECK]),
        "JUPYTERHUB_OAUTH_SCOPES": json.dumps([scopes.ACCESS_DECK]),
        "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES": json.dumps(scopes.DECK_ON_BEHALF),
        "SIMDECK_DATA": str(data.root),
        "SIMDECK_AGENT_SETTINGS": str(data.agent_settings),
        "SIMDECK_REGISTRY": str(data.built_registry),
    }
