"""A run as one zip file: what went in, what came out, how, and a page that says what is what."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simdeck_workflows.drawing import draw
from simdeck_workflows.engine import outputs
from simdeck_workflows.engine.graph import graph_of
from simdeck_workflows.models import Run

README = """{title}

Workflow   {workflow}
App        {app} {version}
Run        {id}
State      {state}
Submitted  {created}
Started    {started}
Ended      {ended}
{problem}
inputs/       the inputs as submitted (inputs.json; submit them again to repeat the run) and their files
outputs.json  the results by name
files/        result files, and what each calculation wrote
graph.json    the provenance: each step with the data it took and made
graph.svg     the same as a drawing
log.txt       what the workflow and its calculations reported
run.json      this run's record

Energies, lengths and other quantities carry their units in the app's description of the workflow.
AiiDA process: {process}
"""


def write_archive(target: Path, run: Run, inputs: Mapping[str, Any], values: Mapping[str, Any], node: Any) -> None:
    """Write the zip file ``target``. ``node`` may be None: a run that never had a process."""
    graph = {"nodes": [], "edges": []} if node is None else graph_of(node)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _readme(run))
        archive.writestr("run.json", run.model_dump_json(indent=1))
        archive.writestr("inputs/inputs.json", _json(inputs))
        archive.writestr("outputs.json", _json(values))
        archive.writestr("graph.json", _json(graph))
        archive.writestr("graph.svg", draw(graph, run.title))
        for name, value in inputs.items():
            if isinstance(value, Mapping) and "name" in value and "content" in value:
                archive.writestr(f"inputs/{name}/{Path(str(value['name'])).name}", str(value["content"]))
        if node is None:
            return
        archive.writestr("log.txt", outputs.log(node))
        for place in outputs.files(node):
            with (
                place.node.base.repository.open(place.inner, "rb") as source,
                archive.open(f"files/{place.entry.path}", "w", force_zip64=True) as copy,
            ):
                shutil.copyfileobj(source, copy)


def _readme(run: Run) -> str:
    body = run.model_dump(mode="json")
    problem = f"\n{run.problem['title']}: {run.problem['detail']}\n" if run.problem else ""
    return README.format(**{**body, "version": run.app_version, "problem": problem})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
