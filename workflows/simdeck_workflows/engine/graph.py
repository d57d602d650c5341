"""The provenance of a run as JSON: its processes, the data they took and made, and how they hang together."""

from __future__ import annotations

from typing import Any

from aiida import orm

from simdeck_workflows.engine import reuse, tree
from simdeck_workflows.engine.values import to_json

_LINK_KINDS = {
    "input_calc": "input",
    "input_work": "input",
    "create": "create",
    "return": "return",
    "call_calc": "call",
    "call_work": "call",
}


def graph_of(node: Any) -> dict[str, Any]:
    """Return ``{nodes, edges}`` of a process, all it called, and the data at both ends of each.

    A node is ``{id, pk, kind, type, label, title?, state?, exit_status?, value?, unit?}`` with ``kind`` one of
    ``workflow``, ``calculation``, ``function``, ``data``, ``code``; processes have a ``title`` for people;
    an edge is ``{source, target, kind, label}`` with ``kind`` one of
    ``input``, ``create``, ``return``, ``call``. Ids are AiiDA's UUIDs.
    """
    nodes: dict[str, dict[str, Any]] = {}
    edges: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    processes = tree.with_descendants(node)
    for process in processes:
        nodes[process.uuid] = _process(process)
    for process in processes:
        for link in process.base.links.get_incoming().all():
            if isinstance(link.node, orm.Data):
                nodes.setdefault(link.node.uuid, _data(link.node))
            if link.node.uuid in nodes:
                _join(edges, link.node.uuid, process.uuid, link)
        for link in process.base.links.get_outgoing(node_class=orm.Data).all():
            nodes.setdefault(link.node.uuid, _data(link.node))
            _join(edges, process.uuid, link.node.uuid, link)
    units = _units(node)
    for edge in edges.values():
        unit = units.get((edge["source"] == node.uuid, edge["label"]))
        data = nodes[edge["target"] if edge["source"] == node.uuid else edge["source"]]
        if unit and node.uuid in (edge["source"], edge["target"]) and "value" in data:
            data["unit"] = unit
    return {"nodes": list(nodes.values()), "edges": list(edges.values())}


def _units(node: Any) -> dict[tuple[bool, str], str]:
    """The units the run's workflow declares, by (is an output, name)."""
    said = tree.declared(node)
    return {
        (is_output, name): str(words["unit"])
        for is_output, group in ((False, "inputs"), (True, "outputs"))
        for name, words in (said.get(group) or {}).items()
        if words.get("unit")
    }


def _join(edges: dict[tuple[str, str, str, str], dict[str, Any]], source: str, target: str, link: Any) -> None:
    kind = _LINK_KINDS[link.link_type.value]
    label = "" if kind == "call" and link.link_label == "CALL" else link.link_label.replace("__", ".")
    edges[source, target, kind, label] = {"source": source, "target": target, "kind": kind, "label": label}


def _process(node: Any) -> dict[str, Any]:
    if isinstance(node, orm.CalcFunctionNode | orm.WorkFunctionNode):
        kind = "function"
    else:
        kind = "workflow" if isinstance(node, orm.WorkflowNode) else "calculation"
    body = {
        "id": node.uuid,
        "pk": node.pk,
        "kind": kind,
        "type": type(node).__name__,
        "label": node.process_label or type(node).__name__,
        "title": tree.title(node),
        "state": tree.state_name(node),
    }
    if (taken := reuse.source(node)) is not None:
        body["reused_from"] = taken
    if node.exit_status is not None:
        body["exit_status"] = node.exit_status
    return body


def _data(node: Any) -> dict[str, Any]:
    code = isinstance(node, orm.AbstractCode)
    body = {
        "id": node.uuid,
        "pk": node.pk,
        "kind": "code" if code else "data",
        "type": type(node).__name__,
        "label": node.label or type(node).__name__,
    }
    if isinstance(node, orm.BaseType):
        value = to_json(node)
        body["value"] = value[:60] if isinstance(value, str) else value
    elif isinstance(node, orm.StructureData):
        body["value"] = node.get_formula()
    return body
