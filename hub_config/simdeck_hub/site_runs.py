"""The site file's sections about runs: what holds everybody's calculations back, and who is told of their ends."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from simdeck_hub.site_sections import HostName, Port, Section

Count = Annotated[int, Field(ge=1, le=10_000)]


class RunsSection(Section):
    calculations_per_user: Count | None = Field(
        None, description="Calculations that one user may have running at a time. Not given: no limit of Simdeck's."
    )
    calculations_here: Count | None = Field(
        None,
        description="Calculations of one user that run on the hub's own machine at a time. Not given: its number of "
        "cores, at least 4.",
    )
    group_calculations: dict[str, Count] = Field(
        default_factory=dict,
        description="Calculations that the members of a group may have running between them: `physics = 40`. The group "
        "is one of `[groups]`, or a Unix group.",
    )
    submissions_per_minute: dict[str, Count] = Field(
        default_factory=dict, description="Jobs that one user may submit to a cluster in a minute: `main = 30`."
    )


class NoticesSection(Section):
    smtp_host: HostName | None = Field(
        None, description="The mail relay that takes mails from this machine. Not given: nobody gets mail."
    )
    smtp_port: Port = Field(25, description="Port of the mail relay.")
    mail_from: str = Field(
        "simdeck@localhost", min_length=3, max_length=200, description="The sender's address of mails."
    )
    mail_to: str = Field(
        "{user}",
        min_length=3,
        max_length=200,
        description="A user's own address, the only one that gets their mails: `{user}@example.org`.",
    )
    local_webhooks: bool = Field(
        False, description="Whether webhooks may lead to the hub's own machine or its link-local neighbours."
    )
