"""The work chain classes of the workflow functions that apps name as entry points, made when they are asked for.

Checkpoints and provenance name them as ``simdeck_workflows.steps.processes.<name>``; only what an installed app
declares is found here.
"""

from __future__ import annotations

import importlib.metadata
import re
from typing import Any

from simdeck_workflows.steps.chain import StepsWorkChain
from simdeck_workflows.steps.declare import Workflow

GROUP = "simdeck.workflows"


def class_name(name: str) -> str:
    """How the class of the entry point ``name`` is called: ``toy.scan`` becomes ``toy__scan``."""
    return re.sub(r"\W", "_", name.replace(".", "__"))


def process_class(name: str) -> Any:
    """The class of the entry point ``name``; None where no installed app has such a workflow function."""
    return _find(class_name(name))


def process_of(name: str, workflow: Workflow[..., Any]) -> Any:
    """The class of a workflow function that was found under the entry point ``name``."""
    called = class_name(name)
    if called not in globals():
        body = {
            "WORKFLOW": workflow,
            "SIMDECK": workflow.SIMDECK,
            "__module__": __name__,
            "__doc__": workflow.__doc__,
        }
        globals()[called] = type(called, (StepsWorkChain,), body)
    return globals()[called]


def __getattr__(called: str) -> Any:
    found = None if called.startswith("__") else _find(called)
    if found is None:
        raise AttributeError(called)
    return found


def _find(called: str) -> Any:
    if called not in globals():
        for point in importlib.metadata.entry_points(group=GROUP):
            if class_name(point.name) == called and isinstance(found := point.load(), Workflow):
                return process_of(point.name, found)
        return None
    return globals()[called]
