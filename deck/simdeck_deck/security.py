"""Security and cache headers on every answer, and content-hashed addresses of static files.

Pure ASGI, because streams must pass through untouched.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = Path(__file__).parent / "static"
PAGE_CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
)
# What the API hands out may be any file of a run; opened in a browser it must not act in this site's name.
API_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"


class SecurityHeaders:
    """Adds to each answer what it does not say itself; ``prefix`` is the service's path with a slash at its end."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        api = path.startswith(self.prefix + "api/")
        static = path.startswith(self.prefix + "static/")
        versioned = static and "v" in parse_qs(scope["query_string"].decode("latin-1"))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", API_CSP if api else PAGE_CSP)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
                if static and message["status"] in (200, 304):
                    kept = "public, max-age=31536000, immutable" if versioned else "no-cache"
                    headers.setdefault("Cache-Control", kept)
                else:
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers)


def static_url(request: Request, path: str) -> str:
    """Return the address of static file ``path`` with its content's hash, so that it may be kept for ever."""
    prefix: str = request.app.state.deck.settings.prefix
    file = STATIC / path
    try:
        version = _digest(file, file.stat().st_mtime_ns)
    except OSError:
        return f"{prefix}static/{path}"
    return f"{prefix}static/{path}?v={version}"


@lru_cache(maxsize=512)
def _digest(file: Path, _mtime: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
