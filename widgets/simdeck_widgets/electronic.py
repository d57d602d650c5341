"""Figures of solids: band structure, density of states, convergence. Plain plotly dicts and CSV texts; no NumPy, no
widget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from simdeck_widgets.plot import to_csv

UP, DOWN = "#1f77b4", "#d1495b"
"""Spin up and down: apart for the colour-blind too, on light and dark."""
SHELLS = ("#1f77b4", "#d1495b", "#2a9d62", "#b07d12", "#7d5ba6", "#0e8a99", "#c4572f", "#6b7280")
MARK = "#8a94a1"
MOST = 6000
"""Points of a figure on the wire; a density is thinned to it."""


def band_figure(
    bands: dict[str, Any], path: dict[str, Any], window: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Bands along their path, from ``zero``.

    Parameters
    ----------
    bands
        ``distance`` (1/Å) and ``energies`` (spin, k, band) in eV.
    path
        ``ticks`` (``at``, ``label``), ``zero``, and optionally ``fermi_energy``, ``breaks``, ``valence_at``,
        ``conduction_at``.
    window
        Energies shown, from ``zero``; None: what holds the gap and what is around it.
    """
    along, spins = bands.get("distance") or [], bands.get("energies") or []
    if not along or not spins:
        return {}
    zero = float(path.get("zero") or 0.0)
    cuts = set(path.get("breaks") or [])
    low, high = window or window_of(spins, zero)
    data: list[dict[str, Any]] = []
    for spin, rows in enumerate(spins):
        x: list[float | None] = []
        y: list[float | None] = []
        for band in range(len(rows[0])):
            for k, at in enumerate(along):
                x.append(round(at, 4))
                y.append(round(rows[k][band] - zero, 4))
                if k in cuts:
                    x.append(None)
                    y.append(None)
            x.append(None)
            y.append(None)
        line: dict[str, Any] = {"width": 1.6}
        if len(spins) == 2:
            line["color"] = (UP, DOWN)[spin]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": y,
                "line": line,
                "name": ("spin up", "spin down")[spin],
                "hovertemplate": "%{y:.3f} eV<extra></extra>",
            }
        )
    data += _edges(path, zero)
    ticks = path.get("ticks") or []
    shapes = [_line(tick["at"], tick["at"], 0, 1, yref="paper") for tick in ticks]
    shapes += _levels(path, zero)
    return {
        "data": data,
        "layout": {
            "xaxis": {
                "tickvals": [tick["at"] for tick in ticks],
                "ticktext": [tick["label"] for tick in ticks],
                "range": [along[0], along[-1]],
                "showgrid": False,
                "zeroline": False,
                "title": {"text": "Wave vector"},
            },
            "yaxis": {"title": {"text": energy_title(path)}, "range": [low, high], "zeroline": False},
            "shapes": shapes,
            "showlegend": len(spins) == 2,
            "legend": LEGEND,
            "margin": MARGIN,
        },
    }


LEGEND = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}}
MARGIN = {"l": 64, "r": 16, "t": 52, "b": 52}
"""The same for both, so that their energies stand side by side."""


def energy_title(path: dict[str, Any]) -> str:
    """The energy axis's title: from the Fermi level, or from the valence band's top."""
    return "E − E<sub>F</sub> / eV" if path.get("metal", True) else "E − E<sub>VBM</sub> / eV"


def window_of(spins: Sequence[Sequence[Sequence[float]]], zero: float) -> tuple[float, float]:
    """The energies to show: all that is filled unless that is deep, and as much above as the bands fill."""
    lowest = min(min(row) for rows in spins for row in rows) - zero
    # Above the lowest point of the last band, bands are missing.
    complete = min(row[-1] for rows in spins for row in rows) - zero
    return max(lowest - 0.7, -14.0), min(max(complete, 2.0), 10.0)


def _levels(path: dict[str, Any], zero: float) -> list[dict[str, Any]]:
    shapes = [_line(0, 1, 0, 0, xref="paper", dash="dash")]
    fermi = path.get("fermi_energy")
    if fermi is not None and abs(fermi - zero) > 0.01:
        shapes.append(_line(0, 1, fermi - zero, fermi - zero, xref="paper", dash="dot"))
    return shapes


def _edges(path: dict[str, Any], zero: float) -> list[dict[str, Any]]:
    if path.get("metal", True) or path.get("valence_at") is None:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "band edges",
            "showlegend": False,
            "x": [path["valence_at"], path["conduction_at"]],
            "y": [path["valence"] - zero, path["conduction"] - zero],
            "marker": {"size": 9, "color": "#d1495b", "symbol": "diamond"},
            "text": ["top of the valence band", "bottom of the conduction band"],
            "hovertemplate": "%{text}<br>%{y:.3f} eV<extra></extra>",
        }
    ]


def _line(x0: float, x1: float, y0: float, y1: float, dash: str = "solid", **refs: str) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": x0,
        "x1": x1,
        "y0": y0,
        "y1": y1,
        "line": {"width": 1, "color": MARK, "dash": dash},
        **refs,
    }


def band_csv(bands: dict[str, Any]) -> str:
    """Every band's energies by k-point, as computed."""
    spins = bands.get("energies") or []
    if not spins:
        return ""
    suffix = ("",) if len(spins) == 1 else (" up", " down")
    header = ["distance / (1/A)"] + [
        f"band {n + 1}{suffix[s]} / eV" for s, rows in enumerate(spins) for n in range(len(rows[0]))
    ]
    rows = [[at, *(value for rows in spins for value in rows[k])] for k, at in enumerate(bands["distance"])]
    return to_csv(header, rows)


def dos_figure(dos: dict[str, Any], path: dict[str, Any], window: tuple[float, float] | None = None) -> dict[str, Any]:
    """Densities of states beside a band structure: energy upwards, spin down to the left.

    ``dos`` has ``energies`` (eV), ``total`` and shells such as ``Si_p``, each by spin (states/eV).
    """
    energies = dos.get("energies") or []
    if not energies:
        return {}
    zero = float(path.get("zero") or 0.0)
    every = max(1, len(energies) // MOST)
    y = [round(energy - zero, 4) for energy in energies[::every]]
    low, high = window or (max(min(y), -14.0), min(max(y), 10.0))
    polarised = len(dos["total"]) == 2
    data = []
    shells = shells_of(dos)
    for number, name in enumerate(["total", *shells]):
        for spin, values in enumerate(dos[name]):
            sign = -1.0 if spin else 1.0
            colour = MARK if name == "total" else SHELLS[(number - 1) % len(SHELLS)]
            trace: dict[str, Any] = {
                "type": "scatter",
                "mode": "lines",
                "x": [round(sign * value, 5) for value in values[::every]],
                "y": y,
                "name": shell_title(name),
                "legendgroup": name,
                "showlegend": spin == 0,
                "line": {"width": 1.4, "color": colour},
                "hovertemplate": f"{shell_title(name)}: %{{x:.3f}} /eV at %{{y:.2f}} eV<extra></extra>",
            }
            if name == "total":
                trace |= {"fill": "tozerox", "fillcolor": "rgba(138,148,161,0.22)"}
            data.append(trace)
    shown = [
        value
        for values in dos["total"]
        for energy, value in zip(energies, values, strict=True)
        if low <= energy - zero <= high
    ]
    most = 1.08 * max(shown, default=1.0) or 1.0
    return {
        "data": data,
        "layout": {
            "xaxis": {
                "title": {"text": "Density of states / (states/eV)"},
                "range": [-most if polarised else 0, most],
                "zeroline": True,
                "showgrid": False,
            },
            "yaxis": {"title": {"text": energy_title(path)}, "range": [low, high], "zeroline": False},
            "shapes": _levels(path, zero),
            "showlegend": True,
            "legend": LEGEND,
            "margin": MARGIN,
        },
    }


def shells_of(dos: dict[str, Any]) -> list[str]:
    """The projections in a set of densities."""
    return [name for name in dos if name not in {"energies", "total"}]


def shell_title(name: str) -> str:
    """``Si_p`` as people write it."""
    return "total" if name == "total" else name.replace("_", " ")


def dos_csv(dos: dict[str, Any]) -> str:
    """All densities by energy, as computed."""
    names = ["total", *shells_of(dos)]
    if not dos.get("energies"):
        return ""
    spins = range(len(dos["total"]))
    suffix = ("",) if len(dos["total"]) == 1 else (" up", " down")
    header = ["energy / eV"] + [f"{shell_title(name)}{suffix[s]} / (1/eV)" for name in names for s in spins]
    rows = [[energy, *(dos[name][s][i] for name in names for s in spins)] for i, energy in enumerate(dos["energies"])]
    return to_csv(header, rows)


def convergence_rows(progress: Sequence[dict[str, Any]]) -> list[tuple[str, int, int, float, float | None]]:
    """(stage, cycle, iteration, accuracy/eV, energy/eV) of every iteration; one told twice after a restart counts
    once."""
    seen: dict[tuple[str, int, int], tuple[float, float | None]] = {}
    for line in progress:
        if "step" in line and line.get("accuracy"):
            key = str(line.get("stage", "")), int(line.get("cycle", 1)), int(line["step"])
            seen[key] = float(line["accuracy"]), line.get("energy")
    return [(*key, *value) for key, value in seen.items()]


def convergence_figure(progress: Sequence[dict[str, Any]], target: float | None = None) -> dict[str, Any]:
    """The estimated accuracy of every self-consistent field, iteration by iteration, on a logarithmic scale."""
    rows = [row for row in convergence_rows(progress) if row[3] > 0]
    if not rows:
        return {}
    groups: dict[tuple[str, int], list[tuple[int, float]]] = {}
    for count, (stage, cycle, _, accuracy, _) in enumerate(rows, start=1):
        groups.setdefault((stage, cycle), []).append((count, accuracy))
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": [x for x, _ in points],
            "y": [y for _, y in points],
            "name": stage if cycle == 1 else f"{stage}, step {cycle}",
            "marker": {"size": 5},
            "hovertemplate": "%{y:.2e} eV<extra>%{fullData.name}</extra>",
        }
        for (stage, cycle), points in groups.items()
    ]
    values = [row[3] for row in rows]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    shapes = [_line(0, 1, target, target, xref="paper", dash="dash")] if target else []
    if target:
        low = min(low, math.floor(math.log10(target)))
    return {
        "data": data,
        "layout": {
            "xaxis": {"title": {"text": "Iteration"}, "rangemode": "tozero", "dtick": 1 if len(rows) < 15 else None},
            "yaxis": {
                "title": {"text": "Estimated accuracy / eV"},
                "type": "log",
                "range": [low, max(high, low + 1)],
                "dtick": max(1, (high - low) // 5),
                "exponentformat": "power",
            },
            "shapes": shapes,
        },
    }


def convergence_csv(progress: Sequence[dict[str, Any]]) -> str:
    """Every iteration as it was told."""
    return to_csv(["stage", "field", "iteration", "accuracy / eV", "energy / eV"], convergence_rows(progress))
