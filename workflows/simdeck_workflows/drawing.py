"""A provenance graph as an SVG drawing: layers from top to bottom in the order data flows. Pure text work, no AiiDA.

The drawing carries a title and a description for those who do not see it, takes its text colour from the page it is put
into, and knows light and dark where it stands alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, HEIGHT = 168, 44
GAP_X, GAP_Y = 24, 52
MARGIN = 20
_SWEEPS = 8
_LABEL_LETTERS = 24
_SMALL_LETTERS = 29
# Which of a data node's links names it best: what the workflow calls its result, what made it, what took it.
_NAMING = ("return", "create", "input")

_STYLE = """
.simdeck-graph{color:#1b1f24;color-scheme:light dark;font:12px system-ui,sans-serif}
@media (prefers-color-scheme:dark){svg.simdeck-graph:root{background:#16191d}.simdeck-graph{color:#e6e8eb}}
.simdeck-graph .box{stroke:currentColor;stroke-width:1.2;fill:currentColor;fill-opacity:.06}
.simdeck-graph .workflow .box{fill-opacity:.16;stroke-width:1.8}
.simdeck-graph .calculation .box{fill:#2f7de1;fill-opacity:.22}
.simdeck-graph .code .box{stroke-dasharray:2 3}
.simdeck-graph .bad .box{stroke:#d1342f;stroke-width:2.4}
.simdeck-graph .edge{fill:none;stroke:currentColor;stroke-opacity:.55}
.simdeck-graph .call{stroke-dasharray:5 4}
.simdeck-graph .return{stroke-dasharray:1 3}
.simdeck-graph text{fill:currentColor;text-anchor:middle}
.simdeck-graph .small{font-size:10px;fill-opacity:.75}
.simdeck-graph .tip{fill:currentColor;fill-opacity:.7}
"""


@dataclass(frozen=True)
class Place:
    """Where a node's box lies: its layer, and its top left corner in pixels."""

    layer: int
    x: float
    y: float


def layout(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, Place]:
    """Place nodes in layers so that edges point down, and order each layer to have few crossings.

    An edge that would close a circle (a workflow that returns one of its inputs) does not count for the layers.
    """
    down = _without_circles(nodes, edges)
    layers: dict[str, int] = {}
    above: dict[str, list[str]] = defaultdict(list)
    below: dict[str, list[str]] = defaultdict(list)
    for source, target in down:
        above[target].append(source)
        below[source].append(target)
    for node in _in_order(nodes, above):
        layers[node] = max((layers[parent] + 1 for parent in above[node]), default=0)
    # Inputs go right above what takes them, not all to the very top.
    for node in nodes:
        if not above[node] and below[node]:
            layers[node] = min(layers[child] for child in below[node]) - 1
    rows: dict[int, list[str]] = defaultdict(list)
    for node in nodes:
        rows[layers[node]].append(node)
    _order(rows, above, below)
    widest = max((len(row) for row in rows.values()), default=0)
    places = {}
    for number, layer in enumerate(sorted(rows)):
        row = rows[layer]
        start = MARGIN + (widest - len(row)) * (WIDTH + GAP_X) / 2
        for column, node in enumerate(row):
            places[node] = Place(number, start + column * (WIDTH + GAP_X), MARGIN + number * (HEIGHT + GAP_Y))
    return places


def draw(graph: Mapping[str, Any], title: str) -> str:
    """Return the graph (``{nodes, edges}`` as the API gives it) as an SVG document."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    places = layout(list(nodes), [(edge["source"], edge["target"]) for edge in graph["edges"]])
    width = max((place.x + WIDTH for place in places.values()), default=WIDTH) + MARGIN
    height = max((place.y + HEIGHT for place in places.values()), default=HEIGHT) + MARGIN
    steps = [node for node in nodes.values() if "state" in node]
    description = f"Provenance graph: {len(steps)} processes and {len(nodes) - len(steps)} data nodes. " + "; ".join(
        f"{node.get('title') or node['label']} is {node['state']}" for node in steps
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="simdeck-graph" role="img" aria-labelledby="sd-t sd-d" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">',
        f'<title id="sd-t">{escape(title)}</title>',
        f'<desc id="sd-d">{escape(description)}.</desc>',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="sd-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
    ]
    parts += [_edge(edge, places) for edge in graph["edges"]]
    names = _names(graph)
    parts += [_node(node, places[key], names.get(key, "")) for key, node in nodes.items()]
    return "\n".join([*parts, "</svg>\n"])


def _edge(edge: Mapping[str, Any], places: Mapping[str, Place]) -> str:
    source, target = places[edge["source"]], places[edge["target"]]
    x1, x2 = source.x + WIDTH / 2, target.x + WIDTH / 2
    if target.layer > source.layer:
        y1, y2 = source.y + HEIGHT, target.y
        bend = (y2 - y1) / 2
        path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    else:
        y1, y2 = source.y, target.y + HEIGHT
        side = max(x1, x2) + WIDTH / 2 + GAP_X / 2
        path = f"M{x1:.1f} {y1:.1f}C{side:.1f} {y1:.1f} {side:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    label = f"<title>{escape(edge['kind'])} {escape(edge['label'])}</title>"
    return f'<path class="edge {escape(edge["kind"])}" d="{path}" marker-end="url(#sd-tip)">{label}</path>'


def _names(graph: Mapping[str, Any]) -> dict[str, str]:
    """A name for each data node: the label of the link that says best what it is."""
    found: dict[str, tuple[int, str]] = {}
    for edge in graph["edges"]:
        if edge["kind"] in _NAMING and edge["label"]:
            data = edge["source"] if edge["kind"] == "input" else edge["target"]
            rank = _NAMING.index(edge["kind"])
            if data not in found or rank < found[data][0]:
                found[data] = (rank, edge["label"])
    return {data: name for data, (_rank, name) in found.items()}


def words_of(node: Mapping[str, Any], name: str = "") -> tuple[str, str]:
    """The two lines in a node's box: ``("charge = 0 e", "Int")``, ``("Optimisation", "XtbCalculation · finished")``.

    ``name`` is what the node's links call it. A value that does not fit beside the name takes the second line.
    """
    if "state" in node:
        title = str(node.get("title") or node["label"])
        state = f"exit status {node['exit_status']}" if node.get("exit_status") else str(node["state"])
        return title, state if title == node["label"] else f"{node['label']} · {state}"
    if node["kind"] == "code" or not name:
        return str(node["label"]), str(node["type"] if node.get("value") is None else shown(node["value"]))
    if node.get("value") is None:
        return name, str(node["type"])
    value = shown(node["value"]) + (
        f" {node['unit']}" if node.get("unit") and not isinstance(node["value"], str) else ""
    )
    together = f"{name} = {value}"
    if node["type"] != "StructureData" and len(together) <= _LABEL_LETTERS:
        return together, str(node["type"])
    return name, value


def shown(value: Any) -> str:
    """A value as people write it: six significant digits, a minus sign, yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", "−")
    return str(value).replace("-", "−") if isinstance(value, int) else str(value)


def _node(node: Mapping[str, Any], place: Place, name: str) -> str:
    bad = node.get("state") in ("excepted", "killed") or node.get("exit_status") not in (None, 0)
    classes = f"{node['kind']}{' bad' if bad else ''}"
    first, second = words_of(node, name)
    radius = 4 if node["kind"] in ("workflow", "calculation", "function") else HEIGHT / 2
    x, y = place.x, place.y
    middle = x + WIDTH / 2
    return (
        f'<g class="{escape(classes)}"><title>{escape(node["type"])} {escape(first)} (pk {node["pk"]}): '
        f"{escape(second)}</title>"
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="{radius:g}"/>'
        f'<text x="{middle:.1f}" y="{y + 19:.1f}">{escape(_short(first, _LABEL_LETTERS))}</text>'
        f'<text class="small" x="{middle:.1f}" y="{y + 34:.1f}">{escape(_short(second, _SMALL_LETTERS))}</text></g>'
    )


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _without_circles(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    reach: dict[str, set[str]] = {node: {node} for node in nodes}
    kept = []
    for source, target in dict.fromkeys(edges):
        if source in reach[target]:
            continue
        kept.append((source, target))
        for found in reach.values():
            if source in found:
                found |= reach[target]
    return kept


def _in_order(nodes: Sequence[str], above: Mapping[str, list[str]]) -> list[str]:
    done: dict[str, None] = {}
    for start in nodes:
        stack = [start]
        while stack:
            node = stack[-1]
            waiting = [parent for parent in above[node] if parent not in done]
            if waiting:
                stack.extend(waiting)
            else:
                stack.pop()
                done[node] = None
    return list(done)


def _order(rows: dict[int, list[str]], above: Mapping[str, list[str]], below: Mapping[str, list[str]]) -> None:
    for sweep in range(_SWEEPS):
        neighbours = above if sweep % 2 == 0 else below
        for layer in sorted(rows, reverse=sweep % 2 == 1):
            position = {node: index / max(len(row), 1) for row in rows.values() for index, node in enumerate(row)}
            centre = {
                node: sum(position[other] for other in neighbours[node]) / len(neighbours[node])
                if neighbours[node]
                else position[node]
                for node in rows[layer]
            }
            rows[layer].sort(key=lambda node: centre[node])
