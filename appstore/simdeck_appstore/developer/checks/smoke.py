"""The app's own smoke workflow: started as a person would start it, waited for, its end looked at."""

from __future__ import annotations

import time
from typing import Any

import httpx
from simdeck_common.problems import Problem

from simdeck_appstore.developer.local_deck import LocalDeck
from simdeck_appstore.manifest import Smoke

ASKED_SECONDS = 0.5


def run(deck: LocalDeck, smoke: Smoke) -> float:
    """Run it and return the seconds it took.

    Raises
    ------
    Problem
        ``smoke-fails``.
    """
    began = time.monotonic()
    deadline = began + smoke.seconds
    transport = httpx.HTTPTransport(uds=str(deck.home.agent_socket))
    with httpx.Client(transport=transport, base_url="http://agent", timeout=30) as client:
        body = {"workflow": smoke.workflow, "inputs": smoke.inputs, "title": "Smoke test"}
        answer = _answer(client, deck, "POST", "/runs", deadline, json=body)
        while answer["state"] in ("accepted", "running"):
            if time.monotonic() > deadline:
                raise Problem("smoke-fails", workflow=smoke.workflow, reason=f"it did not end within {smoke.seconds} s")
            time.sleep(ASKED_SECONDS)
            answer = _answer(client, deck, "GET", f"/runs/{answer['id']}", deadline)
    if answer["state"] != "finished":
        problem = answer.get("problem") or {}
        reason = str(problem.get("detail") or f"it ended as {answer['state']}").rstrip(".")
        raise Problem("smoke-fails", workflow=smoke.workflow, reason=reason[:400])
    return time.monotonic() - began


def _answer(
    client: httpx.Client, deck: LocalDeck, method: str, path: str, deadline: float, **more: object
) -> dict[str, Any]:
    """Return the agent's answer; one that is still starting is asked again."""
    while True:
        try:
            answer = client.request(method, path, **more)  # type: ignore[arg-type]
        except httpx.TransportError:
            if time.monotonic() > deadline or deck.agent is None or deck.agent.poll() is not None:
                reason = f"the workflow backend does not answer ({deck.last_line('agent.log')})"
                raise Problem("smoke-fails", workflow="", reason=reason) from None
            time.sleep(ASKED_SECONDS)
            continue
        if answer.is_error:
            said = answer.json()
            raise Problem("smoke-fails", workflow="", reason=str(said.get("detail", answer.status_code)).rstrip("."))
        return dict(answer.json())
