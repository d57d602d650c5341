"""The results of a run on the screen: structure, bands and densities side by side, convergence, forces, method."""

from __future__ import annotations

from typing import Any

from simdeck_widgets import layout
from simdeck_widgets.electronic import (
    band_csv,
    band_figure,
    convergence_csv,
    convergence_figure,
    dos_csv,
    dos_figure,
    window_of,
)
from simdeck_widgets.failure import ProblemCard
from simdeck_widgets.plot import PlotlyPlot
from simdeck_widgets.results import ResultTable, column
from simdeck_widgets.viewer import StructureViewer

from simdeck_quantum_espresso.ui import crystals, texts


class ResultView:
    """Shows the outputs of a finished run."""

    def __init__(self) -> None:
        self.warnings = ProblemCard()
        self.warnings.layout.margin = "0 0 16px"
        self.viewer = StructureViewer()
        self.summary = ResultTable(
            css_class="sd-summary-table",
            columns=[
                column("what", "Result", header=True),
                column("value", "Value", number=True),
                column("unit", "Unit"),
            ],
        )
        self.bands = PlotlyPlot(css_class="sd-bands sd-tall", filename="bands", description="The band structure")
        self.dos = PlotlyPlot(css_class="sd-dos sd-tall", filename="dos", description="The density of states")
        self.convergence = PlotlyPlot(
            css_class="sd-convergence-result",
            filename="convergence",
            description="Accuracy of the self-consistent fields",
        )
        self.forces = ResultTable(
            caption="Forces",
            columns=[
                column("atom", "Atom", header=True),
                *(column(axis, f"F{axis}", "eV/Å", number=True) for axis in "xyz"),
            ],
        )
        self.phonons = ResultTable(
            caption="Phonons at Γ",
            columns=[column("mode", "Mode", number=True), column("frequency", "Wavenumber", "cm⁻¹", number=True)],
        )
        self.method = ResultTable(
            caption="Computed with",
            columns=[column("what", "Setting", header=True), column("value", "Value", wrap=True)],
        )
        self.bands_card = layout.card(layout.Text(heading="Band structure"), self.bands, name="sd-bands-card")
        self.dos_card = layout.card(layout.Text(heading="Density of states"), self.dos, name="sd-dos-card")
        self.electrons = layout.columns(self.bands_card, self.dos_card)
        self.phonons_card = layout.card(self.phonons)
        self.convergence_card = layout.card(layout.Text(heading="Convergence"), self.convergence)
        self.widget = layout.box(
            self.warnings,
            layout.card(layout.columns(self.viewer, self.summary), name="sd-results"),
            self.electrons,
            self.phonons_card,
            layout.columns(self.convergence_card, layout.card(self.forces, self.method)),
        )

    def fill(self, outputs: dict[str, Any], inputs: dict[str, Any], progress: list[dict[str, Any]], title: str) -> None:
        """Show a run; what is not there is left out."""
        from simdeck_quantum_espresso.ui.page import show_crystal

        structure = outputs.get("structure") or {}
        show_crystal(self.viewer, crystals.of_input(structure, title) if structure else None)
        self.warnings.warnings = texts.warnings(outputs, inputs)
        layout.show(self.warnings, bool(self.warnings.warnings))
        self.summary.rows = [*texts.summary_rows(outputs), *texts.cell_rows(structure)]
        self._electrons(outputs)
        self.forces.rows = texts.force_rows(outputs)
        self.phonons.rows = texts.phonon_rows(outputs.get("phonons") or {})
        layout.show(self.phonons_card, bool(self.phonons.rows))
        self.method.rows = texts.method_rows(outputs)
        figure = convergence_figure(progress)
        if figure:
            self.convergence.csv = convergence_csv(progress)
            self.convergence.figure = figure
        layout.show(self.convergence_card, bool(figure))

    def _electrons(self, outputs: dict[str, Any]) -> None:
        bands, dos = outputs.get("bands") or {}, outputs.get("dos") or {}
        properties = outputs.get("properties") or {}
        path = outputs.get("band_path") or {
            **properties,
            "zero": properties.get("valence") if properties.get("metal") is False else properties.get("fermi_energy"),
        }
        # Side by side they must show the same energies.
        window = window_of(bands["energies"], float(path.get("zero") or 0.0)) if bands else None
        drawn = band_figure(bands, path, window)
        if drawn:
            with self.bands.hold_sync():
                self.bands.csv = band_csv(bands)
                self.bands.figure = drawn
                self.bands.description = f"Band structure. {describe_gap(properties)}"
        densities = dos_figure(dos, path, window)
        if densities:
            with self.dos.hold_sync():
                self.dos.csv = dos_csv(dos)
                self.dos.figure = densities
        layout.show(self.bands_card, bool(drawn))
        layout.show(self.dos_card, bool(densities))
        layout.show(self.electrons, bool(drawn or densities))
        # One alone takes the whole width.
        if drawn and densities:
            self.electrons.add_class("sd-columns")
        else:
            self.electrons.remove_class("sd-columns")


def describe_gap(properties: dict[str, Any]) -> str:
    """The gap in a sentence."""
    if properties.get("metal"):
        return "A metal: there is no gap."
    if properties.get("gap") is None:
        return ""
    return f"A {'direct' if properties.get('direct') else 'indirect'} gap of {properties['gap']:.3f} eV."
