"""What a function's annotations and docstring say: its inputs, their kinds, units, bounds and words.

Annotations are read by pydantic, so ``Annotated[float, Field(gt=0), Unit("eV")]`` gives bounds and a unit. Docstrings
are read in NumPy's style. An ASE ``Atoms`` is a structure; everything else is what JSON can say.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

Kind = Literal["boolean", "integer", "number", "string", "array", "object", "structure", "any"]

KEPT = frozenset(
    {
        "title", "description", "examples", "enum", "const", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "format", "items", "minItems",
        "maxItems", "uniqueItems", "x-simdeck-unit",
    }
)  # fmt: skip
"""Keywords of a value's JSON Schema that reach the form."""

_NONE = type(None)
_PLAIN: tuple[tuple[type, Kind], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (Mapping, "object"),
    (Sequence, "array"),
)


@dataclass(frozen=True)
class Unit:
    """The unit of a number, for forms, tables and files: ``Annotated[float, Unit("eV")]``."""

    text: str

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return {**handler(core), "x-simdeck-unit": self.text}


@dataclass(frozen=True)
class Parameter:
    """One input or output: ``annotation`` is without ``None``, ``note`` holds the schema's keywords and words."""

    name: str
    annotation: Any
    kind: Kind
    required: bool
    default: Any
    note: dict[str, Any]

    def check(self, value: Any) -> Any:
        """Return ``value`` as the annotation wants it. Raises ``ValueError`` with a sentence."""
        if self.kind == "structure" or self.annotation is Any:
            return value
        try:
            return _adapter(self.annotation).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            said = first["msg"].removeprefix("Value error, ")
            raise ValueError(f"{where}: {said}" if where else said) from None


@dataclass(frozen=True)
class Signature:
    """A function's inputs in their order, its outputs by name, and its first paragraph."""

    inputs: dict[str, Parameter]
    outputs: dict[str, Parameter]
    summary: str
    single: bool
    """Whether the function returns one value, called ``result``, and not several by name."""


def read(function: Callable[..., Any]) -> Signature:
    """Read a function.

    Raises
    ------
    TypeError
        A parameter without an annotation, of a type that cannot be given as JSON, or a ``*args``.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    text = inspect.getdoc(function) or ""
    said = {**_section(text, "Parameters"), **_section(text, "Other Parameters")}
    inputs = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{function.__name__}: the parameter {name} needs a name of its own, without * and /")
        if name not in hints:
            raise TypeError(f"{function.__name__}: the parameter {name} needs an annotation, such as {name}: float")
        required = parameter.default is parameter.empty
        inputs[name] = _parameter(function, name, hints[name], said.get(name), required, parameter.default)
    outputs, single = _outputs(function, hints.get("return", Any), _section(text, "Returns"))
    return Signature(inputs, outputs, text.split("\n\n")[0].replace("\n", " "), single)


def kind_of(annotation: Any) -> Kind | None:
    """The kind of value that an annotation (without ``None``) takes; None where JSON cannot say it."""
    base = _base(annotation)
    if base is Any:
        return "any"
    if is_structure(base):
        return "structure"
    origin = typing.get_origin(base)
    if origin is Literal:
        kinds = {kind_of(type(value)) for value in typing.get_args(base)}
        return kinds.pop() if len(kinds) == 1 else "any"
    if origin in (typing.Union, types.UnionType):
        kinds = {kind_of(option) for option in typing.get_args(base)}
        if None in kinds:
            return None
        return "number" if kinds == {"integer", "number"} else kinds.pop() if len(kinds) == 1 else "any"
    found = origin or base
    if not isinstance(found, type):
        return None
    if _fields(found) is not None:
        return "object"
    if found.__module__.partition(".")[0] == "numpy":
        return "array" if found.__name__ == "ndarray" else None
    if issubclass(found, bytes | bytearray):
        return None
    return next((kind for known, kind in _PLAIN if issubclass(found, known)), None)


def is_structure(kind: Any) -> bool:
    """Whether a class is ASE's ``Atoms``; nothing is imported for the question."""
    return isinstance(kind, type) and any(
        one.__name__ == "Atoms" and one.__module__.partition(".")[0] == "ase" for one in kind.__mro__
    )


def words(name: str) -> str:
    """``bond_length`` as people write it."""
    text = re.sub(r"[_.]+", " ", name).strip()
    return text[:1].upper() + text[1:]


def _parameter(
    function: Any, name: str, annotation: Any, said: str | None, required: bool, default: Any = None
) -> Parameter:
    annotation = _without_none(annotation)
    kind = kind_of(annotation)
    if kind is None:
        raise TypeError(f"{function.__name__}: {name} is of a type that no form and no file of JSON can say")
    note = {"title": words(name), **_schema(annotation, kind)}
    if said:
        note["help"] = said
    return Parameter(name, annotation, kind, required, None if required else default, note)


def _outputs(function: Any, annotation: Any, said: dict[str, str]) -> tuple[dict[str, Parameter], bool]:
    if annotation is None or annotation is _NONE:
        return {}, True
    annotation = _without_none(annotation)
    fields = _fields(_base(annotation))
    if fields is None:
        title = said.get("result") or next(iter(said.values()), None)
        return {"result": _parameter(function, "result", annotation, title, False)}, True
    return {name: _parameter(function, name, hint, said.get(name), False) for name, hint in fields.items()}, False


def _fields(kind: Any) -> dict[str, Any] | None:
    """The annotated fields of a ``TypedDict``, dataclass or pydantic model; None for any other type."""
    if not isinstance(kind, type):
        return None
    if typing.is_typeddict(kind) or dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel):
        hints = typing.get_type_hints(kind, include_extras=True)
        return {name: hint for name, hint in hints.items() if typing.get_origin(hint) is not typing.ClassVar}
    return None


def _schema(annotation: Any, kind: Kind) -> dict[str, Any]:
    if kind in ("structure", "any"):
        return {}
    try:
        found = _adapter(annotation).json_schema(mode="validation")
    except PydanticUserError:
        # An array of NumPy's, say: what it is stands in its kind.
        return {}
    return {key: value for key, value in found.items() if key in KEPT and "$ref" not in str(value)}


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    base = _base(annotation)
    if _fields(base) is not None:
        return TypeAdapter(annotation)
    return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))


def _base(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) is Annotated:
        base, *more = typing.get_args(annotation)
        return Annotated[(_without_none(base), *more)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [option for option in typing.get_args(annotation) if option is not _NONE]
        return typing.Union[tuple(rest)]  # noqa: UP007
    return annotation


def _section(text: str, title: str) -> dict[str, str]:
    """The entries of a section of a docstring in NumPy's style: ``{name: help}``."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=\n\S[^\n]*\n-{{3,}}|\Z)", text, re.MULTILINE | re.DOTALL)
    entries: dict[str, list[str]] = {}
    name = ""
    for line in found[1].splitlines() if found else ():
        if line and not line[0].isspace():
            name = line.partition(":")[0].strip()
            entries[name] = []
        elif name and line.strip():
            entries[name].append(line.strip())
    return {name: " ".join(lines) for name, lines in entries.items() if lines}
