"""Vibrations: Hessian and dipole derivatives by central differences, resumable at every displacement.

ASE's ``Infrared`` has the same idea, but it neither projects out translations and rotations nor gives the dipole
derivatives, and after a kill its cache holds empty locks; so the loop is written here, and the analysis in
``normal_modes``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from simdeck_molecule import normal_modes
from simdeck_molecule.engine.journal import Journal, progress
from simdeck_molecule.engine.optimise import dipole_about_mass_centre
from simdeck_molecule.engine.single_point import Point, SinglePoints
from simdeck_molecule.engine.task import Task


def vibrations(task: Task, folder: Path) -> dict[str, Any]:
    """Run the stage in ``folder``; return its results.

    Wavenumbers in cm⁻¹ (imaginary ones negative), intensities in km/mol, modes (M, N, 3) of unit norm, reduced masses
    in u.

    Raises
    ------
    EngineError
        What a single point raises.
    """
    atoms = task.atoms()
    journal = Journal(folder / "displacements.jsonl", task.fingerprint())
    points = _points(task, atoms, journal)
    size = 3 * len(atoms)
    hessian = np.empty((size, size))
    derivatives = np.empty((size, 3))
    centre = points[None]
    for k in range(size):
        plus, minus = points[k, 1], points[k, -1]
        hessian[k] = (minus.forces - plus.forces).ravel() / (2 * task.displacement)
        derivatives[k] = (plus.dipole - minus.dipole) / (2 * task.displacement)
    hessian = (hessian + hessian.T) / 2
    found = normal_modes.analyse(atoms, hessian, derivatives)
    wavenumbers, absorption = normal_modes.spectrum(found.frequencies, found.intensities, task.line_width)
    _write_tables(folder, found, wavenumbers, absorption)
    return {
        "stage": "vibrations",
        "energy": centre.energy,
        "fmax": centre.fmax,
        "dipole": dipole_about_mass_centre(atoms, centre.dipole, task.charge).tolist(),
        "frequencies": found.frequencies.tolist(),
        "intensities": found.intensities.tolist(),
        "reduced_masses": found.reduced_masses.tolist(),
        "modes": found.modes.tolist(),
        "residue": found.residue,
        "spectrum": {"wavenumbers": wavenumbers.tolist(), "absorption": absorption.tolist()},
    }


def _points(task: Task, atoms: Atoms, journal: Journal) -> dict[Any, Point]:
    """Every displaced geometry's results by (coordinate, sign), and the centre's by None."""
    points = {_key(entry): Point.from_json(entry) for entry in journal.entries}
    wanted = list(_displacements(len(atoms)))
    if len(atoms) == 1:
        wanted = [None]  # an atom has no vibrations, but its results are wanted all the same
    total, done = len(wanted), sum(key in points for key in wanted)
    progress(
        stage="vibrations", message=f"Continuing after displacement {done}" if done else "Computing the vibrations",
        displacement=done, displacements=total,
    )  # fmt: skip
    compute = SinglePoints(task)
    for key in wanted:
        if key in points:
            continue
        points[key] = point = compute(_displaced(atoms, key, task.displacement))
        journal.append({"key": key, **point.to_json()})
        done += 1
        progress(
            stage="vibrations", displacement=done, displacements=total, energy=point.energy, energy_unit="eV"
        )  # fmt: skip
    if len(atoms) == 1:
        zero = Point(points[None].energy, np.zeros((1, 3)), np.zeros(3), points[None].charges)
        points |= {(k, sign): zero for k in range(3) for sign in (1, -1)}
    return points


def _key(entry: dict[str, Any]) -> tuple[int, int] | None:
    return None if entry["key"] is None else (int(entry["key"][0]), int(entry["key"][1]))


def _displacements(atoms: int) -> Iterator[tuple[int, int] | None]:
    yield None
    for coordinate in range(3 * atoms):
        yield coordinate, 1
        yield coordinate, -1


def _displaced(atoms: Atoms, key: tuple[int, int] | None, distance: float) -> Atoms:
    copy = atoms.copy()
    if key is not None:
        coordinate, sign = key
        copy.positions[coordinate // 3, coordinate % 3] += sign * distance
    return copy


def _write_tables(
    folder: Path, found: normal_modes.NormalModes, wavenumbers: np.ndarray, absorption: np.ndarray
) -> None:
    with (folder / "frequencies.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["mode", "wavenumber (cm-1, negative: imaginary)", "IR intensity (km/mol)", "reduced mass (u)"])
        rows = zip(found.frequencies, found.intensities, found.reduced_masses, strict=True)
        for index, (frequency, intensity, mass) in enumerate(rows, start=1):
            table.writerow([index, f"{frequency:.2f}", f"{intensity:.4f}", f"{mass:.4f}"])
    with (folder / "spectrum.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["wavenumber (cm-1)", "absorption (km/mol per cm-1)"])
        for x, y in zip(wavenumbers, absorption, strict=True):
            table.writerow([f"{x:.2f}", f"{y:.6g}"])
