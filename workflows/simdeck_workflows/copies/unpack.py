"""Makes a folder from its copy on standard input: ``… copies.unpack --root FOLDER --backup ID``.

Nothing is put in place before every file's hash has been compared. It may be killed at any line: what was not in place
is then thrown away and read again, what was compared is put in place by the next call.

Exit status: 0 done, or done before; 3 there is something in the way (said on standard error); 1 anything else.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from simdeck_common.files import write_atomically
from simdeck_common.layout import private_dir

from simdeck_workflows.copies import pack, plans, postgresql
from simdeck_workflows.storage import POSTGRESQL, PROFILE, Database, StorageError

IN_THE_WAY = 3
_PRECIOUS = (
    "workflows/runs.sqlite", "workflows/aiida", "agent/tasks.sqlite",
    "hub/jupyterhub.sqlite", "hub/servers.sqlite", "private/secrets.json",
)  # fmt: skip
"""Whoever has one of these has something to lose."""


class InTheWayError(Exception):
    """The folder holds data already."""


def unpack(root: Path, backup: str, stream: IO[bytes], database: Database | None = None) -> bool:
    """Make ``root`` from its copy; False if that was done before.

    Raises
    ------
    InTheWayError
        There are data that this would write over.
    StorageError
        The copy is not what its list of files says, or PostgreSQL refuses.
    """
    private_root = root / ".restoring"
    done, ready = root / ".restored.json", private_root / ".ready"
    known = next((root / name for name in _PRECIOUS if (root / name).exists()), None)
    # Restored before and lost again since is restored again.
    if known is not None and done.exists() and json.loads(done.read_text())["backup"] == backup:
        return False
    if not (ready.exists() and ready.read_text() == backup):
        if known is not None:
            raise InTheWayError(f"{known} exists")
        shutil.rmtree(private_root, ignore_errors=True)
        private_dir(private_root)
        told = read(stream, private_root)
        _mend(private_root, Path(told["root"]), root, database)
        for container in plans.containers(private_root):
            for name in plans.CONTAINER_FOLDERS:
                # A copy has no empty folders; without these the repository counts as not made.
                (container / name).mkdir(exist_ok=True)
        dump = private_root / plans.DUMP
        if dump.exists():
            if database is None:
                raise StorageError("this copy is of a PostgreSQL database, and there is none for it here")
            postgresql.restore(database, dump)
            dump.unlink()
        write_atomically(ready, backup)
    for entry in sorted(private_root.iterdir()):
        if entry.name.startswith("."):
            continue
        with contextlib.suppress(FileNotFoundError):
            # Nothing precious: looked for above. An agent's empty folder or log may be there.
            (root / entry.name).replace(private_root / f".before-{entry.name}")
        entry.replace(root / entry.name)
    write_atomically(done, json.dumps({"backup": backup}))
    shutil.rmtree(private_root)
    return True


def read(stream: IO[bytes], target: Path) -> dict[str, Any]:
    """Write the copy's files below ``target``; return what its list says. Raises ``StorageError``."""
    found: dict[str, dict[str, Any]] = {}
    told: dict[str, Any] | None = None
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is None or told is not None:
                    raise StorageError(f"{member.name} has no place in a copy")
                if member.name == pack.MANIFEST:
                    told = json.load(content)
                    continue
                found[member.name] = _write(content, _inside(target, member.name), member.mode)
    except (tarfile.TarError, ValueError) as error:
        raise StorageError(f"the copy cannot be read: {error}") from error
    if told is None:
        raise StorageError("the copy ends before its list of files")
    if found != told["files"]:
        wrong = next(name for name in {**found, **told["files"]} if found.get(name) != told["files"].get(name))
        raise StorageError(f"{wrong} is not what was copied")
    return told


def _inside(target: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise StorageError(f"{name} has no place in a copy")
    return target / path


def _write(content: IO[bytes], path: Path, mode: int) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode & 0o700), "wb") as out:
        while piece := content.read(1 << 20):
            digest.update(piece)
            size += len(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return {"size": size, "sha256": digest.hexdigest()}


def _mend(folder: Path, before: Path, now: Path, database: Database | None) -> None:
    """Let AiiDA's configuration name the places where the files will be."""
    path = folder / "workflows" / "aiida" / ".aiida" / "config.json"
    if not path.exists():
        return
    config = json.loads(path.read_bytes())
    for name, profile in config["profiles"].items():
        storage = profile["storage"]["config"]
        if "filepath" in storage:
            storage["filepath"] = str(_moved(Path(storage["filepath"]), before, now))
        if "repository_uri" in storage:
            repository = _moved(Path(unquote(urlsplit(storage["repository_uri"]).path)), before, now)
            storage["repository_uri"] = repository.as_uri()
            if name == PROFILE and database is not None and profile["storage"]["backend"] == POSTGRESQL:
                storage.update(database.storage_config(repository))
    write_atomically(path, json.dumps(config, indent=4))


def _moved(path: Path, before: Path, now: Path) -> Path:
    return now / path.relative_to(before) if path.is_relative_to(before) else path


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a folder from its copy on standard input.")
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--backup", required=True)
    parser.add_argument("--database", type=Database.model_validate_json)
    options = parser.parse_args()
    os.umask(0o077)
    try:
        private_dir(options.root)
        done = unpack(options.root, options.backup, sys.stdin.buffer, options.database)
    except InTheWayError as error:
        print(error, file=sys.stderr)
        sys.exit(IN_THE_WAY)
    except (OSError, StorageError) as error:
        sys.exit(str(error))
    print("restored" if done else "before")


if __name__ == "__main__":
    main()
