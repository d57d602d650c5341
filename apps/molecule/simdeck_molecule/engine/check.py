"""Does the engine start on this machine? ``python -m simdeck_molecule.engine.check`` prints the energy of H₂.

Exit status 1 with one line that explains, when it does not. An install runs this before it says that the app is ready.
"""

from __future__ import annotations

import sys

from simdeck_molecule.engine import openmp

NUMBERS = (1, 1)
POSITIONS = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.74))  # Å
EXPECTED = -26.7  # eV, GFN2-xTB near its minimum
TOLERANCE = 0.1  # eV


def main() -> int:
    """Compute, print the energy, and return the exit status."""
    try:
        energy = hydrogen_energy()
    except Exception as error:
        print(f"The xTB engine (tblite) cannot compute here: {explain(error)}", file=sys.stderr)
        return 1
    if not abs(energy - EXPECTED) < TOLERANCE:
        print(f"The xTB engine (tblite) computes wrongly here: H2 has {energy} eV and not about {EXPECTED} eV")
        return 1
    print(f"GFN2-xTB energy of H2: {energy:.6f} eV")
    return 0


def hydrogen_energy() -> float:
    """Return the energy of H₂ in eV, by the engine's own way."""
    from simdeck_molecule.engine.single_point import SinglePoints
    from simdeck_molecule.engine.task import Task

    task = Task(stage="optimise", numbers=NUMBERS, positions=POSITIONS)
    return SinglePoints(task)(task.atoms()).energy


def explain(error: BaseException) -> str:
    """Return the first cause in one line: the dynamic loader names the missing library there."""
    cause = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
    return " ".join(f"{type(cause).__name__}: {cause}".split())


if __name__ == "__main__":
    openmp.one_thread()
    openmp.provide_openmp()
    sys.exit(main())
