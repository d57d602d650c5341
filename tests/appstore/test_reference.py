"""The documentation says what the model says."""

from __future__ import annotations

import tomllib
from pathlib import Path

from simdeck_appstore.manifest import Manifest
from simdeck_appstore.reference import reference_table

DOCS = Path(__file__).parents[2] / "docs/apps.md"


def test_the_table_of_the_documentation_is_the_models() -> None:
    assert reference_table() in DOCS.read_text("utf-8")


def test_the_example_of_the_documentation_is_a_valid_manifest() -> None:
    example = DOCS.read_text("utf-8").partition("```toml\n")[2].partition("```")[0]
    assert Manifest.model_validate(tomllib.loads(example)["tool"]["simdeck"]).title == "Relax"
