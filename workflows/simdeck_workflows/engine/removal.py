"""Deleting a run: what would go, and its going. Nodes first, then working directories; the run's own record is last.

What another run still needs does not go: codes, and data that other processes took. A deletion that was cut short is
finished by asking for it again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiida import orm
from simdeck_common.problems import Problem

from simdeck_workflows.engine import tree

_MOST_KEPT = 50
_MOST_USERS = 5


def preview(node: Any, scratch: Iterable[Path]) -> dict[str, Any]:
    """What deleting the run of this process takes away.

    ``{nodes, files, size, folders, scratch, kept}``: nodes of the provenance, files in them and their bytes, working
    directories and their bytes; what the run used and what stays all the same.

    Raises
    ------
    Problem
        ``run-in-use``: another run's processes used results of this one.
    """
    pks = _nodes(node)
    files = size = 0
    for found in _load(pks):
        count, taken = _repository(found)
        files, size = files + count, size + taken
    folders = _folders(node, scratch)
    return {
        "nodes": len(pks),
        "files": files,
        "size": size,
        "folders": len(folders),
        "scratch": sum(size_of(folder) for folder in folders),
        "kept": _kept(node, pks),
    }


def remove(node: Any, scratch: Iterable[Path]) -> None:
    """Delete nodes and working directories. Raises ``run-in-use`` before anything is touched."""
    pks = _nodes(node)
    for folder in _folders(node, scratch):
        shutil.rmtree(folder, ignore_errors=True)
    from aiida.tools import delete_nodes

    delete_nodes(pks, dry_run=False)


def size_of(folder: Path) -> int:
    """Bytes that a folder takes on the disk, links not followed; what cannot be looked at counts nothing."""
    total = 0
    for place, _, names in os.walk(folder, onerror=lambda _: None):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total


def _nodes(node: Any) -> set[int]:
    processes = tree.with_descendants(node)
    mine = {process.pk for process in processes}
    start = mine | {data.pk for data in _own_data(processes, mine)}
    # A heavy package that a worker mostly never needs.
    from aiida.tools import delete_nodes
    from aiida.tools.graph.deletions import DELETE_LOGGER

    DELETE_LOGGER.setLevel(logging.WARNING)
    pks, _ = delete_nodes(start, dry_run=True)
    builder = orm.QueryBuilder().append(orm.ProcessNode, filters={"id": {"in": pks - mine}}, project="label")
    if strangers := (pks - mine and builder.all(flat=True)):
        raise Problem("run-in-use", others=", ".join(sorted({label[:8] for label in strangers if label})) or "others")
    return set(pks)


def _kept(node: Any, pks: set[int]) -> list[dict[str, Any]]:
    """Codes and data that the run's processes took and that do not go, with a few of the runs that use the data."""
    found: dict[int, dict[str, Any]] = {}
    for process in tree.with_descendants(node):
        for link in process.base.links.get_incoming(node_class=orm.Data).all():
            data = link.node
            if data.pk in pks or data.pk in found:
                continue
            if isinstance(data, orm.AbstractCode):
                found[data.pk] = {"kind": "code", "name": data.full_label}
            elif len(found) < _MOST_KEPT:
                found[data.pk] = {"kind": "data", "name": link.link_label, "runs": _users(data, pks)}
    return sorted(found.values(), key=lambda one: (one["kind"], one["name"]))


def _users(data: Any, pks: set[int]) -> list[str]:
    """The runs beside this one that took or gave some data."""
    links = data.base.links.get_outgoing(node_class=orm.ProcessNode).all()
    links += data.base.links.get_incoming(node_class=orm.ProcessNode).all()
    found: dict[str, None] = {}
    for link in links:
        root = link.node
        if root.pk in pks:
            continue
        while root.caller is not None:
            root = root.caller
        if root.label:
            found[str(root.label)] = None
        if len(found) == _MOST_USERS:
            break
    return list(found)


def _own_data(processes: Iterable[Any], mine: set[int]) -> list[Any]:
    """Data without a maker that these processes alone took or gave: what a calculation made goes with it anyway."""
    found: dict[int, Any] = {}
    for process in processes:
        near = [*process.base.links.get_incoming(node_class=orm.Data).all()]
        near += process.base.links.get_outgoing(node_class=orm.Data).all()
        for data in {link.node.pk: link.node for link in near}.values():
            if data.pk in found or isinstance(data, orm.AbstractCode) or data.creator is not None:
                continue
            links = [*data.base.links.get_outgoing(node_class=orm.ProcessNode).all()]
            links += data.base.links.get_incoming(node_class=orm.ProcessNode).all()
            if {link.node.pk for link in links} <= mine and not _in_a_group(data):
                found[data.pk] = data
    return list(found.values())


def _in_a_group(data: Any) -> bool:
    builder = (
        orm.QueryBuilder().append(orm.Node, filters={"id": data.pk}, tag="node").append(orm.Group, with_node="node")
    )
    return bool(builder.count())


def _load(pks: set[int]) -> list[Any]:
    return list(orm.QueryBuilder().append(orm.Node, filters={"id": {"in": pks}}).all(flat=True)) if pks else []


def _repository(node: Any) -> tuple[int, int]:
    count = size = 0
    for folder, _, names in node.base.repository.walk():
        for name in names:
            count += 1
            size += node.base.repository.get_object_size(str(folder / name))
    return count, size


def _folders(node: Any, scratch: Iterable[Path]) -> list[Path]:
    """The working directories of the run's calculations, as far as they lie where ours do."""
    roots = [root.resolve() for root in scratch]
    found = []
    for job in tree.calculations(node):
        path = tree.work_directory(job)
        if path is None or job.base.caching.is_created_from_cache:
            # A copy's directory is the original's.
            continue
        resolved = path.resolve()
        if any(resolved != root and resolved.is_relative_to(root) for root in roots) and resolved.is_dir():
            found.append(resolved)
    return found
