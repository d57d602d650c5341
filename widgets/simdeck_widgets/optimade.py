"""Structures from databases that speak OPTIMADE: what is asked, what is understood of the answer. No widget.

The specification is https://www.optimade.org; an answer is untrusted: it is bounded in size and time, and every number
is checked before it becomes a structure.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from simdeck_widgets.structure_model import ELEMENTS

SETTING: Final = "SIMDECK_OPTIMADE"
"""Environment variable: ``none``, or ``name=address`` words in the place of the providers below."""
CONNECT_SECONDS: Final = 6.0
SECONDS: Final = 25.0
MOST_BYTES: Final = 5_000_000
MOST_SITES: Final = 200
PAGE: Final = 25
FIELDS: Final = (
    "id,lattice_vectors,cartesian_site_positions,species,species_at_sites,nsites,nelements,chemical_formula_reduced,"
    "chemical_formula_descriptive,dimension_types,structure_features,last_modified,immutable_id"
)


@dataclass(frozen=True)
class Provider:
    """A database. ``url`` is its base address, without the version."""

    id: str
    title: str
    url: str
    licence: str = ""


KNOWN: Final = (
    Provider("cod", "Crystallography Open Database", "https://www.crystallography.net/cod/optimade", "CC0-1.0"),
    Provider("mp", "Materials Project", "https://optimade.materialsproject.org", "CC-BY-4.0"),
    Provider("alexandria", "Alexandria (PBE)", "https://alexandria.icams.rub.de/pbe", "CC-BY-4.0"),
    Provider("oqmd", "Open Quantum Materials Database", "https://oqmd.org/optimade", "CC-BY-4.0"),
)


class OptimadeError(Exception):
    """The database gave no usable answer; the message is a sentence or two for people."""


@dataclass(frozen=True)
class Found:
    """One structure of an answer, positions and cell in Å; ``why_not`` says why it cannot be used."""

    id: str
    formula: str
    sites: int
    symbols: tuple[str, ...] = ()
    positions: tuple[tuple[float, ...], ...] = ()
    cell: tuple[tuple[float, ...], ...] = ()
    why_not: str = ""


def providers(environment: Mapping[str, str] = os.environ) -> tuple[Provider, ...]:
    """The databases that are offered: those the site names, else the known ones; none where it says ``none``."""
    said = environment.get(SETTING, "").split()
    if not said:
        return KNOWN
    known = {one.id: one for one in KNOWN}
    found = []
    for word in said:
        name, _, url = word.partition("=")
        if not url and name in known:
            found.append(known[name])
        elif urlsplit(url).scheme in {"http", "https"} and urlsplit(url).netloc:
            found.append(
                Provider(name, known[name].title if name in known else name.replace("_", " "), url.rstrip("/"))
            )
    return tuple(found)


def filter_of(text: str) -> str:
    """The OPTIMADE filter for what a person typed: a formula (``SiO2``) or elements (``Si O``, ``Si, O``).

    Raises
    ------
    OptimadeError
        With what would do.
    """
    words = [word for word in re.split(r"[\s,;\-–]+", text.strip()) if word]
    if not words:
        raise OptimadeError("Give a formula such as SiO2, or elements such as Si O.")
    if len(words) == 1 and (len(counts := formula_counts(words[0])) > 1 or any(n > 1 for n in counts.values())):
        return f'chemical_formula_reduced="{reduced(counts)}" AND nsites<={MOST_SITES}'
    elements = sorted({element for word in words for element in formula_counts(word)})
    listed = ",".join(f'"{element}"' for element in elements)
    return f"elements HAS ALL {listed} AND nelements={len(elements)} AND nsites<={MOST_SITES}"


def formula_counts(text: str) -> dict[str, int]:
    """Atoms by element of a formula. Raises ``OptimadeError``."""
    counts: dict[str, int] = {}
    rest = text
    while rest:
        match = re.match(r"([A-Z][a-z]?)(\d{0,4})", rest) or re.match(r"([a-z]{1,2})(\d{0,4})$", rest)
        symbol = match[1].capitalize() if match else ""
        if match and symbol not in ELEMENTS and len(symbol) == 2 and symbol[0] in ELEMENTS:
            match = re.match(r"([A-Z])(\d{0,4})", rest)
            symbol = symbol[0]
        if match is None or symbol not in ELEMENTS:
            raise OptimadeError(f"“{text}” is no formula. Give one such as SiO2, or elements such as Si O.")
        counts[symbol] = counts.get(symbol, 0) + max(1, int(match[2] or 1))
        rest = rest[match.end() :]
    return counts


def reduced(counts: Mapping[str, int]) -> str:
    """A formula as OPTIMADE orders it: elements by name, smallest whole numbers, no ones."""
    divisor = math.gcd(*counts.values())
    return "".join(f"{symbol}{n // divisor if n // divisor > 1 else ''}" for symbol, n in sorted(counts.items()))


async def search(provider: Provider, text: str, client: Any = None) -> list[Found]:
    """Ask one database; the structures that can be used come first.

    Raises
    ------
    OptimadeError
        Where it cannot be reached, takes too long, answers too much or something else than OPTIMADE.
    """
    question = {"filter": filter_of(text), "page_limit": PAGE, "response_fields": FIELDS, "response_format": "json"}
    answer = await _get(provider, f"structures?{urlencode(question, quote_via=quote)}", client)
    data = answer.get("data")
    if not isinstance(data, list):
        raise OptimadeError(f"{provider.title} answered something that is no list of structures.")
    found = [entry(one) for one in data if isinstance(one, dict)]
    return sorted(found, key=lambda one: (bool(one.why_not), one.sites))


async def licence(provider: Provider, client: Any = None) -> str:
    """The licence that a database gives its entries (an SPDX name or an address); empty where it says none."""
    try:
        told = (await _get(provider, "info", client)).get("data") or {}
    except OptimadeError:
        return provider.licence
    attributes = told.get("attributes") or {}
    named = [str(one) for one in attributes.get("available_licenses") or [] if isinstance(one, str)]
    link = attributes.get("license")
    address = link.get("href") if isinstance(link, dict) else link
    return ", ".join(named)[:200] or (str(address)[:200] if isinstance(address, str) else "") or provider.licence


def origin(provider: Provider, one: Found, licence: str = "") -> dict[str, str]:
    """Where a structure came from, as it goes into a run's provenance and citations."""
    url = f"{provider.url}/v1/structures/{quote(one.id, safe='')}"
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    told = {"provider": provider.id, "database": provider.title, "id": one.id, "formula": one.formula, "url": url}
    under = f", {licence}" if licence else ""
    text = f"{one.formula}, entry {one.id} of {provider.title}, by OPTIMADE{under}"
    return {**told, "retrieved": now, "text": text, **({"licence": licence} if licence else {})}


async def _get(provider: Provider, path: str, client: Any) -> dict[str, Any]:
    import httpx

    limits = httpx.Timeout(SECONDS, connect=CONNECT_SECONDS)
    own = client is None
    http = httpx.AsyncClient(timeout=limits, follow_redirects=True, max_redirects=3) if own else client
    try:
        body = b""
        async with http.stream("GET", f"{provider.url}/v1/{path}", headers={"Accept": "application/json"}) as response:
            if response.status_code >= 400:
                raise OptimadeError(_refused(provider, response.status_code))
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MOST_BYTES:
                    raise OptimadeError(
                        f"{provider.title} answered more than {MOST_BYTES // 1_000_000} MB. Ask for less."
                    )
        answer = json.loads(body)
    except httpx.TimeoutException:
        raise OptimadeError(f"{provider.title} did not answer in time. Try again, or ask another database.") from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise OptimadeError(
            f"{provider.title} cannot be reached from here. The machine this page runs on may have no way to the "
            "internet; upload a file instead, or ask your administrator."
        ) from None
    except ValueError:
        raise OptimadeError(f"{provider.title} answered something that is not OPTIMADE.") from None
    finally:
        if own:
            await http.aclose()
    if not isinstance(answer, dict):
        raise OptimadeError(f"{provider.title} answered something that is not OPTIMADE.")
    return answer


def _refused(provider: Provider, status: int) -> str:
    if status == 429:
        return f"{provider.title} is asked too often at the moment. Wait a minute and try again."
    if status >= 500:
        return f"{provider.title} has a fault at the moment (HTTP {status}). Try again, or ask another database."
    return f"{provider.title} does not understand the question (HTTP {status}). Ask another database."


def entry(data: Mapping[str, Any]) -> Found:
    """Read one entry of an answer; what cannot be used says why."""
    about = data.get("attributes")
    about = about if isinstance(about, dict) else {}
    name = str(data.get("id") or about.get("id") or "")[:200]
    formula = str(about.get("chemical_formula_descriptive") or about.get("chemical_formula_reduced") or "?")[:80]
    places = about.get("species_at_sites")
    sites = len(places) if isinstance(places, list) else 0
    try:
        if not name:
            raise _UnusableError("It has no name.")
        if not 0 < sites <= MOST_SITES:
            raise _UnusableError(f"It has {sites or 'no'} sites; at most {MOST_SITES} are taken.")
        symbols = _symbols(about, places or [])
        positions = _rows(about.get("cartesian_site_positions"), sites)
        periodic = about.get("dimension_types") or [1, 1, 1]
        if list(periodic) != [1, 1, 1]:
            raise _UnusableError("It is not periodic in three directions.")
        cell = _rows(about.get("lattice_vectors"), 3)
        if abs(_volume(cell)) < 1e-3:
            raise _UnusableError("Its cell has no volume.")
    except _UnusableError as error:
        return Found(name, formula, sites, why_not=str(error))
    return Found(name, formula, sites, symbols, positions, cell)


class _UnusableError(Exception):
    pass


def _symbols(about: Mapping[str, Any], places: list[Any]) -> tuple[str, ...]:
    features = about.get("structure_features") or []
    if "disorder" in features or "implicit_atoms" in features or "unknown_positions" in features:
        raise _UnusableError("Its sites are partly occupied, or not all known.")
    species: dict[str, str] = {}
    for one in about.get("species") or []:
        named = one.get("chemical_symbols") if isinstance(one, dict) else None
        if isinstance(named, list) and len(named) == 1 and named[0] in ELEMENTS and not one.get("attached"):
            species[str(one.get("name"))] = str(named[0])
    found = [species.get(str(place), "") for place in places]
    if not all(found):
        raise _UnusableError("It has sites that hold no single element.")
    return tuple(found)


def _rows(value: Any, count: int) -> tuple[tuple[float, ...], ...]:
    if not isinstance(value, list) or len(value) != count:
        raise _UnusableError("Its coordinates are missing.")
    rows = []
    for row in value:
        if not isinstance(row, list) or len(row) != 3 or not all(_finite(x) for x in row):
            raise _UnusableError("Its coordinates are missing.")
        rows.append(tuple(float(x) for x in row))
    return tuple(rows)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e5


def _volume(cell: tuple[tuple[float, ...], ...]) -> float:
    (a, b, c), (d, e, f), (g, h, i) = cell
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
