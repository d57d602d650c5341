"""The site file, ``site.toml``: the whole of it, and reading it.

Without a file every default holds: one Unix user, local processes, port 8000. The reference in
``docs/administrators.md`` is checked against this model by a test.
"""

from __future__ import annotations

import os
import pwd
import re
import tomllib
from pathlib import Path

from pydantic import Field, ValidationError, model_validator
from simdeck_appstore.policy import AppPolicy
from simdeck_clusters.settings import ClusterSettings, Environment, Policy, Preset, SiteResources
from simdeck_common.problems import Problem

from simdeck_hub import site_pseudopotentials
from simdeck_hub.auth_settings import AuthSection
from simdeck_hub.site_codes import CodeSection, fault_of
from simdeck_hub.site_errors import explain, refusal
from simdeck_hub.site_pseudopotentials import PseudopotentialSection
from simdeck_hub.site_runs import NoticesSection, RunsSection
from simdeck_hub.site_sections import (
    AgentSection,
    HubSection,
    RegistrySection,
    Section,
    ServerSection,
    ServersSection,
    ServiceSection,
    SiteSection,
    StoreSection,
    UserName,
    UsersSection,
)
from simdeck_hub.site_storage import StorageSection


class Site(Section):
    """The whole site file."""

    site: SiteSection = Field(default_factory=lambda: SiteSection.model_validate({}))
    hub: HubSection = Field(default_factory=lambda: HubSection.model_validate({}))
    users: UsersSection = Field(default_factory=lambda: UsersSection.model_validate({}))
    auth: AuthSection = Field(default_factory=lambda: AuthSection.model_validate({}))
    groups: dict[str, list[UserName]] = Field(
        default_factory=dict, description='Groups of hub users, for policies and presets: `physics = ["alice", "bob"]`.'
    )
    server: ServerSection = Field(default_factory=lambda: ServerSection.model_validate({}))
    servers: ServersSection = Field(default_factory=lambda: ServersSection.model_validate({}))
    service: ServiceSection = Field(default_factory=lambda: ServiceSection.model_validate({}))
    agent: AgentSection = Field(default_factory=lambda: AgentSection.model_validate({}))
    runs: RunsSection = Field(default_factory=lambda: RunsSection.model_validate({}))
    storage: StorageSection = Field(default_factory=lambda: StorageSection.model_validate({}))
    notices: NoticesSection = Field(default_factory=lambda: NoticesSection.model_validate({}))
    store: StoreSection = Field(default_factory=lambda: StoreSection.model_validate({}))
    registries: tuple[RegistrySection, ...] = ()
    apps: AppPolicy = Field(default_factory=lambda: AppPolicy.model_validate({}))
    clusters: tuple[ClusterSettings, ...] = ()
    environments: tuple[Environment, ...] = ()
    codes: tuple[CodeSection, ...] = ()
    pseudopotentials: tuple[PseudopotentialSection, ...] = ()
    presets: tuple[Preset, ...] = ()
    policies: tuple[Policy, ...] = ()

    @model_validator(mode="after")
    def parts_fit(self) -> Site:
        """Check what no section can check alone."""
        try:
            self.resources()
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
        names = [registry.name for registry in self.registries]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f'the registry "{twice}" stands twice; give each a name of its own')
        if fault := fault_of(self.codes, tuple(cluster.name for cluster in self.clusters)):
            raise ValueError(fault)
        if fault := site_pseudopotentials.fault_of(self.pseudopotentials):
            raise ValueError(fault)
        if self.hub.internal_tls and not self.on_site:
            raise ValueError("hub.internal_tls = true is not supported where servers run on this machine; leave it out")
        if self.storage.sign_in == "peer" and not self.on_site:
            raise ValueError('storage.sign_in = "peer" needs a Unix account for each user; use "password" here')
        if self.servers.kind == "slurm":
            if not self.clusters:
                raise ValueError('servers.kind = "slurm" needs a cluster; add a table [[clusters]] with its name')
            if self.hub.node_address is None:
                raise ValueError(
                    'servers.kind = "slurm" needs the key node_address in [hub], '
                    "the name or address compute nodes reach this machine at"
                )
            if self.hub.ip in {"127.0.0.1", "::1"}:
                raise ValueError(f'compute nodes cannot reach hub.ip = "{self.hub.ip}"; leave it out, or give another')
        return self

    @property
    def on_site(self) -> bool:
        """Whether servers run as batch jobs and agents as their own Unix users."""
        return self.servers.kind == "slurm"

    def resources(self) -> SiteResources:
        """Return clusters, environments, presets and policies, checked against each other."""
        given = {"environments": self.environments} if self.environments else {}
        return SiteResources(clusters=self.clusters, presets=self.presets, policies=self.policies, **given)

    def hub_users(self) -> list[str]:
        """Return the hub users, first the one who is named when nothing else is said."""
        return list(dict.fromkeys(self.users.names or [*(self.users.admins or []), unix_user()]))

    def admins(self) -> list[str]:
        return list(self.users.admins) if self.users.admins is not None else self.hub_users()[:1]


def unix_user() -> str:
    """Return the hub name of the Unix user this runs as (JupyterHub's names are lower case)."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name.lower()
    except KeyError:
        return f"user{os.getuid()}"


def load(path: Path | None) -> Site:
    """Read and check the site file; ``None`` gives the defaults.

    Raises
    ------
    Problem
        ``site-file``: with ``field`` ``<file>:<line>``, the fault in a sentence and what to do.
    """
    if path is None:
        return Site()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Problem(
            "site-file", field=str(path), what=f"{path} cannot be read: {reason}", hint="Name a readable file"
        ) from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found.group(1)) if found else text.count("\n") + 1
        sentence = re.sub(r" \(at .*\)$", "", str(error))
        raise refusal(path, line, f"this is not TOML: {sentence}", "Mend the line") from error
    try:
        return Site.model_validate(raw)
    except ValidationError as error:
        raise explain(path, text, error.errors(), Site) from error
