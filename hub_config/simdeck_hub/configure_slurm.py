"""JupyterHub's configuration where servers run as Slurm jobs: the spawner, and what the hub must not count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simdeck_spawners.files import PROGRAM

from simdeck_hub import scopes
from simdeck_hub.agent_settings import launcher
from simdeck_hub.places import DataFolder, hub_python
from simdeck_hub.site_file import Site

if TYPE_CHECKING:
    from simdeck_hub.configure import Runtime


def slurm_servers(c: Any, site: Site, runtime: Runtime, data: DataFolder) -> None:
    """Set the Slurm spawner's options from the site file."""
    from simdeck_spawners.hub import install

    install(c)
    hub = c.JupyterHub
    hub.allow_named_servers = site.servers.named_limit > 0
    hub.named_server_limit_per_user = site.servers.named_limit
    # A queued server costs the hub nothing, and Slurm is the one to say how many may run.
    hub.concurrent_spawn_limit = 0
    hub.active_server_limit = 0
    fleet = c.SlurmFleet
    fleet.data = str(data.root)
    fleet.instance = data.instance
    fleet.api = runtime.api
    fleet.public = str(data.public)
    fleet.launcher = str(launcher(site))
    fleet.server = (str(hub_python()), *PROGRAM)
    fleet.site = site.resources()
    fleet.queue_timeout = float(site.servers.queue_timeout)
    fleet.boot_timeout = float(site.servers.boot_timeout)
    fleet.handshake_timeout = float(site.servers.handshake_timeout)
    spawner = c.SimdeckSlurmSpawner
    spawner.notebook_dir = site.server.folder.replace("{user}", "{username}")
    spawner.default_url = "/lab"
    spawner.oauth_client_allowed_scopes = scopes.IN_SERVER
    if runtime.inner_tls:
        # JupyterHub's default are the hub's own names; without any, a server's certificate names its partition's nodes.
        spawner.ssl_alt_names = []
