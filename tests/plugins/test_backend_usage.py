"""What the generations of the workflow backend take on disk, and which of them is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_the_generation_in_use_is_told_with_what_it_adds_and_takes(market: Any, tmp_path: Path) -> None:
    installer = market.installer(tmp_path / "apps")
    assert installer.backend_usage() == []
    installer.install("twice", "1.0.0")
    installer.install("twice", "2.0.0")
    new, old = installer.backend_usage()
    assert (new.current, new.apps, new.packages) == (True, ["twice"], ["honey 2.0"])
    assert (old.current, old.packages) == (False, ["honey 1.0"])
    assert new.size > 0


def test_that_of_everybody_counts_for_nobody(market: Any, tmp_path: Path) -> None:
    market.installer(tmp_path / "site", site_wide=True).install("sweet")
    person = market.installer(tmp_path / "apps", site_apps=tmp_path / "site")
    person.follow_site(lambda app: True)
    (found,) = person.backend_usage()
    assert (found.site, found.current, found.apps) == (True, True, ["sweet"])
