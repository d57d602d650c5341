"""A user's SSH keys for workflows that stage data: made here, named by an id, the private half never shown.

A key is a file of its own (600 in a folder of mode 700): ``<id>.json`` with the public half and what is known of it,
``<id>.key`` with the private one, in OpenSSH's format.
"""

from __future__ import annotations

import json
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import BaseModel, Field
from simdeck_common.files import write_atomically
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

from simdeck_workflows.models import Moment

MOST = 100


class SshKey(BaseModel):
    """The public half of a key, and what its owner noted."""

    id: str
    public_key: str = Field(description="A line for authorized_keys.")
    created: Moment
    metadata: dict[str, Any] = Field(default_factory=dict)


class KeyStore:
    """The keys in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[SshKey]:
        """The keys, oldest first."""
        found = [SshKey.model_validate_json(path.read_bytes()) for path in self._folder.glob("*.json")]
        return sorted(found, key=lambda key: key.created)

    def make(self, metadata: dict[str, Any] | None = None) -> SshKey:
        """Make a key. Raises ``too-many-keys``."""
        if len(self.all()) >= MOST:
            raise Problem("too-many-keys", most=MOST)
        private_dir(self._folder)
        secret = Ed25519PrivateKey.generate()
        number = str(uuid.uuid4())
        line = secret.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        key = SshKey(
            id=number,
            public_key=f"{line} simdeck:{number}",
            created=datetime.now(UTC),
            metadata=metadata or {},
        )
        text = secret.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        # The record last: what is listed has its private half.
        write_atomically(self.private_file(number), text, mode=0o600)
        write_atomically(self._folder / f"{number}.json", json.dumps(key.model_dump(mode="json")) + "\n", mode=0o600)
        return key

    def get(self, number: str) -> SshKey:
        """Raises ``ssh-key-not-found``: there is none of this id, or no longer."""
        try:
            return SshKey.model_validate_json((self._folder / f"{_checked(number)}.json").read_bytes())
        except FileNotFoundError:
            raise Problem("ssh-key-not-found", key=number) from None

    def remove(self, number: str) -> None:
        """Delete both halves. Raises ``ssh-key-not-found``."""
        self.get(number)
        os.unlink(self._folder / f"{number}.json")
        self.private_file(number).unlink(missing_ok=True)

    def private_file(self, number: str) -> Path:
        """Where the private half lies, for ``ssh -i``."""
        return self._folder / f"{_checked(number)}.key"


def _checked(number: str) -> str:
    try:
        return str(uuid.UUID(number))
    except ValueError:
        raise Problem("ssh-key-not-found", key=number) from None
