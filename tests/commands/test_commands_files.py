"""Inputs that are several files: on the command line, in a posted form, on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_hub import cli_inputs
from simdeck_widgets import workflow_page
from simdeck_widgets.workflow_model import WorkflowModel

FILE = {"type": "object", "x-simdeck-type": "file"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "many": {"type": "array", "x-simdeck-type": "files", "items": FILE},
        "one": FILE,
        "list": {"type": "array"},
    },
}


def test_an_option_for_each_file_makes_the_list_in_their_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(name)
    found = cli_inputs.parse(SCHEMA, [f"many={tmp_path / name}" for name in ("b.txt", "a.txt")])
    assert found == {"many": [{"name": name, "content": name} for name in ("b.txt", "a.txt")]}


@pytest.mark.parametrize("given", [["list=[1]", "list=[2]"], ["one=README.md", "one=README.md"]])
def test_anything_else_is_given_once(given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text("x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem) as caught:
        cli_inputs.parse(SCHEMA, given)
    assert caught.value.code == "input-unreadable"


def test_a_page_collects_files_and_the_same_name_again_replaces_one() -> None:
    model = WorkflowModel(api=None, workflow="app.echo")
    model.form.load(SCHEMA)
    for name, data in (("a.txt", b"1"), ("b.txt", b"2"), ("a.txt", b"3")):
        model.take_file("many", name, data)
    model.take_file("one", "c.txt", b"4")
    assert model.files["many"] == [{"name": "b.txt", "content": "2"}, {"name": "a.txt", "content": "3"}]
    assert (model.chosen_names("many"), model.chosen_names("one")) == (["b.txt", "a.txt"], ["c.txt"])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"name": "a.csv", "size": 6118, "path": "outputs/table/a.csv"}, "a.csv (6.12 kB)"),
        ({"files": [{"path": "outputs/parts/p-0.txt", "size": 1}]}, "p-0.txt (1 bytes)"),
        ({"files": [{"path": f"outputs/p/{n}", "size": 2e6} for n in range(11)]}, "9 (2 MB) …"),
    ],
)
def test_a_page_shows_a_files_name_and_size(value: dict[str, Any], words: str) -> None:
    assert workflow_page.shown(value).endswith(words)
