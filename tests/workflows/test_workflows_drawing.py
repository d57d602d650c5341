"""The provenance drawing."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from simdeck_workflows.drawing import HEIGHT, WIDTH, draw, layout, words_of

SVG = "{http://www.w3.org/2000/svg}"


def _node(name: str, kind: str = "data", **more: object) -> dict[str, object]:
    return {"id": name, "pk": 1, "kind": kind, "type": "Int", "label": name, **more}


GRAPH = {
    "nodes": [
        _node("in"),
        _node("chain", "workflow", state="finished", exit_status=0),
        _node("calc", "calculation", state="finished", exit_status=310),
        _node("out"),
    ],
    "edges": [
        {"source": "in", "target": "chain", "kind": "input", "label": "x"},
        {"source": "chain", "target": "calc", "kind": "call", "label": ""},
        {"source": "calc", "target": "out", "kind": "create", "label": "y"},
        {"source": "chain", "target": "out", "kind": "return", "label": "y"},
    ],
}


def test_edges_point_down() -> None:
    places = layout("abcd", [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")])
    assert places["a"].layer < places["b"].layer < places["c"].layer
    assert places["d"].layer == places["c"].layer - 1


def test_a_workflow_that_returns_its_input_is_drawn_too() -> None:
    places = layout("ab", [("a", "b"), ("b", "a")])
    assert places["a"].layer < places["b"].layer


def test_boxes_do_not_overlap() -> None:
    nodes = [f"n{i}" for i in range(12)]
    places = list(layout(nodes, [(nodes[0], node) for node in nodes[1:]]).values())
    rows: dict[float, list[float]] = {}
    for place in places:
        rows.setdefault(place.y, []).append(place.x)
    assert all(right - left >= WIDTH for row in rows.values() for left, right in pairwise(sorted(row)))
    assert all(below - above >= HEIGHT for above, below in pairwise(sorted(rows)))


def test_crossings_are_untangled() -> None:
    places = layout(["a", "b", "x", "y"], [("a", "y"), ("b", "x")])
    assert (places["a"].x < places["b"].x) == (places["y"].x < places["x"].x)


def test_the_drawing_is_well_formed_and_has_title_and_description() -> None:
    root = ElementTree.fromstring(draw(GRAPH, "Water & <friends>"))
    assert root.attrib["role"] == "img"
    assert root.find(f"{SVG}title").text == "Water & <friends>"  # type: ignore[union-attr]
    assert "calc is finished" in (root.find(f"{SVG}desc").text or "")  # type: ignore[union-attr]
    assert len(root.findall(f"{SVG}g")) == 4
    assert len(root.findall(f"{SVG}path")) == 4


def test_a_failed_step_is_marked_and_says_its_exit_status() -> None:
    drawing = draw(GRAPH, "t")
    assert 'class="calculation bad"' in drawing
    assert "exit status 310" in drawing


@pytest.mark.parametrize("text", ["<script>", '"x" & y'])
def test_labels_are_escaped(text: str) -> None:
    graph = {"nodes": [_node("n") | {"label": text}], "edges": []}
    root = ElementTree.fromstring(draw(graph, text))
    assert root.find(f"{SVG}g/{SVG}text").text == text  # type: ignore[union-attr]


def test_an_empty_graph_is_a_drawing_too() -> None:
    ElementTree.fromstring(draw({"nodes": [], "edges": []}, "nothing"))


@pytest.mark.parametrize(
    ("node", "name", "lines"),
    [
        (_node("Int", value=0, unit="e"), "charge", ("charge = 0 e", "Int")),
        (_node("Float", value=-137.9765424, unit="eV"), "energy", ("energy = −137.977 eV", "Int")),
        (_node("Str", value="GFN2-xTB and some more"), "method", ("method", "GFN2-xTB and some more")),
        (_node("StructureData", type="StructureData", value="H2O", unit="Å"), "structure", ("structure", "H2O")),
        (_node("Dict", type="Dict"), "frequencies", ("frequencies", "Dict")),
        (_node("xtb-1.0", "code", type="InstalledCode"), "code", ("xtb-1.0", "InstalledCode")),
        (_node("XtbCalculation", "calculation", state="finished", exit_status=0, title="Geometry optimisation"), "",
         ("Geometry optimisation", "XtbCalculation · finished")),
        (_node("Bake", "workflow", state="running", title="Bake"), "", ("Bake", "running")),
    ],
)  # fmt: skip
def test_a_node_is_named_by_what_it_is_in_the_run(node: dict[str, object], name: str, lines: tuple[str, str]) -> None:
    assert words_of(node, name) == lines


def test_a_result_is_named_as_the_workflow_returns_it() -> None:
    graph = {**GRAPH, "edges": [{**edge, "label": {"create": "made", "return": "energy"}.get(str(edge["kind"]), edge["label"])} for edge in GRAPH["edges"]]}  # fmt: skip
    texts = [text.text for text in ElementTree.fromstring(draw(graph, "t")).iter(f"{SVG}text")]
    assert "energy" in texts
    assert "made" not in texts
