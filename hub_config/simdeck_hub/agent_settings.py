"""``agent.json``: what every user's agent is started with."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from simdeck_agent.settings import AgentSettings, SiteAgents
from simdeck_appstore.registries import RegistrySource
from simdeck_clusters.settings import ClusterSettings
from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.policy import GroupLimit, NoticeSettings, RunPolicy, make_slots

from simdeck_hub.places import Checkout, DataFolder, hub_python
from simdeck_hub.site_codes import run_codes, write_offered
from simdeck_hub.site_file import Site
from simdeck_hub.site_pseudopotentials import run_families
from simdeck_hub.site_publishing import write_receivers
from simdeck_hub.site_sections import RegistrySection


def write_agent_settings(
    data: DataFolder, checkout: Checkout, site: Site, site_file: Path | None = None
) -> AgentSettings:
    """Write the file and return its content; on a site every user can read it.

    Raises
    ------
    Problem
        ``environment-missing``: there is no uv; ``site-file``: a registry's key cannot be used.
    """
    clusters = [run_cluster(cluster, data, site) for cluster in site.clusters if cluster.executor != "ssh"]
    given = {
        "data": data.root,
        "backend_python": checkout.backend_python,
        "app_python": str(real_python()),
        "uv": uv_program(),
        "registries": registries(data, site, site_file),
        "apps": site.apps,
        "site_apps": site_apps(data, site),
        "idle_seconds": site.agent.idle_seconds,
        "worker_idle_seconds": site.agent.worker_idle_seconds,
        "policy": run_policy(data, site),
        "notices": notices(site),
        "clusters": clusters,
        "codes": run_codes(site.codes, tuple(cluster.name for cluster in clusters)),
        "pseudopotentials": run_families(site.pseudopotentials),
        "postgresql": site.storage.server(on_site=site.on_site),
        "prepare": prepare(data, site, site_file),
        "site": SiteAgents(program=launcher(site)) if site.on_site else None,
    }
    made = AgentSettings.model_validate({name: value for name, value in given.items() if value is not None})
    make_slots(made.policy)
    made.write(data.agent_settings)
    write_receivers(data, checkout, site)
    write_offered(data.root / "codes.json", site.codes, one_machine=not site.clusters)
    return made


def prepare(data: DataFolder, site: Site, site_file: Path | None) -> list[str]:
    """Return the words that make a user's database, which the deck runs before it first starts that user's agent.

    With passwords on a site only root can put them into people's homes, and runs the command by hand.
    """
    server = site.storage.server(on_site=site.on_site)
    if server is None or (site.on_site and not server.peer):
        return []
    words = [str(hub_python().parent / "simdeck"), "storage", "provision", "--data", str(data.root)]
    return [*words, *(["--site", str(site_file)] if site_file is not None else [])]


def registries(data: DataFolder, site: Site, site_file: Path | None) -> list[RegistrySource]:
    """Return the registries in their order, with copies of the pinned keys that every user can read."""
    found = [RegistrySource(name="bundled", url=str(data.built_registry), optional=True)] if site.store.bundled else []
    for section in site.registries:
        root = pinned(data, section, site, site_file) if section.root is not None else None
        found.append(RegistrySource(name=section.name, url=section.url, root=root, optional=section.optional))
    return found + [RegistrySource.of(location) for location in site.store.registries]


def pinned(data: DataFolder, section: RegistrySection, site: Site, site_file: Path | None) -> Path:
    """Copy a registry's pinned ``root.json`` to where users' agents read it, and return the copy."""
    from simdeck_appstore.trust import check_root

    assert section.root is not None
    path = (site_file.parent if site_file else Path.cwd()) / section.root.expanduser()
    try:
        content = path.read_bytes()
        check_root(content)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Problem(
            "site-file",
            field=str(site_file or path),
            what=f"registries.root of {section.name}: {path} cannot be used: {reason}",
            hint="Name the root.json that the registry's maintainer has given you",
        ) from None
    folder = data.root / "keys"
    folder.mkdir(mode=0o755 if site.on_site else 0o700, exist_ok=True)
    copy = folder / f"{section.name}.root.json"
    write_atomically(copy, content, mode=0o644 if site.on_site else 0o600)
    return copy


def site_apps(data: DataFolder, site: Site) -> Path:
    """Return where the apps are that are installed for everybody: on a site where all nodes can read them."""
    return site.apps.folder or (site.service.prefix if site.on_site else data.root) / "apps"


def launcher(site: Site) -> Path:
    """Return where simdeck-launch is installed."""
    return site.service.prefix / "libexec" / "simdeck-launch"


def run_policy(data: DataFolder, site: Site) -> RunPolicy:
    """Return what holds users' calculations back; every user reads the files it names."""
    groups = tuple(
        GroupLimit(name=name, calculations=most, members=tuple(site.groups.get(name, ())))
        for name, most in site.runs.group_calculations.items()
    )
    return RunPolicy(
        calculations_per_user=site.runs.calculations_per_user,
        calculations_here=site.runs.calculations_here,
        groups=groups,
        slots=data.public / "slots" if groups else None,
        pause_file=pause_file(data),
    )


def pause_file(data: DataFolder) -> Path:
    """Return the file whose presence lets nothing new begin."""
    return data.public / "runs-paused.json"


def notices(site: Site) -> NoticeSettings:
    """Return how people are told of their runs' ends."""
    section = site.notices
    address = f"{site.hub.public_url}/services/deck" if site.hub.public_url else None
    return NoticeSettings(
        smtp_host=section.smtp_host,
        smtp_port=section.smtp_port,
        mail_from=section.mail_from,
        mail_to=section.mail_to,
        local_webhooks=section.local_webhooks,
        deck_url=address,
    )


def run_cluster(cluster: ClusterSettings, data: DataFolder, site: Site) -> RunCluster:
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
        submissions_per_minute=site.runs.submissions_per_minute.get(cluster.name),
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
