"""An agent that starts after an update of the backend makes the generation that its user's apps need."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from simdeck_agent.task_store import TaskStore
from simdeck_agent.tasks import Tasks
from simdeck_agent.testing import FakeBackend, FakeInstaller
from simdeck_common.problems import Problem


class Renewing(FakeInstaller):
    """One whose apps need a generation, which can be made or not."""

    def __init__(self, *, works: bool) -> None:
        super().__init__()
        self.works = works
        self.asked = threading.Event()

    def renew_backend(self, cancelled: threading.Event | None = None) -> bool:
        self.asked.set()
        if not self.works:
            raise Problem("install-offline", app="Sour")
        return True


async def test_the_worker_moves_to_what_was_made_at_the_start(tmp_path: Path) -> None:
    backend = FakeBackend()
    told = asyncio.Event()

    async def reload() -> None:
        told.set()

    backend.reload = reload  # type: ignore[method-assign]
    tasks = Tasks(TaskStore(tmp_path / "tasks.sqlite"), Renewing(works=True), backend)
    await tasks.start()
    async with asyncio.timeout(120):
        await told.wait()
    await tasks.stop()


async def test_one_that_cannot_be_made_keeps_nobody_from_starting(tmp_path: Path) -> None:
    installer, backend = Renewing(works=False), FakeBackend()
    tasks = Tasks(TaskStore(tmp_path / "tasks.sqlite"), installer, backend)
    await tasks.start()
    assert await asyncio.to_thread(installer.asked.wait, 30)
    await tasks.stop()
    assert backend.reloads == 0
