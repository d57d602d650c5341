"""Signing a built registry (The Update Framework, through python-tuf).

``init`` makes four Ed25519 keys and the first ``root.json``, which sites pin. A build with these keys signs the
registry's documents: ``metadata/`` beside ``api/`` then says which index and which apps' documents are genuine, in
which version and until when. The documents name every file by its SHA-256, so the signatures cover wheels and locks
too. The root key is needed only to renew ``root.json``; keep it elsewhere.

    python -m simdeck_appstore.signing init DIR
    python -m simdeck_appstore.signing renew DIR      # root.json again, after a year or with changed keys
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner
from simdeck_common.problems import Problem
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

METADATA = "metadata"
ROLES = ("root", "targets", "snapshot", "timestamp")
ROOT_DAYS = 365
TARGETS_DAYS = 90
TIMESTAMP_DAYS = 14
"""How long a signed registry is good without a build; a frozen copy is refused after that."""


def _expiry(days: float, now: datetime) -> datetime:
    return (now + timedelta(days=days)).replace(microsecond=0)


def now() -> datetime:
    return datetime.now(UTC)


# --- keys -------------------------------------------------------------------------------------------------------


def init_keys(folder: Path) -> Path:
    """Make the keys (600 in a 700 folder) and the first ``root.json``; return its path.

    Raises
    ------
    Problem
        ``keys-exist``: there are keys already; nothing is overwritten.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    taken = [name for name in ROLES if (folder / f"{name}.pem").exists()]
    if taken:
        raise Problem("keys-exist", folder=folder)
    for name in ROLES:
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with open(os.open(folder / f"{name}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(pem)
    return renew_root(folder)


def renew_root(folder: Path) -> Path:
    """Write the next ``root.json`` for the keys in ``folder``, signed by the root key (and ``root.old.pem``)."""
    signers = {name: read_key(folder, name) for name in ROLES}
    path = folder / "root.json"
    earlier = Metadata[Root].from_file(str(path)) if path.exists() else None
    root = Root(version=1, expires=_expiry(ROOT_DAYS, now()), consistent_snapshot=True)
    if earlier is not None:
        root.version = earlier.signed.version + 1
    for name, signer in signers.items():
        root.add_key(signer.public_key, name)
    metadata = Metadata(root)
    metadata.sign(signers["root"])
    old = folder / "root.old.pem"
    if earlier is not None and old.exists():
        metadata.sign(_signer(old), append=True)
    if earlier is not None:
        (folder / f"{earlier.signed.version}.root.json").write_bytes(path.read_bytes())
    (folder / f"{root.version}.root.json").write_bytes(metadata.to_bytes())
    path.write_bytes(metadata.to_bytes())
    return path


def read_key(folder: Path, name: str) -> CryptoSigner:
    """Return the signer of one role.

    Raises
    ------
    Problem
        ``keys-unusable``: the file is missing, damaged, or others may read it.
    """
    return _signer(folder / f"{name}.pem")


def _signer(path: Path) -> CryptoSigner:
    try:
        mode = path.stat().st_mode
        key: Any = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or "it holds no private key"
        raise Problem("keys-unusable", path=path, reason=reason) from None
    if stat.S_IMODE(mode) & 0o077:
        raise Problem("keys-unusable", path=path, reason="others may read it (its mode must be 600)")
    return CryptoSigner(key)


# --- signing a registry -----------------------------------------------------------------------------------------


def sign_registry(stage: Path, keys: Path, earlier: Path | None) -> None:
    """Write ``metadata/`` for the documents below ``stage/api``; versions go on from those of the build ``earlier``.

    Nothing changes while the documents are the same and the earlier signatures are good for more than half their time.

    Raises
    ------
    Problem
        ``keys-unusable``.
    """
    moment = now()
    folder = stage / METADATA
    folder.mkdir(exist_ok=True)
    before = _Earlier(earlier / METADATA if earlier else None)
    for path in keys.glob("*.root.json"):
        shutil.copyfile(path, folder / path.name)
    targets = Targets(version=before.version("targets") + 1, expires=_expiry(TARGETS_DAYS, moment))
    for path in sorted((stage / "api").rglob("*.json")):
        name = path.relative_to(stage).as_posix()
        targets.targets[name] = _target(name, path.read_bytes())
    kept = before.targets(targets.targets, moment)
    if kept is None:
        signed_targets = Metadata(targets)
        signed_targets.sign(read_key(keys, "targets"))
        snapshot = Snapshot(version=before.version("snapshot") + 1, expires=_expiry(TARGETS_DAYS, moment))
        snapshot.meta["targets.json"] = MetaFile(version=targets.version)
        signed_snapshot = Metadata(snapshot)
        signed_snapshot.sign(read_key(keys, "snapshot"))
        written = {
            f"{targets.version}.targets.json": signed_targets.to_bytes(),
            f"{snapshot.version}.snapshot.json": signed_snapshot.to_bytes(),
        }
        snapshot_version = snapshot.version
    else:
        written, snapshot_version = kept
    for name, content in written.items():
        (folder / name).write_bytes(content)
    again = before.timestamp(snapshot_version, moment) if kept is not None else None
    if again is None:
        timestamp = Timestamp(version=before.version("timestamp") + 1, expires=_expiry(TIMESTAMP_DAYS, moment))
        timestamp.snapshot_meta = MetaFile(version=snapshot_version)
        signed = Metadata(timestamp)
        signed.sign(read_key(keys, "timestamp"))
        again = signed.to_bytes()
    (folder / "timestamp.json").write_bytes(again)


def renewal_due(folder: Path) -> datetime | None:
    """Return when the signatures in ``folder`` are to be renewed; None where they cannot be read."""
    before = _Earlier(folder.parent / METADATA)
    try:
        timestamp = Metadata[Timestamp].from_file(str(folder / "timestamp.json")).signed
        longer = [
            Metadata[Any].from_file(str(max(before._files(role), key=before._number))).signed
            for role in ("targets", "snapshot")
        ]
    except Exception:  # python-tuf raises several kinds for a damaged file; any means: sign anew
        return now()
    ends: list[datetime] = [timestamp.expires - timedelta(days=TIMESTAMP_DAYS / 2)]
    ends += [one.expires - timedelta(days=TARGETS_DAYS / 2) for one in longer]
    return min(moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in ends)


def _target(name: str, content: bytes) -> TargetFile:
    return TargetFile(len(content), {"sha256": hashlib.sha256(content).hexdigest()}, name)


class _Earlier:
    """The signatures of the build before, as far as they can be read."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def version(self, role: str) -> int:
        return max((self._number(path) for path in self._files(role)), default=0)

    def targets(self, wanted: dict[str, TargetFile], at: datetime) -> tuple[dict[str, bytes], int] | None:
        """Return the earlier targets and snapshot files (and the snapshot's version) where they still say the same."""
        files = {}
        for role in ("targets", "snapshot"):
            path = max(self._files(role), key=self._number, default=None)
            if path is None:
                return None
            files[role] = path
        try:
            old = Metadata[Targets].from_file(str(files["targets"])).signed
            snapshot = Metadata[Snapshot].from_file(str(files["snapshot"])).signed
        except Exception:  # python-tuf raises several kinds for a damaged file; any means: sign anew
            return None
        fresh = min(old.expires, snapshot.expires) - at > timedelta(days=TARGETS_DAYS / 2)
        if old.targets != wanted or not fresh or snapshot.meta["targets.json"].version != old.version:
            return None
        return {path.name: path.read_bytes() for path in files.values()}, snapshot.version

    def timestamp(self, snapshot_version: int, at: datetime) -> bytes | None:
        if self.folder is None:
            return None
        path = self.folder / "timestamp.json"
        try:
            old = Metadata[Timestamp].from_file(str(path)).signed
        except Exception:  # as above
            return None
        fresh = old.expires - at > timedelta(days=TIMESTAMP_DAYS / 2)
        return path.read_bytes() if fresh and old.snapshot_meta.version == snapshot_version else None

    def _files(self, role: str) -> list[Path]:
        if self.folder is None:
            return []
        if role == "timestamp":
            return [path for path in [self.folder / "timestamp.json"] if path.exists()]
        return list(self.folder.glob(f"*.{role}.json"))

    def _number(self, path: Path) -> int:
        if path.name == "timestamp.json":
            try:
                return int(Metadata[Timestamp].from_file(str(path)).signed.version)
            except Exception:  # as above
                return 0
        head = path.name.partition(".")[0]
        return int(head) if head.isdecimal() else 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="simdeck_appstore.signing", description="Keys of a signed registry.")
    parser.add_argument("action", choices=["init", "renew"])
    parser.add_argument("folder", type=Path, help="folder of the keys")
    chosen = parser.parse_args(argv)
    try:
        root = init_keys(chosen.folder) if chosen.action == "init" else renew_root(chosen.folder)
    except Problem as problem:
        print(f"{problem.detail} {problem.remedy}", file=sys.stderr)
        return 2
    print(f"{root} is what sites pin. Keep root.pem elsewhere: builds need the other three keys only.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
