"""What went wrong, and the changes that may cure it. No widget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from simdeck_widgets.failure import words_for


class FailureModel(traitlets.HasTraits):  # type: ignore[misc]
    """A failure as people meet it.

    Parameters
    ----------
    cure
        Called with the inputs that a chosen cure changes.
    """

    problem = traitlets.Dict()
    """problem+json; empty while all is well."""
    cures = traitlets.List()
    """``{"title", "inputs"}``, the likeliest first."""

    def __init__(self, cure: Callable[[dict[str, Any]], None] | None = None, **traits: Any) -> None:
        self._cure = cure
        super().__init__(**traits)

    def see(self, run: Mapping[str, Any]) -> None:
        """Show why a run failed or was refused, with the cures that its workflow names; nothing for any other run."""
        problem = dict(run.get("problem") or {}) if run.get("state") in {"failed", "rejected"} else {}
        with self.hold_trait_notifications():
            self.problem = problem
            self.cures = [dict(one) for one in problem.get("cures") or []]

    def take(self, error: BaseException) -> None:
        """Show an exception of the client."""
        with self.hold_trait_notifications():
            self.problem = words_for(error)
            self.cures = []

    def choose(self, index: int) -> None:
        """Carry out a cure."""
        if 0 <= index < len(self.cures) and self._cure is not None:
            self._cure(dict(self.cures[index].get("inputs") or {}))
