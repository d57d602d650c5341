"""What to cite for a run: methods its app names, codes, plug-ins, pseudopotentials, the engine."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

from aiida import __version__ as aiida_version
from aiida import orm

from simdeck_workflows.engine import tree

ENGINE = [
    {
        "kind": "engine",
        "text": "S. P. Huber et al., AiiDA 1.0, a scalable computational infrastructure for automated reproducible "
        "workflows and data provenance, Scientific Data 7, 300 (2020)",
        "doi": "10.1038/s41597-020-00638-4",
    },
    {
        "kind": "engine",
        "text": "M. Uhrin et al., Workflows in AiiDA: Engineering a high-throughput, event-based engine for robust and "
        "modular computational workflows, Computational Materials Science 187, 110086 (2021)",
        "doi": "10.1016/j.commatsci.2020.110086",
    },
]


def citations(node: Any, version: Path) -> list[dict[str, Any]]:
    """``[{kind, text, doi?, version?}]`` with kinds ``method``, ``code``, ``plugin``, ``data``, ``engine``.

    Parameters
    ----------
    node
        The run's process, or None.
    version
        Folder of the installed version of the app, whose ``app.json`` names what its methods are to be cited with.
    """
    found = [{"kind": "method", **one} for one in _of_app(version / "app.json")]
    if node is not None:
        found += _of_processes(tree.with_descendants(node))
    engine = [{**one, "version": aiida_version} for one in ENGINE]
    return list({(one["kind"], one["text"]): one for one in [*found, *engine]}.values())


def _of_app(record: Path) -> list[dict[str, Any]]:
    try:
        listed = json.loads(record.read_bytes()).get("citations") or []
    except (OSError, ValueError, AttributeError):
        return []
    return [
        {"text": str(one["text"])} | ({"doi": str(one["doi"])} if one.get("doi") else {})
        for one in listed
        if isinstance(one, dict) and one.get("text")
    ]


def _of_processes(processes: list[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for process in processes:
        plugin = (process.process_type or "").partition(":")[2].partition(".")[0]
        for name in (f"aiida-{plugin}", plugin) if plugin else ():
            try:
                found.append({"kind": "plugin", "text": name, "version": metadata.version(name)})
                break
            except metadata.PackageNotFoundError:
                continue
        for link in process.base.links.get_incoming(node_class=orm.Data).all():
            data = link.node
            if isinstance(data, orm.AbstractCode):
                found.append({"kind": "code", "text": data.description or data.label})
            elif link.link_label == "origin" and isinstance(data, orm.Dict) and data.get_dict().get("text"):
                # Where a structure was taken from: a database's entry, as an app's input says it.
                told = data.get_dict()
                found.append(
                    {"kind": "data", "text": str(told["text"])} | ({"url": str(told["url"])} if told.get("url") else {})
                )
            elif type(data).__name__.endswith(("UpfData", "PseudoPotentialData")):
                text = f"Pseudopotential of {getattr(data, 'element', '?')}: {getattr(data, 'filename', data.label)}"
                found.append({"kind": "data", "text": f"{text} (md5 {getattr(data, 'md5', '?')})"})
    return found
