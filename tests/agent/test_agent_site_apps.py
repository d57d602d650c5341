"""Apps that are installed for everybody come to a user's agent by themselves, as far as the user's groups may see them."""

from __future__ import annotations

import json

import pytest
from simdeck_agent import site_apps
from simdeck_agent.site_apps import SiteApps
from simdeck_appstore.policy import AppPolicy

POLICY = AppPolicy.model_validate({"rules": [{"app": "secret", "groups": ["physics"]}]})


def groups(*names):
    return {"X-Simdeck-Groups": json.dumps(names)}


@pytest.fixture
def site(agent, monkeypatch):
    """The agent with two apps for everybody, one of them for physicists."""
    agent.installer.for_all = {"wave", "secret"}
    monkeypatch.setattr(site_apps, "LOOK_SECONDS", 0.0)
    parts = agent.app.app.state.agent
    parts.policy = POLICY
    parts.site_apps = SiteApps(agent.installer, agent.backend, POLICY, parts.pins)
    return agent


async def names(site, *of):
    return [app["id"] for app in (await site.client.get("/apps", headers=groups(*of))).json()["items"]]


async def test_they_are_among_the_apps_at_the_first_look(site):
    assert await names(site) == ["wave"]


async def test_a_member_of_the_group_has_the_groups_app(site):
    assert sorted(await names(site, "physics")) == ["secret", "wave"]


async def test_the_worker_reads_new_workflows_once(site):
    await names(site)
    await names(site)
    assert site.backend.reloads == 1


async def test_one_person_is_told_at_once_that_they_cannot_remove_it(site):
    await names(site)
    for query in ("", "?version=1.0"):
        refused = await site.client.delete(f"/apps/wave{query}")
        assert (refused.status_code, refused.json()["code"]) == (409, "app-site-wide")


async def test_a_run_may_be_the_first_that_needs_them(site):
    await site.client.post("/runs", json={"workflow": "molecule.optimize"}, headers=groups())
    assert site.installer.apps == {"wave": ["1.0"]}


async def test_without_a_word_about_groups_nothing_is_changed(site):
    await names(site, "physics")
    assert len((await site.client.get("/apps")).json()["items"]) == 2


async def test_they_are_looked_at_once_a_second_at_most(site, monkeypatch):
    monkeypatch.setattr(site_apps, "LOOK_SECONDS", 3600.0)
    await names(site)
    site.installer.for_all.add("later")
    assert await names(site) == ["wave"]
    assert "later" in await names(site, "physics")


async def test_a_folder_that_cannot_be_read_keeps_nobody_from_their_apps(site, monkeypatch):
    def fail(offered, stays):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(site.installer, "follow_site", fail)
    site.installer.apps = {"own": ["1.0"]}
    assert await names(site) == ["own"]
