"""The computation: the equation of state of an fcc metal with ASE's EMT potential.

Run as ``python -m $package.engine`` in a folder with ``input.json``; writes ``progress.jsonl`` while it goes on and
``result.json`` at its end.
"""

import json
from pathlib import Path
from typing import Any

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")


def equation_of_state(element: str, points: int, report: Any = lambda line: None) -> dict[str, float]:
    """Fit the energy of the fcc crystal over its volume.

    Parameters
    ----------
    element
        One of ``METALS``.
    points
        Number of volumes, at least 5, within 6 % around the experimental lattice constant.

    Returns
    -------
    dict
        ``lattice_constant`` in Å, ``bulk_modulus`` in GPa.
    """
    import numpy as np
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.eos import EquationOfState
    from ase.units import GPa

    start = bulk(element, "fcc", cubic=True)
    volumes, energies = [], []
    for number, scale in enumerate(np.linspace(0.94, 1.06, points), start=1):
        atoms = start.copy()
        atoms.set_cell(start.cell * scale, scale_atoms=True)
        atoms.calc = EMT()
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
        report({"step": number, "volume": volumes[-1], "energy": energies[-1], "energy_unit": "eV"})
    volume, _, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit(warn=False)
    return {"lattice_constant": float(volume ** (1 / 3)), "bulk_modulus": float(modulus / GPa)}


def main() -> None:
    task = json.loads(Path("input.json").read_text())
    with Path("progress.jsonl").open("a") as progress:

        def report(line: dict[str, Any]) -> None:
            progress.write(json.dumps(line) + "\n")
            progress.flush()

        result = equation_of_state(task["element"], task["points"], report)
    Path("result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
