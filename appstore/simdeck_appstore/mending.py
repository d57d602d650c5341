"""Mends what killed installs left in a folder of apps."""

from __future__ import annotations

from pathlib import Path

from simdeck_common.problems import Problem

from simdeck_appstore.kernelspec import write_kernel
from simdeck_appstore.rubbish import remove_tree
from simdeck_appstore.sources import APP_ID
from simdeck_appstore.versions import AppFolder


def mend(apps: Path) -> None:
    """Bring the apps below ``apps`` and their kernels in order, and throw away what is half made.

    Apps that another process changes at the moment are left to it.
    """
    for path in sorted(apps.iterdir()):
        if APP_ID.match(path.name) and path.is_dir():
            _mend_app(AppFolder(apps, path.name))
    for rubbish in (apps / ".staging", apps / ".trash"):
        for path in sorted(rubbish.glob("*")):
            _clear(AppFolder(apps, path.name.partition(".")[0]), path)
    kernels = apps / ".jupyter" / "kernels"
    for link in [*kernels.glob("simdeck-*"), *kernels.glob(".simdeck-*")]:
        if not (link / "kernel.json").is_file():
            link.unlink(missing_ok=True)


def _mend_app(folder: AppFolder) -> None:
    try:
        with folder.lock():
            folder.recover()
            for version in folder.versions():
                _mend_kernel(folder, version)
    except Problem:
        return  # busy: its owner recovers it


def _mend_kernel(folder: AppFolder, version: str) -> None:
    """Write the kernel spec anew where the data folder was moved: it holds an absolute path."""
    record, home = folder.record(version), folder.home(version)
    if home.is_symlink():
        return  # somebody else's
    spec = home / "kernel" / "kernel.json"
    if record is None or not spec.is_file() or str(home) in spec.read_text("utf-8"):
        return
    write_kernel(record, home, home)


def _clear(folder: AppFolder, path: Path) -> None:
    try:
        with folder.lock():
            remove_tree(path)
    except Problem:
        return
