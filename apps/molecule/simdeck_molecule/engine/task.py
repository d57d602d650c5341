"""What the engine is asked to do: ``input.json`` as a checked dataclass."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from simdeck_molecule import limits


@dataclass(frozen=True)
class Task:
    """One job. Positions in Å, charge in e, ``fmax`` in eV/Å, ``displacement`` in Å, ``line_width`` (FWHM) in cm⁻¹."""

    stage: str
    numbers: tuple[int, ...]
    positions: tuple[tuple[float, float, float], ...]
    charge: int = 0
    multiplicity: int = 1
    method: str = limits.DEFAULT_METHOD
    fmax: float = limits.DEFAULT_FMAX
    max_steps: int = limits.DEFAULT_STEPS
    displacement: float = 0.005
    line_width: float = limits.DEFAULT_FWHM

    @classmethod
    def read(cls, path: Path) -> Task:
        """Read a task written by the calculation job.

        Raises
        ------
        ValueError
            The file is not a task.
        """
        data: dict[str, Any] = json.loads(path.read_text())
        data["numbers"] = tuple(int(z) for z in data["numbers"])
        data["positions"] = tuple((float(x), float(y), float(z)) for x, y, z in data["positions"])
        try:
            task = cls(**data)
        except TypeError as error:
            raise ValueError(f"input.json is not a task: {error}") from error
        if task.stage not in ("optimise", "vibrations"):
            raise ValueError(f"input.json names no stage there is: {task.stage!r}")
        if len(task.numbers) != len(task.positions) or not task.numbers:
            raise ValueError("input.json has no atoms, or not one position for each")
        return task

    def atoms(self) -> Atoms:
        """The molecule, without a calculator."""
        return Atoms(numbers=list(self.numbers), positions=np.array(self.positions))

    def fingerprint(self) -> str:
        """Identifies all that the finished steps depend on, so that another calculation's files are never taken up."""
        fields = asdict(self)
        # These say when to stop and how to draw, not what a step computes.
        for name in ("fmax", "max_steps", "line_width"):
            del fields[name]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:32]
