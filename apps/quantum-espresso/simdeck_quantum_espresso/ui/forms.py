"""The page's own small forms, a lattice and a supercell; and the workflow's form with the site's families."""

from __future__ import annotations

from typing import Any

from simdeck_workflows.pseudopotentials import RunFamily

from simdeck_quantum_espresso import builders, limits

SUPERCELL: dict[str, Any] = {
    "type": "object",
    "properties": {
        f"along_{axis}": {
            "type": "integer",
            "title": f"Along {axis}",
            "minimum": 1,
            "maximum": limits.MAX_SUPERCELL,
            "default": 1,
        }
        for axis in "abc"
    },
}


def lattice_defaults() -> dict[str, Any]:
    """The lattice form's values where nothing was typed."""
    return {name: about.get("default") for name, about in builders.FORM["properties"].items()}


def lattice_errors(values: dict[str, Any]) -> dict[str, str]:
    """Why the lattice form's values make no crystal, by field."""
    given = {**lattice_defaults(), **values}
    try:
        builders.build(str(given["lattice"]), str(given["formula"]), float(given["a"]), float(given["c"] or 0))
    except builders.BuildError as error:
        return {error.field: str(error)}
    except (TypeError, ValueError):
        # Out of the form's own limits, which are said already.
        return {}
    return {}


def with_families(schema: dict[str, Any], families: tuple[RunFamily, ...]) -> dict[str, Any]:
    """The workflow's schema with the site's families to choose from; without any, no such field."""
    properties = dict(schema.get("properties", {}))
    if "family" not in properties:
        return schema
    if not families:
        del properties["family"]
    else:
        names = ["", *(one.family for one in families)]
        told = [f"{one.title or one.family} ({one.functional})" for one in families]
        labels = ["None: the best file of each element", *told]
        properties["family"] = {**properties["family"], "enum": names, "x-simdeck-labels": labels}
    return {**schema, "properties": properties}
