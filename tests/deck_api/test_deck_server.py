"""The caller's Jupyter server, through the hub."""

from __future__ import annotations

import pytest
from simdeck_deck import hub_api
from simdeck_deck.hub_api import state_of


@pytest.fixture
async def alice(site):
    async with site.client(site.hub.token("alice", "server")) as client:
        yield client


@pytest.mark.parametrize(
    ("model", "state", "url"),
    [
        (None, "stopped", None),
        ({"pending": "spawn", "ready": False, "url": "/user/a/"}, "starting", None),
        ({"pending": "stop", "ready": True, "url": "/user/a/"}, "stopping", None),
        ({"pending": None, "ready": True, "url": "/user/a/"}, "running", "/user/a/"),
        ({"pending": None, "ready": False, "stopped": True}, "stopped", None),
    ],
)
def test_the_hubs_model_says_the_state(model, state, url):
    found = state_of(model)
    assert (found.state, found.url) == (state, url)


async def test_a_server_is_started_told_and_stopped(site, alice):
    assert (await alice.get("/server")).json()["state"] == "stopped"
    assert (await alice.post("/server")).json()["state"] == "starting"
    site.hub.servers["alice"] |= {"pending": None, "ready": True}
    assert (await alice.get("/server")).json() | {"started": None, "last_activity": None} == {
        "state": "running",
        "url": "/user/alice/",
        "started": None,
        "last_activity": None,
    }
    assert (await alice.delete("/server")).json()["state"] == "stopped"


async def test_starting_a_running_server_changes_nothing(site, alice):
    site.hub.servers["alice"] = {"pending": None, "ready": True, "url": "/user/alice/"}
    response = await alice.post("/server")
    assert (response.status_code, response.json()["state"]) == (202, "running")


async def test_a_start_that_the_hub_refuses_says_the_hubs_words(site, alice):
    site.hub.refuse_start = "Too many servers."
    response = await alice.post("/server")
    assert (response.status_code, response.json()["code"]) == (502, "server-start-failed")
    assert "Too many servers" in response.json()["detail"]


async def test_a_server_that_is_being_stopped_is_waited_for_and_started(site, alice):
    site.hub.stopping = 2
    assert (await alice.post("/server")).json()["state"] == "starting"
    assert site.hub.stopping == 0


async def test_a_server_that_does_not_end_in_time_is_not_said_to_start(site, alice, monkeypatch):
    monkeypatch.setattr(hub_api, "ENDING_SECONDS", 0.0)
    site.hub.stopping = 1000
    response = await alice.post("/server")
    assert (response.status_code, response.json()["code"]) == (409, "server-stopping")


async def test_a_start_is_followed_to_ready_and_resumes(site, alice):
    site.hub.servers["alice"] = {"pending": "spawn", "ready": False}
    site.hub.progress = [
        {"progress": 10, "message": "Waiting"},
        {"progress": 100, "ready": True, "message": "Ready", "url": "/user/alice/"},
    ]
    text = (await alice.get("/server/events")).text
    assert 'id: 1\nevent: progress\ndata: {"percent": 10, "message": "Waiting"}' in text
    assert 'id: 2\nevent: ready\ndata: {"message": "Ready", "url": "/user/alice/"}' in text
    assert "event: end" in text
    again = (await alice.get("/server/events", headers={"Last-Event-ID": "1"})).text
    assert again.startswith("id: 2\nevent: ready")


async def test_a_failed_start_is_told(site, alice):
    site.hub.servers["alice"] = {"pending": "spawn", "ready": False}
    site.hub.progress = [{"progress": 100, "failed": True, "message": "Spawn failed: no memory"}]
    text = (await alice.get("/server/events")).text
    assert 'event: failed\ndata: {"message": "Spawn failed: no memory"}' in text


async def test_following_a_server_that_does_not_start_ends_at_once(alice):
    text = (await alice.get("/server/events")).text
    assert "event: stopped" in text
    assert "event: end" in text


async def test_the_callers_own_token_asks_the_hub(site):
    async with site.client(site.hub.token("bob", "server")) as bob:
        site.hub.servers["alice"] = {"pending": None, "ready": True, "url": "/user/alice/"}
        assert (await bob.get("/server")).json()["state"] == "stopped"
