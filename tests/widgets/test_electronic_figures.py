"""Figures of band structures, densities of states and convergence: plain dicts, their data as CSV."""

from __future__ import annotations

import pytest
from simdeck_widgets.electronic import (
    band_csv,
    band_figure,
    convergence_csv,
    convergence_figure,
    dos_csv,
    dos_figure,
    window_of,
)

BANDS = {"distance": [0.0, 1.0, 1.0, 2.0], "energies": [[[1.0, 4.0], [2.0, 3.5], [2.0, 3.5], [1.5, 5.0]]]}
PATH = {
    "ticks": [{"at": 0.0, "label": "Γ"}, {"at": 1.0, "label": "U|K"}, {"at": 2.0, "label": "X"}], "breaks": [1], "zero": 2.0,
    "metal": False, "fermi_energy": 2.5, "valence": 2.0, "conduction": 3.5, "valence_at": 1.0, "conduction_at": 1.0,
}  # fmt: skip
DOS = {
    "energies": [1.0, 2.0, 3.0],
    "total": [[1.0, 2.0, 0.0], [1.0, 1.0, 0.0]],
    "Fe_d": [[0.9, 1.8, 0.0], [0.9, 0.8, 0.0]],
}


def test_bands_are_drawn_from_the_valence_bands_top_and_not_across_a_break() -> None:
    trace = band_figure(BANDS, PATH)["data"][0]
    assert trace["y"] == [-1.0, 0.0, None, 0.0, -0.5, None, 2.0, 1.5, None, 1.5, 3.0, None]
    assert trace["x"][:4] == [0.0, 1.0, None, 1.0]


def test_corners_fermi_level_and_edges_are_marked() -> None:
    figure = band_figure(BANDS, PATH)
    assert figure["layout"]["xaxis"]["ticktext"] == ["Γ", "U|K", "X"]
    levels = [shape["y0"] for shape in figure["layout"]["shapes"] if shape.get("xref") == "paper"]
    assert levels == [0, 0.5]
    edges = figure["data"][-1]
    assert (edges["x"], edges["y"]) == ([1.0, 1.0], [0.0, 1.5])
    assert "VBM" in figure["layout"]["yaxis"]["title"]["text"]


def test_a_metal_is_drawn_from_its_fermi_level_without_edges() -> None:
    figure = band_figure(BANDS, {**PATH, "metal": True, "zero": 2.5})
    assert len(figure["data"]) == 1
    assert "<sub>F</sub>" in figure["layout"]["yaxis"]["title"]["text"]


def test_the_window_ends_where_bands_are_missing() -> None:
    low, high = window_of([[[-20.0, 0.0, 4.0], [-20.0, 1.0, 3.0]]], 0.0)
    assert (low, high) == (-14.0, 3.0)


def test_spin_down_is_drawn_to_the_left() -> None:
    figure = dos_figure(DOS, {**PATH, "metal": True})
    up, down = figure["data"][:2]
    assert up["x"] == [1.0, 2.0, 0.0]
    assert down["x"] == [-1.0, -1.0, 0.0]
    assert figure["layout"]["xaxis"]["range"][0] == -figure["layout"]["xaxis"]["range"][1]
    assert [trace["name"] for trace in figure["data"] if trace["showlegend"]] == ["total", "Fe d"]


def test_every_plots_data_is_a_table() -> None:
    assert band_csv(BANDS).splitlines()[:2] == ["distance / (1/A),band 1 / eV,band 2 / eV", "0.0,1.0,4.0"]
    head, first = dos_csv(DOS).splitlines()[:2]
    assert head == "energy / eV,total up / (1/eV),total down / (1/eV),Fe d up / (1/eV),Fe d down / (1/eV)"
    assert first == "1.0,1.0,1.0,0.9,0.9"


def test_convergence_counts_an_iteration_told_twice_once_and_keeps_fields_apart() -> None:
    progress = [
        {"stage": "scf", "cycle": 1, "step": 1, "accuracy": 0.1, "energy": -1.0},
        {"stage": "scf", "cycle": 1, "step": 1, "accuracy": 0.2, "energy": -1.0},
        {"stage": "scf", "cycle": 1, "step": 2, "accuracy": 1e-4, "energy": -1.1},
        {"stage": "scf", "cycle": 1, "converged": True},
        {"stage": "scf", "cycle": 2, "step": 1, "accuracy": 1e-3, "energy": -1.2},
    ]
    figure = convergence_figure(progress)
    assert [trace["x"] for trace in figure["data"]] == [[1, 2], [3]]
    assert figure["data"][0]["y"] == pytest.approx([0.2, 1e-4])
    assert figure["layout"]["yaxis"]["type"] == "log"
    assert len(convergence_csv(progress).splitlines()) == 4


def test_nothing_to_draw_is_nothing() -> None:
    assert (band_figure({}, {}), dos_figure({}, {}), convergence_figure([])) == ({}, {}, {})
