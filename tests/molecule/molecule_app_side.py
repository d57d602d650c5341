"""What the tests have computed in the app's environment: ``python molecule_app_side.py COMMAND`` with JSON in and out.

``independent`` does not use the app, ASE or ASE's calculator: tblite's own interface, SciPy's optimiser and constants,
masses and finite differences written here. It is what the app's numbers are held against.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

MASSES = {1: 1.008, 6: 12.011, 7: 14.007, 8: 15.999}  # u, standard atomic weights
KM_MOL = 974.8801118351438  # km/mol of (e/√u)², the square of a dipole derivative


def independent(case: dict[str, Any]) -> dict[str, Any]:
    """Optimised positions (Å), energy (eV), wavenumbers (cm⁻¹) and intensities (km/mol) of all 3N modes, ascending."""
    from scipy import constants
    from scipy.optimize import minimize
    from tblite.interface import Calculator

    bohr = constants.value("Bohr radius") * 1e10
    hartree = constants.value("Hartree energy in eV")
    numbers = np.array(case["numbers"])
    start = np.array(case["positions"]) / bohr
    engine = Calculator("GFN2-xTB", numbers, start, charge=case.get("charge", 0), uhf=case.get("multiplicity", 1) - 1)
    engine.set("verbosity", 0)
    engine.set("accuracy", 0.001)

    def point(x: np.ndarray) -> Any:
        engine.update(positions=x.reshape(-1, 3))
        return engine.singlepoint()

    def energy_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        result = point(x)
        return float(result["energy"]), np.array(result["gradient"]).ravel()

    found = minimize(energy_and_gradient, start.ravel(), jac=True, method="BFGS", options={"gtol": 1e-6})
    step, size = 0.01, found.x.size
    hessian, dipoles = np.empty((size, size)), np.empty((size, 3))
    for k in range(size):
        shift = np.eye(size)[k] * step
        plus, minus = point(found.x + shift), point(found.x - shift)
        hessian[k] = (np.array(plus["gradient"]) - np.array(minus["gradient"])).ravel() / (2 * step)
        dipoles[k] = (np.array(plus["dipole"]) - np.array(minus["dipole"])) / (2 * step)
    masses = np.repeat([MASSES[z] for z in numbers.tolist()], 3)
    electron = constants.value("electron mass in u")
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2 / np.sqrt(np.outer(masses, masses)) * electron)
    frequency = np.sign(values) * np.sqrt(np.abs(values)) / constants.value("atomic unit of time") / (2 * np.pi)
    gradients = (vectors / np.sqrt(masses)[:, None]).T @ dipoles
    return {
        "positions": (found.x.reshape(-1, 3) * bohr).tolist(),
        "energy": float(found.fun * hartree),
        "frequencies": (frequency / constants.c / 100).tolist(),
        "intensities": (KM_MOL * (gradients**2).sum(axis=1)).tolist(),
    }


def engine(case: dict[str, Any]) -> dict[str, Any]:
    """The app's two stages one after the other, each in a directory of its own."""
    from simdeck_molecule.engine.__main__ import main

    here, results = Path.cwd(), {}
    atoms = {name: case[name] for name in ("numbers", "positions")}
    options = {name: value for name, value in case.items() if name not in atoms}
    for stage in ("optimise", "vibrations"):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            Path("input.json").write_text(json.dumps({"stage": stage, **atoms, **options}))
            main(Path(folder))
            for name in ("result", "error"):
                if Path(f"{name}.json").exists():
                    results[stage if name == "result" else "error"] = json.loads(Path(f"{name}.json").read_text())
            os.chdir(here)
        if stage in results:
            atoms["positions"] = results[stage].get("positions")
        if "error" in results:
            break
    return results


def valence(_case: dict[str, Any]) -> dict[str, Any]:
    """How many electrons tblite gives each neutral atom."""
    from tblite.interface import Calculator

    found = {}
    for z in range(1, 87):
        for unpaired in (0, 1):
            try:
                single = Calculator("GFN2-xTB", np.array([z]), np.zeros((1, 3)), uhf=unpaired)
                single.set("verbosity", 0)
                found[str(z)] = round(float(np.sum(single.singlepoint()["orbital-occupations"])))
            except RuntimeError:
                continue
    return found


def smiles(case: dict[str, Any]) -> dict[str, Any]:
    """The app's reading of SMILES."""
    from simdeck_molecule.reading import UnreadableError, read_smiles
    from simdeck_molecule.validation import check_structure

    try:
        found = read_smiles(case["smiles"])
    except UnreadableError as error:
        return {"error": str(error)}
    return {
        "formula": found.atoms.get_chemical_formula("hill"),
        "charge": found.charge,
        "multiplicity": found.multiplicity,
        "wrong": check_structure(found.atoms, frequencies=True),
    }


if __name__ == "__main__":
    command = {"independent": independent, "engine": engine, "valence": valence, "smiles": smiles}[sys.argv[1]]
    json.dump({name: command(case) for name, case in json.load(sys.stdin).items()}, sys.stdout)
