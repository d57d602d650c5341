"""Which inputs are refused, at which input, and with which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from simdeck_molecule import limits, validation
from simdeck_molecule.annotations import OPTIMIZE
from simdeck_molecule.library import library, library_atoms

WATER = library_atoms("H2O")
METHYL = library_atoms("CH3")


def _row(count: int, symbol: str = "H") -> Atoms:
    return Atoms(f"{symbol}{count}", positions=[[k * 1.5, 0, 0] for k in range(count)])


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no structure", {}, "structure", "no structure yet"),
    ("no atoms", {"structure": Atoms()}, "structure", "no atoms"),
    ("5,000 atoms", {"structure": _row(5000)}, "structure", "has 5,000 atoms; this app takes at most 250"),
    ("one atom too many", {"structure": _row(251), "frequencies": False}, "structure", "has 251 atoms"),
    ("too many for frequencies", {"structure": _row(151)}, "structure", "Turn the frequencies off"),
    ("a crystal", {"structure": bulk("Cu")}, "structure", "periodic"),
    ("francium", {"structure": Atoms("Fr")}, "structure", "Atom 1 is Fr (element 87)"),
    (
        "a dummy atom",
        {"structure": Atoms("OX", positions=[[0, 0, 0], [1, 0, 0]])},
        "structure",
        "Atom 2 is a dummy atom",
    ),
    (
        "overlapping atoms",
        {"structure": Atoms("OHH", positions=[[0, 0, 0], [1, 0, 0], [1, 0.12, 0]])},
        "structure",
        "Atoms 2 (H) and 3 (H) overlap: they are 0.12 Å apart",
    ),
    ("two atoms in one place", {"structure": Atoms("H2")}, "structure", "0.00 Å apart"),
    (
        "not a number",
        {"structure": Atoms("H2", positions=[[0, 0, 0], [0, 0, np.nan]])},
        "structure",
        "Atom 2 (H) has a coordinate that is not a number",
    ),
    (
        "scattered atoms",
        {"structure": Atoms("H2", positions=[[0, 0, 0], [0, 0, 1e6]])},
        "structure",
        "spread over more than 10,000 Å",
    ),
    ("charge above the limit", {"structure": WATER, "charge": 11}, "charge", "between -10 and 10; it is 11"),
    ("charge of a half", {"structure": WATER, "charge": 0.5}, "charge", "whole number"),
    ("charge takes all electrons", {"structure": WATER, "charge": 8}, "charge", "H2O has 8 valence electrons"),
    ("proton", {"structure": Atoms("H"), "charge": 1}, "charge", "leaves none"),
    ("charge too negative", {"structure": WATER, "charge": -4}, "charge", "lowest charge that fits is -3"),
    ("doublet water", {"structure": WATER, "multiplicity": 2}, "multiplicity", "even number of electrons"),
    ("singlet cation", {"structure": WATER, "charge": 1, "multiplicity": 1}, "multiplicity", "odd number of electrons"),
    ("singlet radical", {"structure": METHYL, "multiplicity": 1}, "multiplicity", "Use 2, or 0"),
    (
        "more unpaired than there are",
        {"structure": library_atoms("H2"), "multiplicity": 5},
        "multiplicity",
        "needs 4 unpaired electrons",
    ),
    ("negative multiplicity", {"structure": WATER, "multiplicity": -1}, "multiplicity", "between 0 and 11"),
    ("unknown method", {"structure": WATER, "method": "B3LYP"}, "method", "one of GFN2-xTB, GFN1-xTB, IPEA1-xTB"),
    ("loose forces", {"structure": WATER, "fmax": 5.0}, "fmax", "between 0.0005 and 0.5 eV/Å"),
    ("impossible forces", {"structure": WATER, "fmax": 0.0}, "fmax", "between"),
    ("forces that are no number", {"structure": WATER, "fmax": float("nan")}, "fmax", "must be a number"),
    ("forces that are words", {"structure": WATER, "fmax": "tight"}, "fmax", "must be a number"),
    ("no steps", {"structure": WATER, "max_steps": 0}, "max_steps", "between 1 and 2000"),
    ("absolute zero", {"structure": WATER, "temperature": 0.0}, "temperature", "between 10 and 5000 K"),
    ("vacuum", {"structure": WATER, "pressure": 0.0}, "pressure", "Pa"),
    ("negative symmetry number", {"structure": WATER, "symmetry_number": -1}, "symmetry_number", "between 0 and 120"),
    ("no line width", {"structure": WATER, "line_width": 0.0}, "line_width", "cm⁻¹"),
    ("truth for a number", {"structure": WATER, "charge": True}, "charge", "whole number"),
]


@pytest.mark.parametrize(("inputs", "name", "words"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_a_wrong_input_is_refused_at_its_field(inputs: dict[str, Any], name: str, words: str) -> None:
    found = validation.check_inputs(inputs)
    assert list(found) == [name]
    assert words in found[name]


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param({"structure": WATER}, id="water"),
        pytest.param({"structure": WATER, "charge": 1}, id="cation of lowest multiplicity"),
        pytest.param({"structure": WATER, "charge": 1, "multiplicity": 4}, id="quartet cation"),
        pytest.param({"structure": METHYL, "multiplicity": 2}, id="doublet"),
        pytest.param({"structure": library_atoms("O2"), "multiplicity": 3}, id="triplet oxygen"),
        pytest.param({"structure": Atoms("Cl"), "charge": -1}, id="chloride"),
        pytest.param({"structure": Atoms("Rn")}, id="the last element"),
        pytest.param({"structure": _row(250), "frequencies": False}, id="as many atoms as allowed"),
        pytest.param({"structure": _row(150)}, id="as many as allowed with frequencies"),
        pytest.param({"structure": WATER, "fmax": limits.MIN_FMAX, "temperature": limits.MAX_TEMPERATURE}, id="limits"),
    ],
)
def test_a_fair_question_is_accepted(inputs: dict[str, Any]) -> None:
    assert validation.check_inputs(inputs) == {}


@pytest.mark.parametrize("entry", library(), ids=lambda entry: entry.id)
def test_every_molecule_of_the_library_is_accepted_with_its_multiplicity(entry: Any) -> None:
    assert validation.check_inputs({"structure": entry.atoms(), "multiplicity": entry.multiplicity}) == {}


def test_several_wrong_inputs_are_all_named() -> None:
    found = validation.check_inputs({"structure": WATER, "charge": 99, "fmax": -1.0, "method": "DFT"})
    assert set(found) == {"charge", "fmax", "method"}


def test_every_input_that_is_checked_is_described_with_the_same_limits() -> None:
    described = OPTIMIZE["inputs"]
    assert set(validation.SCALAR_CHECKS) <= set(described)
    for name, check in validation.SCALAR_CHECKS.items():
        if "minimum" in described[name]:
            assert check(described[name]["minimum"]) is None
            assert check(described[name]["maximum"]) is None
            assert check(described[name]["maximum"] + 1) is not None
