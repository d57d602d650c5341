"""A whole page for one workflow: form, submit, live progress, results, recent runs, made from what the workflow says.

    from simdeck_widgets.workflow_page import open_page

    open_page("my.relax", curve=("step", "energy"))

The parts are attributes, so an app may rearrange them or put its own views of ``page.model.run.outputs`` beside them.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any
from urllib.parse import parse_qs

from simdeck_widgets import layout
from simdeck_widgets.chooser import StructureChooser
from simdeck_widgets.failure import ProblemCard, words_for
from simdeck_widgets.form import SchemaForm
from simdeck_widgets.plot import PlotlyPlot, axis, to_csv
from simdeck_widgets.results import ResultTable, column
from simdeck_widgets.run_monitor import RunMonitor
from simdeck_widgets.run_table import RunTable
from simdeck_widgets.workflow_model import WorkflowModel

SHOWN_TEXT = 200
"""Characters of a list or an object shown in the table of results."""


class WorkflowPage:
    """Builds the widgets and keeps them in step with the model.

    Parameters
    ----------
    model
        What the page knows.
    basic
        The inputs shown at once; the others are folded. None: all are shown but what the workflow calls advanced.
    curve
        Two keys of the progress lines, drawn against each other while a run goes on: ``("step", "energy")``. A key's
        unit is read from ``<key>_unit`` of the same line.
    run
        The run to open at once.
    """

    def __init__(
        self,
        model: WorkflowModel,
        *,
        basic: list[str] | None = None,
        curve: tuple[str, str] | None = None,
        run: str = "",
    ) -> None:
        self.model = model
        self.curve = curve
        self._tasks: set[asyncio.Task[Any]] = set()
        self._first_run = run
        self._basic = basic
        self.problem = ProblemCard(on={"action": lambda *_: self.do(self._try_again())})
        self.heading = layout.Text(heading="Inputs")
        self.files = layout.box()
        self.choosers: dict[str, StructureChooser] = {}
        self.form = SchemaForm(model.form, basic=basic or [])
        self.submit = layout.Text(
            button="Submit", button_class="sd-submit", on={"click": lambda *_: self.do(model.submit())}
        )
        self.prepare = layout.card(self.heading, self.files, self.form, self.submit, name="sd-step-settings")
        self.monitor = RunMonitor(
            model.run,
            archive=model.api.archive,
            failed=lambda error: setattr(model, "problem", words_for(error)),
            on={"change": lambda *_: model.start_anew(keep=True), "new": lambda *_: model.start_anew(keep=False)},
        )
        self.failure = ProblemCard()
        self.plot = PlotlyPlot(css_class="sd-progress", filename="progress", description="Progress of the run")
        self.plot_card = layout.card(layout.Text(heading="Progress"), self.plot)
        self.table = ResultTable(
            columns=[
                column("title", "Result", header=True),
                column("value", "Value", wrap=True),
                column("unit", "Unit"),
            ],
            caption="Results",
        )
        self.results = layout.card(self.table, name="sd-results")
        self.running = layout.box(
            layout.card(self.monitor, self.failure, name="sd-run-card"), self.plot_card, self.results
        )
        self.recent = RunTable(
            on={
                "open": lambda message, _: model.open(str(message["run"])),
                "refresh": lambda *_: self.do(model.refresh_recent()),
            }
        )
        self.recent_card = layout.card(self.recent, name="sd-recent")
        self.widget = layout.box(self.problem, self.prepare, self.running, self.recent_card, classes=["sd-page-body"])
        self._observe()
        if run:
            model.stage = "run"
        self._build_files()
        self._show_stage()
        self.do(self._begin(run))

    # --- keeping in step --------------------------------------------------------------------------------------------

    def _observe(self) -> None:
        model = self.model
        model.observe(lambda _: self._show_stage(), ["stage"])
        model.observe(lambda _: self._show_problem(), ["problem"])
        model.observe(lambda _: self._show_files(), ["files", "file_errors"])
        model.observe(lambda _: self._show_submit(), ["files", "file_errors", "submitting", "ready", "problem"])
        model.observe(lambda _: setattr(self.heading, "heading", model.title or "Inputs"), ["title"])
        model.observe(lambda _: self._show_recent(), ["recent"])
        model.observe(lambda _: setattr(self.recent, "error", model.recent_error), ["recent_error"])
        model.form.observe(lambda _: self._build_files(), ["schema"])
        model.form.observe(lambda _: self._show_submit(), ["valid", "values"])
        model.run.observe(lambda _: self._show_run(), ["run", "outputs"])
        model.run.observe(lambda _: self._show_curve(), ["progress"])

    def _build_files(self) -> None:
        inputs = self.model.file_inputs
        self.form.hidden = list(inputs)
        if self._basic is None:
            # What the workflow's author calls advanced is folded away, where there is something else.
            properties = self.model.form.schema.get("properties", {})
            first = [name for name, about in properties.items() if not about.get("x-simdeck-advanced")]
            self.form.basic = first if len(first) < len(properties) else []
        self.choosers = {}
        parts = []
        for name, about in inputs.items():
            structure = about["x-simdeck-type"] == "structure"
            more = {} if structure else {"accept": "", "formats": "any format"}

            def take(message: dict[str, Any], buffers: list[Any], name: str = name) -> None:
                self.model.take_file(name, str(message["name"]), bytes(buffers[0]))

            self.choosers[name] = StructureChooser(on={"file": take}, **more)
            parts += [
                layout.Text(heading=about.get("title", name), text=about.get("description", "")),
                self.choosers[name],
            ]
        self.files.children = parts
        self._show_files()
        self._show_submit()

    def _show_files(self) -> None:
        for name, chooser in self.choosers.items():
            with chooser.hold_sync():
                chooser.summary = ", ".join(self.model.chosen_names(name))
                chooser.error = self.model.file_errors.get(name, "")

    def _show_stage(self) -> None:
        layout.show(self.prepare, self.model.stage == "prepare")
        layout.show(self.running, self.model.stage == "run")
        self._show_run()
        self._show_curve()

    def _show_submit(self) -> None:
        with self.submit.hold_sync():
            self.submit.disabled = not self.model.can_submit
            self.submit.beside = self._beside_submit()

    def _beside_submit(self) -> str:
        model = self.model
        if model.submitting:
            return "Submitting…"
        if not model.ready:
            return "" if model.problem else "Connecting…"
        if model.missing:
            return f"Choose a file for {' and '.join(model.missing)} first."
        if not model.form.valid or model.file_errors:
            return "Something above needs your attention."
        return ""

    def _show_problem(self) -> None:
        problem = self.model.problem
        with self.problem.hold_sync():
            self.problem.action = "Try again" if problem.get("code") in {"unreachable", "agent-unavailable"} else ""
            self.problem.problem = problem
        layout.show(self.problem, bool(problem))

    def _show_recent(self) -> None:
        headline = (self.model.about.headline if self.model.about is not None else [])[:1]
        titles = {spec.name: spec.title for spec in self.model.about.outputs} if headline else {}
        if headline:
            self.recent.headline = titles.get(headline[0]) or headline[0]
        self.recent.fill(self.model.recent, headline[0] if headline else "")

    def _show_run(self) -> None:
        run = self.model.run
        self.recent.current = run.id
        rows = result_rows(run.outputs, self.model.about.outputs if self.model.about is not None else [])
        self.table.rows = rows
        layout.show(self.results, run.ended and bool(rows))
        problem = run.run.get("problem") if run.run.get("state") in {"failed", "rejected"} else None
        self.failure.problem = problem or {}
        layout.show(self.failure, bool(problem))

    def _show_curve(self) -> None:
        points = curve_points(self.model.run.progress, self.curve)
        layout.show(self.plot_card, len(points) > 1)
        if len(points) < 2 or self.curve is None:
            return
        across, up = self.curve
        unit = str(self.model.run.progress[-1].get(f"{up}_unit", ""))
        with self.plot.hold_sync():
            self.plot.csv = to_csv([across, f"{up} / {unit}" if unit else up], points)
            self.plot.figure = {
                "data": [{"x": [x for x, _ in points], "y": [y for _, y in points], "mode": "lines+markers"}],
                "layout": {"xaxis": axis(across.capitalize()), "yaxis": axis(up.capitalize(), unit)},
            }
            self.plot.description = f"{up.capitalize()} by {across}; last {points[-1][1]:g} {unit}".strip()

    # --- doing ------------------------------------------------------------------------------------------------------

    async def _begin(self, run: str) -> None:
        if run:
            self.model.open(run)
        await self.model.connect()

    async def _try_again(self) -> None:
        self.model.problem = {}
        if self._first_run and self.model.stage == "run" and not self.model.run.run:
            self.model.open(self._first_run)
        await self.model.connect()

    def do(self, work: Any) -> None:
        """Run a coroutine; what goes wrong in it is shown on the page."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.model.problem = words_for(task.exception())  # type: ignore[arg-type]


def open_page(workflow: str, **options: Any) -> Any:
    """Build the page of ``workflow`` for this kernel and the run in its address, if any; return the widget to display.

    ``options`` are those of :class:`WorkflowPage`, and ``check`` of
    :class:`~simdeck_widgets.workflow_model.WorkflowModel`.
    """
    from simdeck_workflows.client import AsyncClient

    query = parse_qs(os.environ.get("QUERY_STRING", ""))
    model = WorkflowModel(AsyncClient(), workflow, check=options.pop("check", None))
    return WorkflowPage(model, run=(query.get("run") or [""])[0], **options).widget


def curve_points(progress: list[dict[str, Any]], keys: tuple[str, str] | None) -> list[tuple[float, float]]:
    """Return the (x, y) of the progress lines that have both keys as numbers."""
    if keys is None:
        return []
    points = []
    for line in progress:
        pair = [line.get(key) for key in keys]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in pair):
            points.append((float(pair[0]), float(pair[1])))  # type: ignore[arg-type]
    return points


def result_rows(outputs: dict[str, Any], specs: list[Any]) -> list[dict[str, Any]]:
    """Return the table's rows: one an output, in the order in which the workflow declares them."""
    known = {spec.name: spec for spec in specs}
    order = [name for name in known if name in outputs] + [name for name in outputs if name not in known]
    rows = []
    for name in order:
        spec = known.get(name)
        title = (spec.title if spec is not None else "") or name
        rows.append({"title": title, "value": shown(outputs[name]), "unit": getattr(spec, "unit", None) or ""})
    return rows


def shown(value: Any) -> str:
    """Return an output's value in a few words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.8g}".replace("-", "−")
    if isinstance(value, dict) and "symbols" in value:
        return f"{len(value['symbols'])} atoms"
    if isinstance(value, dict) and value.keys() == {"files"}:
        return ", ".join(shown_file(file) for file in value["files"][:10]) + (" …" if len(value["files"]) > 10 else "")
    if isinstance(value, dict) and {"path", "size"} <= value.keys():
        return shown_file(value)
    text = str(value)
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}… (all of it is in the run's files)"


def shown_file(file: dict[str, Any]) -> str:
    """Return the name and size of a file; the page's zip holds it."""
    size = float(file["size"])
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    name = str(file.get("name") or str(file.get("path") or "").rpartition("/")[2])
    return f"{name} ({size:.3g} {unit})"
