"""What went wrong, with what to do next; and warnings about a result."""

from __future__ import annotations

from typing import Any

import traitlets
from simdeck_common.problems import Problem

from simdeck_widgets.base import View, script, style


class ProblemCard(View):
    """Shows ``problem`` (problem+json;

    Empty: nothing), else ``warnings``. ``action`` names a button (action ``action``).
    """

    _esm = script("problem")
    _css = style()
    problem = traitlets.Dict().tag(sync=True)
    warnings = traitlets.List(traitlets.Unicode()).tag(sync=True)
    heading = traitlets.Unicode("Please note").tag(sync=True)
    action = traitlets.Unicode().tag(sync=True)


UNREACHABLE: dict[str, Any] = {
    "code": "unreachable",
    "title": "The service does not answer",
    "detail": "Your runs cannot be reached at the moment. Nothing you typed is lost, and runs go on without this page.",
    "remedy": "Try again in a moment; if it stays so, tell your administrator.",
}


def words_for(error: BaseException) -> dict[str, Any]:
    """Return what to show a person for an exception of the client."""
    if isinstance(error, Problem):
        return error.to_json()
    name = type(error).__module__.partition(".")[0]
    if name == "httpx" or isinstance(error, OSError | TimeoutError):
        return dict(UNREACHABLE)
    return {
        "code": "unexpected",
        "title": "Something went wrong on this page",
        "detail": f"{type(error).__name__}: {error}",
        "remedy": "Reload the page; your runs are not affected. If it comes back, tell the app's developer.",
    }
