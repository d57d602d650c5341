"""``[[tool.simdeck.commands]]``: programs that an app runs as workflows of its own, described and not programmed.

The models say what may be written and refuse the rest in a sentence. What they accept goes, with the files' texts put
in, into the release (:func:`described`); an install makes a package of it
(:mod:`simdeck_appstore.command_package`) that the workflow backend carries out.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from simdeck_common.placeholders import NAME, Placeholder, only, placeholders

from simdeck_appstore.entries import InsidePath, Strict
from simdeck_appstore.manifest_parts import Sentence

RESERVED = frozenset({"code", "metadata", "cluster", "command"})
"""Inputs that the platform fills in itself."""
KEPT_OUTPUTS = frozenset({"remote_folder", "retrieved", "remote_stash"})
RESOURCES = frozenset({"cores", "memory_mb", "walltime_minutes"})
"""Placeholders that stand for what the job was given."""
STREAMS = {"stdout": "stdout.txt", "stderr": "stderr.txt"}
FILE_TYPES = frozenset({"file", "files", "structure"})
TEXT_BYTES = 256 * 1024
FORMATS = ("cif", "extxyz", "gen", "pdb", "poscar", "sdf", "xsf", "xyz")

_FILE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.+=@-]*$")
_GLOB = re.compile(r"^[A-Za-z0-9_.+=@*?-]+$")


def _inside_folder(value: str, part: re.Pattern[str], what: str) -> str:
    path = PurePosixPath(value)
    if not value or path.is_absolute() or value != str(path) or ".." in path.parts or len(value) > 200:
        raise ValueError(f"must be {what} below the working directory, such as results/energy.dat")
    if not all(part.match(name) and name != "." for name in path.parts):
        raise ValueError(f"must be {what} of letters, digits and ._+=@- (no spaces), not beginning with a dot or dash")
    return value


def _file(value: str) -> str:
    return _inside_folder(value, _FILE_NAME, "a file")


def _glob(value: str) -> str:
    found = _inside_folder(value, _GLOB, "a pattern such as frames/*.xyz")
    if any(name.startswith((".", "-")) for name in PurePosixPath(value).parts):
        raise ValueError("must not begin with a dot or dash")
    return found


def _fault_of_program(value: str) -> str | None:
    if not re.match(r"^(/[A-Za-z0-9_./+@%=:-]*/)?[A-Za-z0-9_][A-Za-z0-9_.+-]*$", value) or ".." in value.split("/"):
        return "must be a program's name, a code's label or a whole path, without arguments"
    return None


def _program(value: str) -> str:
    if fault := _fault_of_program(value):
        raise ValueError(fault)
    return value


def _regex(value: str) -> str:
    try:
        found = re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from None
    if found.groups > 1:
        raise ValueError("may have one group, which is the value; write further groups as (?:…)")
    return value


def _hook(value: str) -> str:
    if not re.match(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", value):
        raise ValueError("must name a module and a function, such as my_app.reading:parse")
    return value


def _amount(value: str) -> str:
    if not re.match(rf"^([1-9]\d*|\{{{NAME}\}})$", value):
        raise ValueError("must be a whole number, or an input such as {cores_wanted}")
    return value


Name = Annotated[str, Field(pattern=f"^{NAME}$", max_length=40)]
FileName = Annotated[str, AfterValidator(_file)]
Glob = Annotated[str, AfterValidator(_glob)]
Argument = Annotated[str, Field(max_length=10_000)]
Plain = bool | int | float | str


class Input(Strict):
    """One input of a command: a field of the form, a key of the REST call, an option of ``simdeck run``."""

    type: Literal["float", "int", "str", "bool", "choice", "file", "files", "structure"] = Field(
        description="“files” is a list of files, “structure” a molecule or crystal in any format that ASE reads."
    )
    title: Sentence = Field("", max_length=80, description="What the form calls it; else its name in words.")
    help: Sentence = Field("", max_length=500, description="A sentence under the field.")
    unit: Sentence = Field("", max_length=30, description="The unit of a number.")
    default: Plain | None = Field(None, description="Its value where nobody gives one.")
    optional: bool = Field(False, description="It may be left out; arguments that name it are then left out too.")
    advanced: bool = Field(False, description="The form folds it under “More settings”.")
    min: int | float | None = Field(None, description="Smallest number.")
    max: int | float | None = Field(None, description="Largest number.")
    choices: list[Sentence] = Field([], max_length=100, description="The values of a choice.")
    pattern: str | None = Field(None, max_length=500, description="A regular expression that a text must match.")
    true: str = Field("true", max_length=200, description="What a bool writes when it is on, such as “--verbose”.")
    false: str = Field("false", max_length=200, description="… and when it is off; “” leaves the argument out.")
    name: FileName | None = Field(
        None, description="What a file is called in the working directory; else the input's name and the file's suffix."
    )
    format: Literal["cif", "extxyz", "gen", "pdb", "poscar", "sdf", "xsf", "xyz"] = Field(
        "extxyz", description="The format in which a structure is written."
    )

    @model_validator(mode="after")
    def _fits(self) -> Input:
        number, words = self.type in ("float", "int"), self.type == "str"
        for names, fits, whose in (
            (("min", "max", "unit"), number, "numbers"),
            (("choices",), self.type == "choice", "a choice"),
            (("pattern",), words, "texts"),
            (("true", "false"), self.type == "bool", "a bool"),
            (("name",), self.type in FILE_TYPES, "files"),
            (("format",), self.type == "structure", "a structure"),
        ):
            for name in names:
                if name in self.model_fields_set and not fits:
                    raise ValueError(f"{name} belongs to {whose}, not to the type {self.type}")
        if self.type == "choice" and (not self.choices or len(set(self.choices)) != len(self.choices)):
            raise ValueError("a choice needs choices, each of them once")
        if self.pattern is not None:
            _regex(self.pattern)
        self._check_default()
        return self

    def _check_default(self) -> None:
        value = self.default
        if value is None:
            return
        if self.optional:
            raise ValueError("an input with a default is never missing: remove optional or default")
        if self.type in FILE_TYPES:
            raise ValueError("a file has no default; put a file of the app's own into files")
        kinds: dict[str, tuple[type, ...]] = {"float": (int, float), "int": (int,), "bool": (bool,)}
        wanted = kinds.get(self.type, (str,))
        if not isinstance(value, wanted) or (isinstance(value, bool) and self.type != "bool"):
            raise ValueError(f"the default {value!r} is not of the type {self.type}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = self.min, self.max
            if (low is not None and value < low) or (high is not None and value > high):
                raise ValueError(f"the default {value} is not between min and max")
        if self.type == "choice" and value not in self.choices:
            raise ValueError(f"the default {value!r} is not among the choices")


class InputFile(Strict):
    """A file that is written into the working directory before the program starts."""

    text: Annotated[str, Field(max_length=TEXT_BYTES)] | None = Field(None, description="Its text.")
    file: InsidePath | None = Field(None, description="Or the project's file that holds its text.")
    plain: bool = Field(False, description="Write it as it is: braces in it are no placeholders.")

    @model_validator(mode="after")
    def _has_text(self) -> InputFile:
        if (self.text is None) == (self.file is None):
            raise ValueError("needs either text or file")
        return self


class Output(Strict):
    """One result: a file, several files, or a value that is read out of a file or of what the program printed."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    title: Sentence = Field("", max_length=80, description="What tables call it; else its name in words.")
    help: Sentence = Field("", max_length=500, description="A sentence about it.")
    unit: Sentence = Field("", max_length=30, description="The unit of a number.")
    file: FileName | None = Field(None, description="A file that the program writes.")
    files: Glob | None = Field(None, description="Several files, by a pattern with * and ?.")
    source: FileName | None = Field(
        None, alias="from", description="Where a value is read: “stdout”, “stderr” or a file the program writes."
    )
    pattern: Annotated[str, AfterValidator(_regex), Field(max_length=1000)] | None = Field(
        None, description="A regular expression; its group is the value, the last match counts."
    )
    json_pointer: Annotated[str, Field(pattern=r"^(/.*)?$", max_length=500)] | None = Field(
        None, alias="json", description="A JSON pointer such as “/energy/total”; “” is the whole file."
    )
    column: str | int | None = Field(None, description="A CSV column by its heading, or by its number from 1.")
    last_line: bool = Field(False, description="The value is the last line that is not empty.")
    parser: bool = Field(False, description="The value is what the command's parser says.")
    type: Literal["float", "int", "str", "bool", "list", "dict", "file"] = Field(
        "float", description="A list holds every match, or the whole column; “dict” is for json and parser."
    )
    optional: bool = Field(False, description="The run is well without it.")
    headline: bool = Field(False, description="Shown with the run in lists and at the top of its results.")

    @model_validator(mode="after")
    def _one_way(self) -> Output:
        read = [
            name
            for name, given in (
                ("pattern", self.pattern is not None),
                ("json", self.json_pointer is not None),
                ("column", self.column is not None),
                ("last_line", self.last_line),
            )
            if given
        ]
        ways = [self.file is not None, self.files is not None, self.source is not None, self.parser]
        if sum(ways) != 1:
            raise ValueError("needs one of file, files, from and parser")
        if self.source is None and read:
            raise ValueError(f"{read[0]} needs from: the file in which it is looked for")
        if self.source is not None and len(read) != 1:
            raise ValueError("needs one of pattern, json, column and last_line beside from")
        if self.type == "dict" and self.json_pointer is None and not self.parser:
            raise ValueError("the type dict is for json and parser")
        if self.type == "file" and not self.parser:
            raise ValueError("the type file is for parser; write file = … for a file the program writes")
        if self.headline and (self.file or self.files or self.type in ("list", "dict", "file")):
            raise ValueError("a headline is a single value, no file and no list")
        return self


class JobResources(Strict):
    """What the job asks for; the site's defaults hold for what is not named."""

    cores: Annotated[str, AfterValidator(_amount)] | int = Field(
        1, description="Processor cores, or an input that says how many, such as “{cores_wanted}”."
    )
    memory: str | None = Field(None, pattern=r"^[1-9]\d* (MiB|GiB)$", description="Memory, such as “2 GiB”.")
    walltime: str | None = Field(
        None, pattern=r"^[1-9]\d* (min|h|d)$", description="Time after which a cluster ends it, such as “2 h”."
    )

    @model_validator(mode="after")
    def _some(self) -> JobResources:
        if isinstance(self.cores, int) and not 1 <= self.cores <= 4096:
            raise ValueError("cores must be between 1 and 4096")
        return self


class Command(Strict):
    """One program that becomes the workflow ``<app>.<name>``."""

    name: Name = Field(description="The workflow is called by the app's name, a dot and this.")
    title: Sentence = Field("", max_length=60, description="What people call it; else its name in words.")
    description: Sentence = Field("", max_length=300, description="One sentence of what it does.")
    command: Annotated[str, AfterValidator(_program)] = Field(
        description="A code that the site offers (by label or program), a program of the app's environment, one on "
        "PATH, or a whole path. “python” is the app's own Python."
    )
    arguments: list[Argument | list[Argument]] = Field(
        [],
        max_length=200,
        description="argv with {placeholders}, never a shell. A list in the list is left out where an input in it has "
        "no value, or is a bool that is off and whose false is “”.",
    )
    before: list[Annotated[list[Argument], Field(min_length=1)]] = Field(
        [],
        max_length=10,
        description="Argument lists, program first, that run before it in the same job; one that fails ends it.",
    )
    after: list[Annotated[list[Argument], Field(min_length=1)]] = Field(
        [], max_length=10, description="… and after it, also when it has failed; how they end does not count."
    )
    inputs: dict[Name, Input] = Field({}, max_length=60, description="The inputs by name.")
    files: dict[FileName, InputFile] = Field(
        {}, max_length=40, description="Input files by name, with {placeholders} in their text."
    )
    stdin: str | None = Field(None, description="The file on standard input: one of files, or a {file input}.")
    outputs: dict[Name, Output] = Field({}, max_length=60, description="The results by name.")
    parser: Annotated[str, AfterValidator(_hook)] | None = Field(
        None, description="A function of the app's workflow modules that reads results: module:function."
    )
    keep: list[Glob] = Field(
        [], max_length=20, description="Further files to keep, by pattern; parser finds them in its folder."
    )
    success: list[Annotated[int, Field(ge=0, le=255)]] = Field(
        [0], min_length=1, description="Exit statuses of a program that has done its work."
    )
    exit_codes: dict[Annotated[str, Field(pattern=r"^[1-9]\d{0,2}$")], Sentence] = Field(
        {}, description="What other exit statuses mean, in a sentence for the scientist."
    )
    resources: JobResources = Field(
        JobResources(cores=1, memory=None, walltime=None), description="What the job asks for."
    )

    @model_validator(mode="after")
    def _hangs_together(self) -> Command:
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        for name in self.inputs:
            if name in RESERVED or name in RESOURCES:
                yield f"an input cannot be called {name}: the platform fills that in"
        for name in self.outputs:
            if name in KEPT_OUTPUTS or "__" in name:
                yield f"an output cannot be called {name}"
        yield from self._faults_of_places()
        yield from self._faults_of_names()
        if any(output.parser for output in self.outputs.values()) and self.parser is None:
            yield "an output is read by parser, but the command names none"
        if isinstance(self.resources.cores, str) and (asked := only(self.resources.cores)) is not None:
            given = self.inputs.get(asked)
            if given is None or given.type != "int" or given.optional:
                yield f"resources.cores names {asked}, which is no input of the type int that always has a value"

    def _faults_of_places(self) -> Iterator[str]:
        for words in [*self.before, *self.after]:
            fault = _fault_of_program(words[0])
            if fault:
                yield f"{words[0]!r} {fault}"
        for argument in [*self.arguments, *self.before, *self.after]:
            for word in [argument] if isinstance(argument, str) else argument:
                yield from self._faults_of_text(word, f"the argument {word!r}", whole=True)
        for name, file in self.files.items():
            if file.text is not None and not file.plain:
                yield from self.faults_of_file(name, file.text)
        if self.stdin is not None:
            asked = only(self.stdin)
            given = self.inputs.get(asked) if asked else None
            named = given is not None and given.type in ("file", "structure") and not given.optional
            if not named and self.stdin not in self.files:
                yield f"stdin {self.stdin!r} is neither one of files nor a {{file input}} that always has a value"

    def faults_of_file(self, name: str, text: str) -> Iterator[str]:
        """Say what is wrong with the placeholders in the text of an input file."""
        yield from self._faults_of_text(text, f"the file {name}", whole=False)

    def _faults_of_text(self, text: str, where: str, *, whole: bool) -> Iterator[str]:
        for place in placeholders(text):
            given = self.inputs.get(place.name)
            if given is None:
                if place.name not in RESOURCES:
                    hint = f"write {{{{{place.name}}}}} where the braces are meant"
                    yield f"{where} names {{{place.name}}}, which is no input; {hint}"
                continue
            if given.type == "files" and not (whole and only(text) == place.name):
                yield f"{where}: {{{place.name}}} is a list of files and can only be an argument of its own"
            if given.optional and not whole:
                yield f"{where} names {{{place.name}}}, which may have no value: give it a default"
            yield from _faults_of_form(place, given, where)

    def _faults_of_names(self) -> Iterator[str]:
        taken = {*STREAMS.values(), "exit-status.txt"}
        for name in [*self.files, *(given.name for given in self.inputs.values() if given.name)]:
            if name in taken:
                yield f"two files are called {name}, or the platform writes one of that name"
            taken.add(name)


def _faults_of_form(place: Placeholder, given: Input, where: str) -> Iterator[str]:
    if place.form and given.type not in ("float", "int"):
        yield f"{where}: {{{place.name}:{place.form}}} is a form for numbers, and {place.name} is a {given.type}"
    if place.form.endswith("d") and given.type == "float":
        yield f"{where}: {{{place.name}:{place.form}}} would cut off what is behind the point"
    if place.style and given.type in FILE_TYPES:
        yield f"{where}: {{{place.name}!{place.style}}} is for values, and {place.name} is a file"


def names_of(app: str, commands: Iterable[Command]) -> list[str]:
    """Return the names of the workflows that an app's commands become."""
    return [f"{app}.{command.name}" for command in commands]


def spoken(where: Iterable[str | int], table: dict[str, Any]) -> str:
    """Return a place in the manifest in words: of a command its name in place of its number."""
    parts = [part for part in where if not (isinstance(part, str) and "[" in part)]
    if parts[:1] == ["commands"] and len(parts) > 1:
        with contextlib.suppress(KeyError, IndexError, TypeError):
            parts[1] = str(table["commands"][parts[1]]["name"])
    return ".".join(str(part) for part in parts)


def described(command: Command, texts: dict[str, str]) -> dict[str, Any]:
    """Return a command as a release says it: with the text of every input file put in, by the file's path."""
    data: dict[str, Any] = command.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name, file in command.files.items():
        text = file.text if file.text is not None else texts[str(file.file)]
        data["files"][name] = {"text": text, "plain": file.plain}
    return data
