"""Energy, forces and dipole of one geometry by tblite, with one calmer second attempt at self-consistency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from tblite.ase import TBLite

from simdeck_molecule.engine.outcome import EngineError
from simdeck_molecule.engine.task import Task


@dataclass(frozen=True)
class Point:
    """Energy in eV, forces (N, 3) in eV/Å, dipole (3,) in e·Å about the coordinate origin, charges (N,) in e."""

    energy: float
    forces: np.ndarray
    dipole: np.ndarray
    charges: np.ndarray

    @property
    def fmax(self) -> float:
        """The largest force on an atom, in eV/Å."""
        return float(np.sqrt((self.forces**2).sum(axis=1).max()))

    def to_json(self) -> dict[str, Any]:
        """Lists at full precision."""
        return {
            "energy": self.energy,
            "forces": self.forces.tolist(),
            "dipole": self.dipole.tolist(),
            "charges": self.charges.tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Point:
        """The inverse of ``to_json``."""
        return cls(data["energy"], *(np.array(data[name], dtype=float) for name in ("forces", "dipole", "charges")))

    def attach(self, atoms: Atoms) -> Atoms:
        """A copy of the atoms that knows these results."""
        copy = atoms.copy()
        copy.calc = SinglePointCalculator(
            copy, energy=self.energy, forces=self.forces, dipole=self.dipole, charges=self.charges
        )
        return copy


class SinglePoints:
    """Computes points for one molecule; keeps tblite's wavefunction as the next point's guess."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._calculator: TBLite | None = None

    def __call__(self, atoms: Atoms) -> Point:
        """Compute one point.

        Raises
        ------
        EngineError
            ``scf-not-converged``: neither attempt became self-consistent.
        """
        reason = ""
        for settings in (_USUAL, _CALM):
            calculator, changed = self._calculator, ["positions"]
            if calculator is None or settings is _CALM:
                calculator, changed = self._new(settings), all_changes
            try:
                calculator.calculate(atoms.copy(), ["energy", "forces"], changed)
            except CalculationFailed as error:
                self._calculator, reason = None, str(error)
                continue
            self._calculator = calculator
            results = calculator.results
            point = Point(
                float(results["energy"]),
                *(np.array(results[name], dtype=float) for name in ("forces", "dipole", "charges")),
            )
            if np.isfinite(point.energy) and np.isfinite(point.forces).all():
                return point
            self._calculator, reason = None, "the energy or the forces are not numbers"
        raise EngineError(
            "scf-not-converged",
            f"The electronic structure did not become self-consistent ({reason}). Check the charge, the multiplicity "
            "and the starting geometry; stretched or crowded bonds are the usual cause.",
        )

    def _new(self, settings: dict[str, Any]) -> TBLite:
        task = self._task
        # Tighter than tblite's default: finite differences of forces need it, and a restart then agrees with a
        # straight run.
        return TBLite(
            method=task.method,
            charge=task.charge,
            multiplicity=task.multiplicity,
            accuracy=0.01,
            verbosity=0,
            **settings,
        )


_USUAL: dict[str, Any] = {"max_iterations": 250}
_CALM: dict[str, Any] = {"max_iterations": 1000, "mixer_damping": 0.1}
