"""The OpenMP runtime: what must be settled before NumPy and tblite are loaded.

tblite's wheel takes ``libgomp.so.1`` from the system, and a bare Linux has none. The wheel of pykdtree bundles one
under another file name. The dynamic loader reads its search path only when a process starts, so the bundled one is
given the expected name by a link, and the program is started again in the same process with that folder on its path.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

LIBRARY = "libgomp.so.1"
SEARCH_PATH = "LD_LIBRARY_PATH"
STARTED_AGAIN = "SIMDECK_MOLECULE_STARTED_AGAIN"
"""Holds the id of the process that was started again: a second time would help no more than the first."""


def one_thread() -> None:
    """Compute on one core, as the app's manifest asks, unless the environment says otherwise."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def system_has_it() -> bool:
    """Whether the dynamic loader finds the library."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def provide_openmp(found: Callable[[], bool] = system_has_it) -> None:
    """Start this program again with the bundled library if there is none; else, or if that did not help, do nothing.

    Does not return when it starts the program again. What is still missing then is told by the import of tblite.
    """
    if sys.platform != "linux" or found() or os.environ.get(STARTED_AGAIN) == str(os.getpid()):
        return
    library = bundled_library(Path(sysconfig.get_path("platlib")))
    if library is None:
        return
    # The environment first: its link is made once, at the latest by the check of an install, and moves with it.
    for folder in (Path(sys.prefix) / "lib" / "openmp", Path.cwd() / ".openmp"):
        with contextlib.suppress(OSError):
            link_library(folder, library)
            _start_again(folder)


def bundled_library(site_packages: Path) -> Path | None:
    """Return the libgomp that one of the environment's wheels bundles, or None."""
    return next((path for path in sorted(site_packages.glob("*.libs/libgomp-*.so*")) if path.is_file()), None)


def link_library(folder: Path, library: Path) -> Path:
    """Make the link ``libgomp.so.1`` to ``library`` in ``folder``, in one step; any number of processes may.

    Raises
    ------
    OSError
        The folder cannot be made or written.
    """
    link = folder / LIBRARY
    # Relative: an environment is moved to its place after it was checked.
    target = os.path.relpath(library.resolve(), folder.resolve())
    with contextlib.suppress(OSError):
        if os.readlink(link) == target:
            return link
    folder.mkdir(mode=0o700, exist_ok=True)
    half = folder / f".{LIBRARY}.{secrets.token_hex(8)}"
    half.symlink_to(target)
    os.replace(half, link)
    return link


def _start_again(folder: Path) -> None:
    earlier = os.environ.get(SEARCH_PATH)
    environment = {
        **os.environ,
        SEARCH_PATH: f"{folder}{os.pathsep}{earlier}" if earlier else str(folder),
        STARTED_AGAIN: str(os.getpid()),
    }
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - no shell
