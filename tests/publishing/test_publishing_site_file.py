"""Publishers in the site file: what it may say, and what the deck is told."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from simdeck_appstore.publishing import Receiver, Receivers
from simdeck_common.problems import Problem
from simdeck_deck.publications import read_receivers
from simdeck_hub import cli_publishing
from simdeck_hub.places import Checkout, DataFolder
from simdeck_hub.scopes import CLI_TOKEN, IN_SERVER, OWN, SERVER_TOKEN
from simdeck_hub.site_file import Site, load
from simdeck_hub.site_publishing import write_receivers

TWO = """
[[registries]]
name = "ours"
url = "/srv/apps/built"
source = "/srv/apps/source"
publishers = ["makers", "staff"]

[[registries]]
name = "theirs"
url = "https://apps.example.org"
"""


def site(tmp_path: Path, text: str) -> Site:
    path = tmp_path / "site.toml"
    path.write_text(text)
    return load(path)


def test_the_deck_is_told_of_registries_with_publishers_and_nobody_else_reads_it(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    data.make()
    write_receivers(data, Checkout.find(), site(tmp_path, TWO))
    told = read_receivers(data.root / "deck")
    assert told.items == [Receiver(name="ours", source=Path("/srv/apps/source"), publishers=["makers", "staff"])]
    path = data.root / "deck" / "publishing.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_that_file_nobody_publishes(tmp_path: Path) -> None:
    assert read_receivers(tmp_path) == Receivers()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('publishers = ["makers"]', "give source too"),
        ('publishers = ["makers"]\nsource = "apps/source"', "whole path"),
    ],
)
def test_publishers_need_the_folder_that_is_written(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(Problem) as caught:
        site(tmp_path, f'[[registries]]\nname = "ours"\nurl = "/srv/built"\n{line}\n')
    assert says in caught.value.detail


def test_a_persons_own_token_may_publish_and_the_one_in_their_server_may_not() -> None:
    wanted = "custom:simdeck:apps:publish!user"
    assert wanted in OWN
    assert wanted in CLI_TOKEN
    assert wanted not in [*SERVER_TOKEN, *IN_SERVER]


def test_a_name_means_the_sites_registry_and_a_folder_at_hand_is_written_directly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert cli_publishing.registry_name("institute") == "institute"
    assert cli_publishing.registry_name("mine") is None
    assert cli_publishing.registry_name(str(tmp_path / "mine")) is None
    assert cli_publishing.registry_name("https://git.example.org/apps.git") is None
    assert cli_publishing.registry_name("git@git.example.org:apps.git") is None
