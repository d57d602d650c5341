"""Replacing a folder by another in one step, and finishing a replacement that was cut short."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from simdeck_appstore.rubbish import remove_tree

AT_FDCWD = -100
RENAME_EXCHANGE = 2


def swap(new: Path, target: Path) -> None:
    """Put the folder ``new`` in the place of ``target``; afterwards ``new`` is the old content, or gone.

    Readers see the old folder or the new one. Where the file system cannot exchange two names at once, there is
    a moment with neither; :func:`recover_swap` mends a crash in it.
    """
    if not target.exists():
        new.rename(target)
        return
    if _exchange(new, target):
        return
    aside = _aside(target)
    target.rename(aside)
    new.rename(target)
    remove_tree(aside)


def recover_swap(target: Path) -> None:
    """Finish or undo what a killed build left beside ``target``, and remove its half-made folders."""
    aside = _aside(target)
    if aside.exists():
        if target.exists():
            remove_tree(aside)
        else:
            aside.rename(target)
    for leftover in target.parent.glob(f".{target.name}.building-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.parent / f".{target.name}.before"


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names by ``renameat2``; False where the C library or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    result = renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    return int(result) == 0
