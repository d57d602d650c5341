"""Reading a built registry from a folder or over http(s): its index, its apps, search, and files checked by SHA-256.

Blocking; services call it in a thread. What was read is kept in memory until the index changes (a folder: by the file's
identity and time; http: by ETag, asked again at most every ``fresh`` seconds, and kept when the server is away).
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx
from pydantic import ValidationError
from simdeck_common.problems import Problem

from simdeck_appstore.models import FileRef, IndexEntry, RegistryApp, RegistryIndex
from simdeck_appstore.search import SearchIndex

INDEX = "api/v2/index.json"
CHUNK = 256 * 1024
LARGEST_DOCUMENT = 64 * 1024 * 1024
"""Bytes of a document or picture; a server that sends more is not read to its end."""


class Origin(Protocol):
    """Where a registry's files come from."""

    name: str

    def changed(self) -> bool:
        """Tell whether the index may differ from the one read last."""

    def read(self, path: str) -> bytes:
        """Return a document. Raises ``FileNotFoundError`` or ``OSError``."""

    def copy(self, path: str, target: Path, check: Callable[[], None]) -> None:
        """Write a file to ``target``, calling ``check`` between chunks."""


class Registry:
    """A built registry at ``location``: a folder, or an ``http(s)://`` address of its root.

    With ``root``, the pinned ``root.json`` of a signed registry, only what its signatures cover is read; ``trust`` is
    the folder that keeps what was trusted last.
    """

    def __init__(
        self,
        location: str | Path,
        *,
        client: httpx.Client | None = None,
        fresh: float = 30.0,
        root: Path | None = None,
        trust: Path | None = None,
    ) -> None:
        text = str(location)
        self.origin: Origin
        if text.startswith(("http://", "https://")):
            self.origin = _Web(text, client or httpx.Client(follow_redirects=True, timeout=15), fresh)
        else:
            self.origin = _Folder(Path(text.removeprefix("file://")))
        if root is not None:
            if trust is None:
                raise ValueError("a pinned root needs a folder for what was trusted last")
            # Imported here: python-tuf takes a tenth of a second that unsigned registries need not pay.
            from simdeck_appstore.trust import SignedOrigin

            self.origin = SignedOrigin(self.origin, root, trust)
        self._lock = threading.Lock()
        self._state: _State | None = None

    def index(self) -> RegistryIndex:
        """Return the table of contents.

        Raises
        ------
        Problem
            ``registry-unreachable`` when it cannot be read and never was.
        """
        return self._load().index

    def app(self, app: str) -> RegistryApp:
        """Return all that is known of ``app``.

        Raises
        ------
        Problem
            ``app-not-found`` or ``registry-unreachable``.
        """
        state = self._load()
        known = state.apps.get(app)
        if known is not None:
            return known
        if app not in state.ids:
            raise Problem("app-not-found", field="app", app=app)
        try:
            document = RegistryApp.model_validate_json(self.origin.read(f"api/v2/apps/{app}.json"))
        except FileNotFoundError:
            raise Problem("app-not-found", field="app", app=app) from None
        except (OSError, ValidationError) as error:
            raise self._unreachable(error) from None
        state.apps[app] = document
        return document

    def search(self, text: str = "", category: str | None = None) -> list[IndexEntry]:
        """Return the apps that match every word of ``text`` and the category, best match first (no text: by title)."""
        return self._load().search.find(text, category)

    def file(self, path: str, target: Path, *, check: Callable[[], None] = lambda: None) -> Path:
        """Copy the registry's file ``path`` (``files/…/<sha256>/<name>``) to ``target`` and return ``target``.

        ``check`` is called now and then and may raise to stop.

        Raises
        ------
        Problem
            ``file-changed`` when the content is not the one its path names; ``not-found``; ``registry-unreachable``.
        """
        expected = _digest(path)
        try:
            self.origin.copy(path, target, check)
        except FileNotFoundError:
            raise Problem("not-found") from None
        except OSError as error:
            raise self._unreachable(error) from None
        with target.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != expected:
            target.unlink()
            raise Problem("file-changed", name=Path(path).name)
        return target

    def fetch(self, ref: FileRef, target: Path, *, check: Callable[[], None] = lambda: None) -> Path:
        """Copy the file ``ref`` to ``target``; as :meth:`file`, and the path must name the hash of ``ref``."""
        if _digest(ref.path) != ref.sha256:
            raise Problem("file-changed", name=ref.name)

        def stop_at_its_size() -> None:
            check()
            # The chunk at hand is not yet written: an honest file never has more on disk than its size then.
            if target.exists() and target.stat().st_size > ref.size:
                raise Problem("file-changed", name=ref.name)

        try:
            self.file(ref.path, target, check=stop_at_its_size)
            if target.stat().st_size != ref.size:
                raise Problem("file-changed", name=ref.name)
            return target
        except Problem:
            target.unlink(missing_ok=True)
            raise

    def content(self, path: str) -> bytes:
        """Return the bytes of a small file (a logo, a screenshot), checked as :meth:`file` does."""
        expected = _digest(path)
        try:
            data = self.origin.read(path)
        except FileNotFoundError:
            raise Problem("not-found") from None
        except OSError as error:
            raise self._unreachable(error) from None
        if hashlib.sha256(data).hexdigest() != expected:
            raise Problem("file-changed", name=Path(path).name)
        return data

    def _load(self) -> _State:
        with self._lock:
            if self._state is not None and not self.origin.changed():
                return self._state
            try:
                index = RegistryIndex.model_validate_json(self.origin.read(INDEX))
            except (OSError, ValidationError) as error:
                if self._state is not None and not isinstance(error, FileNotFoundError):
                    return self._state
                raise self._unreachable(error) from None
            if self._state is None or self._state.index.revision != index.revision:
                self._state = _State(index, SearchIndex(index.apps), {entry.id for entry in index.apps})
            return self._state

    def _unreachable(self, error: Exception) -> Problem:
        if isinstance(error, FileNotFoundError):
            reason = "there is no registry"
        elif isinstance(error, ValidationError):
            reason = "its index is damaged"
        else:
            reason = str(getattr(error, "strerror", None) or error)
        return Problem("registry-unreachable", location=self.origin.name, reason=reason)


@dataclass
class _State:
    """One index and the app documents read since."""

    index: RegistryIndex
    search: SearchIndex
    ids: set[str]
    apps: dict[str, RegistryApp] = field(default_factory=dict)


def _digest(path: str) -> str:
    """Return the SHA-256 that a content-addressed path names; other paths are no files of a registry."""
    parts = path.split("/")
    if len(parts) != 4 or parts[0] != "files" or parts[3] in ("", ".", "..") or "\0" in path:
        raise Problem("not-found")
    digest = parts[2]
    if len(digest) != 64 or set(digest) - set("0123456789abcdef") or parts[1] != digest[:2]:
        raise Problem("not-found")
    return digest


class _Folder:
    """A registry in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = str(root)
        self._stamp: tuple[int, int, int] | None = None

    def changed(self) -> bool:
        return self._stamp != self._stat()

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            info = os.stat(self.root / INDEX)
        except OSError:
            return None
        return info.st_ino, info.st_mtime_ns, info.st_size

    def read(self, path: str) -> bytes:
        if path == INDEX:
            # Taken before reading: an index replaced in between is read once more next time.
            self._stamp = self._stat()
        with (self.root / path).open("rb") as stream:
            content = stream.read(LARGEST_DOCUMENT + 1)
        if len(content) > LARGEST_DOCUMENT:
            raise OSError(f"{path} is larger than {LARGEST_DOCUMENT // 2**20} MiB")
        return content

    def copy(self, path: str, target: Path, check: Callable[[], None]) -> None:
        with (self.root / path).open("rb") as source, target.open("wb") as sink:
            while chunk := source.read(CHUNK):
                check()
                sink.write(chunk)


class _Web:
    """A registry on a web server."""

    def __init__(self, address: str, client: httpx.Client, fresh: float) -> None:
        self.root = address.rstrip("/") + "/"
        self.name = httpx.URL(address).host
        self.client = client
        self.fresh = fresh
        self._condition: dict[str, str] = {}
        self._asked = float("-inf")

    def changed(self) -> bool:
        if time.monotonic() - self._asked < self.fresh:
            return False
        self._asked = time.monotonic()
        if not self._condition:
            return True
        try:
            answer = self.client.get(self.root + INDEX, headers=self._condition)
        except httpx.HTTPError:
            return False
        return answer.status_code != httpx.codes.NOT_MODIFIED

    def read(self, path: str) -> bytes:
        content = bytearray()
        try:
            with self.client.stream("GET", self.root + path) as answer:
                self._refuse(answer)
                for chunk in answer.iter_bytes(CHUNK):
                    content += chunk
                    if len(content) > LARGEST_DOCUMENT:
                        raise OSError(f"{path} is larger than {LARGEST_DOCUMENT // 2**20} MiB")
        except httpx.HTTPError as error:
            raise ConnectionError(f"the server does not answer ({type(error).__name__})") from None
        if path == INDEX:
            self._asked = time.monotonic()
            tags = {
                "If-None-Match": answer.headers.get("etag"),
                "If-Modified-Since": answer.headers.get("last-modified"),
            }
            self._condition = {name: value for name, value in tags.items() if value}
        return bytes(content)

    def copy(self, path: str, target: Path, check: Callable[[], None]) -> None:
        try:
            with self.client.stream("GET", self.root + path) as answer, target.open("wb") as sink:
                self._refuse(answer)
                for chunk in answer.iter_bytes(CHUNK):
                    check()
                    sink.write(chunk)
        except httpx.HTTPError as error:
            raise ConnectionError(f"the download broke off ({type(error).__name__})") from None

    def _refuse(self, answer: httpx.Response) -> None:
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise FileNotFoundError(answer.url.path)
        if answer.is_error:
            raise ConnectionError(f"the server answers {answer.status_code}")
