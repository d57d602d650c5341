"""A problem+json as the card a person reads: what was wrong, the evidence, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simdeck_common.problems import Problem

from simdeck_deck.pages.views.text import text_of


@dataclass(frozen=True)
class ProblemView:
    """``field`` names the input concerned; ``code`` is for support, shown small."""

    title: str
    detail: str
    remedy: str
    code: str
    field: str | None = None


def problem_view(body: Any) -> ProblemView | None:
    """Return the card for a problem+json body, for a ``Problem``, or None when there is none."""
    if isinstance(body, Problem):
        body = body.to_json()
    if not isinstance(body, dict) or not body:
        return None
    field = body.get("field")
    return ProblemView(
        title=text_of(body, "title", "Something went wrong"),
        detail=text_of(body, "detail"),
        remedy=text_of(body, "remedy"),
        code=text_of(body, "code", "unexpected"),
        field=field if isinstance(field, str) else None,
    )


def waiting_view(status: Any) -> ProblemView | None:
    """Return the notice that runs wait because their worker does not start; None when it does, or is not needed.

    ``status`` is the agent's ``/status``: ``{worker: {state, reason}}``.
    """
    worker = status.get("worker") if isinstance(status, dict) else None
    if not isinstance(worker, dict) or worker.get("state") != "failing":
        return None
    reason = text_of(worker, "reason", "it gives no reason").strip().rstrip(".")
    return ProblemView(
        title="Runs are waiting",
        detail=f"The process that carries them out does not start: {reason}.",
        remedy="Nothing is lost: it is tried again by itself, and your runs start as soon as it is there. If this "
        "stays, ask your administrator, who finds the cause in workflows/worker.log of your data folder.",
        code="worker-unavailable",
    )
