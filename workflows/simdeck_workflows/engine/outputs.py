"""What a run has produced: outputs by name, headline results, files, log lines, the reason of a failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from aiida import orm
from simdeck_common.problems import Problem

from simdeck_workflows.engine import slurm_ends, tree
from simdeck_workflows.engine.schema import notes_of
from simdeck_workflows.engine.values import files_of, to_json
from simdeck_workflows.models import FileEntry, RunState


@dataclass(frozen=True)
class Location:
    """Where a file of a run lies: which node, and the path in its repository."""

    entry: FileEntry
    node: Any
    inner: str


def outputs(node: Any) -> dict[str, Any]:
    """The outputs of a process by name (namespaces nested), as JSON."""
    found: dict[str, Any] = {}
    for label, data in _output_nodes(node):
        *spaces, name = label.split("__")
        place = found
        for space in spaces:
            place = place.setdefault(space, {})
        value = to_json(data)
        if isinstance(data, orm.SinglefileData):
            value["path"] = f"outputs/{label}/{data.filename}"
        elif isinstance(data, orm.FolderData):
            for entry in value["files"]:
                entry["path"] = f"outputs/{label}/{entry['path']}"
        place[name] = value
    return found


def summary(values: Mapping[str, Any], process: Any) -> dict[str, Any]:
    """The headline results: ``{name: {"title", "value", "unit"}}``. A name may reach into a Dict: ``thermo.gibbs``."""
    notes = notes_of(process)
    found = {}
    for name in notes.get("headline", []):
        value: Any = values
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None and not isinstance(value, Mapping | list):
            note = notes.get("outputs", {}).get(name, {})
            found[name] = {"title": note.get("title", name), "value": value, "unit": note.get("unit")}
    return found


def ending(node: Any) -> tuple[RunState, dict[str, Any] | None]:
    """The state in which a terminated process leaves its run, and the problem if it is one."""
    if node.is_finished_ok:
        return RunState.FINISHED, None
    if node.is_killed:
        return RunState.CANCELLED, None
    if node.is_finished:
        if (cause := slurm_ends.cause(node)) is not None:
            return RunState.FAILED, cause.to_json()
        message = (node.exit_message or f"exit status {node.exit_status}").rstrip(".")
        problem = Problem("calculation-failed", message=f"{message}.").to_json()
        if found := cures(node):
            problem["cures"] = found
        return RunState.FAILED, problem
    error = (node.exception or "an unknown error").strip().splitlines()[-1]
    return RunState.FAILED, Problem("workflow-crashed", message=error).to_json()


def cures(node: Any) -> list[dict[str, Any]]:
    """What the workflow's author says helps against the exit status: ``[{title, inputs}]``, inputs to retry with.

    ``SIMDECK["cures"] = {310: [{"title": "Twice the steps", "scale": {"steps": 2}, "inputs": {"mixing": 0.3}}]}``:
    ``inputs`` are values, ``scale`` are factors of what the run had, up to the input's declared maximum.
    """
    declared = tree.declared(node)
    said, limits = declared.get("cures") or {}, declared.get("inputs") or {}
    inputs = {link.link_label: link.node for link in node.base.links.get_incoming(node_class=orm.Data).all()}
    found = []
    for cure in said.get(node.exit_status) or ():
        values = dict(cure.get("inputs") or {})
        for name, factor in (cure.get("scale") or {}).items():
            had = inputs.get(name)
            if isinstance(had, orm.Int | orm.Float):
                wanted = round(had.value * factor) if isinstance(had, orm.Int) else had.value * factor
                most = (limits.get(name) or {}).get("maximum", wanted)
                if min(wanted, most) != had.value:
                    values[name] = min(wanted, most)
        if values:
            found.append({"title": str(cure.get("title") or "Try other inputs"), "inputs": values})
    return found


def files(node: Any) -> list[Location]:
    """The files of a run: those of its outputs, then what each of its calculations left."""
    found = []
    taken = set()
    for label, data in _output_nodes(node):
        if isinstance(data, orm.SinglefileData | orm.FolderData) and data.uuid not in taken:
            taken.add(data.uuid)
            found += _locations(f"outputs/{label}", data)
    for number, job in enumerate(tree.calculations(node), start=1):
        if "retrieved" in job.outputs:
            found += _locations(f"calculations/{number}-{job.process_label}", job.outputs.retrieved)
    return found


def input_files(node: Any) -> list[Location]:
    """The files among the inputs of a run's process."""
    found = []
    for link in node.base.links.get_incoming(node_class=orm.Data).all():
        if isinstance(link.node, orm.SinglefileData | orm.FolderData):
            found += _locations(f"inputs/{link.link_label}", link.node)
    return found


def _locations(folder: str, data: Any) -> list[Location]:
    found = []
    for inner, size in files_of(data):
        path = str(PurePosixPath(folder) / inner)
        found.append(Location(FileEntry(path=path, size=size, node=data.uuid), data, inner))
    return found


def log(node: Any) -> str:
    """What the processes of a run reported, and what the scheduler's output and error files say."""
    lines = []
    for process in tree.with_descendants(node):
        for entry in orm.Log.collection.get_logs_for(process):
            lines.append((entry.time, f"{entry.time:%Y-%m-%d %H:%M:%S} {entry.levelname:<7} {entry.message}"))
    parts = [text for _time, text in sorted(lines, key=lambda item: item[0])]
    for number, job in enumerate(tree.calculations(node), start=1):
        for title, text in (("output", job.get_scheduler_stdout()), ("error output", job.get_scheduler_stderr())):
            if text and text.strip():
                parts += ["", f"--- {title} of calculation {number} ({job.process_label}) ---", text.rstrip()]
    return "\n".join(parts) + "\n" if parts else ""


def _output_nodes(node: Any) -> Iterator[tuple[str, Any]]:
    from aiida.common.links import LinkType

    kinds = (LinkType.CREATE, LinkType.RETURN)
    for link in node.base.links.get_outgoing(node_class=orm.Data, link_type=kinds).all():
        yield link.link_label, link.node
