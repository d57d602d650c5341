"""An AiiDAlab app's tree: recognising one, its pages, and packing it so that the same tree gives the same archive."""

from __future__ import annotations

import gzip
import os
import tarfile
import tomllib
from pathlib import Path

from simdeck_appstore.hashing import IGNORED

STARTS = ("start.md", "start.py")
POST_INSTALL = "post_install"
LARGEST = 512 * 1024 * 1024
MARKS = (*STARTS, "setup.cfg", ".aiidalab", "pyproject.toml", "setup.py", "requirements.txt")


def is_aiidalab(folder: Path) -> bool:
    """Tell whether the project in ``folder`` is an AiiDAlab app: it has its marks, and no ``[tool.simdeck]``."""
    tool: object = {}
    try:
        tool = tomllib.loads((folder / "pyproject.toml").read_text("utf-8")).get("tool")
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        return False
    if isinstance(tool, dict) and "simdeck" in tool:
        return False
    if any((folder / name).is_file() for name in (*STARTS, "setup.cfg")) or (folder / ".aiidalab").is_dir():
        return True
    return (isinstance(tool, dict) and "aiidalab" in tool) or any(folder.glob("*.ipynb"))


def root_of(unpacked: Path) -> Path | None:
    """Return the app's folder in an unpacked archive: the top, or the folder of it that has a project's files."""
    for folder in (unpacked, *sorted(path for path in unpacked.iterdir() if path.is_dir())):
        if any((folder / name).exists() for name in MARKS) or any(folder.glob("*.ipynb")):
            return folder
    return None


def start_of(root: Path) -> str | None:
    return next((name for name in STARTS if (root / name).is_file()), None)


def pages_of(root: Path) -> list[str]:
    """Return the notebooks, relative to ``root``; hidden ones and those of hidden folders are no pages."""
    names = (path.relative_to(root) for path in root.rglob("*.ipynb") if path.is_file())
    return sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))


def has_post_install(root: Path) -> bool:
    return (root / POST_INSTALL).is_file()


def find_logo(root: Path, logo: str) -> Path | None:
    """Return the file that ``logo`` (a path in the tree, or the https address of one) means, where the tree has it."""
    parts = [part for part in logo.partition("://")[2 if "://" in logo else 0].partition("?")[0].split("/") if part]
    for first in range(len(parts)):
        path = root.joinpath(*parts[first:]).resolve()
        if path.is_file() and path.is_relative_to(root.resolve()):
            return path
    return None


def pack(root: Path, target: Path, top: str) -> Path:
    """Write the tree ``root`` as ``target`` (tar.gz) with the single top folder ``top``; no times, no owners.

    Raises
    ------
    ValueError
        It is larger than half a GiB, or has a link that leads outside.
    """
    size = 0
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as bundle,
    ):
        for path in _paths(root):
            name = path.relative_to(root).as_posix()
            entry = tarfile.TarInfo(f"{top}/{name}")
            if path.is_symlink():
                if not path.resolve().is_relative_to(root.resolve()) or os.path.isabs(os.readlink(path)):
                    raise ValueError(f"its link {name} leads outside the app")
                entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(path)
                bundle.addfile(entry)
            elif path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                bundle.addfile(entry)
            elif path.is_file():
                entry.size = path.stat().st_size
                size += entry.size
                if size > LARGEST:
                    raise ValueError(f"it is larger than {LARGEST // 2**20} MiB")
                entry.mode = 0o755 if os.access(path, os.X_OK) and path.stat().st_mode & 0o100 else 0o644
                with path.open("rb") as stream:
                    bundle.addfile(entry, stream)
    return target


def _paths(root: Path) -> list[Path]:
    found: list[Path] = []
    for here, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in IGNORED]
        found += [Path(here, name) for name in (*folders, *names) if not name.endswith(".pyc") and name not in IGNORED]
    return sorted(found)
