"""What a site's administrator decides about everybody's runs; it reaches agents and workers in ``agent.json``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class NoticeSettings(BaseModel):
    """How this site's notices go out. Without ``smtp_host`` nobody gets mail."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smtp_host: str | None = Field(default=None, description="The site's mail relay; null: no mail.")
    smtp_port: int = Field(default=25, ge=1, le=65535)
    mail_from: str = Field(default="simdeck@localhost", description="The sender of mails.")
    mail_to: str = Field(default="{user}", description="A user's own address; {user} is the user's name.")
    local_webhooks: bool = Field(
        default=False, description="Whether webhooks may lead to this machine or its link-local neighbours."
    )
    deck_url: str | None = Field(default=None, description="Address of the deck, for links in mails.")
