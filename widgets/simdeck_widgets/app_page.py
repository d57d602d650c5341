"""What every app's page shows: a problem with "Try again", recent runs; and the tasks behind its buttons."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from urllib.parse import parse_qs

from simdeck_widgets import layout
from simdeck_widgets.app_model import AWAY, AppModel
from simdeck_widgets.failure import ProblemCard, words_for
from simdeck_widgets.run_table import RunTable


class AppPage:
    """The base of a page over an :class:`~simdeck_widgets.app_model.AppModel`.

    Parameters
    ----------
    headline
        The entry of a run's summary that the list shows, and its title.
    run
        The run of the page's address; opened at the start and by "Try again".
    """

    def __init__(self, model: AppModel, headline: tuple[str, str], run: str = "") -> None:
        self.model = model
        self._first_run = run
        self._tasks: set[asyncio.Task[Any]] = set()
        self.problem = ProblemCard(on={"action": lambda *_: self.do(self.try_again())})
        self.recent = RunTable(
            headline=headline[1],
            on={
                "open": lambda message, _: model.open(str(message["run"])),
                "refresh": lambda *_: model.recent.start(),
            },
        )
        self.recent.follow(model.recent, lambda: headline[0])
        self.recent_card = layout.card(self.recent, name="sd-recent")
        model.observe(lambda _: self.show_problem(), ["problem"])

    def show_problem(self) -> None:
        """Show the model's problem, or take its room away."""
        problem = self.model.problem
        with self.problem.hold_sync():
            self.problem.action = "Try again" if problem.get("code") in AWAY else ""
            self.problem.problem = problem
        layout.show(self.problem, bool(problem))

    def open_first(self) -> None:
        """Open the run of the page's address."""
        self.model.open(self._first_run)

    async def try_again(self) -> None:
        """Ask the service once more, also for the run of the page's address."""
        self.model.problem = {}
        if self._first_run and not self.model.run.run:
            self.open_first()
        await self.model.connect()

    def do(self, work: Any) -> None:
        """Run a coroutine; what goes wrong in it is shown on the page."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.model.problem = words_for(error)


def from_address(*names: str) -> list[str]:
    """What the page's address says: ``run`` of ``?run=…``; empty where it does not."""
    query = parse_qs(os.environ.get("QUERY_STRING", ""))
    return [(query.get(name) or [""])[0] for name in names]
