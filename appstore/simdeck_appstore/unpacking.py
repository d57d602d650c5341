"""Unpacking a stranger's archive: nothing outside its folder, only files and folders, no more than a release needs.

Sizes are looked at before anything is written: an archive of a few KiB may stand for terabytes.
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from simdeck_common.problems import Problem

LARGEST = 1024 * 1024 * 1024
MOST_FILES = 100_000
# What the archive readers raise for archives that are damaged, encrypted or packed in an unknown way.
UNREADABLE = (
    zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, RuntimeError, ValueError,
)  # fmt: skip


Refuse = Callable[[str], Problem]
"""Makes the refusal of an archive for a reason."""


def unpack(url: str, archive: Path, target: Path, *, refuse: Refuse | None = None, largest: int | None = None) -> None:
    """Unpack the tar or zip file ``archive`` of the release ``url`` into the new folder ``target``.

    ``refuse`` makes another refusal than ``source-invalid``, ``largest`` is another limit in bytes.

    Raises
    ------
    Problem
        ``source-invalid``.
    """
    no = refuse or (lambda reason: Problem("source-invalid", url=url, reason=reason))
    target.mkdir(parents=True)
    try:
        if archive.suffix == ".zip":
            _unpack_zip(url, archive, target)
        else:
            _unpack_tar(archive, target, no, LARGEST if largest is None else largest)
    except UNREADABLE as error:
        raise no(f"the archive cannot be unpacked ({str(error) or type(error).__name__})") from None


def check_zip(url: str, bundle: zipfile.ZipFile, what: str = "archive") -> None:
    """Refuse a zip file (an archive, a wheel) that leads outside itself or holds too much.

    Reading stops at the sizes that are declared here, so they are no promise that could be broken.

    Raises
    ------
    Problem
        ``source-invalid``.
    """
    members = bundle.infolist()
    fault = _fault_of_amount(len(members), sum(member.file_size for member in members), what, LARGEST)
    if fault:
        raise Problem("source-invalid", url=url, reason=fault)
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if member.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise Problem("source-invalid", url=url, reason=f"{member.filename} leads outside the {what}")


def _unpack_zip(url: str, archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as bundle:
        check_zip(url, bundle)
        bundle.extractall(target)  # noqa: S202 - every name and size was checked just above


def _unpack_tar(archive: Path, target: Path, refuse: Refuse, largest: int) -> None:
    with tarfile.open(archive) as bundle:
        count = size = 0
        for member in bundle:
            count, size = count + 1, size + member.size
            # Before the next member is looked for: that means unpacking this one.
            fault = _fault_of_amount(count, size, "archive", largest)
            if fault:
                raise refuse(fault)
        bundle.extractall(target, filter="data")


def _fault_of_amount(count: int, size: int, what: str, largest: int) -> str:
    """Return what is wrong with the amount; nothing, where it is not too much."""
    if size > largest:
        return f"the {what} holds more than {largest // 2**20} MiB"
    return f"the {what} holds more than {MOST_FILES} files" if count > MOST_FILES else ""
