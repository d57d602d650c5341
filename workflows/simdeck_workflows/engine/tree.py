"""Finding the processes of a run in AiiDA's database. A run's process carries the run's id as its label."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiida import orm


def processes_labelled(labels: Iterable[str]) -> dict[str, Any]:
    """Process nodes by label, for those of ``labels`` that exist."""
    wanted = list(labels)
    if not wanted:
        return {}
    builder = orm.QueryBuilder().append(orm.ProcessNode, filters={"label": {"in": wanted}}, project=["label", "*"])
    return dict(builder.all())


def active_processes() -> list[Any]:
    """All unfinished process nodes of the profile, oldest first; also those that somebody else submitted."""
    return [node for node in open_processes() if not node.is_terminated]


def open_processes() -> list[Any]:
    """All process nodes that are not sealed, oldest first: the unfinished, and those whose end a crash cut short."""
    # Not by state: a node is stored with none, and its first is written afterwards; a crash may come between the two.
    filters = {"attributes": {"!has_key": orm.ProcessNode.SEALED_KEY}}
    builder = orm.QueryBuilder().append(orm.ProcessNode, filters=filters, project="*").order_by({orm.ProcessNode: "id"})
    return list(builder.all(flat=True))


def with_descendants(node: Any) -> list[Any]:
    """The process and all it called, directly or not, parents before children."""
    found = [node]
    for parent in found:
        found.extend(sorted(parent.called, key=lambda child: child.pk))
    return found


def as_they_happen(nodes: Iterable[Any]) -> list[Any]:
    """Processes in the order they entered their present states: begun parents first, then ended children first."""
    found = list(nodes)
    ended = [node for node in found if node.is_terminated]
    return [node for node in found if not node.is_terminated] + sorted(ended, key=lambda node: (-_depth(node), node.pk))


def _depth(node: Any) -> int:
    depth = 0
    while (node := node.caller) is not None:
        depth += 1
    return depth


def calculations(node: Any) -> list[Any]:
    """The calculation jobs among a process and its descendants, oldest first."""
    return [process for process in with_descendants(node) if isinstance(process, orm.CalcJobNode)]


def work_directory(calculation: Any) -> Path | None:
    """Where a calculation job runs, or None while it has no directory."""
    path = calculation.get_remote_workdir()
    return Path(path) if path else None


def state_name(node: Any) -> str:
    """``created``, ``waiting``, ``running``, ``finished``, ``excepted`` or ``killed``."""
    state = node.process_state
    return "created" if state is None else str(state.value)


def title(node: Any) -> str:
    """What a process is called for people.

    The run's own process has its workflow's title (its label is the run's id), a step its label; a function without
    one is called by its name in words, and anything else by its class.
    """
    if node.caller is None:
        said = declared(node).get("title")
        if said:
            return str(said)
    elif node.label and node.label != node.process_label:
        # AiiDA labels a function's process with the function's name, which is not a title.
        return str(node.label)
    name = node.process_label or type(node).__name__
    words = name.strip("_").replace("_", " ")
    return words[:1].upper() + words[1:] if isinstance(node, orm.CalcFunctionNode | orm.WorkFunctionNode) else name


def declared(node: Any) -> dict[str, Any]:
    """The ``SIMDECK`` attribute of a process's class; empty where the class is not there any more."""
    # Anything but an entry point is a module's name, and a node that was taken in from elsewhere may name any module.
    # This module of ours finds what entry points of installed apps declare, and nothing else.
    kind = node.process_type or ""
    if ":" not in kind and not kind.startswith("simdeck_workflows.steps.processes."):
        return {}
    try:
        found = getattr(node.process_class, "SIMDECK", None)
    except ValueError:
        return {}
    return dict(found) if isinstance(found, dict) else {}
