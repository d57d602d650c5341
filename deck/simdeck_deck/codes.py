"""The simulation codes a site offers, for the word beside each code that an app needs: "available" or "ask".

The administrator lists them in ``<data>/codes.json``: ``{"codes": ["Quantum ESPRESSO", "cp2k"]}``; the environments of
the clusters that a caller may use count too, by their names and titles.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from simdeck_appstore.search import words

log = logging.getLogger(__name__)

FILE = "codes.json"


def site_codes(data: Path) -> list[str]:
    """Return the codes the administrator lists; none where there is no readable file."""
    try:
        found = json.loads((data / FILE).read_text("utf-8"))["codes"]
        return [code for code in found if isinstance(code, str)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        log.warning("%s cannot be read; every code counts as not offered", FILE)
        return []


def is_offered(code: str, offered: Iterable[str]) -> bool:
    """Say whether ``code`` (``quantum-espresso >= 7``) is one of ``offered``, whatever its spelling.

    A version or a condition behind the name is for people to read; the name decides.
    """
    wanted = "".join(_name(code))
    return bool(wanted) and any(wanted in _beginnings(one) for one in offered)


def _beginnings(text: str) -> set[str]:
    """Return a title's first word, its first two run together, and so on: “CP2K with MPI” offers “cp2k”."""
    name = _name(text)
    return {"".join(name[:count]) for count in range(1, len(name) + 1)}


def _name(text: str) -> list[str]:
    """Return the words of a code's name, up to the first that is a number."""
    kept: list[str] = []
    for word in words(text):
        if word[0].isdigit() and kept:
            break
        kept.append(word)
    return kept
