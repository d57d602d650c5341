"""Geometry optimisation: ASE's BFGS on tblite's forces, resumable at every step.

A restart runs the optimiser from the beginning, but answers the steps that are finished from the journal instead of
computing them. The optimiser is deterministic, so it arrives at the same state, Hessian included, without a look at
its internals.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.io import write
from ase.optimize import BFGS

from simdeck_molecule.engine.journal import Journal, progress
from simdeck_molecule.engine.outcome import EngineError
from simdeck_molecule.engine.single_point import Point, SinglePoints
from simdeck_molecule.engine.task import Task

_SAME_GEOMETRY = 1e-9  # Å; what two runs of the same arithmetic on two machines may differ by


class _Remembering(Calculator):  # type: ignore[misc]
    """An ASE calculator that computes each new geometry once and records it in the journal."""

    implemented_properties = ("energy", "forces")

    def __init__(self, journal: Journal, compute: SinglePoints) -> None:
        super().__init__()
        self._journal = journal
        self._compute = compute
        self._next = 0
        self.fresh = False
        self.point: Point | None = None

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = tuple(all_changes)
    ) -> None:
        """Energy and forces of the optimiser's next geometry."""
        super().calculate(atoms, properties, system_changes)
        recorded = self._journal.entries[self._next] if self._next < len(self._journal.entries) else None
        if recorded and np.allclose(recorded["positions"], self.atoms.positions, rtol=0, atol=_SAME_GEOMETRY):
            self.point, self.fresh = Point.from_json(recorded), False
        else:
            self._journal.truncate(self._next)
            self.point, self.fresh = self._compute(self.atoms), True
            self._journal.append({"positions": self.atoms.positions.tolist(), **self.point.to_json()})
        self._next += 1
        self.results = {"energy": self.point.energy, "forces": self.point.forces}


def optimise(task: Task, folder: Path) -> dict[str, Any]:
    """Run the stage in ``folder``; return its results.

    Energies in eV, forces in eV/Å, positions in Å, dipole in e·Å about the centre of mass, charges in e.

    Raises
    ------
    EngineError
        ``geometry-not-converged`` after ``max_steps`` steps, with the last geometry in ``optimised.xyz``; or what a
        single point raises.
    """
    journal = Journal(folder / "steps.jsonl", task.fingerprint())
    trajectory = folder / "trajectory.xyz"
    trajectory.unlink(missing_ok=True)
    atoms = task.atoms()
    calculator = _Remembering(journal, SinglePoints(task))
    atoms.calc = calculator
    optimiser = BFGS(atoms, logfile=None)
    finished = len(journal.entries)
    progress(
        stage="optimise", message=f"Continuing after step {finished - 1}" if finished else "Optimising the geometry",
        fmax_target=task.fmax, fmax_unit="eV/Å", max_steps=task.max_steps,
    )  # fmt: skip

    point: Point | None = None
    converged = False
    for step, converged in enumerate(optimiser.irun(fmax=task.fmax, steps=task.max_steps)):
        point = calculator.point
        assert point is not None
        write(trajectory, _frame(atoms, point), format="extxyz", append=True)
        if calculator.fresh:
            progress(
                stage="optimise", step=step, energy=point.energy, energy_unit="eV", fmax=point.fmax, fmax_unit="eV/Å"
            )  # fmt: skip
        if converged:
            break
    assert point is not None
    last = _frame(atoms, point)
    write(folder / "optimised.xyz", last, format="extxyz")
    steps = len(journal.entries) - 1
    if not converged:
        raise EngineError(
            "geometry-not-converged",
            f"The geometry did not converge in {steps} step{'' if steps == 1 else 's'}: the largest force is "
            f"{point.fmax:.4f} eV/Å and should be below {task.fmax:g} eV/Å. Run again from the last geometry "
            "(optimised.xyz), allow more steps, or loosen the threshold.",
        )
    return {
        "stage": "optimise",
        "steps": steps,
        "energy": point.energy,
        "fmax": point.fmax,
        "positions": atoms.positions.tolist(),
        "dipole": dipole_about_mass_centre(atoms, point.dipole, task.charge).tolist(),
        "charges": point.charges.tolist(),
        "trajectory": {
            "energies": [entry["energy"] for entry in journal.entries],
            "fmax": [Point.from_json(entry).fmax for entry in journal.entries],
            "positions": [entry["positions"] for entry in journal.entries],
        },
    }


def _frame(atoms: Atoms, point: Point) -> Atoms:
    return point.attach(atoms)


def dipole_about_mass_centre(atoms: Atoms, dipole: np.ndarray, charge: int) -> np.ndarray:
    """Shift a dipole (e·Å) from the coordinate origin to the centre of mass; only an ion's depends on it."""
    found: np.ndarray = np.asarray(dipole - charge * atoms.get_center_of_mass())
    return found
