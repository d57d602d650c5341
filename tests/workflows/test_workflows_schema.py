"""From a process spec and its annotations to JSON Schema, as the describe command says it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from simdeck_workflows.models import Workflow

pytestmark = pytest.mark.backend


@pytest.fixture(scope="module")
def workflows(described: bytes) -> dict[str, Workflow]:
    found = [Workflow.model_validate(item) for item in json.loads(described)["workflows"]]
    return {workflow.name: workflow for workflow in found}


@pytest.fixture(scope="module")
def bake(workflows: dict[str, Workflow]) -> dict[str, Any]:
    return workflows["toy.bake"].input_schema


def test_every_work_chain_is_found_and_calculations_without_annotations_are_not(workflows: dict[str, Workflow]) -> None:
    assert sorted(workflows) == ["toy.add", "toy.bake", "toy.blackout", "toy.crash"]
    assert workflows["toy.bake"].title == "Bake"


def test_schemas_are_valid_json_schema(workflows: dict[str, Workflow]) -> None:
    for workflow in workflows.values():
        Draft202012Validator.check_schema(workflow.input_schema)


def test_annotations_become_keywords(bake: dict[str, Any]) -> None:
    assert bake["properties"]["steps"] == {
        "title": "Steps", "type": "integer", "default": 3, "minimum": 1, "maximum": 1000, "x-simdeck-unit": "steps",
    }  # fmt: skip
    assert bake["properties"]["structure"]["description"] == "What to bake."
    assert bake["properties"]["structure"]["x-simdeck-type"] == "structure"


def test_ports_without_default_are_required(bake: dict[str, Any]) -> None:
    assert bake["required"] == ["structure"]


def test_the_order_of_the_annotations_is_the_order_of_the_form(bake: dict[str, Any]) -> None:
    assert list(bake["properties"])[:3] == ["structure", "steps", "pause"]


def test_what_the_author_did_not_annotate_is_advanced_or_left_out(bake: dict[str, Any]) -> None:
    assert bake["properties"]["ledger"]["x-simdeck-advanced"] is True
    assert not {"code", "metadata", "max_iterations", "clean_workdir", "handler_overrides"} & set(bake["properties"])
    assert bake["additionalProperties"] is False


def test_a_workflow_without_annotations_has_a_form_too(workflows: dict[str, Workflow]) -> None:
    schema = workflows["toy.add"].input_schema
    assert schema["properties"]["a"] == {"title": "A", "type": "integer"}
    assert schema["properties"]["b"]["default"] == 1
    assert workflows["toy.add"].summary.startswith("Add two numbers")


def test_outputs_carry_type_and_unit(workflows: dict[str, Workflow]) -> None:
    energy = workflows["toy.bake"].outputs[0]
    assert (energy.name, energy.type, energy.unit) == ("energy", "Float", "eV")
    assert workflows["toy.bake"].headline == ["energy"]
