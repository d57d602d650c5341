"""`simdeck admin`: apps for everybody, their disk use, the audit log, the registries."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from appstore_shop import UV, Shop
from click.testing import CliRunner, Result
from simdeck_agent.settings import AgentSettings, SiteAgents
from simdeck_appstore import signing
from simdeck_appstore.audit import NAME, Audit
from simdeck_appstore.installer import Installer
from simdeck_appstore.policy import AppPolicy
from simdeck_appstore.registries import RegistrySource
from simdeck_common.problems import Problem
from simdeck_hub.cli import main
from simdeck_hub.site_install import acting_account


class Deck:
    """A data folder as a start leaves it."""

    def __init__(self, shop: Shop, data: Path) -> None:
        self.shop = shop
        self.data = data
        (data / "users").mkdir(parents=True)

    def settings(self, **changes: object) -> AgentSettings:
        made = AgentSettings.model_validate(
            {
                "data": self.data, "backend_python": "/nowhere/python", "uv": UV, "site_apps": self.data / "apps",
                "registries": [str(self.shop.registry)], **changes,
            }
        )  # fmt: skip
        made.write(self.data / "agent.json")
        return made

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["admin", "--data", str(self.data), *words])

    def person(self, name: str) -> Installer:
        return self.shop.installer(self.data / "users" / name / "apps", site_apps=self.data / "apps")


@pytest.fixture(scope="module")
def installed(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Deck:
    """A deck with one app for everybody that brings no workflows (there is no backend here to read them)."""
    deck = Deck(shop, tmp_path_factory.mktemp("deck") / "data")
    deck.settings()
    settings = json.loads((deck.data / "agent.json").read_text())
    wrapper = deck.data / "describe"
    wrapper.write_text(f'#!/bin/sh\nshift 2\nexec {" ".join(shop.describe)} "$@"\n')
    wrapper.chmod(0o755)
    (deck.data / "agent.json").write_text(json.dumps(settings | {"backend_python": str(wrapper)}))
    result = deck.run("apps", "install", "demo", "--version", "1.0.0")
    assert result.exit_code == 0, result.output
    assert "demo 1.0.0 is installed for everybody." in result.output
    return deck


def test_what_it_installs_is_there_for_two_people(installed: Deck) -> None:
    for name in ("alice", "bob"):
        person = installed.person(name)
        person.follow_site(lambda app: True)
        assert [(app.id, app.site_versions) for app in person.installed()] == [("demo", ["1.0.0"])]


def test_it_lists_what_is_for_everybody(installed: Deck) -> None:
    assert "demo" in installed.run("apps", "list").output
    (app,) = json.loads(installed.run("apps", "list", "--json").output)
    assert app["current"] == "1.0.0"


def test_it_tells_what_everybody_and_each_person_use(installed: Deck) -> None:
    installed.person("carol").install("demo", "2.0.0")
    found = json.loads(installed.run("apps", "usage", "--json").output)
    assert found["everybody"][0]["size"] > 100_000
    assert [item["app"] for item in found["carol"]] == ["demo"]
    assert "KiB" in installed.run("apps", "usage").output or "MiB" in installed.run("apps", "usage").output


def test_it_writes_down_who_did_it(installed: Deck) -> None:
    first = Audit(installed.data / NAME).read(limit=None)[-1]
    assert (first.what, first.app, first.version, first.outcome) == ("site-install", "demo", "1.0.0", "done")
    assert "site-install" in installed.run("apps", "audit", "--app", "demo").output


def test_a_failure_is_told_and_written_down(installed: Deck) -> None:
    result = installed.run("apps", "install", "nothing")
    assert result.exit_code == 1
    assert "No registry offers an app called nothing." in result.output
    entry = Audit(installed.data / NAME).read(app="nothing")[0]
    assert (entry.outcome, entry.detail) == ("failed", "app-not-found")
    (shown,) = json.loads(installed.run("apps", "audit", "--app", "nothing", "--json").output)
    assert shown["detail"] == "app-not-found"


def test_it_removes_for_everybody(installed: Deck, tmp_path: Path) -> None:
    copy = Deck(installed.shop, tmp_path / "data")
    shutil.copytree(installed.data / "apps", copy.data / "apps", symlinks=True)
    copy.settings()
    assert "is removed for everybody" in copy.run("apps", "remove", "demo").output
    assert json.loads(copy.run("apps", "list", "--json").output) == []


def test_a_denied_app_is_not_installed_for_everybody_either(shop: Shop, tmp_path: Path) -> None:
    deck = Deck(shop, tmp_path / "data")
    deck.settings(apps=AppPolicy.model_validate({"deny": ["demo"]}))
    assert "No registry offers an app called demo." in deck.run("apps", "install", "demo").output


def test_before_the_first_start_it_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["admin", "--data", str(tmp_path), "apps", "list"])
    assert result.exit_code == 1
    assert "agent.json is not there" in result.output


def test_it_tells_how_each_registry_stands(shop: Shop, tmp_path: Path) -> None:
    deck = Deck(shop, tmp_path / "data")
    root = signing.init_keys(tmp_path / "keys")
    signed = RegistrySource(name="signed", url=str(shop.registry), root=root)
    away = RegistrySource(name="away", url=str(tmp_path / "none"), optional=True)
    deck.settings(registries=[RegistrySource(name="own", url=str(shop.registry)), signed, away])
    result = deck.run("registries", "--json")
    assert result.exit_code == 1
    own, refused, gone = json.loads(result.output)
    assert (own["apps"] > 0, own["problem"]) == (True, None)
    assert (refused["problem"]["code"], len(refused["key"])) == ("registry-untrusted", 16)
    assert gone["problem"]["code"] == "registry-unreachable"
    assert "not signed" in deck.run("registries").output


# --- on a site nobody who may act for others runs an app's code ------------------------------------------------------


def on_a_site(folder: Path) -> AgentSettings:
    return AgentSettings.model_validate(
        {
            "data": "/nowhere", "backend_python": "/nowhere/python", "uv": UV, "site_apps": folder,
            "site": SiteAgents(program=Path("/nowhere/launch")),
        }
    )  # fmt: skip


def test_a_folder_that_is_not_there_is_named_with_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        acting_account(on_a_site(tmp_path / "none"))
    assert "is not there" in caught.value.detail
    assert "install -d -o ACCOUNT" in caught.value.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
def test_root_acts_as_the_folders_owner_and_never_as_itself(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        acting_account(on_a_site(tmp_path))
    assert "belongs to root" in caught.value.detail
    os.chown(tmp_path, 65534, 65534)
    found = acting_account(on_a_site(tmp_path))
    assert found is not None
    assert found.pw_uid == 65534
