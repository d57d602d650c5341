"""From a command's description and the values of a run to the argument list and the files of its job. Pure, no AiiDA.

A description is a command of an app's manifest as its release says it (``simdeck_appstore.commands``). Values are
plain: numbers, texts, truths, and for inputs that are files the names they have in the working directory.
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from simdeck_common.placeholders import Placeholder, fill, only, placeholders, written

STDOUT = "stdout.txt"
STDERR = "stderr.txt"
STATUS = "exit-status.txt"
PROGRESS = "progress.jsonl"
STREAMS = {"stdout": STDOUT, "stderr": STDERR}
FILES = ("file", "files", "structure")
SUFFIX = {"extxyz": "xyz", "poscar": "vasp"}

Description = Mapping[str, Any]
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SUFFIX = re.compile(r"^(\.[A-Za-z0-9]{1,12}){1,2}$")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.+=@-]+")


class RefusedValueError(ValueError):
    """A value that the command cannot be given; ``field`` is the input, the text a sentence."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True)
class Plan:
    """What the job does: the words behind the program, files to write, what is read on standard input.

    ``before`` and ``after`` are whole argument lists of programs beside it.
    """

    arguments: tuple[str, ...]
    files: Mapping[str, str]
    stdin: str | None
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()

    def prepend_text(self) -> str:
        """The lines of the job's script before the program; one that fails ends the job with its status."""
        lines = []
        for words in self.before:
            told = f'echo "$simdeck_status" {shlex.quote(PurePosixPath(words[0]).name)} > {STATUS}'
            lines.append(f'{shlex.join(words)} || {{ simdeck_status=$?; {told}; exit "$simdeck_status"; }}')
        return "\n".join(lines)

    def append_text(self) -> str:
        """The lines behind the program: its status is kept, then the programs after it run, whatever it was."""
        return "\n".join([f"echo $? > {STATUS}", *(shlex.join(words) for words in self.after)])


def make(description: Description, values: Mapping[str, Any], resources: Mapping[str, int]) -> Plan:
    """Return the plan of a job.

    Parameters
    ----------
    values
        By input; what has no value is left out or None. Of ``files`` inputs the list of names.
    resources
        ``cores``, ``memory_mb`` and ``walltime_minutes``, as far as they are known.

    Raises
    ------
    RefusedValueError
        A value cannot stand where it would.
    """
    writer = _Writer(description, values, resources)
    files = {
        name: file["text"] if file.get("plain") else fill(file["text"], writer.write)
        for name, file in (description.get("files") or {}).items()
    }
    stdin = description.get("stdin")
    if stdin is not None and (asked := only(stdin)) is not None:
        stdin = values[asked]
    before, after = (
        tuple(tuple(writer.arguments(one)) for one in description.get(key) or []) for key in ("before", "after")
    )
    return Plan(tuple(writer.arguments(description.get("arguments") or [])), files, stdin, before, after)


class _Writer:
    """Puts values into the places of one description."""

    def __init__(self, description: Description, values: Mapping[str, Any], resources: Mapping[str, int]) -> None:
        self.inputs: Mapping[str, Any] = description.get("inputs") or {}
        self.values = {name: value for name, value in values.items() if value is not None}
        self.resources = resources

    def arguments(self, given: Sequence[Any]) -> Iterator[str]:
        """The words of an argument list, in their order."""
        free = False
        for entry in given:
            group = [entry] if isinstance(entry, str) else entry
            if any(self._is_missing(text, len(group) > 1 or not isinstance(entry, str)) for text in group):
                continue
            for text in group:
                yield from self._words(text, free=free)
                free = free or text == "--"

    def _words(self, text: str, *, free: bool) -> Iterator[str]:
        name = only(text)
        kind = self.inputs.get(name, {}).get("type") if name else None
        if kind == "files":
            yield from self.values[str(name)]
            return
        word = fill(text, self.write)
        if kind == "bool" and not word:
            return
        first = next(iter(placeholders(text)), None)
        texts = first is not None and text.startswith("{") and self.inputs.get(first.name, {}).get("type") == "str"
        if first is not None and texts and word.startswith("-") and not free:
            # A program could take it for one of its options, and some options run other programs or name other files.
            sentence = "The text must not begin with a dash: the program would take it for an option."
            raise RefusedValueError(first.name, sentence)
        yield word

    def _is_missing(self, text: str, grouped: bool) -> bool:
        for place in placeholders(text):
            given = self.inputs.get(place.name)
            if given is None:
                continue
            value = self.values.get(place.name)
            if value is None or (given["type"] == "files" and not value):
                return True
            if grouped and given["type"] == "bool" and value is False and given.get("false") == "":
                return True
        return False

    def write(self, place: Placeholder) -> str:
        given = self.inputs.get(place.name)
        if given is None:
            return str(self.resources.get(place.name, 1))
        value = self.values[place.name]
        if isinstance(value, str) and _CONTROL.search(value):
            raise RefusedValueError(place.name, "The text must be one line without control characters.")
        return written(value, place, (given.get("true", "true"), given.get("false", "false")))


def refusal(description: Description, values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Say which input cannot be given to the program, and why; None: all can. Files stand by any name."""
    known = {
        name: [name] if given["type"] == "files" else name if given["type"] in FILES else values.get(name)
        for name, given in (description.get("inputs") or {}).items()
        if name in values
    }
    try:
        make(description, known, {})
    except RefusedValueError as error:
        return error.field, str(error)
    return None


def check(given: Mapping[str, Any], value: Any) -> str | None:
    """Say what is wrong with the value of one input, or None. The same as its JSON Schema asks for."""
    kind = given["type"]
    if kind in ("float", "int"):
        low, high = given.get("min"), given.get("max")
        if low is not None and value < low:
            return f"The number must be at least {low}."
        if high is not None and value > high:
            return f"The number must be at most {high}."
    if kind == "choice" and value not in given["choices"]:
        return f"The value must be one of {', '.join(given['choices'])}."
    if kind == "str":
        if _CONTROL.search(value):
            return "The text must be one line without control characters."
        if given.get("pattern") and not re.search(given["pattern"], value):
            return f"The text must match {given['pattern']}."
    return None


def file_name(name: str, given: Mapping[str, Any], original: str) -> str:
    """What an input that is a file is called in the working directory; nothing of it can lead out of it."""
    if given.get("name"):
        return str(given["name"])
    if given["type"] == "structure":
        form = given.get("format", "extxyz")
        return f"{name}.{SUFFIX.get(form, form)}"
    suffix = "".join(PurePosixPath(original).suffixes[-2:])
    short = PurePosixPath(original).suffix
    return name + (suffix if _SUFFIX.match(suffix) else short if _SUFFIX.match(short) else "")


def list_names(name: str, given: Mapping[str, Any], originals: Sequence[str]) -> list[str]:
    """What the files of a ``files`` input are called: in a folder of the input's name, numbered, in their order."""
    folder = given.get("name") or name
    found = []
    for number, original in enumerate(originals, start=1):
        plain = _UNSAFE.sub("_", PurePosixPath(original).name).lstrip(".-") or "file"
        found.append(f"{folder}/{number:03d}-{plain[-100:]}")
    return found


def sources(description: Description) -> list[str]:
    """The files, and patterns of files, that are brought back from the working directory, each once."""
    wanted = [STDOUT, STDERR, STATUS, PROGRESS]
    for output in (description.get("outputs") or {}).values():
        source = output.get("file") or output.get("files") or output.get("from")
        if source:
            wanted.append(STREAMS.get(source, source))
    wanted += description.get("keep") or []
    return list(dict.fromkeys(wanted))


def is_pattern(source: str) -> bool:
    """Whether what is brought back is named by a pattern."""
    return "*" in source or "?" in source


def for_double_quotes(word: str) -> str:
    """A word as it must be where a shell will read it between double quotes; the quotes themselves are the caller's."""
    return re.sub(r"([\\$`])", r"\\\1", word)


def failure(description: Description, status: int, last_line: str, computer: str, beside: str = "") -> str:
    """What an exit status means, in a sentence for people; ``beside`` is the program before it that it is of."""
    words = (description.get("exit_codes") or {}).get(str(status))
    if words and not beside:
        return str(words)
    program = beside or PurePosixPath(description["command"]).name
    if status == 127:
        return f"The program {program} is not on {computer}. Ask whoever looks after it, or choose another cluster."
    if status == 126:
        return f"The program {program} is on {computer}, but may not be started there."
    if status > 128:
        return f"{program} was ended by {_signal(status - 128)}.{_told(last_line)}"
    return f"{program} ended with the exit status {status}.{_told(last_line)}"


def _told(line: str) -> str:
    return f" It said: {line[:300].rstrip('.')}." if line else ""


def _signal(number: int) -> str:
    known = {
        signal.SIGKILL: "the system (SIGKILL); often the memory was too little",
        signal.SIGSEGV: "a memory fault of its own (SIGSEGV)",
        signal.SIGABRT: "itself (SIGABRT)",
        signal.SIGTERM: "a request to end (SIGTERM)",
        signal.SIGXCPU: "the limit of processor time (SIGXCPU)",
    }
    try:
        found = signal.Signals(number)
    except ValueError:
        return f"signal {number}"
    return known.get(found, f"the signal {found.name}")
