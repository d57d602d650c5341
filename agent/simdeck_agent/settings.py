"""What the agent needs to know, in one JSON file (``agent.json``) that ``simdeck up`` writes.

It holds no secrets: on a site every user reads it. Write it with ``AgentSettings(...).write(path)`` (atomically).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator
from simdeck_appstore.installer_settings import InstallerSettings
from simdeck_appstore.policy import OPEN, AppPolicy
from simdeck_appstore.registries import RegistrySource
from simdeck_common.files import write_atomically
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.codes import RunCode
from simdeck_workflows.policy import NoticeSettings, RunPolicy
from simdeck_workflows.pseudopotentials import RunFamily
from simdeck_workflows.storage import Server


class SiteAgents(BaseModel):
    """How agents are started as their own Unix users; what the deck's side needs to know of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    program: Path = Field(description="The installed simdeck-launch.")
    sudo: Path = Field(default=Path("/usr/bin/sudo"), description="The sudo program.")
    accounts: dict[str, str] = Field(
        default_factory=dict, description="Hub user to Unix account, where the names differ."
    )
    minimum_uid: int = Field(default=1000, ge=1, description="Accounts with a lower uid belong to the system.")
    status_seconds: float = Field(
        default=15.0, gt=0, description="Seconds between two questions to an agent whether its work has ended."
    )


class AgentSettings(BaseModel):
    """Settings of every agent of one Simdeck instance; paths are absolute."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path = Field(description="The data folder (SIMDECK_DATA); users' folders are below users/.")
    backend_python: Path = Field(description="Python of the workflow backend's environment; runs worker and describe.")
    app_python: Path | None = Field(
        default=None, description="Python that app environments are made with; null: the one agents run on."
    )
    uv: Path = Field(description="The uv program that makes app environments.")
    registries: list[RegistrySource] = Field(
        default_factory=list,
        description="Built registries in the order they are asked; an address alone is one without a pinned key.",
    )
    apps: AppPolicy = Field(default=OPEN, description="What the site offers of them, and how apps are installed.")
    site_apps: Path | None = Field(default=None, description="Folder of the apps that are installed for everybody.")
    idle_seconds: float = Field(
        default=900.0, gt=0, description="Seconds without request, unfinished run or task after which an agent ends."
    )
    worker_idle_seconds: float = Field(
        default=600.0, gt=0, description="Seconds without unfinished run after which a workflow worker ends."
    )
    clusters: list[RunCluster] = Field(
        default_factory=list, description="Clusters that runs may use, the default first; empty: this machine alone."
    )
    codes: list[RunCode] = Field(
        default_factory=list, description="Simulation codes that the site offers, on clusters or on this machine."
    )
    pseudopotentials: list[RunFamily] = Field(
        default_factory=list, description="Families of pseudopotentials that the site offers, as read at its start."
    )
    notices: NoticeSettings = Field(
        default_factory=NoticeSettings, description="How people are told that their runs have ended."
    )
    policy: RunPolicy = Field(
        default_factory=RunPolicy, description="What holds everybody's calculations back: limits, a pause."
    )
    postgresql: Server | None = Field(
        default=None, description="Where new users' provenance is kept; null: in SQLite files of their own."
    )
    prepare: list[str] = Field(
        default_factory=list,
        description="Program that makes a user's database, run with the user's name before an agent's first start.",
    )
    start_timeout: float = Field(
        default=30.0, gt=0, description="Seconds the launcher waits for a started agent to answer."
    )
    max_request_bytes: int = Field(default=64 * 2**20, gt=0, description="Largest request body accepted, in bytes.")
    parallel_tasks: int = Field(default=2, ge=1, description="Installs and removals that one user may run at a time.")
    pass_environment: list[str] = Field(
        default_factory=list, description="Further environment variables that agents inherit from the deck service."
    )
    site: SiteAgents | None = Field(
        default=None, description="Given on a site: agents are their own Unix users and live in ~/.simdeck."
    )

    @field_validator("registries", mode="before")
    @classmethod
    def addresses_stand_for_registries(cls, value: object) -> object:
        """Take a folder or an address alone as a registry without a key."""
        if isinstance(value, list):
            return [RegistrySource.of(item) if isinstance(item, (str, Path)) else item for item in value]
        return value

    def installer(self) -> InstallerSettings:
        """Return what an installer of apps needs to know."""
        return InstallerSettings(
            registries=self.registries,
            uv=self.uv,
            python=self.app_python,
            describe_argv=[str(self.backend_python), "-m", "simdeck_workflows.engine.describe"],
            backend_python=self.backend_python,
            post_install=self.apps.post_install,
            policy=self.apps,
            site_apps=self.site_apps,
        )

    @classmethod
    def read(cls, path: Path) -> AgentSettings:
        """Read the file at ``path``; raises ``OSError`` or ``pydantic.ValidationError``."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """Write to ``path``, whole or not at all; mode 600, or 644 on a site, where every user's agent reads it."""
        write_atomically(path, self.model_dump_json(indent=2) + "\n", mode=0o644 if self.site else 0o600)
