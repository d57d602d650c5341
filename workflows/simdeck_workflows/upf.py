"""What the header of a pseudopotential's file (UPF 2) says. Standard library only: agents, workers and pages read it.

Cutoffs in Ry, valence in electrons.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HEADER_BYTES: Final = 400_000
"""A header stands behind the generation's input and before the mesh; a few files carry long notes."""
_USUAL: Final = {"NC": (40.0, 160.0), "US": (40.0, 320.0), "PAW": (45.0, 360.0)}
"""Where the header suggests none. Norm-conserving ones need four times; augmented ones more."""


class BadUpfError(ValueError):
    """The file is no pseudopotential that can be used; the message says why, without the file's name."""


@dataclass(frozen=True)
class Header:
    """``kind`` is NC, US or PAW; ``functional`` PBE, PBEsol or LDA."""

    element: str
    functional: str
    kind: str
    valence: int
    cutoff: float
    density_cutoff: float


def read_header(path: Path) -> Header:
    """Read what a UPF file says of itself.

    Raises
    ------
    BadUpfError
        For another format, a fully relativistic file, an unknown functional, or a broken header.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(_HEADER_BYTES).decode("latin-1")
    except OSError as error:
        raise BadUpfError(f"it cannot be read ({error.strerror or error})") from None
    if "<UPF" not in text[:2000]:
        # The old format is read by few programs and its headers name no attribute.
        raise BadUpfError("it is not of the format UPF 2")
    start = text.find("<PP_HEADER")
    end = text.find(">", start)
    header = text[start:end] if start >= 0 < end else ""
    element, valence = attribute(header, "element").capitalize(), _number(attribute(header, "z_valence"))
    if not element or valence is None:
        raise BadUpfError("its header names no element or no valence")
    if _true(header, "has_so") or attribute(header, "relativistic").lower() == "full":
        raise BadUpfError("it is fully relativistic, which needs spin-orbit coupling")
    named = attribute(header, "functional")
    functional = functional_of(named)
    if functional is None:
        raise BadUpfError(f"its functional “{named[:40]}” is none of PBE, PBEsol and LDA")
    kind = kind_of(attribute(header, "pseudo_type"))
    if not kind or valence != int(valence):
        raise BadUpfError("it is neither norm-conserving, ultrasoft nor PAW, or its valence is no whole number")
    cutoff, density = _cutoffs(kind, header)
    return Header(element, functional, kind, int(valence), cutoff, density)


def kind_of(text: str) -> str:
    """``NC``, ``US`` or ``PAW`` from what a header calls it; empty for anything else."""
    name = text.upper()
    return "PAW" if name == "PAW" else "US" if name in {"US", "USPP"} else "NC" if name in {"NC", "SL"} else ""


def functional_of(text: str) -> str | None:
    """``PBE``, ``PBEsol`` or ``LDA`` from what a header calls it."""
    words = text.upper().split()
    if words in (["PBE"], ["SLA", "PW", "PBE", "PBE"], ["SLA", "PW", "PBX", "PBC"]):
        return "PBE"
    if words in (["PBESOL"], ["SLA", "PW", "PSX", "PSC"]):
        return "PBEsol"
    return "LDA" if words in (["PZ"], ["LDA"], ["SLA", "PZ", "NOGX", "NOGC"]) else None


def attribute(header: str, name: str) -> str:
    """The value of an attribute in the text of a header; empty where it has none."""
    found = re.search(rf"\b{name}\s*=\s*[\"']([^\"']*)[\"']", header)
    return found[1].strip() if found else ""


def _cutoffs(kind: str, header: str) -> tuple[float, float]:
    said = [_number(attribute(header, key)) or 0.0 for key in ("wfc_cutoff", "rho_cutoff")]
    usual = _USUAL[kind]
    cutoff = round(said[0]) if said[0] > 5 else usual[0]
    least = (4 if kind == "NC" else 8) * cutoff
    return float(cutoff), float(max(round(said[1]), least) if said[1] > 5 else max(usual[1], least))


def _number(text: str) -> float | None:
    try:
        return float(text.upper().replace("D", "E"))
    except ValueError:
        return None


def _true(header: str, name: str) -> bool:
    return attribute(header, name).lower().strip(".") in {"t", "true"}
