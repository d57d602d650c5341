"""The secrets the parts share, made once per data folder and kept in ``private/secrets.json`` (mode 600)."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from simdeck_common.files import write_atomically


@dataclass(frozen=True)
class Secrets:
    """Tokens between our own processes. They reach a process by environment or file, never by its arguments."""

    proxy_token: str
    deck_token: str
    operator_token: str

    @classmethod
    def load(cls, private: Path) -> Secrets:
        """Read the secrets; ``FileNotFoundError`` when `simdeck up` has not made them."""
        return cls(**json.loads((private / "secrets.json").read_text(encoding="utf-8")))

    @classmethod
    def load_or_make(cls, private: Path) -> Secrets:
        """Read the secrets, or make and keep new ones; a file that is not whole is replaced."""
        try:
            return cls.load(private)
        except (FileNotFoundError, ValueError, TypeError):
            made = cls(*(secrets.token_hex(32) for _ in range(3)))
            write_atomically(private / "secrets.json", json.dumps(asdict(made)), mode=0o600)
            return made
