"""What Schemathesis is told of a Simdeck, as a module of its own process: whose token, and which things there are.

``API_TOKEN``, ``API_THINGS`` (JSON: values by the name of the path's parameter) and ``API_COSTLY`` come from the test.
"""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis

THINGS = json.loads(os.environ["API_THINGS"])
COSTLY = os.environ.get("API_COSTLY") == "1"


def real(method: str, path: str, name: str) -> bool:
    """Say whether this operation may be asked for the real thing that the parameter ``name`` names."""
    if method == "DELETE":
        # All later requests would find nothing.
        return False
    # An installation or a run for each request takes minutes in all.
    return COSTLY or method == "GET" or not (name == "app" or path.endswith("/retry"))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Ask as the person, and mostly for things there are: ids that are made up reach nothing."""
    case.headers["Authorization"] = f"Bearer {os.environ['API_TOKEN']}"
    given = case.path_parameters or {}
    named = {name: THINGS[name] for name in given if name in THINGS and real(case.method.upper(), case.path, name)}
    if named and len(repr(given)) % 3:
        given.update(named)
