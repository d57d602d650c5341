"""``agent.json``: what every user's agent is started with."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from simdeck_agent.settings import AgentSettings, SiteAgents
from simdeck_clusters.settings import ClusterSettings
from simdeck_common.problems import Problem
from simdeck_workflows.clusters import RunCluster

from simdeck_hub.places import Checkout, DataFolder, hub_python
from simdeck_hub.site_file import Site


def write_agent_settings(data: DataFolder, checkout: Checkout, site: Site) -> None:
    """Write the file; on a site every user can read it.

    Raises
    ------
    Problem
        ``environment-missing``: there is no uv.
    """
    given = {
        "data": data.root,
        "backend_python": checkout.backend_python,
        "app_python": str(real_python()),
        "uv": uv_program(),
        "registries": [str(data.built_registry), *site.store.registries],
        "idle_seconds": site.agent.idle_seconds,
        "worker_idle_seconds": site.agent.worker_idle_seconds,
        "clusters": [run_cluster(cluster, data) for cluster in site.clusters if cluster.executor != "ssh"],
        "site": SiteAgents(program=launcher(site)) if site.on_site else None,
    }
    AgentSettings.model_validate({name: value for name, value in given.items() if value is not None}).write(
        data.agent_settings
    )


def launcher(site: Site) -> Path:
    """Return where simdeck-launch is installed."""
    return site.service.prefix / "libexec" / "simdeck-launch"


def run_cluster(cluster: ClusterSettings, data: DataFolder) -> RunCluster:
    """Return what users' runs need to know of a cluster: they submit to it as themselves."""
    defaults = cluster.defaults
    return RunCluster(
        name=cluster.name,
        title=cluster.title,
        slurm_conf=Path(cluster.slurm_conf) if cluster.slurm_conf else None,
        commands=Path(cluster.slurm_bin) if cluster.slurm_bin else None,
        partition=defaults.partition,
        account=defaults.account,
        qos=defaults.qos,
        cores=defaults.cores or 1,
        memory_mb=defaults.memory_mb or 1024,
        walltime_minutes=defaults.walltime_minutes or 60,
        snapshot=data.public / "clusters" / f"{cluster.name}.json",
    )


def uv_program() -> Path:
    """Return the uv of the hub's environment, else the one on ``PATH``."""
    beside = hub_python().parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise Problem("environment-missing", what="uv")
    return Path(found)


def real_python() -> Path:
    """Return the interpreter this environment was made from: apps' environments must not hang on this one."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()
