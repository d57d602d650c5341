"""One-time passwords: made at random at each start, kept only as a salted scrypt hash, gone at the first use.

A password is one file, ``private/password-<user>.json``. Using it removes the file; whoever removes it has signed in,
so two people who send the same password at the same moment cannot both succeed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from simdeck_common.files import write_atomically

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""No characters that look like others: people type these from a terminal into a phone."""
GROUPS, GROUP_LENGTH = 4, 4
SCRYPT = {"n": 2**14, "r": 8, "p": 1}


class PasswordStore:
    """The one-time passwords below ``folder`` (mode 700), one file of mode 600 per user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, user: str) -> Path:
        if not user or "/" in user or user.startswith(".") or "\0" in user:
            raise ValueError(f"not a user name: {user!r}")
        return self.folder / f"password-{user}.json"

    def make(self, user: str) -> str:
        """Make a new password for ``user``, replacing an unused one; return it (about 79 bits)."""
        password = "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
        salt = secrets.token_bytes(16)
        content = {"salt": salt.hex(), "hash": _digest(password, salt).hex()}
        write_atomically(self.path(user), json.dumps(content), mode=0o600)
        return password

    def use(self, user: str, password: str) -> bool:
        """Return whether ``password`` is the user's unused one, and use it up. Blocking (scrypt): call in a thread."""
        try:
            path = self.path(user)
        except ValueError:
            path = None
        record = _read(path) if path else None
        # An unknown user costs the same time as a known one.
        salt = bytes.fromhex(record["salt"]) if record else b"\0" * 16
        expected = bytes.fromhex(record["hash"]) if record else b"\0" * 64
        matches = hmac.compare_digest(_digest(password, salt), expected)
        if path is None or record is None or not matches:
            return False
        return self._claim(path, record)

    def _claim(self, path: Path, record: dict[str, str]) -> bool:
        """Take the file away; only one caller can, and only while it still holds the password that was compared."""
        claimed = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            os.rename(path, claimed)
        except FileNotFoundError:
            return False
        taken = _read(claimed)
        if taken == record:
            claimed.unlink()
            return True
        # A new password was made between comparing and claiming: put it back unless a newer one stands there already.
        with contextlib.suppress(FileExistsError):
            os.link(claimed, path)
        claimed.unlink()
        return False


def _digest(password: str, salt: bytes) -> bytes:
    """Return 64 bytes of scrypt; spaces and capitals that a person adds do not matter."""
    cleaned = "".join(password.split()).lower().encode()
    return hashlib.scrypt(cleaned, salt=salt, **SCRYPT)


def _read(path: Path) -> dict[str, str] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {"salt": str(content["salt"]), "hash": str(content["hash"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
