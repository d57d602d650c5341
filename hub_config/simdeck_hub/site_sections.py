"""The site file's sections about the hub's machine; those about clusters are in ``simdeck_clusters.settings``."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

UserName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_][a-z0-9_.-]{0,31}$")]
AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_.-]{0,31}$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteSection(Section):
    name: str = Field("Simdeck", min_length=1, max_length=60, description="The site's name on its pages.")


class HubSection(Section):
    port: Port = Field(8000, description="Port of the address people open. `PORT=…` wins over it.")
    ip: str | None = Field(
        None,
        description="This machine's address that the port is opened on; `0.0.0.0` is all of them. Not given: "
        "`node_address` where that is an address of a site with compute nodes, else 127.0.0.1.",
    )
    node_address: HostName | None = Field(
        None, description="This machine's name or address as compute nodes reach it. Needed when servers run on them."
    )
    api_port: Port | None = Field(
        None,
        description="Port of the hub's own interface, which compute nodes reach too. Not given: a free one, the same "
        "at each start while it stays free.",
    )
    public_url: str | None = Field(
        None,
        description="The address people open, when a web server in front of this one has another: "
        "`https://deck.example.org`. No path.",
    )
    internal_tls: bool = Field(
        False, description="Encrypt and authenticate what hub, proxy and servers say to each other."
    )
    log_level: str = Field(
        "INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="How much the hub writes: DEBUG, INFO, WARNING or ERROR.",
    )

    @field_validator("ip")
    @classmethod
    def ip_is_an_address(cls, value: str | None) -> str | None:
        """Check that it is an IP address: names may stand for several."""
        if value is not None:
            try:
                ipaddress.ip_address(value)
            except ValueError:
                raise ValueError("this is not an IP address; write one of this machine's, or 0.0.0.0") from None
        return value

    @field_validator("public_url")
    @classmethod
    def url_has_no_path(cls, value: str | None) -> str | None:
        """Check that it is an address without a path: the pages stand at its root."""
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("this is not a web address; write it as https://deck.example.org")
        if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise ValueError("the pages stand at the address's root; leave out what follows the name")
        return value.rstrip("/")


class UsersSection(Section):
    names: list[UserName] = Field(
        default_factory=list,
        description="Hub users; each has an own password line, agent and data. Without clusters all run as the one "
        "Unix user that started Simdeck (they can read each other's files on disk: for trials, tests); on a site each "
        "is the Unix account of that name. Empty: that Unix user alone; with other ways to sign in, all who may.",
    )
    admins: list[UserName] | None = Field(
        None, description="Hub users that look after the site. Not given: the first user."
    )

    @model_validator(mode="after")
    def admins_are_users(self) -> UsersSection:
        """Check that each administrator is one of the users, where users are listed."""
        if self.names:
            strangers = sorted(set(self.admins or []) - set(self.names))
            if strangers:
                raise ValueError(f"{', '.join(strangers)} in admins is not in names; add the name there")
        return self


class ServerSection(Section):
    folder: str = Field(
        "~", description="Folder a user's JupyterLab opens in; `~` is the home folder, `{user}` the hub user."
    )
    start_timeout: int = Field(
        60, ge=5, le=3600, description="Seconds a server may take to start before it is given up; for local servers."
    )


class ServersSection(Section):
    kind: Literal["local", "slurm"] = Field(
        "local", description="Where users' servers run: `local` on this machine, `slurm` as batch jobs of their own."
    )
    queue_timeout: int = Field(
        0, ge=0, description="Seconds a server's job may wait in the queue before it is taken back; 0: for ever."
    )
    boot_timeout: int = Field(
        300, ge=10, le=86400, description="Seconds from the job's start until the server reports from its node."
    )
    handshake_timeout: int = Field(
        120, ge=5, le=3600, description="Seconds from that report until the hub reaches the server."
    )
    named_limit: int = Field(
        5, ge=0, le=100, description="Servers a user may have beside the default one, for apps that ask for their own."
    )


class ServiceSection(Section):
    user: AccountName = Field("simdeck", description="The Unix account that runs proxy, hub and deck.")
    group: AccountName = Field(
        "simdeck-users", description="The Unix group of the people Simdeck may act for, as the sudo rule names it."
    )
    prefix: Path = Field(
        Path("/opt/simdeck"), description="Folder the site is installed in; users on all nodes can read it."
    )

    @field_validator("prefix")
    @classmethod
    def prefix_is_absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("write the whole path, from the root folder on")
        return value


class AgentSection(Section):
    idle_seconds: float | None = Field(None, gt=0, description="Seconds without work after which a user's agent ends.")
    worker_idle_seconds: float | None = Field(
        None, gt=0, description="Seconds without a run after which a worker ends."
    )


class StoreSection(Section):
    bundled: bool = Field(True, description="Whether the bundled registry is offered; it is the first one then.")
    registries: list[str] = Field(
        default_factory=list,
        description="Folders or addresses of further built registries without pinned keys, after those of "
        "`[[registries]]`; one that cannot be read is left out.",
    )


class RegistrySection(Section):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="Short name: small letters, digits and `-`.")
    url: str = Field(min_length=1, description="The built registry: an `https://` address, or a whole path.")
    root: Path | None = Field(
        None,
        description="File with the registry's `root.json`, which pins its key: what it has not signed is refused. A "
        "relative path starts at the site file's folder. Not given: the registry is read unsigned.",
    )
    optional: bool = Field(
        False, description="Whether installs go on with the registries after this one while it cannot be read."
    )
    source: Path | None = Field(
        None,
        description="Folder the registry is built from (with `registry.toml`), when people may publish through "
        "Simdeck. The service writes it and signs with its keys.",
    )
    publishers: list[str] = Field(
        default_factory=list, description="Groups whose members may publish into it; needs `source`."
    )

    @model_validator(mode="after")
    def publishers_have_a_source(self) -> RegistrySection:
        """Check that what is published has a place."""
        if self.publishers and self.source is None:
            raise ValueError("give source too: the folder that this registry is built from")
        if self.source is not None and not self.source.is_absolute():
            raise ValueError("write source as a whole path, from the root folder on")
        return self

    @field_validator("url")
    @classmethod
    def url_is_an_address_or_a_path(cls, value: str) -> str:
        """Check that it leads to one place, whoever reads it from whatever folder."""
        parts = urlsplit(value)
        if parts.scheme in {"http", "https"}:
            if not parts.hostname or parts.username or parts.password:
                raise ValueError("this is not a web address; write it as https://apps.example.org, without a password")
            return value.rstrip("/")
        if not value.removeprefix("file://").startswith("/"):
            raise ValueError("write an https:// address, or the whole path of a folder from the root folder on")
        return value
