"""The deck's one secret on disk, and the two keys made of it: for the session cookie and for XSRF tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from simdeck_common.files import write_atomically
from simdeck_common.layout import private_dir


@dataclass(frozen=True)
class Keys:
    """Encrypts small JSON values for cookies, and signs. ``secret`` is 32 random bytes."""

    secret: bytes = field(repr=False)

    @classmethod
    def load(cls, data: Path) -> Keys:
        """Read ``<data>/private/deck.key`` or make it (mode 600); sessions live as long as the file."""
        path = private_dir(data / "private") / "deck.key"
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            secret = b""
        if len(secret) != 32:
            secret = secrets.token_bytes(32)
            write_atomically(path, secret)
        return cls(secret)

    def seal(self, value: dict[str, Any]) -> str:
        """Encrypt and sign ``value`` into text fit for a cookie."""
        return self._fernet().encrypt(json.dumps(value, separators=(",", ":")).encode()).decode()

    def unseal(self, text: str, max_age: int) -> dict[str, Any] | None:
        """Return what was sealed at most ``max_age`` seconds ago, or None when it is forged, old or damaged."""
        try:
            value = json.loads(self._fernet().decrypt(text.encode(), ttl=max_age))
        except (InvalidToken, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def sign(self, purpose: str, text: str) -> str:
        """Return a signature (hex) of ``text`` that is good for ``purpose`` alone."""
        return hmac.new(self._derive("sign:" + purpose), text.encode(), hashlib.sha256).hexdigest()

    def _derive(self, purpose: str) -> bytes:
        return hmac.new(self.secret, purpose.encode(), hashlib.sha256).digest()

    def _fernet(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._derive("cookie")))
