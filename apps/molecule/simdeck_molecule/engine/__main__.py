"""Run the task in ``input.json`` of the working directory, once; leave ``result.json`` or ``error.json``.

Exit status 0 in both cases: a known failure is an answer. Anything unforeseen ends with a traceback and status 1.
"""

from __future__ import annotations

from pathlib import Path

from simdeck_molecule.engine import openmp

# Both must come before NumPy and tblite are loaded.
openmp.one_thread()
if __name__ == "__main__":
    openmp.provide_openmp()

from simdeck_workflows.once import once  # noqa: E402

from simdeck_molecule import validation  # noqa: E402
from simdeck_molecule.engine.journal import progress, write_json  # noqa: E402
from simdeck_molecule.engine.optimise import optimise  # noqa: E402
from simdeck_molecule.engine.outcome import EngineError  # noqa: E402
from simdeck_molecule.engine.task import Task  # noqa: E402
from simdeck_molecule.engine.vibrations import vibrations  # noqa: E402

STAGES = {"optimise": optimise, "vibrations": vibrations}


def main(folder: Path) -> None:
    """Compute in ``folder``, which is the working directory."""
    task = Task.read(folder / "input.json")
    try:
        atoms = task.atoms()
        wrong = (
            validation.check_structure(atoms, frequencies=task.stage == "vibrations")
            or validation.check_charge_fits(atoms, task.charge)
            or validation.check_multiplicity_fits(atoms, task.charge, task.multiplicity)
        )
        if wrong:
            raise EngineError("invalid-input", wrong)
        result = STAGES[task.stage](task, folder)
    except EngineError as failure:
        progress(stage=task.stage, message=failure.message, failed=failure.code)
        write_json(folder / "error.json", {"code": failure.code, "message": failure.message})
    else:
        write_json(folder / "result.json", result)


if __name__ == "__main__":
    with once() as first:
        if first:
            main(Path.cwd())
