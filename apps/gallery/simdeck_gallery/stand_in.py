"""Runs without a service: what of the client (``simdeck_workflows.client.AsyncClient``) the kit uses, played here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from simdeck_workflows.models import Event, Run, RunPage

STEPS = 12
BEAT = 0.5
"""Seconds between two steps of a run that is played."""


class StandIn:
    """Three earlier runs, and one that is played when it is submitted or done again."""

    def __init__(self, beat: float = BEAT) -> None:
        self.beat = beat
        self.runs: dict[str, dict[str, Any]] = {}
        self._add("Relaxation of silicon", "finished", hours=1, summary={"energy": {"value": -310.2841, "unit": "eV"}})
        self._add("Relaxation of iron", "failed", hours=5)
        self._add("Relaxation of quartz", "cancelled", hours=30)

    def _add(self, title: str, state: str, *, hours: float = 0.0, summary: dict[str, Any] | None = None) -> str:
        name = f"run-{len(self.runs) + 1}"
        then = (datetime.now(UTC) - timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
        self.runs[name] = {
            "id": name, "workflow": "gallery.relax", "app": "gallery", "app_version": "1.0.0", "title": title,
            "state": state, "created": then, "ended": then if state != "running" else None, "summary": summary,
        }  # fmt: skip
        return name

    async def page(self, **_: Any) -> RunPage:
        """The runs, newest first."""
        newest = sorted(self.runs.values(), key=lambda run: run["created"], reverse=True)
        return RunPage(items=[Run.model_validate(run) for run in newest], next_cursor=None)

    async def submit(self, workflow: str, inputs: dict[str, Any], *, title: str = "") -> Run:
        """Begin to play a run."""
        return await self.run(self._add(title or "Relaxation of silicon", "running"))

    async def run(self, name: str) -> Run:
        """One run."""
        return Run.model_validate(self.runs[name])

    async def inputs(self, name: str) -> dict[str, Any]:
        """What a run was asked for."""
        return {"protocol": "fast"}

    async def outputs(self, name: str) -> dict[str, Any]:
        """What came of it."""
        return {"energy": -310.2841} if self.runs[name]["state"] == "finished" else {}

    async def events(self, name: str, after: int = 0) -> AsyncIterator[Event]:
        """The steps of a run that is played, to its end."""
        run = self.runs[name]
        for step in range(after + 1, STEPS + 1):
            if run["state"] != "running":
                return
            await asyncio.sleep(self.beat)
            energy = round(-310.2841 + 4.0 * 0.5**step, 6)
            data = {"stage": "relax", "step": step, "energy": energy, "energy_unit": "eV"}
            yield Event(seq=step, time=_now(), type="progress", data=data)
        run |= {"state": "finished", "ended": _now(), "summary": {"energy": {"value": -310.2841, "unit": "eV"}}}

    async def cancel(self, name: str) -> Run:
        """End it."""
        self.runs[name] |= {"state": "cancelled", "ended": _now()}
        return await self.run(name)

    async def pause(self, name: str) -> Run:
        """Say that it waits; the steps go on, for this is no service."""
        self.runs[name]["paused"] = True
        return await self.run(name)

    async def resume(self, name: str) -> Run:
        """Say that it goes on."""
        self.runs[name]["paused"] = False
        return await self.run(name)

    async def retry(self, name: str) -> Run:
        """Play it again."""
        return await self.submit("gallery.relax", {}, title=self.runs[name]["title"])

    async def archive(self, name: str, target: Path) -> Path:
        """There is nothing to download but a note."""
        await asyncio.to_thread(target.write_text, "The gallery has no files.\n")
        return target


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
