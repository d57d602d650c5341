"""Finding the programs of Quantum ESPRESSO and starting them on several cores."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

FOLDER = "SIMDECK_QUANTUM_ESPRESSO"
"""Environment variable: the folder of the programs, where they are not on PATH."""
LAUNCHER = "SIMDECK_QUANTUM_ESPRESSO_MPI"
"""Environment variable: words before the program instead of mpirun; ``{cores}`` is filled in. ``none``: no MPI."""
CONTAINER = "SIMDECK_QUANTUM_ESPRESSO_CONTAINER"
"""Environment variable: words that run what follows in a container; ``{cwd}`` is filled in."""

INSTALL = (
    "Quantum ESPRESSO's program {program} is not installed on {where}. On Debian and Ubuntu, `sudo apt-get install "
    "quantum-espresso quantum-espresso-data` brings it; elsewhere put its folder on PATH or name it in "
    "SIMDECK_QUANTUM_ESPRESSO."
)


class MissingProgramError(LookupError):
    """The program is not there; the message is a sentence for people."""


def find(program: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The program's file, or None."""
    folder = environment.get(FOLDER, "")
    found = shutil.which(program, path=folder) if folder else None
    found = found or shutil.which(program, path=environment.get("PATH", os.defpath))
    return Path(found) if found else None


def command(program: str, cores: int, where: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The argv that runs ``program`` on ``cores`` cores; without an MPI launcher, on one.

    Raises
    ------
    MissingProgramError
        The program is not there.
    """
    wrapped = [word.replace("{cwd}", os.getcwd()) for word in environment.get(CONTAINER, "").split()]
    # What is in a container cannot be looked for from outside.
    path = Path(environment.get(FOLDER, ""), program) if wrapped else find(program, environment)
    if path is None:
        raise MissingProgramError(INSTALL.format(program=program, where=where))
    if cores <= 1:
        return [*wrapped, str(path)]
    own = environment.get(LAUNCHER, "")
    if own == "none":
        return [*wrapped, str(path)]
    if own:
        return [word.replace("{cores}", str(cores)) for word in own.split()] + [*wrapped, str(path)]
    if wrapped:
        # The machine's MPI and the image's need not fit: whoever knows that they do names the words.
        return [*wrapped, str(path)]
    mpirun = shutil.which("mpirun", path=environment.get("PATH", os.defpath))
    if mpirun is None:
        return [str(path)]
    # A batch job of one task with several cores looks to Open MPI like one slot.
    return [mpirun, "--oversubscribe", "--bind-to", "none", "-np", str(cores), str(path)]


def child_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """One thread a process, output line by line; Open MPI may run in a container's root account."""
    return {
        **environment, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        # Processes of one machine speak through shared memory; looking for networks costs seconds and may fail.
        "OMPI_MCA_btl": environment.get("OMPI_MCA_btl", "self,vader"),
    }  # fmt: skip
