"""What is read from files and SMILES, and the sentences for what is not."""

from __future__ import annotations

from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from molecule_cases import run_app_side
from simdeck_molecule.library import library, library_atoms, search
from simdeck_molecule.reading import UnreadableError, read_structure

XYZ = "3\nwater\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n"
METHYLAMMONIUM = """methylammonium
  made by hand

  2  1  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0
    1.4900    0.0000    0.1000 N   0  3  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
M  CHG  1   2   1
M  END
$$$$
"""
HYDROXIDE = """hydroxide


  0  0  0     0  0            999 V3000
M  V30 BEGIN CTAB
M  V30 COUNTS 2 1 0 0 0
M  V30 BEGIN ATOM
M  V30 1 O 0.0 0.0 0.0 0 CHG=-1
M  V30 2 H 0.0 0.0 0.96 0
M  V30 END ATOM
M  V30 END CTAB
M  END
"""


def _written(atoms: Atoms, form: str) -> str | bytes:
    stream = BytesIO() if form == "cif" else StringIO()
    write(stream, atoms, format=form)
    return stream.getvalue()


def test_an_xyz_file_is_read() -> None:
    found = read_structure("water.xyz", XYZ)
    assert found.atoms.get_chemical_formula() == "H2O"
    assert found.atoms.positions[1] == pytest.approx([0, 0.763, -0.477])
    assert not found.atoms.pbc.any()


def test_windows_line_ends_a_byte_order_mark_numbers_and_labels_are_read() -> None:
    text = "\ufeff3\r\n\r\n8 0 0 0.119\r\nH1 0 0.763 -0.477 extra\r\nh 0 -0.763 -4.77D-1\r\n"
    assert read_structure("WATER.XYZ", text.encode()).atoms.get_chemical_formula() == "H2O"


def test_the_last_geometry_of_several_is_taken_and_said() -> None:
    found = read_structure("path.xyz", XYZ + XYZ.replace("0.119", "0.2"))
    assert found.atoms.positions[0, 2] == pytest.approx(0.2)
    assert "2 geometries" in found.notes[0]


def test_an_extended_xyz_file_with_other_columns_is_read() -> None:
    text = "2\nProperties=mass:R:1:pos:R:3:species:S:1 charge=-1\n16 0 0 0 O\n1 0 0 0.96 H\n"
    found = read_structure("oh.extxyz", text)
    assert (found.atoms.get_chemical_formula(), found.charge) == ("HO", -1)


def test_an_sdf_file_is_read_with_its_charge() -> None:
    found = read_structure("ion.sdf", METHYLAMMONIUM)
    assert (found.atoms.get_chemical_formula(), found.charge) == ("CN", 1)
    assert found.atoms.positions[1] == pytest.approx([1.49, 0, 0.1])


def test_a_v3000_mol_file_is_read_with_its_charge() -> None:
    found = read_structure("ion.mol", HYDROXIDE)
    assert (found.atoms.get_chemical_formula(), found.charge) == ("HO", -1)


@pytest.mark.parametrize(("name", "form"), [("cell.cif", "cif"), ("cell.xyz", "extxyz")])
def test_a_molecule_cut_by_its_cells_border_is_made_whole(name: str, form: str) -> None:
    ethanol = library_atoms("CH3CH2OH")
    crystal = ethanol.copy()
    crystal.set_cell([8, 8, 8])
    crystal.pbc = True
    crystal.wrap()
    found = read_structure(name, _written(crystal, form)).atoms
    assert not found.pbc.any()
    assert sorted(found.get_all_distances().ravel()) == pytest.approx(
        sorted(ethanol.get_all_distances().ravel()), abs=1e-4
    )


def test_one_molecule_of_a_crystal_of_several_is_taken_and_said() -> None:
    crystal = library_atoms("H2O") + Atoms("HF", positions=[[4, 4, 4], [4, 4, 4.92]])
    crystal.set_cell([9, 9, 9])
    crystal.pbc = True
    found = read_structure("cocrystal.cif", _written(crystal, "cif"))
    assert found.atoms.get_chemical_formula() == "H2O"
    assert "2 molecules" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("a.xyz", "", "empty", id="empty"),
        pytest.param("a.xyz", " \n\n", "empty", id="blank"),
        pytest.param("a.pdf", "x", "no known ending", id="unknown ending"),
        pytest.param("a.xyz", b"\x89PNG\xff", "not a text file", id="a picture"),
        pytest.param("a.xyz", "hello", "Line 1 of the XYZ file is “hello”", id="no count"),
        pytest.param("a.xyz", "3\n\nO 0 0 0\nH 0 0 1\n", "announces 3 atoms in line 1 and then has only 2", id="short"),
        pytest.param("a.xyz", "0\n\n", "announces 0 atoms", id="no atoms"),
        pytest.param("a.xyz", "1\n\nQq 0 0 0\n", "Line 3 of the XYZ file begins with “Qq”", id="no element"),
        pytest.param("a.xyz", "1\n\nH 0 zero 0\n", "Line 3 of the XYZ file is “H 0 zero 0”", id="no number"),
        pytest.param("a.xyz", "1\n\nH 0 0\n", "Line 3 of the XYZ file", id="two coordinates"),
        pytest.param("a.xyz", "1\n\nH 0 0 inf\n", "Line 3 of the XYZ file", id="infinity"),
        pytest.param("a.xyz", XYZ + "2\n\nH 0 0 0\n", "announces 2 atoms in line 6", id="torn second geometry"),
        pytest.param("a.xyz", "5000\n\n" + "H 0 0 0\n" * 5000, "has 5,000 atoms", id="5,000 atoms"),
        pytest.param("a.xyz", "9" * 30 + "\n\n", "takes at most 250", id="absurd count"),
        pytest.param("a.xyz", "1\n" + " " * 2_000_001, "at most 2 MB", id="too large"),
        pytest.param("a.sdf", "hello\n\n\nworld\n", "Line 4 of the SDF file", id="no counts line"),
        pytest.param("a.sdf", METHYLAMMONIUM.replace("1.4900", "1.4x00"), "Line 6 of the SDF file", id="bad atom line"),
        pytest.param("a.sdf", METHYLAMMONIUM.replace("  2  1  0", "900  1  0"), "has 900 atoms", id="large SDF"),
        pytest.param("a.cif", "data_x\n_cell_length_a 1\n", "CIF file could not be read", id="CIF without atoms"),
        pytest.param("a.cif", "nonsense", "CIF file", id="no CIF"),
    ],
)
def test_an_unreadable_file_gets_a_sentence(name: str, content: str | bytes, words: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read_structure(name, content)
    assert words in str(caught.value)


def test_a_salt_is_refused_as_no_molecule() -> None:
    with pytest.raises(UnreadableError, match="go on without end"):
        read_structure("salt.cif", _written(bulk("NaCl", "rocksalt", 5.64), "cif"))


def test_the_library_finds_molecules_by_name_formula_and_id() -> None:
    assert search("water")[0].id == "H2O"
    assert "CH3CH2OH" in {entry.id for entry in search("ethanol")}
    assert {entry.id for entry in search("nh3")} >= {"NH3"}
    assert search("no such thing") == []


def test_the_librarys_entries_are_unique_and_begin_with_water() -> None:
    entries = library()
    assert entries[0].id == "H2O"
    assert len({entry.id for entry in entries}) == len(entries) > 150
    assert all(len(entry.atoms()) == entry.atoms_count for entry in entries)
    assert not any(np.any(entry.atoms().pbc) for entry in entries)


def test_smiles_become_structures_with_charge_and_spin(app_python: Path, app_env: dict[str, str]) -> None:
    asked = {
        "ethanol": "CCO",
        "ammonium": "[NH4+]",
        "hydroxyl": "[OH]",
        "nonsense": "C(",
        "huge": "C" * 300,
        "none": "",
    }
    found = run_app_side(app_python, app_env, "smiles", {name: {"smiles": text} for name, text in asked.items()})
    assert found["ethanol"] == {"formula": "C2H6O", "charge": 0, "multiplicity": 1, "wrong": None}
    assert (found["ammonium"]["formula"], found["ammonium"]["charge"]) == ("H4N", 1)
    assert found["hydroxyl"]["multiplicity"] == 2
    assert "“C(” is not a valid SMILES" in found["nonsense"]["error"]
    assert "has 902 atoms" in found["huge"]["error"]
    assert "no SMILES yet" in found["none"]["error"]
