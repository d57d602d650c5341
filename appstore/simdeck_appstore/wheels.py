"""Building an app's wheel with hatchling, and reading what a wheel says of itself."""

from __future__ import annotations

import json
import subprocess
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from types import TracebackType

from packaging.utils import canonicalize_name
from simdeck_common.problems import Problem

from simdeck_appstore.unpacking import UNREADABLE, check_zip

WORKER = Path(__file__).with_name("hatch_worker.py")
# A wheel offered as a release carries its description here (hatch: `[…wheel] extra-metadata`).
CARRIED = "extra_metadata/simdeck/"


class WheelBuilder:
    """A hatchling process that builds one project after another (starting one costs more than a build)."""

    def __init__(self, python: Path) -> None:
        self.python = python
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> WheelBuilder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def build(self, folder: Path, output: Path) -> Path:
        """Build the wheel of ``folder`` into ``output`` (no isolation, no network) and return its path.

        Raises
        ------
        Problem
            ``source-invalid`` with hatchling's own words.
        """
        if self._process is None:
            self._process = subprocess.Popen(
                [str(self.python), "-P", str(WORKER)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        answer: dict[str, str] = {}
        try:
            process.stdin.write(json.dumps({"folder": str(folder), "output": str(output)}) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline() or "{}")
        except (BrokenPipeError, json.JSONDecodeError):
            pass
        if "wheel" in answer:
            return output / answer["wheel"]
        if not answer:
            # The project's hooks ended the worker; the next build starts a new one.
            self.__exit__(None, None, None)
        reason = f"its wheel cannot be built ({answer.get('error', 'the build process ended')})"
        raise Problem("source-invalid", url=folder.name, reason=reason)


@dataclass(frozen=True)
class WheelInfo:
    """The METADATA of a wheel, and the names inside it."""

    name: str
    version: str
    summary: str
    description: str
    authors: str
    license: str
    keywords: list[str]
    urls: dict[str, str]
    requires_python: str
    requires: list[str]
    names: frozenset[str]


def inspect_wheel(path: Path) -> WheelInfo:
    """Read the metadata of the wheel ``path``.

    Raises
    ------
    Problem
        ``source-invalid`` when it is no wheel.
    """
    try:
        with zipfile.ZipFile(path) as bundle:
            check_zip(path.name, bundle, "wheel")
            names = bundle.namelist()
            metadata = next(name for name in names if name.count("/") == 1 and name.endswith(".dist-info/METADATA"))
            message = HeaderParser().parsestr(bundle.read(metadata).decode("utf-8"))
    except (StopIteration, *UNREADABLE):
        raise Problem("source-invalid", url=path.name, reason="it is not a wheel") from None
    urls = {}
    for value in message.get_all("Project-URL", []):
        label, _, address = str(value).partition(",")
        urls[label.strip().lower()] = address.strip()
    if message.get("Home-page"):
        urls.setdefault("homepage", str(message["Home-page"]))
    authors = str(message.get("Author") or message.get("Author-email") or "")
    keywords = str(message.get("Keywords") or "").replace(",", " ").split()
    return WheelInfo(
        name=str(canonicalize_name(message.get("Name", ""))),
        version=str(message.get("Version", "")),
        summary=str(message.get("Summary", "")),
        description=str(message.get_payload() or message.get("Description") or "").strip(),
        authors=authors,
        license=str(message.get("License-Expression") or message.get("License") or ""),
        keywords=keywords,
        urls={label: address for label, address in urls.items() if address.startswith("https://")},
        requires_python=str(message.get("Requires-Python", "")),
        requires=[str(value) for value in message.get_all("Requires-Dist", [])],
        names=frozenset(names),
    )


def unpack_description(wheel: Path, target: Path) -> Path:
    """Unpack an app wheel with the ``pyproject.toml`` and lock it carries as a project folder ``target``.

    Raises
    ------
    Problem
        ``source-invalid`` when the wheel carries none.
    """
    with _opened(wheel) as bundle:
        check_zip(wheel.name, bundle, "wheel")
        carried = {name.partition(CARRIED)[2]: name for name in bundle.namelist() if f".dist-info/{CARRIED}" in name}
        if "pyproject.toml" not in carried:
            reason = f"the wheel carries no pyproject.toml in its {CARRIED}"
            raise Problem("source-invalid", url=wheel.name, reason=reason)
        for name in bundle.namelist():
            inside = name.partition(CARRIED)[2] if f".dist-info/{CARRIED}" in name else name
            path = target / inside
            if not name.endswith("/"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(bundle.read(name))
    return target


def _opened(wheel: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(wheel)
    except UNREADABLE:
        raise Problem("source-invalid", url=wheel.name, reason="it is not a wheel") from None
