"""SHA-256 of files and of source trees, and their content-addressed place in a registry."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from simdeck_appstore.models import FileRef

# Folders that tools leave behind; they are no part of a project's source.
IGNORED = frozenset(
    {
        ".git", ".venv", "__pycache__", "node_modules", ".ipynb_checkpoints",
        ".pytest_cache", ".mypy_cache", ".ruff_cache", ".simdeck",
    }
)  # fmt: skip

# At a project's top only: what builds write. Deeper down the names are a package's own.
OUTPUTS = frozenset({"dist", "build"})


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of the file ``path``."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_ref(path: Path, name: str | None = None) -> FileRef:
    """Return where ``path`` belongs in a registry: ``files/<first two digits>/<sha256>/<name>``."""
    digest = sha256_of(path)
    name = re.sub(r"[^A-Za-z0-9_.+!-]", "_", name or path.name).lstrip(".+!-") or "file"
    return FileRef(name=name, path=f"files/{digest[:2]}/{digest}/{name}", sha256=digest, size=path.stat().st_size)


def tree_hash(folder: Path, parts: Iterable[str] = (".",)) -> str:
    """Return a SHA-256 over the names and contents of the files below ``parts`` of ``folder``, in name order."""
    digest = hashlib.sha256()
    for part in parts:
        for path in files_below(folder / part):
            name = path.relative_to(folder).as_posix()
            digest.update(f"{len(name)}:{name}{sha256_of(path)}".encode())
    return digest.hexdigest()


def files_below(top: Path) -> Iterator[Path]:
    """Yield the files of a source tree in name order, without what tools and builds leave in it."""
    if top.is_file():
        yield top
        return
    for here, folders, names in os.walk(top):
        unwanted = IGNORED | (OUTPUTS if Path(here) == top else frozenset())
        folders[:] = sorted(name for name in folders if name not in unwanted and not name.endswith(".egg-info"))
        for name in sorted(names):
            if not name.endswith(".pyc"):
                path = Path(here, name)
                if path.is_file():
                    yield path
