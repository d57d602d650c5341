"""Shares as rows: one's own, and those of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from simdeck_agent.shares import Received

from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.text import ago, date, full_time
from simdeck_deck.sharing import ShareView

EXPIRIES = (("7", "a week"), ("30", "a month"), ("90", "three months"), ("365", "a year"))


@dataclass(frozen=True)
class ShareRow:
    """One of the caller's shares. ``state`` is empty while it is open, else why it is over."""

    id: str
    title: str
    run_url: str
    people: tuple[str, ...]
    groups: tuple[str, ...]
    until: str
    created: str
    created_full: str
    state: str
    link: str


@dataclass(frozen=True)
class ReceivedRow:
    """A share of somebody else's that the caller has opened."""

    ticket: str
    title: str
    owner: str
    added: str
    url: str


def share_rows(shares: Sequence[ShareView], links: Links, now: datetime) -> tuple[ShareRow, ...]:
    """Build the rows of the caller's shares, those that are open first."""
    rows = [
        ShareRow(
            id=share.id,
            title=share.title,
            run_url=links.page("runs", share.run),
            people=tuple(share.people),
            groups=tuple(share.groups),
            until=date(share.expires),
            created=ago(share.created, now),
            created_full=full_time(share.created),
            state="" if not share.ended else "Revoked" if share.revoked else "Expired",
            link=share.link,
        )
        for share in shares
    ]
    return tuple(sorted(rows, key=lambda row: bool(row.state)))


def received_rows(received: Sequence[Received], links: Links, now: datetime) -> tuple[ReceivedRow, ...]:
    """Build the rows of what others share."""
    return tuple(
        ReceivedRow(item.ticket, item.title, item.owner, ago(item.added, now), links.page("shared", item.ticket, "run"))
        for item in received
    )
