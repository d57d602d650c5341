"""The state of a page for one workflow: its form, the files chosen, the run that is open. No widget.

An app whose page is "fill in, run, look" needs no model of its own; one that needs more starts from
this one.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import traitlets
from simdeck_common.problems import Problem

from simdeck_widgets.failure import words_for
from simdeck_widgets.form_model import FormModel
from simdeck_widgets.run_model import RunModel, dump

LARGEST_FILE = 20_000_000
"""Bytes of one input file."""


class WorkflowModel(traitlets.HasTraits):  # type: ignore[misc]
    """What a page of ``workflow`` knows and does.

    Parameters
    ----------
    api
        An ``AsyncClient`` of ``simdeck_workflows.client``.
    workflow
        The workflow's name, such as ``my.relax``.
    check
        Gets the form's values, returns sentences by field for what the schema cannot say.

    Traits
    ------
    files
        What was chosen for each file or structure input: ``{"name", "content"}`` or ``{"name", "base64"}``.
    file_errors
        A sentence for each file input that the service refused.
    stage
        ``prepare`` (the form) or ``run`` (the run that is open).
    problem
        problem+json of what went wrong on the whole page; empty when all is well.
    """

    files = traitlets.Dict()
    file_errors = traitlets.Dict()
    title = traitlets.Unicode()
    submitting = traitlets.Bool(False)
    ready = traitlets.Bool(False)
    stage = traitlets.Enum(["prepare", "run"], "prepare")
    problem = traitlets.Dict()
    recent = traitlets.List()
    recent_error = traitlets.Unicode()

    def __init__(self, api: Any, workflow: str, check: Any = None) -> None:
        super().__init__()
        self.api = api
        self.workflow = workflow
        self.about: Any = None
        self.run = RunModel(api)
        self.form = FormModel(check=check)
        self.run.observe(self._run_could_not_be_opened, ["error"])
        self.run.observe(self._see_run, ["run"])

    # --- start ------------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Fetch the workflow's schema and its recent runs; a failure becomes ``problem`` and can be tried again."""
        try:
            about = await self.api.workflow(self.workflow)
        except Exception as error:
            self.problem = words_for(error)
            self.recent_error = "The list of runs cannot be had at the moment."
            return
        if self.problem.get("code") in {"unreachable", "agent-unavailable"}:
            self.problem = {}
        self.about = about
        self.title = about.title
        self.form.load(about.input_schema)
        self.ready = True
        await self.refresh_recent()

    async def refresh_recent(self) -> None:
        """Fetch the newest runs of this workflow."""
        try:
            page = await self.api.page(limit=10, workflow=self.workflow)
        except Exception as error:
            self.recent_error = words_for(error)["detail"]
            return
        self.recent_error = ""
        self.recent = [dump(run) for run in page.items]

    # --- inputs -----------------------------------------------------------------------------------------------------

    @property
    def file_inputs(self) -> dict[str, dict[str, Any]]:
        """The schema's file and structure inputs by name."""
        properties = self.form.schema.get("properties", {})
        return {name: about for name, about in properties.items() if about.get("x-simdeck-type")}

    def take_file(self, name: str, file: str, data: bytes) -> None:
        """Use ``data`` (of a file called ``file``) for the input ``name``."""
        if len(data) > LARGEST_FILE:
            self.file_errors = {
                **self.file_errors,
                name: f"{file} has {len(data) / 1e6:.0f} MB; at most {LARGEST_FILE / 1e6:.0f} MB can be sent.",
            }
            return
        self.file_errors = {key: value for key, value in self.file_errors.items() if key != name}
        chosen: Any = as_input(file, data)
        if self.file_inputs.get(name, {}).get("x-simdeck-type") == "files":
            # One after another; the same name again replaces the one before.
            chosen = [*(one for one in self.files.get(name, []) if one["name"] != chosen["name"]), chosen]
        self.files = {**self.files, name: chosen}

    def chosen_names(self, name: str) -> list[str]:
        """Names of the files that are chosen for an input."""
        chosen = self.files.get(name) or []
        return [str(one.get("name", "")) for one in (chosen if isinstance(chosen, list) else [chosen])]

    @property
    def missing(self) -> list[str]:
        """Titles of the needed files that are not chosen yet."""
        needed = self.form.schema.get("required", [])
        inputs = self.file_inputs
        return [
            inputs[name].get("title", name)
            for name in inputs
            if name in needed and name not in self.files and "default" not in inputs[name]
        ]

    @property
    def can_submit(self) -> bool:
        """Whether everything is there and nothing is known to be wrong."""
        return self.ready and not self.submitting and self.form.valid and not self.missing and not self.file_errors

    # --- runs -------------------------------------------------------------------------------------------------------

    async def submit(self) -> None:
        """Submit what the form says and follow the run; a refusal goes next to the field it is about."""
        if not self.can_submit:
            return
        self.submitting = True
        self.problem = {}
        values = {name: value for name, value in self.form.values.items() if value is not None}
        try:
            run = await self.api.submit(self.workflow, {**values, **self.files}, title=self.run_title())
        except Problem as problem:
            self.refused(problem)
            return
        except Exception as error:
            self.problem = words_for(error)
            return
        finally:
            self.submitting = False
        self.open(run.id)
        await self.refresh_recent()

    def run_title(self) -> str:
        """What the run is called in the lists: after its first file, else after the workflow."""
        chosen = [found[0] for found in map(self.chosen_names, self.files) if found]
        names = [name.rpartition(".")[0] or name for name in chosen]
        return ": ".join([*names[:1], self.title or self.workflow])[:200]

    def refused(self, problem: Problem) -> None:
        """Show a refusal where it belongs."""
        field = (problem.field or "").split(".")[0]
        if field in self.file_inputs:
            self.file_errors = {**self.file_errors, field: problem.detail}
        elif field in self.form.schema.get("properties", {}):
            self.form.refuse(field, problem.detail)
        else:
            self.problem = problem.to_json()

    def open(self, run_id: str) -> Any:
        """Show a run, at whichever stage it is, and follow it."""
        self.problem = {}
        self.stage = "run"
        return self.run.open(run_id)

    def start_anew(self, *, keep: bool) -> None:
        """Back to the form; with ``keep`` it holds the shown run's inputs."""
        if keep and self.run.inputs:
            given = self.run.inputs
            known = self.form.schema.get("properties", {})
            files = self.file_inputs
            self.files = {name: given[name] for name in files if isinstance(given.get(name), dict | list)}
            plain = {name: value for name, value in given.items() if name in known and name not in files}
            self.form.values = {**self.form.values, **plain}
        self.file_errors = {}
        self.run.forget()
        self.problem = {}
        self.stage = "prepare"

    def _run_could_not_be_opened(self, _: Any) -> None:
        if self.run.error is not None:
            self.problem = words_for(self.run.error)
            # Nothing to show of it: leave the person with the form rather than an empty page.
            self.run.run = {}
            self.stage = "prepare"

    def _see_run(self, change: Any) -> None:
        old = change["old"] if isinstance(change["old"], dict) else {}
        new = change["new"] or {}
        if old.get("state") != new.get("state") and new.get("ended"):
            # Kept: the loop holds tasks weakly.
            self._last_refresh = asyncio.ensure_future(self.refresh_recent())
        if new.get("state") == "rejected" and new.get("problem"):
            problem = Problem.from_json(new["problem"])
            if problem.field and self.run.inputs:
                self.start_anew(keep=True)
                self.refused(problem)


def as_input(name: str, data: bytes) -> dict[str, str]:
    """Return a file as the API takes it: text as it is, anything else in base64."""
    try:
        return {"name": name, "content": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"name": name, "base64": base64.b64encode(data).decode("ascii")}
