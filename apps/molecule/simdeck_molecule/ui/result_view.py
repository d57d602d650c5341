"""The results of a run on the screen."""

from __future__ import annotations

from typing import Any

from simdeck_widgets import layout
from simdeck_widgets.failure import ProblemCard
from simdeck_widgets.plot import PlotlyPlot, to_csv
from simdeck_widgets.results import ResultTable, column
from simdeck_widgets.viewer import StructureViewer

from simdeck_molecule.ui import results, structures


class ResultView:
    """Structure, geometry, vibrations, spectrum and thermochemistry of a finished run."""

    def __init__(self) -> None:
        self.viewer = StructureViewer()
        self.warnings = ProblemCard()
        self.summary = ResultTable(
            css_class="sd-summary-table",
            columns=[
                column("what", "Result", header=True),
                column("value", "Value", number=True),
                column("unit", "Unit"),
            ],
        )
        self.geometry = ResultTable(
            css_class="sd-geometry-table",
            columns=[
                column("what", "Geometry"),
                column("atoms", "Atoms"),
                column("value", "Value", number=True),
                column("unit", "Unit"),
            ],
            empty="There are no bonds.",
        )
        self.modes = ResultTable(
            css_class="sd-frequencies-table",
            selectable=True,
            columns=[
                column("mode", "Mode", number=True),
                column("frequency", "Wavenumber", "cm⁻¹", number=True),
                column("intensity", "IR intensity", "km/mol", number=True),
                column("mass", "Reduced mass", "u", number=True),
            ],
            empty="A single atom does not vibrate.",
        )
        self.spectrum = PlotlyPlot(css_class="sd-spectrum", filename="ir-spectrum", description="The infrared spectrum")
        self.thermo = ResultTable(
            css_class="sd-thermochemistry-table",
            columns=[
                column("what", "Quantity", header=True),
                column("value", "Per molecule", number=True),
                column("molar", "Per mole", number=True),
            ],
        )
        self.modes_text = layout.Text(
            heading="Vibrations", text="Select a mode to see it move; select it again to stop."
        )
        self.vibrations = layout.box(self.modes_text, self.modes, classes=["sd-vibrations"])
        self.picture_card = layout.card(layout.columns(self.viewer, self.vibrations), name="sd-results")
        self.numbers_card = layout.card(layout.columns(self.summary, self.geometry))
        self.spectrum_card = layout.card(layout.Text(heading="IR spectrum"), self.spectrum)
        self.thermo_card = layout.card(layout.Text(heading="Thermochemistry"), self.thermo)
        self.widget = layout.box(
            self.warnings, self.picture_card, self.spectrum_card, self.numbers_card, self.thermo_card
        )
        self._modes: list[Any] = []
        self._name = ""
        self.modes.observe(lambda change: self._mode_chosen(int(change["new"])), ["selected"])

    def fill(self, outputs: dict[str, Any], title: str) -> None:
        """Show the outputs of a run; what is not there is left out."""
        self._name = title
        structure = structures.from_input(outputs["structure"]) if outputs.get("structure") else None
        trajectory = outputs.get("trajectory") or {}
        frequencies = outputs.get("frequencies") or {}
        thermo = outputs.get("thermochemistry") or {}
        self.warnings.warnings = results.warnings(outputs)
        self._modes = (outputs.get("modes") or {}).get("displacements") or []
        self.modes.selected = -1
        if structure is not None:
            positions = [list(row) for row in structure.positions]
            self.viewer.show(structure.symbols, positions, trajectory=trajectory.get("positions") or [], name=title)
            self.geometry.rows = results.geometry_rows(list(structure.symbols), positions)
        self.summary.rows = results.summary_rows(outputs)
        self.modes.rows = results.mode_rows(frequencies) if frequencies else []
        figure = results.spectrum_figure(outputs.get("spectrum") or {}, frequencies)
        if figure:
            self.spectrum.csv = to_csv(
                ["wavenumber / cm^-1", "absorption / (km/mol per cm^-1)"],
                list(zip(outputs["spectrum"]["wavenumbers"], outputs["spectrum"]["absorption"], strict=True)),
            )
            self.spectrum.figure = figure
        self.thermo.caption = results.thermochemistry_caption(thermo) if thermo else ""
        self.thermo.rows = results.thermochemistry_rows(thermo)
        layout.show(self.picture_card, structure is not None)
        layout.show(self.vibrations, bool(frequencies))
        layout.show(self.warnings, bool(self.warnings.warnings))
        layout.show(self.spectrum_card, bool(figure) and bool(frequencies.get("frequencies")))
        layout.show(self.thermo_card, bool(thermo))

    def _mode_chosen(self, index: int) -> None:
        if 0 <= index < len(self._modes):
            value = self.modes.rows[index]["frequency"]
            self.viewer.frame = max(0, len(self.viewer.trajectory) - 1)
            self.viewer.vibrate(self._modes[index], f"{self._name}, vibration at {value} cm⁻¹")
        elif self.viewer.mode:
            self.viewer.vibrate([], self._name)
