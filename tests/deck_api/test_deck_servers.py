"""Servers as batch jobs and clusters, through the hub with the caller's own token."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest
from deck_pages.deck_pages_servers import OPTIONS, cluster_view, queued, running_job
from simdeck_common.problems import Problem
from simdeck_deck.choices import Choices
from simdeck_deck.hub_api import HubAPI
from simdeck_deck.hub_servers import following_name, free_name
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.servers import server_card
from simdeck_deck.servers import ServerView


@pytest.fixture
async def alice(site):
    site.hub.clusters = [cluster_view()]
    async with site.client(site.hub.token("alice", "server", "apps:read")) as client:
        yield client


async def test_clusters_come_as_the_hub_tells_them(alice):
    (cluster,) = (await alice.get("/clusters")).json()["items"]
    assert cluster["name"] == "alpha"
    assert [partition["name"] for partition in cluster["partitions"]] == ["short", "gpu", "long"]
    assert cluster["partitions"][0]["limits"]["walltime_minutes"] == 240
    assert cluster["age"] == 4.2


async def test_a_hub_without_clusters_has_none_and_tells_its_servers_all_the_same(site):
    site.hub.servers["alice"] = {
        "pending": None,
        "ready": True,
        "url": "/user/alice/",
        "started": "2026-11-21T10:00:00Z",
    }
    async with site.client(site.hub.token("alice", "server")) as alice:
        assert (await alice.get("/clusters")).json() == {"items": []}
        (server,) = (await alice.get("/servers")).json()["items"]
        assert (server["name"], server["phase"], server["url"], server["job"]) == ("-", "running", "/user/alice/", None)
        assert (await alice.get("/servers/-")).json() == server
        site.hub.servers.clear()
        assert (await alice.get("/servers")).json() == {"items": []}
        assert (await alice.get("/servers/-")).json()["phase"] == "none"
        refused = await alice.post("/server/estimate", json={"options": {}})
        assert refused.json()["code"] == "resources-no-cluster"


async def test_a_server_is_started_with_options_told_and_taken_off_the_list(site, alice):
    response = await alice.post("/servers/side", json={"options": OPTIONS})
    assert response.status_code == 202
    assert response.headers["location"].endswith("/api/v1/servers/side")
    assert site.hub.started == [("alice", "side", OPTIONS)]
    assert (await alice.get("/servers/side")).json()["phase"] == "submitting"
    assert (await alice.delete("/servers/side", params={"remove": True})).json()["phase"] == "none"
    assert site.hub.ended == [("alice", "side", True)]
    assert (await alice.get("/servers/side")).json()["code"] == "server-not-found"


async def test_a_refused_value_names_its_field_for_start_and_estimate(alice):
    for path in ("/servers/side", "/server/estimate"):
        response = await alice.post(path, json={"options": {"cores": 99}})
        assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
        assert (response.json()["field"], response.json()["detail"]) == ("cores", "At most 32 cores can be had here.")


async def test_an_estimate_says_start_cost_and_what_starts_sooner(alice):
    found = (await alice.post("/server/estimate", json={"options": OPTIONS})).json()
    assert found["cost"] == {"core_hours": 8.0, "balance": 8423.5}
    assert found["sooner"][0]["change"] == "1 hour instead of 2"
    assert found["sooner"][0]["options"]["walltime_minutes"] == 60


@pytest.mark.parametrize("name", ["Big", "-x", "x" * 31, "a_b", "a%0Ab"])
async def test_a_name_that_no_server_can_have_is_refused(site, alice, name):
    assert (await alice.get(f"/servers/{name}")).json()["code"] == "server-not-found"
    response = await alice.post(f"/servers/{name}")
    assert (response.status_code, response.json()["field"]) == (422, "name")
    assert site.hub.started == []


async def test_a_server_that_still_runs_is_continued_beside_itself(site, alice):
    site.hub.views["alice"] = {"-": running_job(), "molecule": running_job("molecule")}
    response = await alice.post("/servers/-/continue", json={"options": {"walltime_minutes": 240}})
    assert response.headers["location"].endswith("/servers/molecule-2")
    assert site.hub.started == [("alice", "molecule-2", OPTIONS | {"walltime_minutes": 240})]


async def test_a_server_that_is_over_is_continued_under_its_name(site, alice):
    site.hub.views["alice"] = {"side": queued("side") | {"phase": "failed"}}
    assert (await alice.post("/servers/side/continue")).json()["name"] == "side"
    assert site.hub.started == [("alice", "side", OPTIONS)]


async def test_what_was_started_last_for_an_app_is_what_it_begins_with(alice):
    begun = (await alice.get("/server/options", params={"app": "molecule"})).json()
    assert begun["source"] == "site"
    assert begun["options"]["cores"] == 1
    await alice.post("/servers/side", json={"options": OPTIONS})
    begun = (await alice.get("/server/options", params={"app": "molecule"})).json()
    assert begun == {"options": {k: v for k, v in OPTIONS.items() if k != "app"}, "source": "last"}
    assert (await alice.get("/server/options", params={"app": "other"})).json()["source"] == "site"


async def test_an_app_begins_with_what_its_manifest_asks_for(site, alice, monkeypatch):
    release = SimpleNamespace(resources=SimpleNamespace(cores=6, memory="3 GiB"))
    monkeypatch.setattr(site.deck.registries, "app", lambda app: SimpleNamespace(releases=[release]))
    begun = (await alice.get("/server/options", params={"app": "molecule"})).json()
    assert (begun["source"], begun["options"]["cores"], begun["options"]["memory_mb"]) == ("app", 6, 3072)
    assert begun["options"]["partition"] == "short"


async def test_the_events_of_a_named_server_carry_its_view(site, alice):
    site.hub.views["alice"] = {"side": queued("side")}
    text = (await alice.get("/servers/side/events")).text
    assert (
        'event: progress\ndata: {"percent": 10, "message": "Waiting", "server": {"name": "side", "phase": "queued"}}'
        in text
    )
    assert "event: end" in text


async def test_the_papers_of_a_server_come_as_a_zip(site, alice):
    site.hub.views["alice"] = {"side": queued("side")}
    response = await alice.get("/servers/side/bundle")
    assert (response.content, response.headers["content-type"]) == (b"PK-the-papers", "application/zip")
    assert response.headers["content-disposition"] == 'attachment; filename="simdeck-side.zip"'


async def test_an_answer_that_cannot_be_understood_is_the_hubs_fault(site, alice):
    site.hub.clusters = [{"title": "no name"}]
    response = await alice.get("/clusters")
    assert (response.status_code, response.json()["code"]) == (503, "hub-unavailable")


def test_a_server_of_a_newer_hub_is_read_as_far_as_it_is_known():
    view = ServerView.model_validate(
        {"phase": "hibernating", "since": 1_795_000_000.0, "job": {"id": 7, "nodes": ["a", "b"], "new": 1}, "new": 2}
    )
    assert (view.phase, view.since) == ("unknown", "2026-11-18T11:06:40Z")
    assert view.job is not None
    assert (view.job.id, view.job.nodes) == ("7", "a, b")


def test_a_cluster_is_called_as_people_call_it():
    seen = ServerView(phase="running", job={"cluster": "main", "cluster_title": "Alps", "nodes": "cn1"})
    assert server_card(seen, Links("/services/deck/", "ada"), datetime.now(UTC)).place == "cn1 on Alps"


@pytest.mark.parametrize(
    ("wanted", "taken", "name"),
    [
        ("molecule", set(), "molecule"),
        ("molecule", {"molecule"}, "molecule-2"),
        ("molecule-2", {"molecule", "molecule-2"}, "molecule-3"),
        ("My App!", {"-"}, "my-app"),
        ("…", set(), "server"),
        ("a" * 60, set(), "a" * 24),
    ],
)
def test_a_free_name_is_made_of_what_is_wanted(wanted, taken, name):
    assert free_name(wanted, taken) == name


def test_a_default_server_continues_under_its_apps_name():
    assert following_name(ServerView(phase="running", options={"app": "molecule"}), {"-"}) == "molecule"
    assert following_name(ServerView(phase="none", options={"app": "molecule"}), {"-"}) == "-"


def test_only_the_latest_choices_of_a_person_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("simdeck_deck.choices.KEPT", 2)
    choices = Choices(tmp_path / "deck")
    for app in ("a", "b", "c"):
        choices.remember("ada", app, {"cores": 1, "app": app})
    choices.remember("bob", "a", {"cores": 2})
    assert [choices.last("ada", app) for app in ("a", "b", "c")] == [None, {"cores": 1}, {"cores": 1}]
    assert choices.last("bob", "a") == {"cores": 2}
    choices.close()
    assert (tmp_path / "deck" / "choices.sqlite").stat().st_mode & 0o077 == 0
    again = Choices(tmp_path / "deck")
    assert again.last("bob", "a") == {"cores": 2}
    again.close()


async def test_a_site_policys_refusal_is_told_in_its_own_words(alice, site, monkeypatch):
    body = Problem("resources-not-allowed", field="cluster", cluster="Alpha").to_json()

    async def refuse(*_args, **_sent):
        return httpx.Response(403, json=body)

    monkeypatch.setattr(site.deck.hub.client, "request", refuse)
    response = await alice.get("/clusters")
    assert (response.status_code, response.json()["code"]) == (403, "resources-not-allowed")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Named servers are not enabled.", "server-names-off"),
        (
            "User alice already has the maximum of 2 named servers.  One must be deleted before a new server can be created",
            "server-names-limit",
        ),
    ],
)
async def test_a_hub_without_room_for_another_server_is_no_failure_of_it(message, code):
    hub = HubAPI("http://hub/hub/api")
    answers = httpx.MockTransport(lambda _: httpx.Response(400, json={"message": message}))
    hub.client = httpx.AsyncClient(transport=answers, base_url="http://hub/hub/api")
    with pytest.raises(Problem) as refused:
        await hub.start("alice", "token", {}, "side")
    assert (refused.value.code, refused.value.status, refused.value.field) == (code, 409, "name")
    await hub.close()
