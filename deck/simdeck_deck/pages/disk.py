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


@dataclass(frozen=True)
class GenerationRow:
    """One generation of the workflow backend: which apps' workflows brought what into it."""

    name: str
    apps: str
    packages: tuple[str, ...]
    size: str
    current: bool
    site: bool


@router.get("/store/{app}/disk")
async def app_disk(visit: Visiting, app: str) -> Response:
    """What one installed app takes, and the generation that its workflows are carried out in: a part of its page."""
    found, _ = await attempt(visit.agent.get("/usage/apps"))
    answer: dict[str, Any] = found or {}
    item = next((one for one in answer.get("items", ()) if one.get("app") == app), None)
    rows = [row for row, one in zip(_generations(answer), answer.get("generations", ()), strict=True)
            if row.current and app in one["apps"]]  # fmt: skip
    return visit.page(
        "_app_disk.html",
        size=byte_size(item["size"]) if item else "",
        own=byte_size(item["own"]) if item else "",
        generation=rows[0] if rows else None,
    )


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
        generations=_generations(answer),
        disk_problem=problem,
    )


def _generations(answer: dict[str, Any]) -> list[GenerationRow]:
    return [
        GenerationRow(
            name=str(one["name"]),
            apps=", ".join(one["apps"]),
            packages=tuple(str(package) for package in one["packages"]),
            size="for everybody" if one.get("site") else byte_size(one["size"]),
            current=bool(one.get("current")),
            site=bool(one.get("site")),
        )
        for one in answer.get("generations", ())
    ]


def _version(one: dict[str, Any]) -> str:
    if one.get("site"):
        return f"{one['version']} (for everybody)"
    return f"{one['version']} ({byte_size(one['size'])}{', shared with you' if one.get('guest') else ''})"
