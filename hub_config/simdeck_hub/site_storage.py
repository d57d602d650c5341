"""The site file's section about where people's provenance is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from simdeck_workflows.storage import Server

from simdeck_hub.site_sections import Port, Section

PlaceName = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._/-]{1,100}|[A-Za-z0-9]([A-Za-z0-9.:-]{0,252}))$")]
RoleName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,30}$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,19}$")]


class StorageSection(Section):
    kind: Literal["sqlite", "postgresql"] = Field(
        "sqlite",
        description="Where new users' provenance is kept: sqlite (files of their own) or postgresql (a database and a "
        "role for each). Users who have SQLite keep it until `simdeck storage move`.",
    )
    host: PlaceName = Field(
        "/var/run/postgresql",
        description="PostgreSQL's name or address, or the folder of its Unix socket.",
    )
    port: Port = Field(5432, description="PostgreSQL's port.")
    sign_in: Literal["peer", "password"] | None = Field(
        None,
        description="How users' workers sign in: peer (by the Unix account, which is the role's name) or password "
        "(SCRAM; it lies in a file of the user's own). Not given: peer on a site with the socket's folder, else "
        "password.",
    )
    prefix: Prefix = Field("simdeck_", description="What the names of users' databases begin with.")
    admin_role: RoleName | None = Field(
        None,
        description="The role that makes the others: it needs CREATEROLE and CREATEDB, not superuser. Not given: the "
        "name of the account Simdeck runs as.",
    )
    admin_database: RoleName = Field("postgres", description="The database that the admin role connects to.")
    admin_password_file: Path | None = Field(
        None,
        description="File with the admin role's password in PostgreSQL's own format (`*:*:*:role:password`), mode 600. "
        "Not given: the Unix account signs in (peer). A relative path starts at `private/` of the data folder.",
    )

    @model_validator(mode="after")
    def peers_share_the_machine(self) -> StorageSection:
        """Refuse what PostgreSQL would only refuse later."""
        if self.sign_in == "peer" and not self.host.startswith("/"):
            raise ValueError(
                'sign_in = "peer" needs the folder of the Unix socket as host; leave host out, or use "password"'
            )
        return self

    def server(self, *, on_site: bool) -> Server | None:
        """Return what users' agents need to know; None where storage is SQLite."""
        if self.kind == "sqlite":
            return None
        peer = self.sign_in == "peer" or (self.sign_in is None and on_site and self.host.startswith("/"))
        return Server(host=self.host, port=self.port, peer=peer, prefix=self.prefix)
