"""Writes a folder's copy to standard output: ``… copies.pack --root FOLDER --plan user|site``.

The stream is a tar file whose last member, ``manifest.json``, lists every file with its size and SHA-256. SQLite
databases are copied by SQLite's own online backup, a PostgreSQL database by ``pg_dump``, both while they are in use.
The last line on standard error is a JSON object: counts, and the objects that the database refers to and nobody has.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from simdeck_workflows import storage
from simdeck_workflows.copies import plans

MANIFEST = "manifest.json"
_LEFT_BEHIND = 24 * 3600
"""Seconds after which a copy's temporary folder belongs to one that was killed."""
_SQLITE = b"SQLite format 3\0"


class _Hashed(io.RawIOBase):
    """Reads a file and takes its hash on the way."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self.hash.update(piece)
        return piece


class Packer:
    """One copy being written."""

    def __init__(self, root: Path, output: IO[bytes], temporary: Path) -> None:
        self._root = root
        self._tar = tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed in `end`
        self._temporary = temporary
        self.files: dict[str, dict[str, Any]] = {}
        self.counts: dict[str, int] = {}
        self._wanted: set[str] = set()
        self._held: set[str] = set()

    def add(self, path: Path) -> None:
        """Copy one file. One that is gone by now is left out: its content is elsewhere by then (see ``plans``)."""
        name = path.relative_to(self._root).as_posix()
        try:
            with path.open("rb") as stream:
                database = stream.read(len(_SQLITE)) == _SQLITE
        except FileNotFoundError:
            return
        if not database:
            self.add_as(name, path)
            return
        copy = self._temporary / "copy.sqlite"
        copy.unlink(missing_ok=True)
        with (
            contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=60)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            self._count(path, target)
        self.add_as(name, copy, mode=path.stat().st_mode)

    def add_as(self, name: str, path: Path, mode: int | None = None) -> None:
        """Copy the file at ``path`` under another name."""
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            # As long as it is now: a log that grows meanwhile is cut here.
            status = os.fstat(stream.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = status.st_size, int(status.st_mtime), (mode or status.st_mode) & 0o777
            hashed = _Hashed(stream)
            self._tar.addfile(info, hashed)
        self.files[name] = {"size": info.size, "sha256": hashed.hash.hexdigest()}
        parts = Path(name).parts
        if "loose" in parts:
            self._held.add("".join(parts[parts.index("loose") + 1 :]))

    def end(self, about: dict[str, Any]) -> dict[str, Any]:
        """Write the list of files; return what is told of the copy."""
        missing = sorted(self._wanted - self._held)
        told = {**about, "counts": self.counts, "missing_objects": missing[:20], "missing": len(missing)}
        content = json.dumps({**told, "files": self.files}, indent=1).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mtime, info.mode = len(content), int(time.time()), 0o600
        self._tar.addfile(info, io.BytesIO(content))
        self._tar.close()
        return told

    def _count(self, path: Path, copy: sqlite3.Connection) -> None:
        def count(table: str) -> int:
            return int(copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - names of ours

        if path.name == "runs.sqlite":
            self.counts["runs"] = count("runs")
        elif path.name == "database.sqlite" and path.with_name("container").is_dir():
            self.counts["nodes"] = self.counts.get("nodes", 0) + count("db_dbnode")
            for (metadata,) in copy.execute("SELECT repository_metadata FROM db_dbnode"):
                self._wanted.update(plans.referred(metadata))
        elif path.name == "packs.idx":
            self._held.update(row[0] for row in copy.execute("SELECT hashkey FROM db_object"))


def pack(root: Path, plan: plans.Plan, output: IO[bytes]) -> dict[str, Any]:
    """Write the copy of ``root``; return what is told of it. Raises ``OSError``, ``sqlite3.Error``."""
    # Beside the data: a copy of a database needs as much room as the database.
    kept = next((root / top for top in reversed(plan.tops) if (root / top).is_dir()), root)
    for left in kept.glob(".copy-*.part"):
        if left.stat().st_mtime < time.time() - _LEFT_BEHIND:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=kept, prefix=".copy-", suffix=".part") as folder:
        packer = Packer(root, output, Path(folder))
        about: dict[str, Any] = {"root": str(root), "storage": None}
        used = plans.storage_of(root) if "workflows" in plan.tops else None
        if used is not None:
            about["storage"] = used.kind
        dump = used.postgresql if used is not None else None
        for path in plans.files(root, plan):
            if dump is not None and path.relative_to(root).as_posix() not in plan.first:
                _dump(packer, dump, Path(folder))
                dump = None
            packer.add(path)
        return packer.end(about)


def _dump(packer: Packer, database: storage.Database, folder: Path) -> None:
    # After the run store and before the repository: see ``plans``.
    from simdeck_workflows.copies import postgresql

    target = folder / "postgresql.dump"
    packer.counts["nodes"] = postgresql.dump(database, target)
    packer.add_as(plans.DUMP, target, mode=0o600)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a checked copy of a folder to standard output.")
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--plan", required=True, choices=sorted(plans.PLANS))
    options = parser.parse_args()
    os.umask(0o077)
    try:
        told = pack(options.root, plans.PLANS[options.plan], sys.stdout.buffer)
    except (OSError, sqlite3.Error, tarfile.TarError, storage.StorageError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.flush()
    print(json.dumps(told), file=sys.stderr)


if __name__ == "__main__":
    main()
