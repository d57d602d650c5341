"""What a person may ask for: the one check of resources, for form, URL and REST alike.

``check`` turns raw options into a ``ResourceRequest`` or refuses, naming the field and what is allowed. Three
things are asked of every value: its pattern (nothing else ever reaches a job script), the policies of the person's
groups, and the cluster's live limits, as far as they are known; what is not known is left to Slurm.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from simdeck_common.problems import Problem

from simdeck_clusters import limits
from simdeck_clusters.models import Snapshot
from simdeck_clusters.quantities import memory_mib, minutes
from simdeck_clusters.settings import (
    NAME,
    SLUG,
    ClusterSettings,
    Environment,
    Policy,
    Preset,
    SiteResources,
    Slug,
    SlurmName,
)

GpuType = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.\-]{0,63})?$")]

ALIASES = {"memory": "memory_mb", "walltime": "walltime_minutes", "gpu": "gpus"}
PASSED_OVER = frozenset({"app", "preset"})
"""Options that ride along with a request and belong to others."""

DEFAULT_MEMORY_MB = 2048
DEFAULT_WALLTIME_MINUTES = 120


class GpuRequest(BaseModel):
    """GPUs of one type; an empty type is any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: GpuType = ""
    count: Annotated[int, Field(ge=0, le=64)] = 0


class ResourceRequest(BaseModel):
    """A checked request. Memory in MiB for the whole job, walltime in minutes; one node."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: Slug
    partition: SlurmName
    account: SlurmName | None = None
    qos: SlurmName | None = None
    cores: Annotated[int, Field(ge=1, le=4096)] = 1
    memory_mb: Annotated[int, Field(ge=64, le=64 * 1024**2)] = DEFAULT_MEMORY_MB
    gpus: GpuRequest = GpuRequest()
    walltime_minutes: Annotated[int, Field(ge=1, le=365 * 1440)] = DEFAULT_WALLTIME_MINUTES
    reservation: SlurmName | None = None
    environment: Slug

    @model_validator(mode="after")
    def _no_type_without_gpus(self) -> Self:
        if self.gpus.type and not self.gpus.count:
            return self.model_copy(update={"gpus": GpuRequest()})
        return self

    @property
    def core_hours(self) -> float:
        """What the request costs at most, in core-hours."""
        return self.cores * self.walltime_minutes / 60

    def options(self) -> dict[str, Any]:
        """Return the request as options that ``check`` accepts again."""
        return self.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True)
class Allowance:
    """What a person's policies together allow on one cluster; ``None`` is no restriction."""

    partitions: frozenset[str] | None = None
    accounts: frozenset[str] | None = None
    qos: frozenset[str] | None = None
    environments: frozenset[str] | None = None
    reservations: frozenset[str] | None = None
    max_walltime_minutes: int | None = None
    max_cores: int | None = None
    max_memory_mb: int | None = None
    max_gpus: int | None = None
    max_servers: int | None = None


def allowance(policies: Iterable[Policy], groups: Collection[str], cluster: str) -> Allowance | None:
    """Return the most permissive of what the groups' policies allow on ``cluster``, field by field.

    Without any policy everything is allowed; when there are policies and none fits, nothing is (``None``).
    """
    known = list(policies)
    if not known:
        return Allowance()
    fitting = [
        policy
        for policy in known
        if ("*" in policy.groups or set(policy.groups) & set(groups))
        and (not policy.clusters or cluster in policy.clusters)
    ]
    if not fitting:
        return None

    def union(name: str) -> frozenset[str] | None:
        sets = [getattr(policy, name) for policy in fitting]
        return None if any(one is None for one in sets) else frozenset().union(*sets)

    def largest(name: str) -> int | None:
        values = [getattr(policy, name) for policy in fitting]
        return None if any(value is None for value in values) else max(values)

    return Allowance(
        partitions=union("partitions"),
        accounts=union("accounts"),
        qos=union("qos"),
        environments=union("environments"),
        reservations=union("reservations"),
        max_walltime_minutes=largest("max_walltime_minutes"),
        max_cores=largest("max_cores"),
        max_memory_mb=largest("max_memory_mb"),
        max_gpus=largest("max_gpus"),
        max_servers=largest("max_servers"),
    )


def check(
    raw: Mapping[str, Any],
    *,
    site: SiteResources,
    groups: Collection[str] = (),
    user: str = "",
    snapshots: Mapping[str, Snapshot] | None = None,
) -> ResourceRequest:
    """Return the request in ``raw``, completed by preset and defaults, or refuse it.

    Parameters
    ----------
    raw
        Options as they came: from a form or URL all text, from REST also numbers. Empty text is "not given". ``memory``
        and ``walltime`` may be written for people ("4 GiB", "2:00:00"); ``gpus`` is a count, "type:count" or an object.
    groups, user
        The caller's hub groups and Unix account.
    snapshots
        What is known of the clusters by name; limits of a cluster that is not known are left to Slurm.

    Raises
    ------
    Problem
        ``resources-…`` with the field's name and what is allowed.
    """
    given = _given(raw)
    preset = _preset(raw, site, groups)
    if preset is not None:
        given = {**preset.resources(), **given}
    cluster = _cluster(given, site, groups)
    allowed = allowance(site.policies, groups, cluster.name)
    if allowed is None:
        raise Problem("resources-not-allowed", field="cluster", cluster=cluster.label)
    snapshot = (snapshots or {}).get(cluster.name)
    given = {**cluster.defaults.given(), **given, "cluster": cluster.name}
    partition = limits.choose_partition(_name(given, "partition"), cluster, allowed.partitions, snapshot)
    offered = environments(site, cluster, allowed)
    environment = _name(given, "environment", SLUG) or (offered[0].name if offered else None)
    if environment is None or environment not in [one.name for one in offered]:
        raise limits.choice("environment", [one.name for one in offered])
    caps = limits.caps(cluster, allowed, snapshot, partition)
    kind, count = limits.gpus(_gpus(given.get("gpus")), caps)
    request = ResourceRequest(
        cluster=cluster.name,
        partition=partition,
        account=limits.choose_account(_name(given, "account"), user, partition, allowed.accounts, snapshot),
        qos=limits.choose_qos(_name(given, "qos"), user, allowed.qos, snapshot),
        cores=limits.within("cores", _count(given, "cores", 1, 4096), 1, caps.cores),
        memory_mb=limits.within("memory_mb", _memory(given), 64, caps.memory_mb),
        gpus=GpuRequest(type=kind, count=count),
        walltime_minutes=limits.within("walltime_minutes", _walltime(given, caps), 1, caps.walltime_minutes),
        reservation=limits.choose_reservation(_name(given, "reservation"), user, allowed.reservations, snapshot),
        environment=environment,
    )
    limits.fits_a_node(request, snapshot)
    return request


def environments(site: SiteResources, cluster: ClusterSettings, allowed: Allowance) -> list[Environment]:
    """Return the environments a person may choose on a cluster."""
    return [
        one
        for one in site.environments
        if (not cluster.environments or one.name in cluster.environments)
        and (allowed.environments is None or one.name in allowed.environments)
    ]


def presets(site: SiteResources, groups: Collection[str]) -> list[Preset]:
    """Return the presets shown to members of ``groups``."""
    return [one for one in site.presets if "*" in one.groups or set(one.groups) & set(groups)]


def _given(raw: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for key, value in raw.items():
        if key in PASSED_OVER:
            continue
        name = ALIASES.get(key, key)
        if name not in ResourceRequest.model_fields:
            known = ", ".join(sorted(ResourceRequest.model_fields))
            raise Problem("resources-unknown-field", field=str(key)[:80], name=str(key)[:80], known=known)
        if isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        if isinstance(value, str):
            value = value.strip(" ")
        if value is None or value == "":
            continue
        if name in given and given[name] != value:
            raise Problem("resources-invalid", field=name, reason=f"{name} is given twice with different values")
        given[name] = value
    return given


def _preset(raw: Mapping[str, Any], site: SiteResources, groups: Collection[str]) -> Preset | None:
    wanted = raw.get("preset")
    if wanted is None or wanted == "":
        return None
    if isinstance(wanted, list | tuple) and len(wanted) == 1:
        wanted = wanted[0]
    known = {one.name: one for one in presets(site, groups)}
    if not isinstance(wanted, str) or wanted not in known:
        raise limits.choice("preset", known)
    return known[wanted]


def _cluster(given: Mapping[str, Any], site: SiteResources, groups: Collection[str]) -> ClusterSettings:
    if not site.clusters:
        raise Problem("resources-no-cluster", field="cluster")
    wanted = _name(given, "cluster", SLUG)
    mine = [one for one in site.clusters if allowance(site.policies, groups, one.name) is not None]
    if wanted is None:
        # With no cluster allowed the first one is refused by name in the caller.
        return mine[0] if mine else site.clusters[0]
    found = site.cluster(wanted)
    if found is None:
        raise limits.choice("cluster", [one.name for one in mine])
    return found


def _name(given: Mapping[str, Any], field: str, pattern: str = NAME) -> str | None:
    value = given.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
        reason = "a name here has letters, digits, dots, underscores and hyphens only, at most 64"
        raise Problem("resources-invalid", field=field, reason=reason)
    return value


def _count(given: Mapping[str, Any], field: str, default: int, most: int) -> int:
    value = given.get(field, default)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Problem("resources-invalid", field=field, reason=f"give a whole number up to {most}")
    return value


def _memory(given: Mapping[str, Any]) -> int:
    try:
        return memory_mib(given.get("memory_mb", DEFAULT_MEMORY_MB))
    except ValueError as error:
        raise Problem("resources-invalid", field="memory_mb", reason=str(error)) from None


def _walltime(given: Mapping[str, Any], caps: limits.Caps) -> int:
    if "walltime_minutes" not in given:
        most = caps.walltime_minutes
        default = caps.default_walltime_minutes or DEFAULT_WALLTIME_MINUTES
        return default if most is None else min(default, most)
    try:
        return minutes(given["walltime_minutes"])
    except ValueError as error:
        raise Problem("resources-invalid", field="walltime_minutes", reason=str(error)) from None


def _gpus(value: Any) -> tuple[str, int]:
    wrong = Problem("resources-invalid", field="gpus", reason='give a number, or type and number such as "a100:1"')
    if value is None:
        return "", 0
    if isinstance(value, GpuRequest):
        return value.type, value.count
    if isinstance(value, Mapping):
        if set(value) - {"type", "count"}:
            raise wrong
        kind, count = value.get("type") or "", value.get("count") or 0
    elif isinstance(value, str) and ":" in value:
        kind, _, count = value.partition(":")
    elif isinstance(value, str) and not value[:1].isdigit():
        kind, count = value, 1
    else:
        kind, count = "", value
    if not isinstance(kind, str) or re.fullmatch(f"({NAME})?", kind) is None:
        raise wrong
    try:
        return kind, _count({"gpus": count}, "gpus", 0, 64)
    except Problem:
        raise wrong from None
