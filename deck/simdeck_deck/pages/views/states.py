"""The words, icon and tone of each state. A state never speaks by colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StateView:
    """``tone`` picks the colour (neutral, wait, busy, good, bad); ``icon`` is a symbol of icons.svg."""

    key: str
    label: str
    icon: str
    tone: str
    active: bool


RUN_STATES = {
    "accepted": StateView("accepted", "Waiting", "clock", "wait", True),
    "running": StateView("running", "Running", "running", "busy", True),
    "finished": StateView("finished", "Finished", "check", "good", False),
    "failed": StateView("failed", "Failed", "alert", "bad", False),
    "cancelled": StateView("cancelled", "Cancelled", "stop", "neutral", False),
    "rejected": StateView("rejected", "Inputs refused", "alert", "bad", False),
}

TASK_STATES = {
    "queued": StateView("queued", "Waiting", "clock", "wait", True),
    "running": StateView("running", "Working", "running", "busy", True),
    "done": StateView("done", "Done", "check", "good", False),
    "failed": StateView("failed", "Failed", "alert", "bad", False),
    "cancelled": StateView("cancelled", "Cancelled", "stop", "neutral", False),
}

SERVER_STATES = {
    "stopped": StateView("stopped", "Stopped", "stop", "neutral", False),
    "starting": StateView("starting", "Starting", "running", "busy", True),
    "running": StateView("running", "Running", "check", "good", False),
    "stopping": StateView("stopping", "Stopping", "running", "busy", True),
    "unknown": StateView("unknown", "Not known", "alert", "neutral", False),
}

PROCESS_STATES = {
    "created": StateView("created", "Waiting", "clock", "wait", True),
    "waiting": StateView("waiting", "Running", "running", "busy", True),
    "running": StateView("running", "Running", "running", "busy", True),
    "finished": StateView("finished", "Done", "check", "good", False),
    "excepted": StateView("excepted", "Failed", "alert", "bad", False),
    "killed": StateView("killed", "Cancelled", "stop", "neutral", False),
}

PAUSED = StateView("paused", "Paused", "pause", "wait", True)
CANCELLING = StateView("cancelling", "Being cancelled", "stop", "wait", True)


def run_state(run: Mapping[str, Any]) -> StateView:
    """Return a run's state; one that is paused, or is being cancelled, says so instead of running or waiting."""
    state = _known(RUN_STATES, run.get("state"))
    if state.active and run.get("cancelling") is True:
        return CANCELLING
    return PAUSED if state.active and run.get("paused") is True else state


def task_state(task: Mapping[str, Any]) -> StateView:
    """Return an install task's state."""
    return _known(TASK_STATES, task.get("state"))


def process_state(step: Mapping[str, Any]) -> StateView:
    """Return the state of an AiiDA process in a run; one that finished with an exit status has failed."""
    key = str(step.get("state", "")).lower()
    if key == "finished" and step.get("exit_status"):
        return PROCESS_STATES["excepted"]
    return _known(PROCESS_STATES, key)


def server_state(server: Mapping[str, Any]) -> StateView:
    """Return the Jupyter server's state."""
    return _known(SERVER_STATES, server.get("state"))


def _known(table: Mapping[str, StateView], key: Any) -> StateView:
    """Return the entry of ``key``; a state from a newer agent is shown by its own name."""
    if isinstance(key, str) and key in table:
        return table[key]
    return StateView(str(key or "unknown"), str(key or "Not known").capitalize(), "alert", "neutral", False)
