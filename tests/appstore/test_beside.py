"""A version installed beside the one in use: both are there, and nothing is switched."""

from __future__ import annotations

from pathlib import Path

from appstore_shop import Shop


def test_a_version_installed_beside_leaves_the_one_in_use(shop: Shop, tmp_path: Path) -> None:
    installer = shop.installer(tmp_path / "apps")
    installer.install("demo", "2.0.0")
    found = installer.install("demo", "1.0.0", beside=True)
    assert (found.current, found.versions, found.previous) == ("2.0.0", ["2.0.0", "1.0.0"], None)
    assert (tmp_path / "apps/demo/current").resolve().name == "2.0.0"
    assert installer.install("demo", "1.0.0", beside=True).current == "2.0.0"


def test_the_first_version_is_in_use_even_if_it_was_to_be_beside(shop: Shop, tmp_path: Path) -> None:
    assert shop.installer(tmp_path / "apps").install("demo", "1.0.0", beside=True).current == "1.0.0"
