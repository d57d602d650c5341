"""Which pseudopotentials there are: read from the headers of the UPF files in an admin's folder or in Debian's package.

Debian's ``quantum-espresso-data`` holds a mixture (PBE, PBEsol, LDA; norm-conserving, ultrasoft, PAW; scalar and fully
relativistic), so a calculation must take one functional for all its elements, and for each element the best file of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from simdeck_workflows import upf
from simdeck_workflows.pseudopotentials import RunFamily, offered

FOLDERS: Final = "SIMDECK_PSEUDOPOTENTIALS"
"""Environment variable: folders of UPF files before the usual ones, separated by colons."""
USUAL: Final = ("/usr/local/share/espresso/pseudo", "/usr/share/espresso/pseudo")

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


def families() -> tuple[RunFamily, ...]:
    """The families that the site offers."""
    return offered()


def choose(
    elements: Iterable[str], functional: str, places: tuple[Path, ...] | None = None, family: str = ""
) -> dict[str, Pseudopotential]:
    """One pseudopotential an element: of the site's ``family``, else the best in the folders.

    Raises
    ------
    NoPseudopotentialError
        With what is missing and what would do.
    """
    if family:
        return _of_family(sorted(set(elements)), functional, family)
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


def _of_family(wanted: list[str], functional: str, name: str) -> dict[str, Pseudopotential]:
    known = {one.family: one for one in families()}
    if name not in known:
        others = f" Choose {' or '.join(known)}, or leave it empty." if known else " Leave it empty."
        raise NoPseudopotentialError(f"There is no family of pseudopotentials called {name} here.{others}")
    family = known[name]
    if family.functional != functional:
        raise NoPseudopotentialError(f"The family {name} is of {family.functional}; choose that functional.")
    members = {one.element: one for one in family.members}
    missing = [element for element in wanted if element not in members]
    if missing:
        left = [said for said in family.left_out if said.partition(".")[0].partition("_")[0].capitalize() in missing]
        why = f" Left out there: {'; '.join(left[:3])}." if left else ""
        raise NoPseudopotentialError(
            f"The family {name} has no pseudopotential for {' and '.join(missing)}. Choose another family.{why}"
        )
    return {
        one.element: Pseudopotential(
            one.element, functional, one.kind, one.valence, one.path, one.cutoff, one.density_cutoff
        )
        for one in (members[element] for element in wanted)
    }


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
        said = upf.read_header(path)
    except upf.BadUpfError:
        return None
    cutoff, density = _KNOWN.get(path.name, (said.cutoff, said.density_cutoff))
    return Pseudopotential(said.element, said.functional, said.kind, said.valence, path, cutoff, density)
