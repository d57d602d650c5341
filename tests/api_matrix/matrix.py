"""The matrix of operations and people, made from an OpenAPI document: what to ask, and with whose things.

A route that is new is in it by itself. A parameter that nobody has said what it names fails with a sentence that says
what to add.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "put", "post", "delete", "patch")

OWNED = frozenset({"run_id", "task_id", "key_id", "sweep_id", "share", "ticket", "execution_id", "publication"})
"""Ids of things that one person has: for everybody else they do not exist."""
SPOKEN = frozenset({"app", "name", "server", "workflow_id", "registry"})
"""Names that people give, or that the registry gives: two people may have things of one name, each their own."""
WITHIN = frozenset({"path"})
"""What lies below the thing that another parameter names."""

REFERENCES = {"with": "run_id", "run": "run_id", "link": "link", "workflow": "name", "app": "app"}
"""Fields of queries and bodies that name something: → whose value among the person's things."""


class UnknownParameterError(AssertionError):
    """A route has a parameter that the matrix does not know."""


@dataclass(frozen=True)
class Operation:
    """One method of one path of a document, below ``base``."""

    base: str
    method: str
    path: str
    described: Mapping[str, Any]
    document: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def scope(self) -> str | None:
        """The scope it declares; None where the document names none."""
        return self.described.get("x-simdeck-scope")

    @property
    def limited(self) -> bool:
        """Whether tokens for one workflow may use it."""
        return bool(self.described.get("x-simdeck-limited"))

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def owned(self) -> bool:
        """Whether its path names a thing that one person has."""
        return not OWNED.isdisjoint(self.parameters)

    @property
    def streams(self) -> bool:
        """Whether its answer may never end by itself."""
        return "text/event-stream" in str(self.described["responses"].get("200", {})) or self.path.endswith("/events")

    @property
    def answers_json(self) -> bool:
        """Whether it answers 200 with JSON: neither a stream nor a file."""
        return "application/json" in self.described["responses"].get("200", {}).get("content", {}) and not self.streams

    def request(self, things: Mapping[str, str]) -> dict[str, Any]:
        """Return the arguments of ``httpx.Client.request`` that ask for ``things``: a valid request, as far as the
        document says what is valid, so that it is refused for whose the things are and for nothing else.

        Raises
        ------
        UnknownParameterError
            The path has a parameter that ``things`` does not hold.
        """
        for name in self.parameters:
            if name not in things or name not in OWNED | SPOKEN | WITHIN:
                raise UnknownParameterError(
                    f"{self} has the parameter {name!r}, of which the cross-user matrix knows nothing. Say in "
                    "tests/api_matrix/matrix.py whether one person alone has what it names (OWNED) or anybody may have "
                    "something of that name (SPOKEN), and let alice have one in tests/api_matrix/people.py."
                )
        sent: dict[str, Any] = {"method": self.method, "url": self.base + self.path.format(**things)}
        asked = [one for one in self.described.get("parameters", []) if one["in"] == "query" and one.get("required")]
        sent["params"] = {one["name"]: self._value(one["name"], one["schema"], things) for one in asked}
        contents = (self.described.get("requestBody") or {}).get("content", {})
        if "application/json" in contents:
            sent["json"] = self._value("", contents["application/json"]["schema"], things)
        elif "multipart/form-data" in contents:
            sent["data"] = {"title": "not mine"}
        elif contents:
            sent["content"] = b"nothing"
        return sent

    def _value(self, name: str, schema: Mapping[str, Any], things: Mapping[str, str]) -> Any:
        """Return a value that ``schema`` allows, as small as it can be; what names something names one of ``things``."""
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        for alternatives in ("anyOf", "oneOf", "allOf"):
            if alternatives in schema:
                return self._value(name, schema[alternatives][0], things)
        if name in REFERENCES and schema.get("type") == "string":
            return things[REFERENCES[name]]
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type")
        if kind == "object":
            fields = schema.get("properties", {})
            # Fields that name something are sent also where they need not be.
            wanted = {
                *schema.get("required", []),
                *(REFERENCES.keys() & fields.keys()),
                *(PEOPLE.keys() & fields.keys()),
            }
            made = {field: self._value(field, fields[field], things) for field in fields if field in wanted}
            return made or ({"a": ["b"]} if schema.get("minProperties") else {})
        if kind == "array":
            return PEOPLE.get(name) or [self._value("", schema.get("items", {}), things)] * schema.get("minItems", 0)
        if kind in ("integer", "number"):
            return schema.get("minimum", 1)
        if kind == "boolean":
            return False
        return "not mine"


PEOPLE = {"people": ["mallory"]}


def operations(document: Mapping[str, Any], base: str) -> Iterator[Operation]:
    """Yield the operations of an OpenAPI document whose paths are below ``base``."""
    for path, item in document["paths"].items():
        for method, described in item.items():
            if method in METHODS:
                yield Operation(base, method, path, described, document)
