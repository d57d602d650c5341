"""What the person's own apps take on disk: a page, and a part of the store's list of installed apps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response

from simdeck_deck.pages.sources import attempt
from simdeck_deck.pages.views.text import byte_size
from simdeck_deck.pages.visit import Visiting

router = APIRouter()


@dataclass(frozen=True)
class DiskRow:
    """One app: its size, what removing it gives back, and its versions with theirs."""

    app: str
    url: str
    size: str
    own: str
    versions: str


@router.get("/disk")
async def disk(visit: Visiting) -> Response:
    """Show how much each app takes; htmx gets the table alone."""
    found, problem = await attempt(visit.agent.get("/usage/apps"))
    answer: dict[str, Any] = found or {}
    rows = [
        DiskRow(
            app=str(item["app"]),
            url=visit.links.page("store", str(item["app"])),
            size=byte_size(item["size"]),
            own=byte_size(item["own"]),
            versions=", ".join(_version(one) for one in item["versions"]),
        )
        for item in answer.get("items", ())
    ]
    return visit.page(
        "_disk_use.html" if visit.fragment else "disk.html",
        here="store",
        rows=rows,
        total=byte_size(answer.get("size", 0)),
        own=byte_size(answer.get("own", 0)),
        disk_problem=problem,
    )


def _version(one: dict[str, Any]) -> str:
    return f"{one['version']} (for everybody)" if one.get("site") else f"{one['version']} ({byte_size(one['size'])})"
