"""Kernels whose page went away without saying so."""

from __future__ import annotations

from simdeck_deck.server_extension.extension import ended_pages


class Kernels(dict):  # type: ignore[type-arg]
    """A kernel manager by its connections."""

    @property
    def _kernel_connections(self) -> dict[str, int]:
        return dict(self)


def test_a_page_without_connection_loses_its_kernel_after_the_grace_only() -> None:
    pages = {"k": 0.0}
    assert ended_pages(Kernels(k=0), pages, 899.0, 900.0) == []
    assert ended_pages(Kernels(k=0), pages, 901.0, 900.0) == ["k"]
    assert pages == {}


def test_a_page_that_is_connected_keeps_its_kernel() -> None:
    pages = {"k": 0.0}
    assert ended_pages(Kernels(k=1), pages, 5000.0, 900.0) == []
    assert ended_pages(Kernels(k=0), pages, 5899.0, 900.0) == []


def test_a_kernel_ended_otherwise_is_forgotten() -> None:
    pages = {"k": 0.0}
    assert ended_pages(Kernels(), pages, 1.0, 900.0) == []
    assert pages == {}
