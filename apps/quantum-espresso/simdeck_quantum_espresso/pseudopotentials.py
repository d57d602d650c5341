"""Which pseudopotentials there are: read from the headers of the UPF files in an admin's folder or in Debian's package.

Debian's ``quantum-espresso-data`` holds a mixture (PBE, PBEsol, LDA; norm-conserving, ultrasoft, PAW; scalar and fully
relativistic), so a calculation must take one functional for all its elements, and for each element the best file of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

FOLDERS: Final = "SIMDECK_PSEUDOPOTENTIALS"
"""Environment variable: folders of UPF files before the usual ones, separated by colons."""
USUAL: Final = ("/usr/local/share/espresso/pseudo", "/usr/share/espresso/pseudo")

_HEADER_BYTES: Final = 400_000
"""A header stands behind the generation's input and before the mesh; a few files carry long notes."""

# Ry, wavefunctions and density: where the header suggests none. Norm-conserving ones need four times; augmented ones
# more.
_BY_KIND: Final = {"NC": (40.0, 160.0), "US": (40.0, 320.0), "PAW": (45.0, 360.0)}
# Set by hand where a header suggests more, or less, than these files are used with; not tested for convergence.
_KNOWN: Final = {
    "Si.pbe-nl-rrkjus_psl.1.0.0.UPF": (44.0, 176.0),
    "Si.pbe-rrkj.UPF": (24.0, 96.0),
    "Si.pz-vbc.UPF": (18.0, 72.0),
    "Al.pz-vbc.UPF": (18.0, 72.0),
    "Mg.pz-n-vbc.UPF": (20.0, 80.0),
    # With the 3s and 3p electrons: without them iron's moment comes out at 2.4 μB instead of 2.2.
    "Fe.pbe-spn-rrkjus_psl.0.2.1.UPF": (45.0, 360.0),
}


@dataclass(frozen=True)
class Pseudopotential:
    """One file. Cutoffs in Ry; ``valence`` in electrons."""

    element: str
    functional: str
    kind: str
    valence: int
    path: Path
    cutoff: float
    density_cutoff: float

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


class NoPseudopotentialError(LookupError):
    """An element has none of the functional; the message is a sentence for people."""


def folders(environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The folders that are looked into, the first that has an element wins."""
    own = [Path(text) for text in environment.get(FOLDERS, "").split(":") if text]
    return tuple(path for path in (*own, *map(Path, USUAL)) if path.is_dir())


def choose(
    elements: Iterable[str], functional: str, places: tuple[Path, ...] | None = None
) -> dict[str, Pseudopotential]:
    """One pseudopotential an element.

    Raises
    ------
    NoPseudopotentialError
        With what is missing and what would do.
    """
    places = folders() if places is None else places
    found = {one.element: one for one in available(places) if one.functional == functional}
    wanted = sorted(set(elements))
    missing = [element for element in wanted if element not in found]
    if not missing:
        return {element: found[element] for element in wanted}
    if not places:
        raise NoPseudopotentialError(
            "There are no pseudopotentials on this machine. On Debian and Ubuntu, `sudo apt-get install "
            "quantum-espresso-data` brings some; an administrator can name a folder of UPF files in "
            f"{FOLDERS}."
        )
    others = [
        other for other in ("PBE", "PBEsol", "LDA")
        if other != functional and set(wanted) <= elements_of(other, places)
    ]  # fmt: skip
    names = " and ".join(missing)
    cure = (
        f"With {' or '.join(others)} there is one for each element of this structure."
        if others
        else f"Ask your administrator to add UPF files for {names} ({FOLDERS})."
    )
    raise NoPseudopotentialError(f"There is no {functional} pseudopotential for {names} here. {cure}")


def elements_of(functional: str, places: tuple[Path, ...] | None = None) -> set[str]:
    """The elements that have a pseudopotential of the functional."""
    places = folders() if places is None else places
    return {one.element for one in available(places) if one.functional == functional}


def available(places: tuple[Path, ...]) -> tuple[Pseudopotential, ...]:
    """The best file of each element and functional, by element."""
    return _available(tuple((place, place.stat().st_mtime_ns) for place in places))


@cache
def _available(stamped: tuple[tuple[Path, int], ...]) -> tuple[Pseudopotential, ...]:
    best: dict[tuple[str, str], tuple[tuple[int, int, str], Pseudopotential]] = {}
    for rank, (place, _) in enumerate(stamped):
        for path in sorted(place.iterdir()):
            if path.suffix.lower() != ".upf" or not path.is_file():
                continue
            one = read_header(path)
            if one is None:
                continue
            key, merit = (one.element, one.functional), (rank, _demerit(path.name), path.name)
            if key not in best or merit < best[key][0]:
                best[key] = (merit, one)
    return tuple(one for _, one in sorted(best.values(), key=lambda pair: (pair[1].element, pair[1].functional)))


def _demerit(name: str) -> int:
    """Lower is better: files whose cutoffs were tried, then newer libraries, then whatever has the element."""
    if name in _KNOWN:
        return 0
    # Made for magnetic shielding, for core holes, or to stand in for the bare nucleus.
    special = ("gipaw", "coulomb", "aewfc", "mt_fhi", "_lb")
    if any(mark in name for mark in special):
        return 4
    if "psl.1.0.0" in name:
        return 1
    return 2 if "psl" in name or "kjpaw" in name else 3


def read_header(path: Path) -> Pseudopotential | None:
    """What a UPF file says of itself; None where it cannot be used (fully relativistic, no known functional)."""
    try:
        with path.open("rb") as stream:
            text = stream.read(_HEADER_BYTES).decode("latin-1")
    except OSError:
        return None
    if "<UPF" not in text[:2000]:
        # The old format is read by few programs and its headers name no attribute.
        return None
    start = text.find("<PP_HEADER")
    header = text[start : text.find(">", start)] if start >= 0 else ""
    functional = functional_of(_attribute(header, "functional"))
    element, valence = _attribute(header, "element").capitalize(), _attribute(header, "z_valence")
    if functional is None or not element or not valence or _true(header, "has_so"):
        return None
    if _attribute(header, "relativistic").lower() == "full":
        return None
    kind = _attribute(header, "pseudo_type").upper()
    kind = "PAW" if kind == "PAW" else "US" if kind in {"US", "USPP"} else "NC" if kind in {"NC", "SL"} else ""
    electrons = float(valence.upper().replace("D", "E"))
    if not kind or electrons != int(electrons):
        return None
    cutoff, density = _cutoffs(path.name, kind, header)
    return Pseudopotential(element, functional, kind, int(electrons), path, cutoff, density)


def functional_of(text: str) -> str | None:
    """``PBE``, ``PBEsol`` or ``LDA`` from what a header calls it."""
    words = text.upper().split()
    if words in (["PBE"], ["SLA", "PW", "PBE", "PBE"], ["SLA", "PW", "PBX", "PBC"]):
        return "PBE"
    if words in (["PBESOL"], ["SLA", "PW", "PSX", "PSC"]):
        return "PBEsol"
    return "LDA" if words in (["PZ"], ["LDA"], ["SLA", "PZ", "NOGX", "NOGC"]) else None


def _cutoffs(name: str, kind: str, header: str) -> tuple[float, float]:
    if name in _KNOWN:
        return _KNOWN[name]
    said = [float(_attribute(header, key).upper().replace("D", "E") or 0) for key in ("wfc_cutoff", "rho_cutoff")]
    usual = _BY_KIND[kind]
    cutoff = round(said[0]) if said[0] > 5 else usual[0]
    least = (4 if kind == "NC" else 8) * cutoff
    return float(cutoff), float(max(round(said[1]), least) if said[1] > 5 else max(usual[1], least))


def _attribute(header: str, name: str) -> str:
    found = re.search(rf"\b{name}\s*=\s*[\"']([^\"']*)[\"']", header)
    return found[1].strip() if found else ""


def _true(header: str, name: str) -> bool:
    return _attribute(header, name).lower().strip(".") in {"t", "true"}
