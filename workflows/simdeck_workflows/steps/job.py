"""``python -m simdeck_workflows.steps.job``: one step, in its working directory, with the app's own Python.

Reads ``call.json``, calls the function, and writes ``result.json`` last and at once: ``{"value": …}``, or ``{"error":
{type, message, bases}}``. No result means that the job was cut off.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from pathlib import Path

from simdeck_workflows.once import once
from simdeck_workflows.steps import reporting
from simdeck_workflows.steps.declare import Step, bases_of
from simdeck_workflows.steps.encode import decoded, dumps

CALL, RESULT = "call.json", "result.json"


def call() -> str:
    """Carry out ``call.json``; return what belongs into ``result.json``."""
    try:
        order = json.loads(Path(CALL).read_text("utf-8"))
        module, _, name = order["function"].partition(":")
        found = getattr(importlib.import_module(module), name)
        if not isinstance(found, Step):
            raise TypeError(f"{order['function']} is not a step")
        values = decoded(order["arguments"])
        known = found.signature.inputs
        return '{"value": ' + dumps(found.function(**{key: known[key].check(values[key]) for key in values})) + "}"
    except Exception as error:
        traceback.print_exc()
        told = {"type": type(error).__name__, "message": str(error)[:2000], "bases": bases_of(error)}
        return dumps({"error": told})


def main() -> None:
    reporting.start()
    with once() as first:
        if first:
            result = call()
            sys.stdout.flush()
            half = Path(f"{RESULT}.tmp")
            half.write_text(result, "utf-8")
            os.replace(half, RESULT)


if __name__ == "__main__":
    main()
