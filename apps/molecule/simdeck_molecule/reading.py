"""From what a person gives (XYZ, SDF, CIF, SMILES) to one molecule, or a plain sentence why not.

Sizes are checked before anything is parsed. Whatever the file says about the charge or the choice made (which
geometry, which molecule of a crystal) comes along as a value and as notes to show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import PurePath

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.io import read

from simdeck_molecule import limits
from simdeck_molecule.crystal import CrystalError, molecule_of_crystal
from simdeck_molecule.validation import check_atom_count

SUFFIXES = {
    ".xyz": "XYZ",
    ".extxyz": "XYZ",
    ".sdf": "SDF",
    ".mol": "SDF",
    ".sd": "SDF",
    ".cif": "CIF",
    ".smi": "SMILES",
}
"""File name endings taken, and their format."""


class UnreadableError(ValueError):
    """The text is not a molecule; the message is a sentence for people."""


@dataclass(frozen=True)
class Reading:
    """A molecule: atoms without cell, the charge and multiplicity the source states (or None), and notes to show."""

    atoms: Atoms
    charge: int | None = None
    multiplicity: int | None = None
    notes: tuple[str, ...] = ()


def read_structure(name: str, content: str | bytes) -> Reading:
    """Read a file's content by the ending of its name.

    Raises
    ------
    UnreadableError
        With one or two sentences: what is wrong, where, and what would do.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise UnreadableError(f"The file {name!r} has no known ending. Give an .xyz, .sdf, .mol or .cif file.")
    if len(content) > limits.MAX_FILE_BYTES:
        raise UnreadableError(
            f"The file is {len(content) / 1e6:.1f} MB large; at most {limits.MAX_FILE_BYTES / 1e6:.0f} MB are read. "
            "Give one molecule alone."
        )
    if isinstance(content, bytes):
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UnreadableError("The file is not a text file. Give an .xyz, .sdf, .mol or .cif file.") from None
    if not content.strip():
        raise UnreadableError("The file is empty. Give a file with at least one atom.")
    found = _READERS[SUFFIXES[suffix]](content)
    sentence = check_atom_count(len(found.atoms))
    if sentence:
        raise UnreadableError(sentence)
    return found


# --- XYZ --------------------------------------------------------------------------------------------------------


def _read_xyz(text: str) -> Reading:
    """Plain or extended XYZ; of several geometries the last, as in a trajectory."""
    lines = text.splitlines()
    frames: list[tuple[int, int]] = []
    place = 0
    while place < len(lines):
        if not lines[place].strip():
            place += 1
            continue
        count = _xyz_count(lines[place], place, first=not frames)
        if place + 2 + count > len(lines):
            there = max(0, len(lines) - place - 2)
            raise UnreadableError(
                f"The XYZ file announces {count} atoms in line {place + 1} and then has only {there}. Correct the "
                "number or add the missing lines."
            )
        frames.append((place, count))
        place += 2 + count
    start, count = frames[-1]
    comment = lines[start + 1]
    symbol_column, position_column = _extended_columns(comment, start + 1)
    symbols: list[int] = []
    positions: list[list[float]] = []
    for number in range(start + 2, start + 2 + count):
        fields = lines[number].split()
        symbols.append(_xyz_element(fields, symbol_column, number))
        positions.append(_xyz_position(fields, position_column, number, lines[number]))
    atoms = Atoms(numbers=symbols, positions=positions)
    notes = [f"The file has {len(frames)} geometries; the last one was taken."] if len(frames) > 1 else []
    lattice = re.search(r'Lattice="([^"]*)"', comment, re.IGNORECASE)
    pbc = re.search(r'pbc="([^"]*)"', comment, re.IGNORECASE)
    charge = re.search(r"\bcharge=([+-]?\d+)\b", comment, re.IGNORECASE)
    if lattice and (not pbc or "t" in pbc.group(1).lower()):
        return replace(_from_crystal(_with_cell(atoms, lattice.group(1), start + 2)), charge=_int(charge))
    return Reading(atoms, charge=_int(charge), notes=tuple(notes))


def _int(found: re.Match[str] | None) -> int | None:
    return int(found.group(1)) if found else None


def _xyz_count(line: str, place: int, *, first: bool) -> int:
    try:
        count = int(line.split()[0])
    except ValueError:
        hint = "the first line of an XYZ file is the number of atoms" if first else "the number of atoms was expected"
        raise UnreadableError(
            f"Line {place + 1} of the XYZ file is {_quote(line)}; {hint}. Correct the file."
        ) from None
    if count < 1:
        raise UnreadableError(f"Line {place + 1} of the XYZ file announces {count} atoms. Give at least one.")
    sentence = check_atom_count(count)
    if sentence:
        raise UnreadableError(sentence)
    return count


def _extended_columns(comment: str, number: int) -> tuple[int, int]:
    """Where the element and the position stand in a line: 0 and 1, or as ``Properties=`` of extended XYZ says."""
    found = re.search(r'Properties="?([A-Za-z0-9_:]+)', comment)
    if not found:
        return 0, 1
    parts = found.group(1).split(":")
    columns: dict[str, int] = {}
    column = 0
    try:
        for name, width in zip(parts[0::3], parts[2::3], strict=True):
            columns[name] = column
            column += int(width)
    except ValueError:
        raise UnreadableError(f"Line {number + 1} of the XYZ file has Properties that cannot be read.") from None
    if "pos" not in columns or not {"species", "Z"} & set(columns):
        raise UnreadableError(f"Line {number + 1} of the XYZ file names no species or no pos in its Properties.")
    return columns.get("species", columns.get("Z", 0)), columns["pos"]


def _xyz_element(fields: list[str], column: int, number: int) -> int:
    word = fields[column] if len(fields) > column else ""
    symbol = re.match(r"[A-Za-z]{1,2}(?![A-Za-z])", word)
    if symbol and symbol.group().capitalize() in atomic_numbers and symbol.group().capitalize() != "X":
        return int(atomic_numbers[symbol.group().capitalize()])
    if word.isdigit() and 1 <= int(word) <= 118:
        return int(word)
    raise UnreadableError(
        f"Line {number + 1} of the XYZ file begins with {_quote(word)}, which is no chemical element. Each line is an "
        "element and three coordinates in ångström."
    )


def _xyz_position(fields: list[str], column: int, number: int, line: str) -> list[float]:
    words = fields[column : column + 3]
    try:
        position = [float(word.replace("D", "e").replace("d", "e")) for word in words]
    except ValueError:
        position = []
    if len(position) != 3 or not np.all(np.isfinite(position)):
        raise UnreadableError(
            f"Line {number + 1} of the XYZ file is {_quote(line)}; an element and three coordinates in ångström were "
            "expected."
        )
    return position


def _with_cell(atoms: Atoms, lattice: str, number: int) -> Atoms:
    try:
        cell = np.array([float(word) for word in lattice.split()]).reshape(3, 3)
    except ValueError:
        raise UnreadableError(f"Line {number} of the XYZ file has a Lattice that is not nine numbers.") from None
    atoms.set_cell(cell)
    atoms.pbc = True
    return atoms


# --- SDF --------------------------------------------------------------------------------------------------------


def _read_sdf(text: str) -> Reading:
    """The first molecule of an SDF or MOL file (V2000, V3000), with its formal charge."""
    block = text.split("$$$$")[0]
    lines = block.splitlines()
    if len(lines) < 4 or not re.search(r"V[23]000", lines[3]):
        raise UnreadableError(
            "Line 4 of the SDF file is not a counts line, which ends with V2000 or V3000. Correct the file."
        )
    atoms, charge = _read_v2000(lines) if "V2000" in lines[3] else _read_v3000(lines)
    notes = []
    if len([part for part in text.split("$$$$") if part.strip()]) > 1:
        notes.append("The file has several molecules; the first one was taken.")
    flat = len(atoms) > 3 and not np.any(atoms.positions[:, 2])
    if flat and np.linalg.matrix_rank(atoms.positions - atoms.positions[0], tol=0.1) > 1:
        notes.append("All atoms lie in one plane: if this is a drawing and not a 3-D structure, give SMILES instead.")
    return Reading(atoms, charge=charge, notes=tuple(notes))


def _refuse_count(count: int) -> None:
    sentence = check_atom_count(count)
    if sentence:
        raise UnreadableError(sentence)


def _read_v2000(lines: list[str]) -> tuple[Atoms, int]:
    count = int(lines[3][:3]) if lines[3][:3].strip().isdigit() else 0
    _refuse_count(count)
    symbols: list[str] = []
    positions: list[list[float]] = []
    for number in range(4, 4 + count):
        line = lines[number] if number < len(lines) else ""
        words = [line[0:10], line[10:20], line[20:30]]
        _sdf_atom(symbols, positions, line[31:34].strip(), words, number, line)
    charge = 0
    for line in lines[4 + count :]:
        if line.startswith("M  CHG"):
            charge += sum(int(value) for value in line.split()[4::2])
    return Atoms(symbols, positions=positions), charge


def _read_v3000(lines: list[str]) -> tuple[Atoms, int]:
    try:
        begin = lines.index("M  V30 BEGIN ATOM")
        end = lines.index("M  V30 END ATOM")
    except ValueError:
        raise UnreadableError("The SDF file says V3000 and has no whole atom block. Correct the file.") from None
    _refuse_count(end - begin - 1)
    symbols: list[str] = []
    positions: list[list[float]] = []
    charge = 0
    for number in range(begin + 1, end):
        fields = lines[number].split()
        _sdf_atom(symbols, positions, fields[3] if len(fields) > 3 else "", fields[4:7], number, lines[number])
        found = re.search(r"\bCHG=([+-]?\d+)", lines[number])
        charge += _int(found) or 0
    return Atoms(symbols, positions=positions), charge


def _sdf_atom(
    symbols: list[str], positions: list[list[float]], symbol: str, words: list[str], number: int, line: str
) -> None:
    """Append one atom of an SDF file, or say what is wrong with its line."""
    try:
        position = [float(word) for word in words]
    except ValueError:
        position = []
    if len(position) != 3 or not np.all(np.isfinite(position)) or symbol not in atomic_numbers or symbol == "X":
        raise UnreadableError(
            f"Line {number + 1} of the SDF file is {_quote(line)}; three coordinates and an element were expected "
            "there."
        )
    symbols.append(symbol)
    positions.append(position)


# --- CIF --------------------------------------------------------------------------------------------------------


def _read_cif(text: str) -> Reading:
    return _from_crystal(_by_ase(text, "cif", "CIF"))


def _from_crystal(crystal: Atoms) -> Reading:
    try:
        atoms, notes = molecule_of_crystal(crystal)
    except CrystalError as error:
        raise UnreadableError(str(error)) from None
    return Reading(atoms, notes=tuple(notes))


def _by_ase(text: str, form: str, title: str) -> Atoms:
    try:
        found = read(StringIO(text), format=form, index=0)
    except Exception as error:  # whatever a parser of strangers' files may raise
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise UnreadableError(
            f"The {title} file could not be read ({reason}). Correct it, or give an XYZ file."
        ) from None
    if not isinstance(found, Atoms) or not len(found):
        raise UnreadableError(f"The {title} file has no atoms with coordinates.")
    return found


# --- SMILES -----------------------------------------------------------------------------------------------------


def read_smiles(smiles: str) -> Reading:
    """A 3-D structure from SMILES, with hydrogens, by RDKit's distance geometry and MMFF94; always the same one.

    Raises
    ------
    UnreadableError
        As ``read_structure``; also where RDKit is not installed (the workflow backend).
    """
    smiles = smiles.strip()
    if not smiles:
        raise UnreadableError("There is no SMILES yet. Ethanol, for example, is CCO.")
    if len(smiles) > 2000:
        raise UnreadableError(
            "The SMILES is longer than 2,000 characters; that is more than this app's largest molecule."
        )
    try:
        from rdkit import Chem, RDLogger
        from rdkit.Chem import AllChem
    except ImportError:
        raise UnreadableError("SMILES is read on the app's page only. Give an XYZ file here.") from None
    RDLogger.DisableLog("rdApp.*")
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise UnreadableError(f"{_quote(smiles)} is not a valid SMILES. Ethanol, for example, is CCO.")
    molecule = Chem.AddHs(molecule)
    _refuse_count(molecule.GetNumAtoms())
    if AllChem.EmbedMolecule(molecule, randomSeed=1) != 0 and (
        AllChem.EmbedMolecule(molecule, randomSeed=1, useRandomCoords=True) != 0
    ):
        raise UnreadableError("No 3-D structure could be made of this SMILES. Give an XYZ or SDF file instead.")
    if AllChem.MMFFHasAllMoleculeParams(molecule):
        AllChem.MMFFOptimizeMolecule(molecule, maxIters=500)
    atoms = Atoms(
        numbers=[atom.GetAtomicNum() for atom in molecule.GetAtoms()], positions=molecule.GetConformer().GetPositions()
    )
    radicals = sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
    notes = ["The 3-D structure is one conformer of possibly several, made by RDKit (ETKDG and MMFF94)."]
    if "." in smiles:
        notes.append("The SMILES has several separate parts; their arrangement is arbitrary.")
    return Reading(atoms, Chem.GetFormalCharge(molecule), radicals + 1, tuple(notes))


def _read_smi(text: str) -> Reading:
    return read_smiles(text.split()[0])


def _quote(text: str) -> str:
    short = text.strip()
    return f"“{short[:60]}…”" if len(short) > 60 else f"“{short}”"


_READERS = {"XYZ": _read_xyz, "SDF": _read_sdf, "CIF": _read_cif, "SMILES": _read_smi}
