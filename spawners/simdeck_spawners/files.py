"""What is written into a server's folder before its job is submitted: orders, certificates, the script."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeck_clusters.request import ResourceRequest
from simdeck_clusters.slurm.script import JobSpec, job_script
from simdeck_common.problems import Problem

from simdeck_spawners import options
from simdeck_spawners.book import Entry
from simdeck_spawners.local import NOT_NEEDED, SERVER_EXTENSION

if TYPE_CHECKING:
    from simdeck_spawners.fleet import SlurmFleet
    from simdeck_spawners.slurm import SimdeckSlurmSpawner

SCRIPT, ORDERS = "job.sh", "server.json"
PROGRAM = ("-I", "-m", "simdeck_spawners.server")
"""What Python runs in the job: it starts in the person's home, and no file there may stand in for a module."""
CERTIFICATE_FILES = {"keyfile": "key.pem", "certfile": "cert.pem", "cafile": "ca.pem"}
VOILA = "voila.server_extension"
"""Off: our own extension calls what app pages need of Voilà, when they need it."""
LATE = "jupyterlab"
"""Off at the start: loaded by our extension as soon as the server answers."""
MOST_NAMES = 1000
"""Names and addresses a certificate can carry and still be sent in few packets."""


def make(spawner: SimdeckSlurmSpawner, entry: Entry, certificates: dict[str, str]) -> dict[str, Any]:
    """Return the files of a server's folder by name. The token is in the orders alone."""
    request = options.request_of(entry.options)
    fleet = spawner.fleet
    orders = {
        "environment": spawner.get_env(),
        "arguments": spawner.get_args(),
        "bind": spawner.ip,
        "walltime_minutes": request.walltime_minutes,
    }
    return {ORDERS: orders, SCRIPT: script(fleet, entry.cluster, entry.job_name, request), **certificates}


def script(fleet: SlurmFleet, cluster: str, name: str, request: ResourceRequest) -> str:
    """Return the job script of the server whose job is called ``name``.

    Raises
    ------
    Problem
        The environment the request names is no longer offered.
    """
    environment = fleet.site.environment(request.environment)
    if environment is None:
        raise Problem("resources-choice", field="environment", name="environment", allowed="nothing")
    settings = fleet.clusters[cluster].settings
    spec = JobSpec(
        name=name,
        server=name,
        instance=fleet.instance,
        command=(*fleet.server, "--name", name),
        warning_minutes=settings.warning_minutes,
        requeue=settings.requeue,
    )
    return job_script(request, spec, environment)


def arguments(extensions: dict[str, bool]) -> list[str]:
    """Return jupyterhub-singleuser's arguments: only what pages here use."""
    chosen = {SERVER_EXTENSION: True, **dict.fromkeys((*NOT_NEEDED, VOILA, LATE), False), **extensions}
    flags = [f"--ServerApp.jpserver_extensions={name}={on}" for name, on in sorted(chosen.items())]
    # JupyterLab must not install packages into an environment all users share.
    return [*flags, "--LabApp.extension_manager=readonly"]


def certificates(paths: dict[str, str]) -> dict[str, str]:
    """Return the certificates' contents by the names they get in the server's folder."""
    return {CERTIFICATE_FILES[kind]: Path(path).read_text(encoding="utf-8") for kind, path in paths.items()}


def alt_names(fleet: SlurmFleet, entry: Entry) -> list[str]:
    """Return the names and addresses of every node the job may get: which one is known only when it runs.

    Raises
    ------
    Problem
        ``cluster-unavailable``: they are not known yet; ``server-certificate``: more than one certificate can name.
    """
    partition = entry.options["partition"]
    snapshot = fleet.snapshot(entry.cluster)
    nodes = list(snapshot.nodes_of(partition)) if snapshot is not None else []
    names = {
        f"{'IP' if _is_number(one) else 'DNS'}:{one}" for node in nodes for one in (node.address, node.host) if one
    }
    if not names and (snapshot is None or snapshot.facts_taken is None):
        label = fleet.clusters[entry.cluster].settings.label
        raise Problem("cluster-unavailable", cluster=label, reason="its nodes are not known yet")
    if not names or len(names) > MOST_NAMES:
        raise Problem("server-certificate", partition=partition, count=len(names))
    return sorted(names)


def _is_number(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
