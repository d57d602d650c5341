"""The pages that are open in browsers, each with its kernel: left, found again, or gone for good.

A page that is reloaded gets its kernel and state back: when it is left, it writes its kernel's id into a cookie of its
own address, which the browser sends when it asks for that address again. A page whose browser went away without a word
(a laptop that slept, and forgot the tab) is found by its address. A kernel that nobody comes back to ends.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

COOKIE = "simdeck-page"


@dataclass(frozen=True)
class Content:
    """What a page was made of when it opened: its cells as HTML; ``roots`` where our own script draws it."""

    body: str
    roots: tuple[str, ...] | None


@dataclass
class OpenPage:
    """One page.

    Attributes
    ----------
    key
        What it shows: app, version, address, query.
    view
        The last view of it; an earlier view that says goodbye is not listened to.
    seen
        When a browser was last attached, on the monotonic clock.
    left
        When its browser said that it was left; None while it is open.
    connected
        Whether a browser was ever attached.
    content
        None until it has opened, and again when its state is lost.
    """

    kernel: str
    key: tuple[str, ...]
    view: str
    seen: float
    left: float | None = None
    connected: bool = False
    content: Content | None = None


@dataclass
class OpenPages:
    """The pages of one server, by kernel.

    Parameters
    ----------
    reattach
        How many seconds a page that was left can be found again; 0: its kernel ends at once.
    absent
        The same for a page whose browser went away without a word.
    """

    reattach: float = 60.0
    absent: float = 900.0
    clock: Callable[[], float] = time.monotonic
    _pages: dict[str, OpenPage] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._pages)

    def opened(self, kernel: str, key: tuple[str, ...]) -> OpenPage:
        page = OpenPage(kernel, key, secrets.token_hex(8), self.clock())
        self._pages[kernel] = page
        return page

    def get(self, kernel: str) -> OpenPage | None:
        return self._pages.get(kernel)

    def take(self, key: tuple[str, ...], kernel: str | None, connections: Callable[[str], int]) -> OpenPage | None:
        """Return the page that a request for ``key`` goes on with, now in a new view; None: a page of its own.

        Parameters
        ----------
        kernel
            What the browser's cookie says.
        connections
            How many browsers are attached to a kernel; negative when it is gone.
        """
        for page in self._pages.values() if self.reattach > 0 else ():
            if page.key != key or page.content is None or connections(page.kernel) < 0:
                continue
            forgotten = page.connected and page.left is None and connections(page.kernel) == 0
            if page.kernel == kernel or forgotten:
                page.view, page.left, page.seen = secrets.token_hex(8), None, self.clock()
                return page
        return None

    def leave(self, kernel: str, view: str | None) -> bool:
        """Hear that a page was left; return whether its kernel is to end at once."""
        page = self._pages.get(kernel)
        if page is None:
            return True
        if view is not None and view != page.view:
            return False
        page.left = self.clock()
        return self.reattach <= 0 or page.content is None

    def attached(self, kernel: str) -> None:
        """Hear that a browser is attached, or was until now."""
        page = self._pages.get(kernel)
        if page is not None:
            page.connected, page.seen = True, self.clock()

    def spoil(self, kernel: str) -> None:
        """Hear that a kernel was started anew: what the page showed is lost."""
        page = self._pages.get(kernel)
        if page is not None:
            page.content = None

    def ended(self, connections: Callable[[str], int]) -> list[str]:
        """Bring the list up to date; return the kernels that are to end."""
        now, found = self.clock(), []
        for kernel, page in list(self._pages.items()):
            count = connections(kernel)
            if count < 0:
                del self._pages[kernel]
            elif count > 0:
                page.seen = now
            elif (page.left is not None and now - page.left > self.reattach) or now - page.seen > self.absent:
                del self._pages[kernel]
                found.append(kernel)
        return found


def connections_of(manager: Any) -> Callable[[str], int]:
    """Return how to count the browsers attached to a kernel of a kernel manager."""
    return lambda kernel: manager._kernel_connections.get(kernel, 0) if kernel in manager else -1


def hear_connections(manager: Any, pages: OpenPages) -> None:
    """Have ``pages`` hear when browsers are attached to kernels of ``manager``, and when they go."""

    def wrapped(original: Callable[[str], None]) -> Callable[[str], None]:
        def heard(kernel_id: str) -> None:
            pages.attached(kernel_id)
            original(kernel_id)

        return heard

    for name in ("notify_connect", "notify_disconnect"):
        setattr(manager, name, wrapped(getattr(manager, name)))
