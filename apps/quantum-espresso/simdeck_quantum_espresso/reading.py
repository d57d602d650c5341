"""From a file's content to a crystal, or a plain sentence why not: CIF, POSCAR, extended XYZ, XSF, Quantum ESPRESSO
input."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import StringIO
from pathlib import PurePath

import numpy as np
from ase import Atoms
from ase.io import read

from simdeck_quantum_espresso import limits
from simdeck_quantum_espresso.validation import check_structure

FORMATS = {
    ".cif": ("cif", "CIF"),
    ".vasp": ("vasp", "POSCAR"),
    ".poscar": ("vasp", "POSCAR"),
    ".xyz": ("extxyz", "XYZ"),
    ".extxyz": ("extxyz", "XYZ"),
    ".xsf": ("xsf", "XSF"),
    ".in": ("espresso-in", "Quantum ESPRESSO input"),
    ".pwi": ("espresso-in", "Quantum ESPRESSO input"),
}


class UnreadableError(ValueError):
    """The text is not a crystal; the message is a sentence for people."""


@dataclass(frozen=True)
class Reading:
    """A crystal, and notes to show."""

    atoms: Atoms
    notes: tuple[str, ...] = ()


def read_crystal(name: str, data: bytes) -> Reading:
    """Read a file's content by the ending of its name.

    Raises
    ------
    UnreadableError
        With one or two sentences: what is wrong, and what would do.
    """
    path = PurePath(name)
    # VASP's files carry their kind as a name.
    suffix = path.suffix.lower() or f".{path.name.lower()}"
    if path.name.upper().startswith(("POSCAR", "CONTCAR")):
        suffix = ".poscar"
    if suffix not in FORMATS:
        raise UnreadableError(f"The file {name!r} has no known ending. Give a CIF, POSCAR, extended XYZ or XSF file.")
    if len(data) > limits.MAX_FILE_BYTES:
        raise UnreadableError(
            f"The file is {len(data) / 1e6:.1f} MB large; at most {limits.MAX_FILE_BYTES / 1e6:.0f} MB are read."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("The file is not a text file. Give a CIF, POSCAR, extended XYZ or XSF file.") from None
    if not text.strip():
        raise UnreadableError("The file is empty.")
    form, title = FORMATS[suffix]
    atoms, notes = _read(text, form, title)
    if not atoms.pbc.all() and title == "XYZ":
        raise UnreadableError(
            "The XYZ file has no cell. Extended XYZ carries it in its second line: "
            'Lattice="ax ay az bx by bz cx cy cz".'
        )
    if sentence := check_structure(atoms):
        raise UnreadableError(sentence)
    return Reading(atoms, tuple(notes))


def _read(text: str, form: str, title: str) -> tuple[Atoms, list[str]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read(StringIO(text), format=form, index=":")
    except Exception as error:  # whatever a parser of strangers' files may raise
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise UnreadableError(
            f"The {title} file could not be read ({reason}). Correct it, or give another format."
        ) from None
    frames = found if isinstance(found, list) else [found]
    if not frames or not len(frames[-1]):
        raise UnreadableError(f"The {title} file has no atoms with coordinates.")
    last = frames[-1]
    notes = [f"The file has {len(frames)} structures; the last one was taken."] if len(frames) > 1 else []
    occupancy = last.info.get("occupancy")
    if occupancy and any(len(site) > 1 or min(site.values()) < 0.999 for site in occupancy.values()):
        raise UnreadableError(
            "The CIF file has sites that are only partly occupied. Give an ordered structure: one element on each site."
        )
    atoms = Atoms(last.numbers, positions=last.positions, cell=last.cell, pbc=last.pbc)
    return right_handed(atoms), notes


def right_handed(atoms: Atoms) -> Atoms:
    """The same crystal in a right-handed cell, as the programs want it."""
    if np.linalg.det(atoms.cell.array) >= 0:
        return atoms
    return Atoms(
        atoms.numbers,
        cell=atoms.cell.array[[1, 0, 2]],
        scaled_positions=atoms.get_scaled_positions()[:, [1, 0, 2]],
        pbc=True,
    )
