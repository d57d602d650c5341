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
    """One of the caller's shares. ``state`` is empty while it is open, else why it is over.

    ``kind`` says which app it is of, where it is of one; ``opened`` who has opened it: ``(person, when)``.
    """

    id: str
    title: str
    kind: str
    url: str
    people: tuple[str, ...]
    groups: tuple[str, ...]
    until: str
    created: str
    created_full: str
    state: str
    link: str
    opened: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReceivedRow:
    """A share of somebody else's that the caller has opened."""

    ticket: str
    title: str
    kind: str
    owner: str
    added: str
    url: str
    over: bool


def share_rows(shares: Sequence[ShareView], links: Links, now: datetime) -> tuple[ShareRow, ...]:
    """Build the rows of the caller's shares, those that are open first."""
    rows = [
        ShareRow(
            id=share.id,
            title=share.title,
            kind=_kind(share.app, share.version),
            url=links.page("runs", share.run) if share.run is not None else links.page("store", share.app or ""),
            people=tuple(share.people),
            groups=tuple(share.groups),
            until=date(share.expires),
            created=ago(share.created, now),
            created_full=full_time(share.created),
            state="" if not share.ended else "Revoked" if share.revoked else "Expired",
            link=share.link,
            opened=tuple((one.person, ago(one.last, now)) for one in share.opened),
        )
        for share in shares
    ]
    return tuple(sorted(rows, key=lambda row: bool(row.state)))


def received_rows(received: Sequence[Received], links: Links, now: datetime) -> tuple[ReceivedRow, ...]:
    """Build the rows of what others share."""
    return tuple(
        ReceivedRow(
            ticket=item.ticket,
            title=item.title,
            kind=_kind(item.app, item.version),
            owner=item.owner,
            added=ago(item.added, now),
            url=links.page("shared", item.ticket, "run" if item.app is None else "app"),
            over=item.over,
        )
        for item in received
    )


def _kind(app: str | None, version: str | None) -> str:
    return f"{app} {version}" if app is not None else ""
