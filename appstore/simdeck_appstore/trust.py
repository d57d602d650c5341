"""Reading a signed registry: every document is checked against signatures that lead to a pinned ``root.json``.

Wraps an origin of :mod:`simdeck_appstore.registry`. What was trusted last is kept in a folder, so that an older state
of the registry (a rollback) is noticed; signatures that have run out (a frozen copy) are refused.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem
from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from simdeck_appstore.signing import METADATA


class Inner(Protocol):
    """What is needed of the origin underneath."""

    name: str

    def changed(self) -> bool: ...

    def read(self, path: str) -> bytes: ...

    def copy(self, path: str, target: Path, check: Callable[[], None]) -> None: ...


class SignedOrigin:
    """An origin whose documents are read only when their signatures hold.

    Parameters
    ----------
    inner
        Where the files come from.
    root
        The pinned ``root.json``.
    state
        A folder of this registry alone; what was trusted last is kept there.
    """

    def __init__(self, inner: Inner, root: Path, state: Path) -> None:
        self.inner = inner
        self.name = inner.name
        self.root = root
        self.state = state
        self._lock = threading.Lock()
        self._updater: Updater | None = None
        self._expires: datetime | None = None
        self._refused = False

    @property
    def expires(self) -> datetime | None:
        """When the first of the signatures read last runs out."""
        return self._expires

    @property
    def key(self) -> str | None:
        """The pinned root's fingerprint: the first 16 digits of its file's SHA-256; None where it cannot be read."""
        try:
            return hashlib.sha256(self.root.read_bytes()).hexdigest()[:16]
        except OSError:
            return None

    def changed(self) -> bool:
        """Tell whether the index may differ, or its signatures have run out since; what was refused is read again."""
        expired = self._expires is not None and datetime.now(UTC) >= self._expires
        return self.inner.changed() or expired or self._refused

    def read(self, path: str) -> bytes:
        """Return a document (``api/…``) whose signature holds; files by content are checked by their hash elsewhere.

        Raises
        ------
        Problem
            ``registry-untrusted``: signatures, hashes or versions do not fit; ``registry-expired``.
        OSError
            It cannot be read.
        """
        if not path.startswith("api/"):
            return self.inner.read(path)
        with self._lock:
            self._refused = path.endswith("/index.json")
            content = self.inner.read(path)
            if self._updater is None or path.endswith("/index.json"):
                self._updater = self._refreshed()
            try:
                target = self._updater.get_targetinfo(path)
                if target is None:
                    raise FileNotFoundError(path)
                target.verify_length_and_hashes(content)
            except exceptions.LengthOrHashMismatchError:
                raise self._untrusted(f"{path} is not what was signed") from None
            self._refused = False
            return content

    def copy(self, path: str, target: Path, check: Callable[[], None]) -> None:
        self.inner.copy(path, target, check)

    def _refreshed(self) -> Updater:
        try:
            bootstrap = self.root.read_bytes()
        except OSError as error:
            raise self._untrusted(f"its pinned key {self.root} cannot be read ({error.strerror})") from None
        folder = private_dir(self.state / hashlib.sha256(self.name.encode() + bootstrap).hexdigest()[:24])
        try:
            updater = Updater(
                metadata_dir=str(folder),
                metadata_base_url=f"registry:///{METADATA}/",
                fetcher=_Fetcher(self.inner),
                config=UpdaterConfig(prefix_targets_with_hash=False),
                bootstrap=bootstrap,
            )
            updater.refresh()
        except exceptions.ExpiredMetadataError:
            raise Problem("registry-expired", location=self.name) from None
        except exceptions.BadVersionNumberError:
            raise self._untrusted("it is older than what was read from it before") from None
        except exceptions.UnsignedMetadataError:
            raise self._untrusted("it is not signed with the pinned key") from None
        except exceptions.DownloadHTTPError as error:
            raise self._untrusted("it is not signed") from error
        except exceptions.DownloadError as error:
            raise ConnectionError(str(error.__cause__ or error)) from error
        except (exceptions.RepositoryError, ValueError) as error:
            raise self._untrusted(f"its signatures cannot be used ({error})") from None
        self._expires = _first_expiry(updater)
        return updater

    def _untrusted(self, reason: str) -> Problem:
        return Problem("registry-untrusted", location=self.name, reason=reason)


def check_root(content: bytes) -> None:
    """Refuse (``ValueError``, with the reason) what is no ``root.json`` that could be pinned."""
    try:
        found = Metadata[Root].from_bytes(content)
        if not isinstance(found.signed, Root):
            raise ValueError("it is other metadata")
        found.verify_delegate("root", found)
    except (exceptions.RepositoryError, DeserializationError, ValueError) as error:
        raise ValueError(f"it is no root.json of a signed registry ({error})") from None


def _first_expiry(updater: Updater) -> datetime:
    trusted = updater._trusted_set
    found: list[datetime] = [
        trusted.root.expires,
        trusted.timestamp.expires,
        trusted.snapshot.expires,
        trusted.targets.expires,
    ]
    return min(moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in found)


class _Fetcher(FetcherInterface):  # type: ignore[misc]
    """Lets python-tuf read its metadata through the origin."""

    def __init__(self, inner: Inner) -> None:
        self.inner = inner

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = url.removeprefix("registry:///")
        try:
            return iter([self.inner.read(path)])
        except FileNotFoundError:
            raise exceptions.DownloadHTTPError(f"there is no {path}", 404) from None
