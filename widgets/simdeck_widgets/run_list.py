"""The newest runs of a workflow. No widget."""

from __future__ import annotations

import asyncio
from typing import Any

import traitlets

from simdeck_widgets.failure import words_for
from simdeck_widgets.run_model import dump


class RunListModel(traitlets.HasTraits):  # type: ignore[misc]
    """What :class:`~simdeck_widgets.run_table.RunTable` lists.

    Parameters
    ----------
    api
        An ``AsyncClient`` of ``simdeck_workflows.client``.
    workflow
        Only its runs.
    most
        How many.
    """

    runs = traitlets.List()
    error = traitlets.Unicode()
    loaded = traitlets.Bool(False)

    def __init__(self, api: Any, workflow: str, most: int = 10) -> None:
        super().__init__()
        self._api, self._workflow, self._most = api, workflow, most

    async def refresh(self) -> None:
        """Fetch them; a failure becomes ``error``, and what was listed stays."""
        try:
            page = await self._api.page(limit=self._most, workflow=self._workflow)
        except Exception as error:
            self.error = str(words_for(error)["detail"])
            return
        self.error = ""
        self.runs = [dump(run) for run in page.items]
        self.loaded = True

    def start(self) -> asyncio.Task[None]:
        """Fetch them without waiting for it."""
        self._task = asyncio.ensure_future(self.refresh())  # kept: the loop holds tasks weakly
        return self._task
