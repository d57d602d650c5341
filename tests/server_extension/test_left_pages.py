"""Pages that are left, found again, or gone: whose kernel goes on, and whose ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simdeck_deck.server_extension.open_pages import Content, OpenPages

KEY = ("app", "1.0", "/user/ada/deck/app/", "run=1")


@dataclass
class World:
    """A clock to set, and how many browsers are attached to each kernel."""

    now: float = 0.0
    attached: dict[str, int] = field(default_factory=dict)

    def pages(self, **more: float) -> OpenPages:
        return OpenPages(clock=lambda: self.now, **more)

    def connections(self, kernel: str) -> int:
        return self.attached.get(kernel, -1)

    def opened(self, pages: OpenPages, kernel: str = "k", key: tuple[str, ...] = KEY) -> Any:
        self.attached[kernel] = 0
        page = pages.opened(kernel, key)
        page.content = Content("<p>", None)
        return page


def test_a_page_without_connection_loses_its_kernel_after_the_grace_only() -> None:
    world = World()
    pages = world.pages(absent=900.0)
    world.opened(pages)
    world.now = 899.0
    assert pages.ended(world.connections) == []
    world.now = 901.0
    assert pages.ended(world.connections) == ["k"]
    assert len(pages) == 0


def test_a_page_that_is_connected_keeps_its_kernel() -> None:
    world = World()
    pages = world.pages(absent=900.0)
    world.opened(pages)
    world.attached["k"] = 1
    world.now = 5000.0
    assert pages.ended(world.connections) == []
    world.attached["k"] = 0
    world.now = 5899.0
    assert pages.ended(world.connections) == []


def test_a_kernel_ended_otherwise_is_forgotten() -> None:
    world = World()
    pages = world.pages()
    world.opened(pages)
    del world.attached["k"]
    assert pages.ended(world.connections) == []
    assert len(pages) == 0


def test_a_page_that_was_left_loses_its_kernel_when_nobody_comes_back() -> None:
    world = World()
    pages = world.pages(reattach=60.0)
    page = world.opened(pages)
    assert pages.leave("k", page.view) is False
    world.now = 59.0
    assert pages.ended(world.connections) == []
    world.now = 61.0
    assert pages.ended(world.connections) == ["k"]


def test_where_pages_are_not_kept_a_kernel_ends_with_its_page() -> None:
    world = World()
    pages = world.pages(reattach=0.0)
    page = world.opened(pages)
    pages.attached("k")
    assert pages.take(KEY, "k", world.connections) is None
    assert pages.leave("k", page.view) is True


def test_a_reload_takes_over_before_the_old_view_is_gone_and_the_old_view_cannot_end_it() -> None:
    world = World()
    pages = world.pages()
    old = world.opened(pages).view
    world.attached["k"] = 1
    taken = pages.take(KEY, "k", world.connections)
    assert taken is not None
    assert taken.view != old
    assert pages.leave("k", old) is False
    world.attached["k"] = 0
    world.now = 61.0
    assert pages.ended(world.connections) == []


def test_the_same_address_without_the_browser_s_note_is_a_page_of_its_own() -> None:
    world = World()
    pages = world.pages()
    page = world.opened(pages)
    pages.attached("k")
    world.attached["k"] = 1
    assert pages.take(KEY, None, world.connections) is None
    pages.leave("k", page.view)
    world.attached["k"] = 0
    assert pages.take(KEY, None, world.connections) is None


def test_a_page_whose_browser_vanished_is_found_by_its_address() -> None:
    world = World()
    pages = world.pages()
    world.opened(pages)
    pages.attached("k")
    assert pages.take(KEY, None, world.connections) is pages.get("k")


def test_a_page_that_is_still_opening_or_lost_its_state_is_never_taken() -> None:
    world = World()
    pages = world.pages()
    world.opened(pages).content = None
    assert pages.take(KEY, "k", world.connections) is None
    world.opened(pages)
    pages.spoil("k")
    assert pages.take(KEY, "k", world.connections) is None


def test_another_query_or_version_is_another_page() -> None:
    world = World()
    pages = world.pages()
    world.opened(pages)
    for key in (("app", "2.0", *KEY[2:]), (*KEY[:3], "run=2"), ("other", *KEY[1:])):
        assert pages.take(key, "k", world.connections) is None
