"""The site file's registries and app policy, and what of them reaches the agents."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from simdeck_agent.settings import AgentSettings
from simdeck_appstore import signing
from simdeck_common.problems import Problem
from simdeck_hub import site_file
from simdeck_hub.agent_settings import write_agent_settings
from simdeck_hub.places import Checkout, DataFolder

SITE = """\
[store]
registries = ["/srv/mirror"]

[[registries]]
name = "institute"
url = "https://apps.example.org/"
root = "root.json"

[[registries]]
name = "spare"
url = "/srv/spare"
optional = true

[apps]
allow = ["wave", "aiidalab-*"]
post_install = true
plugins = "admin"

[[apps.rules]]
app = "wave"
groups = ["physics"]
pinned = "~=1.4"
retired = ["1.4.1"]
"""


def written(folder: Path, text: str) -> AgentSettings:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    data = DataFolder(folder / "data")
    data.make()
    write_agent_settings(data, Checkout.find(), site_file.load(path), path)
    return AgentSettings.read(data.agent_settings)


def refused(folder: Path, text: str) -> Problem:
    with pytest.raises(Problem) as caught:
        written(folder, text)
    assert caught.value.code == "site-file"
    return caught.value


def test_registries_reach_the_agents_in_their_order(tmp_path: Path) -> None:
    signing.init_keys(tmp_path / "keys").rename(tmp_path / "root.json")
    settings = written(tmp_path, SITE)
    assert [(one.name, one.url, one.optional) for one in settings.registries] == [
        ("bundled", str(tmp_path / "data" / "registry"), True),
        ("institute", "https://apps.example.org", False),
        ("spare", "/srv/spare", True),
        ("/srv/mirror", "/srv/mirror", True),
    ]


def test_a_pinned_key_is_copied_to_where_agents_read_it(tmp_path: Path) -> None:
    signing.init_keys(tmp_path / "keys").rename(tmp_path / "root.json")
    root = written(tmp_path, SITE).registries[1].root
    assert root is not None
    assert root.is_relative_to(tmp_path / "data")
    assert root.read_bytes() == (tmp_path / "root.json").read_bytes()
    assert stat.S_IMODE(root.stat().st_mode) == 0o600


def test_the_policy_reaches_the_agents_and_their_installers(tmp_path: Path) -> None:
    signing.init_keys(tmp_path / "keys").rename(tmp_path / "root.json")
    settings = written(tmp_path, SITE)
    assert settings.apps.rules[0].groups == ("physics",)
    installer = settings.installer()
    assert (installer.post_install, installer.policy.plugins) == (True, "admin")
    assert settings.site_apps == tmp_path / "data" / "apps"


def test_the_bundled_registry_can_be_left_out(tmp_path: Path) -> None:
    settings = written(tmp_path, '[store]\nbundled = false\n[[registries]]\nname = "own"\nurl = "/srv/own"\n')
    assert [one.name for one in settings.registries] == ["own"]


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), ("{}", "no root.json"), ('{"signed": 1}', "no root.json")]
)
def test_a_key_that_cannot_be_used_stops_the_start(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "root.json").write_text(content, encoding="utf-8")
    problem = refused(tmp_path, SITE)
    assert words in problem.detail
    assert "institute" in problem.detail


def test_metadata_of_another_role_is_no_key(tmp_path: Path) -> None:
    signing.init_keys(tmp_path / "keys")
    content = (tmp_path / "keys" / "root.json").read_text().replace('"root"', '"targets"', 1)
    (tmp_path / "root.json").write_text(content, encoding="utf-8")
    assert "no root.json" in refused(tmp_path, SITE).detail


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[[registries]]\nname = 'a'\nurl = 'apps'\n", 3, ["registries.url", "whole path"]),
        ("[[registries]]\nname = 'a'\nurl = 'https://me:secret@x.org'\n", 3, ["registries.url", "without a password"]),
        ("[[registries]]\nname = 'a'\n", 1, ["registries lacks the key 'url'"]),
        (
            "[[registries]]\nname = 'a'\nurl = '/a'\n[[registries]]\nname = 'a'\nurl = '/b'\n",
            1,
            ['the registry "a" stands twice', "name of its own"],
        ),
        ("[apps]\nplugins = 'all'\n", 2, ["apps.plugins", "site-wide"]),
        ("[apps]\ndeny = ['a b']\n", 2, ["apps.deny", "not an app's name"]),
        ("[[apps.rules]]\napp = 'a'\npinned = '<<2'\n", 3, ["apps.rules.pinned", "range of versions"]),
        ("[[apps.rules]]\ngroups = ['a']\n", 1, ["apps.rules lacks the key 'app'"]),
    ],
)
def test_a_wrong_line_about_apps_is_named(tmp_path: Path, text: str, line: int, words: list[str]) -> None:
    problem = refused(tmp_path, text)
    assert problem.field == f"{tmp_path / 'site.toml'}:{line}"
    for word in words:
        assert word in problem.detail + problem.remedy
