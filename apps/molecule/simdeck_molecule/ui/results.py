"""A run's outputs as rows, figures and sentences. Pure functions on plain JSON; units stand with every number."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

KJ_PER_MOL = 96.48533212331  # of one eV

# Covalent radii in Å (Cordero 2008), elements that xTB treats often; what is missing counts as 1.5.
RADII = {
    "H": 0.31,
    "He": 0.28,
    "Li": 1.28,
    "Be": 0.96,
    "B": 0.84,
    "C": 0.76,
    "N": 0.71,
    "O": 0.66,
    "F": 0.57,
    "Ne": 0.58,
    "Na": 1.66,
    "Mg": 1.41,
    "Al": 1.21,
    "Si": 1.11,
    "P": 1.07,
    "S": 1.05,
    "Cl": 1.02,
    "Ar": 1.06,
    "K": 2.03,
    "Ca": 1.76,
    "Sc": 1.7,
    "Ti": 1.6,
    "V": 1.53,
    "Cr": 1.39,
    "Mn": 1.5,
    "Fe": 1.42,
    "Co": 1.38,
    "Ni": 1.24,
    "Cu": 1.32,
    "Zn": 1.22,
    "Ga": 1.22,
    "Ge": 1.2,
    "As": 1.19,
    "Se": 1.2,
    "Br": 1.2,
    "Kr": 1.16,
    "Ag": 1.45,
    "Sn": 1.39,
    "I": 1.39,
    "Pt": 1.36,
    "Au": 1.36,
    "Hg": 1.32,
}


def minus(text: str) -> str:
    """A number for people: with the minus sign instead of a hyphen. Files and JSON keep the hyphen."""
    return text.replace("-", "−")


MAX_ROWS = 300
"""Bond lengths and angles shown; a large molecule's full geometry is in the download."""


def bonds(symbols: list[str], positions: list[list[float]]) -> list[tuple[int, int, float]]:
    """Pairs (i, j, Å) closer than 1.25 times the sum of their covalent radii, i < j."""
    found = []
    for i, j in combinations(range(len(symbols)), 2):
        distance = math.dist(positions[i], positions[j])
        if distance < 1.25 * (RADII.get(symbols[i], 1.5) + RADII.get(symbols[j], 1.5)):
            found.append((i, j, distance))
    return found


def angle(a: list[float], centre: list[float], b: list[float]) -> float:
    """The angle a–centre–b in degrees."""
    u = [x - c for x, c in zip(a, centre, strict=True)]
    v = [x - c for x, c in zip(b, centre, strict=True)]
    cosine = sum(x * y for x, y in zip(u, v, strict=True)) / (math.hypot(*u) * math.hypot(*v))
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def geometry_rows(symbols: list[str], positions: list[list[float]]) -> list[dict[str, Any]]:
    """Bond lengths, then bond angles, as table rows."""

    def name(i: int) -> str:
        return f"{symbols[i]}{i + 1}"

    linked = bonds(symbols, positions)
    rows: list[dict[str, Any]] = [
        {"what": "Bond", "atoms": f"{name(i)}–{name(j)}", "value": f"{d:.4f}", "unit": "Å"} for i, j, d in linked
    ]
    neighbours: dict[int, list[int]] = {}
    for i, j, _ in linked:
        neighbours.setdefault(i, []).append(j)
        neighbours.setdefault(j, []).append(i)
    for centre in sorted(neighbours):
        for i, j in combinations(sorted(neighbours[centre]), 2):
            value = angle(positions[i], positions[centre], positions[j])
            rows.append(
                {"what": "Angle", "atoms": f"{name(i)}–{name(centre)}–{name(j)}", "value": f"{value:.2f}", "unit": "°"}
            )
    return rows[:MAX_ROWS]


def wavenumber(value: float) -> str:
    """A wavenumber for people: imaginary ones with an i."""
    return f"{abs(value):.1f}i" if value < 0 else f"{value:.1f}"


def mode_rows(frequencies: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per normal mode, softest first."""
    rows = []
    masses = frequencies.get("reduced_masses") or [None] * len(frequencies["frequencies"])
    for index, (value, intensity, mass) in enumerate(
        zip(frequencies["frequencies"], frequencies["intensities"], masses, strict=True)
    ):
        rows.append(
            {
                "mode": str(index + 1),
                "frequency": wavenumber(value),
                "frequency_flag": value < 0,
                "intensity": f"{intensity:.1f}",
                "mass": "" if mass is None else f"{mass:.2f}",
            }
        )
    return rows


THERMO = (
    ("electronic_energy", "Electronic energy"),
    ("zero_point_energy", "Zero-point energy"),
    ("internal_energy", "Internal energy U"),
    ("enthalpy", "Enthalpy H"),
    ("entropy", "Entropy S"),
    ("gibbs_energy", "Gibbs energy G"),
)


def thermochemistry_rows(thermo: dict[str, Any]) -> list[dict[str, Any]]:
    """Energies in eV and kJ/mol, entropy in meV/K and J/(mol K)."""
    rows = []
    for key, title in THERMO:
        value = thermo.get(key)
        if value is None:
            continue
        if key == "entropy":
            rows.append(
                {
                    "what": title,
                    "value": minus(f"{value * 1e3:.4f} meV/K"),
                    "molar": minus(f"{value * KJ_PER_MOL * 1e3:.2f} J/(mol·K)"),
                }
            )
        else:
            rows.append(
                {
                    "what": title,
                    "value": minus(f"{value:.4f} eV"),
                    "molar": minus(f"{value * KJ_PER_MOL:,.1f} kJ/mol").replace(",", "\u202f"),
                }
            )
    return rows


def thermochemistry_caption(thermo: dict[str, Any]) -> str:
    """What the numbers hold for."""
    shape = {"nonlinear": "non-linear", "linear": "linear", "monatomic": "a single atom"}.get(
        str(thermo.get("geometry")), ""
    )
    parts = [f"Ideal gas at {thermo.get('temperature', 0):g} K and {thermo.get('pressure', 0):g} Pa"]
    if shape:
        parts.append(shape)
    if thermo.get("symmetry_number"):
        parts.append(f"symmetry number {thermo['symmetry_number']}")
    return ", ".join(parts)


def summary_rows(outputs: dict[str, Any]) -> list[dict[str, Any]]:
    """The headline numbers."""
    rows = []
    if outputs.get("energy") is not None:
        rows.append({"what": "Total energy", "value": minus(f"{outputs['energy']:.6f}"), "unit": "eV"})
    if outputs.get("dipole") is not None:
        rows.append({"what": "Dipole moment", "value": f"{outputs['dipole']:.3f}", "unit": "D"})
    properties = outputs.get("properties") or {}
    if properties.get("largest_force") is not None:
        rows.append({"what": "Largest force left", "value": f"{properties['largest_force']:.5f}", "unit": "eV/Å"})
    if properties.get("steps") is not None:
        rows.append({"what": "Optimisation steps", "value": str(properties["steps"]), "unit": ""})
    for key, title in (("zero_point_energy", "Zero-point energy"), ("gibbs_energy", "Gibbs energy")):
        if outputs.get(key) is not None:
            rows.append({"what": title, "value": minus(f"{outputs[key]:.4f}"), "unit": "eV"})
    return rows


def warnings(outputs: dict[str, Any]) -> list[str]:
    """What a careful person would say about the result."""
    notes = list((outputs.get("thermochemistry") or {}).get("notes") or [])
    frequencies = outputs.get("frequencies") or {}
    if not notes and frequencies.get("imaginary"):
        notes.append("There are imaginary frequencies: this geometry is a saddle point, not a minimum.")
    return notes


def energy_figure(progress: list[dict[str, Any]], trajectory: dict[str, Any] | None = None) -> dict[str, Any]:
    """Energy by step relative to the lowest so far, from live progress or from the finished trajectory."""
    points = energies(progress, trajectory)
    if not points:
        return {}
    lowest = min(energy for _, energy in points)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [step for step, _ in points],
                "y": [energy - lowest for _, energy in points],
                "hovertemplate": "step %{x}<br>%{y:.5f} eV<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {
                "title": {"text": "Optimisation step"},
                "rangemode": "tozero",
                "dtick": 1 if len(points) < 15 else None,
            },
            "yaxis": {"title": {"text": "E − E<sub>min</sub> / eV"}, "rangemode": "tozero"},
        },
    }


def energies(progress: list[dict[str, Any]], trajectory: dict[str, Any] | None = None) -> list[tuple[int, float]]:
    """(step, eV) of the optimisation; a step seen twice (after a restart) counts once."""
    if trajectory and trajectory.get("energies"):
        return list(enumerate(trajectory["energies"]))
    seen = {
        int(line["step"]): float(line["energy"])
        for line in progress
        if line.get("stage") == "optimise" and "step" in line and line.get("energy") is not None
    }
    return sorted(seen.items())


def spectrum_figure(spectrum: dict[str, Any], frequencies: dict[str, Any]) -> dict[str, Any]:
    """The IR spectrum as spectroscopists draw it: wavenumbers falling to the right; sticks at the modes."""
    if not spectrum.get("wavenumbers"):
        return {}
    x, y = thin(spectrum["wavenumbers"], spectrum["absorption"])
    real = [
        (f, i)
        for f, i in zip(frequencies.get("frequencies", []), frequencies.get("intensities", []), strict=False)
        if f > 0
    ]
    highest = max((i for _, i in real), default=0.0)
    top = max(y, default=0.0)
    sticks_x: list[float | None] = []
    sticks_y: list[float | None] = []
    for f, i in real:
        height = top * i / highest if highest else 0.0
        sticks_x += [f, f, None]
        sticks_y += [0.0, height, None]
    upper = max(4000.0, max((f for f, _ in real), default=0.0) + 200)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": sticks_x,
                "y": sticks_y,
                "line": {"width": 1, "color": "#8a94a1"},
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": y,
                "hovertemplate": "%{x:.0f} cm⁻¹<br>%{y:.3f} km/mol per cm⁻¹<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "x": [f for f, _ in real],
                "y": [top * i / highest if highest else 0.0 for _, i in real],
                "customdata": [i for _, i in real],
                "marker": {"size": 5, "color": "#8a94a1"},
                "hovertemplate": "mode at %{x:.1f} cm⁻¹<br>%{customdata:.1f} km/mol<extra></extra>",
            },
        ],
        "layout": {
            "xaxis": {"title": {"text": "Wavenumber / cm⁻¹"}, "range": [upper, 0]},
            "yaxis": {"title": {"text": "Absorption / (km/mol per cm⁻¹)"}, "rangemode": "tozero"},
        },
    }


def thin(x: list[float], y: list[float], most: int = 4000) -> tuple[list[float], list[float]]:
    """At most ``most`` points, rounded for the wire."""
    every = max(1, -(-len(x) // most))
    return [round(v, 2) for v in x[::every]], [round(v, 5) for v in y[::every]]


def step_line(progress: list[dict[str, Any]], state: str) -> tuple[str, float]:
    """One sentence about where a run is, and the fraction done (−1: unknown)."""
    if state == "accepted":
        return "Accepted and safe. It starts as soon as the workflow engine is ready.", -1.0
    last = next((line for line in reversed(progress) if "step" in line or "displacement" in line), None)
    if state in {"failed", "cancelled", "rejected"}:
        return "", -1.0
    if last is None:
        return ("" if state == "finished" else "Starting the calculation…"), -1.0
    if "displacement" in last and last.get("stage") == "vibrations":
        done, total = int(last["displacement"]), max(1, int(last.get("displacements", 1)))
        if state == "finished":
            return "", 1.0
        return f"Vibrations: displacement {done} of {total}", 0.4 + 0.6 * done / total
    if state == "finished":
        return "", 1.0
    force = (
        f", largest force {last['fmax']:.4f} {last.get('fmax_unit', 'eV/Å')}" if last.get("fmax") is not None else ""
    )
    energy = (
        f"E = {minus(format(last['energy'], '.5f'))} {last.get('energy_unit', 'eV')}"
        if last.get("energy") is not None
        else ""
    )
    return f"Optimising the geometry: step {last['step']}, {energy}{force}", _force_fraction(progress)


def _force_fraction(progress: list[dict[str, Any]]) -> float:
    """How far the force has come on a logarithmic scale, of the first 40 % of the bar."""
    forces = [line["fmax"] for line in progress if line.get("fmax")]
    target = next((line["fmax_target"] for line in progress if line.get("fmax_target")), None)
    if len(forces) < 2 or not target or forces[0] <= target:
        return 0.05
    done = math.log(forces[0] / max(min(forces), target)) / math.log(forces[0] / target)
    return 0.4 * max(0.05, min(1.0, done))
