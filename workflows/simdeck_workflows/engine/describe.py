"""``python -m simdeck_workflows.engine.describe --path DIR``: the workflows in a folder of installed packages, as JSON.

The app store runs it with the backend's Python after building an app, so that schemas are known without a worker.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GROUPS = ("aiida.workflows", "aiida.calculations", "simdeck.workflows")


def entry_points(folder: Path) -> Iterator[tuple[str, importlib.metadata.EntryPoint]]:
    """The process and workflow function entry points of the packages installed in ``folder``: (group, entry point)."""
    for distribution in importlib.metadata.distributions(path=[str(folder)]):
        for point in distribution.entry_points:
            if point.group in GROUPS:
                yield point.group, point


def runnable(folder: Path) -> Iterator[tuple[str, Any]]:
    """The process classes that users may run: all work chains, calculations that carry ``SIMDECK``, functions."""
    from aiida.engine import Process

    from simdeck_workflows.steps import Workflow
    from simdeck_workflows.steps.processes import process_of

    for group, point in entry_points(folder):
        found = point.load()
        if isinstance(found, Workflow):
            found = process_of(point.name, found)
        if not (isinstance(found, type) and issubclass(found, Process)):
            continue
        if group != "aiida.calculations" or hasattr(found, "SIMDECK"):
            yield point.name, found


def main() -> None:
    parser = argparse.ArgumentParser(description="Describe the workflows installed in a folder, as JSON.")
    parser.add_argument("--path", required=True, type=Path, help="folder of installed packages")
    folder = parser.parse_args().path.resolve()
    sys.path.insert(0, str(folder))
    # What loading writes to standard output must not mix with the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    with tempfile.TemporaryDirectory(prefix="simdeck-describe-") as scratch:
        # Defaults may be made by functions that make nodes: give them a profile in memory.
        os.environ["AIIDA_PATH"] = scratch
        import warnings

        warnings.filterwarnings("ignore", message="Creating AiiDA configuration folder")
        from aiida import load_profile
        from aiida.storage.sqlite_temp import SqliteTempBackend

        from simdeck_workflows.engine.schema import workflow_of

        load_profile(SqliteTempBackend.create_profile("describe"), allow_switch=True)
        workflows = [workflow_of(name, process) for name, process in runnable(folder)]
        body = {"workflows": [workflow.model_dump(mode="json", by_alias=True) for workflow in workflows]}
    json.dump(body, answer, ensure_ascii=False, indent=1)
    answer.write("\n")


if __name__ == "__main__":
    main()
