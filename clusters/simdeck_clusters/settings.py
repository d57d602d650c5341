"""What an administrator says about clusters in the site file: how to reach them, what is offered, to whom.

Pydantic models, frozen; a wrong entry fails at load with the field's name. Every name in them that reaches a Slurm
command or a job script is bound to a pattern here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from simdeck_clusters.quantities import MemoryMib, Minutes

NAME = r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}"
"""Names in Slurm (partition, account, QoS, reservation, node, GPU type): no comma, space, colon or shell character."""

SLUG = r"[a-z0-9][a-z0-9\-]{0,31}"
"""Names of our own, used in addresses and files."""

PATH = r"/[A-Za-z0-9_./+@%=:\-]*"
"""Absolute paths that may stand in a job script."""

SlurmName = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Slug = Annotated[str, StringConstraints(pattern=f"^{SLUG}$")]
ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./+\-]{0,127}$")]
SafePath = Annotated[str, StringConstraints(pattern=f"^{PATH}$")]
BindMount = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9_./+@%=\-]*(:/[A-Za-z0-9_./+@%=\-]*)?$")]
SetupLine = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0a-\x1f\x7f]*$")]


class Strict(BaseModel):
    """Frozen, and an unknown key is an error: a misspelt one must not be ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class SshSettings(Strict):
    """How to reach a cluster's login node with OpenSSH's client. The host's key must be known beforehand."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.\-]{0,252}$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    user: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_\-]{0,31}$")] | None = None
    """The service's account on the cluster; acting for a user signs in as that user."""
    identity: Path | None = None
    known_hosts: Path | None = None
    multiplex: bool = False
    """Share one connection (OpenSSH's ControlMaster); off, because a stuck master would stall everybody."""
    launcher: SafePath = "/opt/simdeck/libexec/simdeck-launch"
    """The launcher's place on the cluster."""


class PartitionOffer(Strict):
    """A partition that is offered, with limits below Slurm's own where the site wants that."""

    name: SlurmName
    title: str = ""
    summary: str = ""
    max_walltime_minutes: Minutes | None = None
    max_cores: Annotated[int, Field(ge=1)] | None = None
    max_memory_mb: MemoryMib | None = None
    max_gpus: Annotated[int, Field(ge=0)] | None = None


class Resources(Strict):
    """A request in part: what is not given is left to the next one asked (preset, then cluster's defaults)."""

    cluster: Slug | None = None
    partition: SlurmName | None = None
    account: SlurmName | None = None
    qos: SlurmName | None = None
    cores: Annotated[int, Field(ge=1)] | None = None
    memory_mb: MemoryMib | None = Field(default=None, alias="memory")
    gpus: str | int | None = None
    walltime_minutes: Minutes | None = Field(default=None, alias="walltime")
    reservation: SlurmName | None = None
    environment: Slug | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def given(self) -> dict[str, object]:
        """Return the fields that are given, by the names of ``ResourceRequest``."""
        return {name: value for name in Resources.model_fields if (value := getattr(self, name)) is not None}


class ClusterSettings(Strict):
    """One cluster: how commands reach it, what of it is offered, how often it is asked."""

    name: Slug
    title: str = ""
    kind: Literal["slurm"] = "slurm"
    executor: Literal["local", "sudo", "ssh"] = "sudo"
    ssh: SshSettings | None = None
    launcher: SafePath | None = None
    """The launcher's path here; unset, the one of the site's prefix."""
    slurm_bin: SafePath | None = None
    """Folder of sbatch, squeue …; unset, they are looked up on PATH."""
    slurm_conf: SafePath | None = None
    partitions: tuple[PartitionOffer, ...] = ()
    """Partitions offered, in this order; empty: every partition Slurm shows."""
    environments: tuple[Slug, ...] = ()
    """Environments that exist on this cluster; empty: all of the site."""
    defaults: Resources = Resources()
    poll_seconds: Annotated[float, Field(ge=2, le=600)] = 5.0
    """Seconds between two `squeue` while somebody waits for a job; never below 2."""
    idle_poll_seconds: Annotated[float, Field(ge=2, le=3600)] = 30.0
    """Seconds between two `squeue` while nobody waits."""
    facts_seconds: Annotated[float, Field(ge=10, le=86400)] = 60.0
    """Seconds nodes are taken as known; partitions, reservations and accounts are kept five times as long."""
    command_timeout: Annotated[float, Field(ge=1, le=600)] = 20.0
    """Seconds after which a Slurm command that does not return is ended."""
    node_address: Literal["auto", "name", "address"] = "auto"
    """How the hub reaches a node: by name, by Slurm's NodeAddr, or by name where it resolves and else by NodeAddr."""
    warning_minutes: Annotated[int, Field(ge=0, le=600)] = 10
    """Minutes before the end at which the server gets its warning signal; 0: none."""
    requeue: bool = True
    """Whether Slurm may start a server's job again after a node failure or pre-emption."""
    accounting: Literal["auto", "on", "off"] = "auto"
    """Whether `sacct` and `sacctmgr` answer; auto: found out."""

    @field_validator("partitions")
    @classmethod
    def _once(cls, offers: tuple[PartitionOffer, ...]) -> tuple[PartitionOffer, ...]:
        names = [offer.name for offer in offers]
        if len(names) != len(set(names)):
            raise ValueError("each partition may be listed once")
        return offers

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.executor == "ssh" and self.ssh is None:
            raise ValueError('executor = "ssh" needs a table `ssh` with at least `host`')
        return self

    @property
    def label(self) -> str:
        """The cluster's name for people."""
        return self.title or self.name


class ModulesEnvironment(Strict):
    """Environment modules (Lmod or Tcl) loaded in this order."""

    kind: Literal["modules"] = "modules"
    load: tuple[ModuleName, ...]
    init: SafePath | None = None
    """The file that defines `module`; unset, the usual places are tried."""


class VenvEnvironment(Strict):
    """A Python environment by its folder, readable on every node."""

    kind: Literal["venv"] = "venv"
    path: SafePath


class ContainerEnvironment(Strict):
    """A container image. `ch-run` and `bwrap` are tested with Debian 12's packages; `apptainer` is untested here.

    For `ch-run` and `bwrap` the image is a folder that the node can read, and what is bound needs a place in it: a
    folder (or file) that is there. Homes called ``/home/<user>`` need none.
    """

    kind: Literal["container"] = "container"
    runtime: Literal["ch-run", "bwrap", "apptainer"]
    image: SafePath
    binds: tuple[BindMount, ...] = ()
    """``/path`` or ``/outside:/inside``: what holds the homes where that is not /home, the site's prefix unless the
    image has a server of its own, and where Slurm's commands are used inside, its configuration and munge's socket."""


Source = Annotated[ModulesEnvironment | VenvEnvironment | ContainerEnvironment, Field(discriminator="kind")]


class Environment(Strict):
    """What is loaded before the server starts: modules, a Python environment, a container, or nothing."""

    name: Slug
    title: str = ""
    summary: str = ""
    source: (
        Annotated[ModulesEnvironment | VenvEnvironment | ContainerEnvironment, Field(discriminator="kind")] | None
    ) = None
    setup: tuple[SetupLine, ...] = ()
    """Shell lines of the administrator's own, run in the job before the server; no user's value comes in."""
    server: SafePath | None = None
    """The server's program inside this environment; unset, the site's."""

    @property
    def label(self) -> str:
        """The environment's name for people."""
        return self.title or self.name


class Preset(Resources):
    """A named choice shown first in the form."""

    name: Slug
    title: str
    summary: str = ""
    groups: tuple[str, ...] = ("*",)

    def resources(self) -> dict[str, object]:
        """Return what the preset chooses, by the names of ``ResourceRequest``."""
        return self.given()


class Policy(Strict):
    """What members of some groups may ask for. Of several that fit a person, each field's most permissive counts."""

    groups: tuple[str, ...] = ("*",)
    """Hub groups this is for; "*" is everybody."""
    clusters: tuple[Slug, ...] = ()
    """Clusters this is about; empty: all."""
    partitions: tuple[SlurmName, ...] | None = None
    """Partitions allowed; unset: all that are offered. The same for the next ones."""
    accounts: tuple[SlurmName, ...] | None = None
    qos: tuple[SlurmName, ...] | None = None
    environments: tuple[Slug, ...] | None = None
    reservations: tuple[SlurmName, ...] | None = None
    max_walltime_minutes: Minutes | None = Field(default=None, alias="max_walltime")
    """Unset: no limit but Slurm's. The same for the next ones."""
    max_cores: Annotated[int, Field(ge=1)] | None = None
    max_memory_mb: MemoryMib | None = Field(default=None, alias="max_memory")
    max_gpus: Annotated[int, Field(ge=0)] | None = None
    max_servers: Annotated[int, Field(ge=1)] | None = None
    """Servers a person may have at once on the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class SiteResources(Strict):
    """The site file's part on clusters as a whole, checked against itself."""

    clusters: tuple[ClusterSettings, ...] = ()
    environments: tuple[Environment, ...] = (Environment(name="default", title="Standard"),)
    presets: tuple[Preset, ...] = ()
    policies: tuple[Policy, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what, names in (
            ("cluster", [one.name for one in self.clusters]),
            ("environment", [one.name for one in self.environments]),
            ("preset", [one.name for one in self.presets]),
        ):
            if len(names) != len(set(names)):
                raise ValueError(f"two entries carry the same {what} name")
        clusters = {one.name for one in self.clusters}
        environments = {one.name for one in self.environments}
        for cluster in self.clusters:
            if unknown := set(cluster.environments) - environments:
                raise ValueError(f"cluster {cluster.name}: no environment is called {', '.join(sorted(unknown))}")
        for preset in self.presets:
            if preset.cluster is not None and preset.cluster not in clusters:
                raise ValueError(f"preset {preset.name}: no cluster is called {preset.cluster}")
            if preset.environment is not None and preset.environment not in environments:
                raise ValueError(f"preset {preset.name}: no environment is called {preset.environment}")
        for policy in self.policies:
            if unknown := set(policy.clusters) - clusters:
                raise ValueError(f"a policy names clusters that do not exist: {', '.join(sorted(unknown))}")
        return self

    def cluster(self, name: str) -> ClusterSettings | None:
        """Return the cluster of this name."""
        return next((one for one in self.clusters if one.name == name), None)

    def environment(self, name: str) -> Environment | None:
        """Return the environment of this name."""
        return next((one for one in self.environments if one.name == name), None)
