"""The computation against known values, and the page from its first cell to its last."""

from pathlib import Path

import pytest

from cells import METALS, measure


def test_copper_has_its_measured_cell() -> None:
    found = measure("Cu")
    assert found["volume"] == pytest.approx(11.8, abs=0.2)
    assert found["distance"] == pytest.approx(2.55, abs=0.02)


@pytest.mark.parametrize("metal", METALS)
def test_every_metal_offered_can_be_measured(metal: str) -> None:
    assert measure(metal)["volume"] > 5


def test_the_page_runs_without_an_error() -> None:
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    page = Path(__file__).parents[1] / "app.ipynb"
    notebook = nbformat.read(page, as_version=4)
    client.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(page.parent)}}).execute()
