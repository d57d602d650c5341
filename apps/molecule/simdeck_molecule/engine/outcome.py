"""A known way to fail: a code that the work chain turns into an exit code, and a sentence for people."""

from __future__ import annotations


class EngineError(Exception):
    """The question has no answer this way; computing again would not help. Written to ``error.json``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
