"""What an app may say that its workflows need: in the manifest, and in a registry's document."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from simdeck_appstore.manifest import json_schema, load_project
from simdeck_appstore.models import Release
from simdeck_common.problems import Problem
from synthetic import write_app

POINTS = {"aiida.workflows": {"demo.work": "nowhere:Work"}}
WORKS = {"workflows": ["demo.work"]}
WRONG = [
    "honey >> 1",
    "honey @ https://example.org/honey.whl",
    "./honey",
    "--index-url https://example.org",
    "honey\n--index-url https://example.org",
    "simdeck>=0.1",
    "",
]


def test_requirements_are_read(tmp_path: Path) -> None:
    manifest = {**WORKS, "backend": ["aiida-shell~=0.8", "honey[bees]>=1; python_version >= '3.11'"]}
    project = load_project(write_app(tmp_path, manifest=manifest, entry_points=POINTS))
    assert project.manifest.backend == manifest["backend"]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_plain_requirement_is_refused_in_a_manifest(tmp_path: Path, wrong: str) -> None:
    write_app(tmp_path, manifest={**WORKS, "backend": [wrong]}, entry_points=POINTS)
    with pytest.raises(Problem) as refusal:
        load_project(tmp_path)
    assert refusal.value.code == "manifest-invalid"
    assert str(refusal.value.field).startswith("tool.simdeck.backend")


@pytest.mark.parametrize("wrong", WRONG)
def test_it_is_refused_from_a_registry_too(wrong: str) -> None:
    ref = {"name": "a.whl", "path": "files/a.whl", "sha256": "0" * 64, "size": 1}
    given = {"version": "1", "wheel": ref, "lock": ref, "package": "a", "entry": {"kind": "command", "command": ["a"]}}
    Release.model_validate({**given, "backend": ["honey"]})
    with pytest.raises(ValidationError):
        Release.model_validate({**given, "backend": [wrong]})


def test_needs_without_workflows_are_refused(tmp_path: Path) -> None:
    write_app(tmp_path, manifest={"backend": ["honey"]})
    with pytest.raises(Problem, match="there are no workflows"):
        load_project(tmp_path)


def test_editors_know_the_key() -> None:
    assert json_schema()["properties"]["backend"]["items"] == {"type": "string"}
