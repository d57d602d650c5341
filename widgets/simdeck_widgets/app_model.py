"""What every app page's model has: connection, the open run, recent runs, submission. No widget."""

from __future__ import annotations

from typing import Any

import traitlets
from simdeck_common.problems import Problem

from simdeck_widgets.failure import words_for
from simdeck_widgets.run_list import RunListModel
from simdeck_widgets.run_model import RunModel

AWAY = frozenset({"unreachable", "agent-unavailable"})
"""Problems that trying again may end."""


class AppModel(traitlets.HasTraits):  # type: ignore[misc]
    """The base of a page's model.

    A page says what it does with the workflow's schema (:meth:`take_schema`), with a refusal (:meth:`refused`) and
    with a run that cannot be opened (:meth:`leave_run`).

    Parameters
    ----------
    api
        An ``AsyncClient`` of ``simdeck_workflows.client``.
    workflow
        The workflow whose runs these are.
    """

    problem = traitlets.Dict()
    """problem+json of what went wrong on the whole page; empty when all is well."""
    submitting = traitlets.Bool(False)
    ready = traitlets.Bool(False)
    """Whether the workflow's schema is here."""

    def __init__(self, api: Any, workflow: str) -> None:
        super().__init__()
        self.api = api
        self.workflow = workflow
        self.run = RunModel(api)
        self.recent = RunListModel(api, workflow)
        self.run.observe(lambda _: self._could_not_open(), ["error"])

    async def connect(self) -> None:
        """Fetch the workflow's schema and the recent runs; a failure becomes ``problem`` and can be tried again."""
        try:
            workflow = await self.api.workflow(self.workflow)
        except Exception as error:
            self.problem = words_for(error)
            self.recent.error = "The list of runs cannot be had at the moment."
            return
        if self.problem.get("code") in AWAY:
            self.problem = {}
        self.take_schema(workflow.input_schema)
        await self.recent.refresh()

    def take_schema(self, schema: dict[str, Any]) -> None:
        """Take the JSON Schema of the workflow's inputs."""
        self.ready = True

    def refused(self, problem: Problem) -> None:
        """Say why inputs were refused, next to the field it is about where there is one."""
        self.problem = problem.to_json()

    def leave_run(self) -> None:
        """Go back to where a run is prepared."""

    def open(self, run_id: str) -> Any:
        """Show a run, at whichever stage it is, and follow it."""
        self.problem = {}
        return self.run.open(run_id)

    async def send(self, inputs: dict[str, Any], title: str) -> None:
        """Submit and follow the run."""
        self.submitting = True
        self.problem = {}
        try:
            run = await self.api.submit(self.workflow, inputs, title=title)
        except Problem as problem:
            self.refused(problem)
            return
        except Exception as error:
            self.problem = words_for(error)
            return
        finally:
            self.submitting = False
        self.open(run.id)
        await self.recent.refresh()

    def _could_not_open(self) -> None:
        if self.run.error is not None:
            self.problem = words_for(self.run.error)
            # Nothing to show of it: leave the person with the form rather than an empty page.
            self.run.run = {}
            self.leave_run()
