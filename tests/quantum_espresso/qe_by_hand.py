"""pw.x with inputs written by hand and read by hand: an independent answer, without AiiDA, ASE and the app.

Energies in eV, lengths in Å. Whatever the app decides (primitive cell, k-points, path) is decided anew here.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

RYDBERG = 13.605693122994
BOHR = 0.529177210903
FOLDER = "/usr/share/espresso/pseudo"
SOFT = "Si.pbe-rrkj.UPF"
"""Norm-conserving, PBE: silicon in seconds."""


@dataclass(frozen=True)
class Outcome:
    """What the output says; ``bands`` by k-point in the order of the output."""

    energy: float
    fermi: float | None
    moment: float | None
    bands: list[list[float]]
    text: str


def run(folder: Path, text: str, name: str = "pw") -> Outcome:
    """Run pw.x on an input in ``folder`` and read its output."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.in").write_text(text)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
    done = subprocess.run(
        ["pw.x", "-in", f"{name}.in"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert "JOB DONE" in done.stdout, done.stdout[-2000:] + done.stderr[-500:]
    return read(done.stdout)


def read(text: str) -> Outcome:
    """Read an output of pw.x."""
    energies = re.findall(r"^!\s+total energy\s+=\s*(\S+)\s+Ry", text, re.MULTILINE)
    fermi = re.findall(r"the Fermi energy is\s+(\S+)\s+ev", text)
    moments = re.findall(r"total magnetization\s+=\s*(\S+)\s+Bohr", text)
    bands = []
    for block in re.split(r"\n\s+k =.*bands \(ev\):\s*\n", text)[1:]:
        numbers = re.match(r"\s*\n?((?:\s*-?\d+\.\d+)+)", block)
        # Fortran leaves no blank between two long numbers: "-10.1234-9.8765".
        bands.append([float(x) for x in re.findall(r"-?\d+\.\d{4}", numbers[1])] if numbers else [])
    return Outcome(
        float(energies[-1]) * RYDBERG if energies else float("nan"),
        float(fermi[-1]) if fermi else None,
        float(moments[-1]) if moments else None,
        bands,
        text,
    )


def silicon(
    a: float, cutoff: float, mesh: int, degauss: float, calculation: str = "scf", k: str = "", pseudo: str = SOFT
) -> str:
    """An input for two silicon atoms in the face-centred lattice with constant ``a`` (Å)."""
    points = k or f"K_POINTS automatic\n{mesh} {mesh} {mesh} 0 0 0\n"
    return f"""&CONTROL
 calculation='{calculation}', prefix='si', outdir='./out', pseudo_dir='{FOLDER}', verbosity='high'
/
&SYSTEM
 ibrav=2, celldm(1)={a / BOHR:.10f}, nat=2, ntyp=1, ecutwfc={cutoff}, ecutrho={4 * cutoff}, nbnd=8
 occupations='smearing', smearing='cold', degauss={degauss}
/
&ELECTRONS
 conv_thr=1d-9
/
ATOMIC_SPECIES
Si 28.0855 {pseudo}
ATOMIC_POSITIONS crystal
Si 0.00 0.00 0.00
Si 0.25 0.25 0.25
{points}"""


def delta_path(points: int) -> str:
    """k-points from Γ to X, where silicon's conduction band is lowest, in units of 2π/a."""
    lines = [f"{0.0} {i / (points - 1):.6f} {0.0} 1.0" for i in range(points)]
    return f"K_POINTS tpiba\n{points}\n" + "\n".join(lines) + "\n"


def one_atom(
    element: str, pseudo: str, a: float, cutoff: float, density: float, mesh: int, degauss: float, moment: float = 0.0
) -> str:
    """An input for one atom in the body-centred lattice with constant ``a`` (Å)."""
    magnetic = f" nspin=2, starting_magnetization(1)={moment},\n" if moment else ""
    return f"""&CONTROL
 calculation='scf', prefix='x', outdir='./out', pseudo_dir='{FOLDER}', verbosity='high'
/
&SYSTEM
 ibrav=3, celldm(1)={a / BOHR:.10f}, nat=1, ntyp=1, ecutwfc={cutoff}, ecutrho={density},
{magnetic} occupations='smearing', smearing='cold', degauss={degauss}
/
&ELECTRONS
 conv_thr=1d-9, mixing_beta=0.4
/
ATOMIC_SPECIES
{element} 1.0 {pseudo}
ATOMIC_POSITIONS crystal
{element} 0.0 0.0 0.0
K_POINTS automatic
{mesh} {mesh} {mesh} 0 0 0
"""
