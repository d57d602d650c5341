"""What a program of Quantum ESPRESSO says of its progress, line by line. Pure; energies in eV, pressures in GPa."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

RYDBERG = 13.605693122994
"""eV"""
KBAR = 0.1
"""GPa"""
BOHR = 0.529177210903
"""Å"""

_NUMBER = r"\s*(-?\d+\.?\d*(?:[EDed][+-]?\d+)?)"
_ITERATION = re.compile(r"^\s+iteration #\s*(\d+)")
_ENERGY = re.compile(r"^(!?)\s+total energy\s+=" + _NUMBER)
_ACCURACY = re.compile(r"^\s+estimated scf accuracy\s+<" + _NUMBER)
_CONVERGED = re.compile(r"^\s+convergence has been achieved in\s+(\d+)\s+iterations")
_NOT_CONVERGED = re.compile(r"^\s+convergence NOT achieved after\s+(\d+)\s+iterations")
_MOMENT = re.compile(r"^\s+total magnetization\s+=" + _NUMBER)
_FORCE = re.compile(r"^\s+Total force =" + _NUMBER)
_PRESSURE = re.compile(r"P=" + _NUMBER)
_KPOINTS = re.compile(r"^\s+number of k points=\s*(\d+)")
_KPOINT = re.compile(r"^\s+Computing kpt #:\s*(\d+)(?:\s+of\s+(\d+))?")
_MODES = re.compile(r"^\s+Representation #\s*(\d+)")
_PH_ITERATION = re.compile(r"^\s+iter #\s*(\d+).*?av\.it\.:.*")


def number(text: str) -> float:
    """A Fortran number."""
    return float(text.replace("D", "e").replace("d", "e"))


class Progress:
    """Reads a program's output line by line; ``feed`` yields what is worth an event.

    ``stage`` is what the calculation is for: ``scf``, ``relax``, ``vc-relax``, ``bands``, ``nscf``, ``projwfc``,
    ``phonons``.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._cycle = 1
        self._step = 0
        self._energy: float | None = None
        self._moment: float | None = None
        self._ended = False
        self._k_points = 0
        self._mode = 0

    def feed(self, line: str) -> Iterator[dict[str, Any]]:
        """Take one line."""
        if found := _ITERATION.match(line):
            if self._ended:
                self._cycle += 1
                self._ended = False
            self._step, self._energy = int(found[1]), None
        elif found := _ENERGY.match(line):
            self._energy = number(found[2]) * RYDBERG
        elif found := _MOMENT.match(line):
            self._moment = number(found[1])
        elif found := _ACCURACY.match(line):
            yield self._scf(number(found[1]) * RYDBERG)
        elif found := _CONVERGED.match(line):
            self._ended = True
            yield {
                **self._here(),
                "converged": True,
                "iterations": int(found[1]),
                "energy": self._energy,
                "energy_unit": "eV",
            }
        elif found := _NOT_CONVERGED.match(line):
            self._ended = True
            yield {**self._here(), "converged": False, "iterations": int(found[1])}
        elif found := _FORCE.match(line):
            value = number(found[1]) * RYDBERG / BOHR
            yield {**self._here(), "force": value, "force_unit": "eV/Å", "energy": self._energy, "energy_unit": "eV"}
        elif "total   stress" in line and (found := _PRESSURE.search(line)):
            yield {**self._here(), "pressure": number(found[1]) * KBAR, "pressure_unit": "GPa"}
        elif found := _KPOINTS.match(line):
            self._k_points = int(found[1])
        elif found := _KPOINT.match(line):
            yield {**self._here(), "k_point": int(found[1]), "k_points": int(found[2] or self._k_points)}
        elif found := _MODES.match(line):
            self._mode = int(found[1])
        elif self._stage == "phonons" and (found := _PH_ITERATION.match(line)):
            yield {"stage": self._stage, "representation": self._mode, "step": int(found[1])}

    def _here(self) -> dict[str, Any]:
        return {"stage": self._stage, "cycle": self._cycle}

    def _scf(self, accuracy: float) -> dict[str, Any]:
        told = {
            **self._here(), "step": self._step, "energy": self._energy, "energy_unit": "eV", "accuracy": accuracy,
            "accuracy_unit": "eV",
        }  # fmt: skip
        if self._moment is not None:
            # Printed after the accuracy: this is the iteration's before.
            told |= {"moment": self._moment, "moment_unit": "μB"}
        return told
