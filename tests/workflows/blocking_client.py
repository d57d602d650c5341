"""Makes the blocking client, ``client/sync.py``, of the asynchronous one: ``python tests/workflows/blocking_client.py``."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "workflows" / "simdeck_workflows" / "client"
SOURCE, TARGET = FOLDER / "aio.py", FOLDER / "sync.py"
WORDS = (
    ("The asynchronous client. `sync.py` is made of it", "The blocking client. It is made of `aio.py`"),
    ("import asyncio\n", ""),
    ("asyncio.sleep", "time.sleep"),
    ("AsyncIterator", "Iterator"),
    ("AsyncBaseTransport", "BaseTransport"),
    ("AsyncClient", "Client"),
    ("__aenter__", "__enter__"),
    ("__aexit__", "__exit__"),
    (".aclose(", ".close("),
    (".aread(", ".read("),
    (".aiter_", ".iter_"),
    ("async ", ""),
    ("await ", ""),
    ("import Iterator, Callable", "import Callable, Iterator"),
)


def blocking(text: str) -> str:
    """Return the blocking client's text, made of the asynchronous one's."""
    for asynchronous, plain in WORDS:
        text = text.replace(asynchronous, plain)
    return text


if __name__ == "__main__":
    TARGET.write_text(blocking(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
