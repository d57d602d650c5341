"""The agent's routes: what they answer, and that every one declares a scope."""

from __future__ import annotations

import asyncio
import stat

import pytest
from fastapi import APIRouter
from simdeck_agent import api

SUBMIT = {"workflow": "molecule.optimize", "inputs": {"charge": 0}}


async def test_a_submitted_run_is_answered_with_its_place(agent):
    response = await agent.client.post("/runs", json=SUBMIT)
    assert response.status_code == 202
    assert response.headers["location"] == f"/runs/{response.json()['id']}"
    assert (await agent.client.get(response.headers["location"])).json() == response.json()


async def test_the_marker_is_written_before_a_run_is_accepted(agent, monkeypatch):
    seen = []
    accept = agent.backend.submit
    monkeypatch.setattr(agent.backend, "submit", lambda *args: seen.append(agent.app.marker.exists()) or accept(*args))
    await agent.client.post("/runs", json=SUBMIT)
    assert seen == [True]


async def test_the_same_key_gives_the_same_run(agent):
    first = await agent.client.post("/runs", json=SUBMIT, headers={"Idempotency-Key": "k"})
    second = await agent.client.post("/runs", json=SUBMIT, headers={"Idempotency-Key": "k"})
    assert first.json()["id"] == second.json()["id"]
    assert len(agent.backend.runs) == 1


async def test_a_run_can_be_renamed(agent):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    response = await agent.client.patch(f"/runs/{run['id']}", json={"title": "Water"})
    assert response.json()["title"] == "Water"


@pytest.mark.parametrize("part", ["inputs", "outputs"])
async def test_what_a_run_holds_is_told_by_name(agent, part):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    assert (await agent.client.get(f"/runs/{run['id']}/{part}")).json() == {"of": run["id"]}


async def test_a_run_file_is_saved_and_not_shown(agent):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    listed = (await agent.client.get(f"/runs/{run['id']}/files")).json()["items"]
    response = await agent.client.get(f"/runs/{run['id']}/files/{listed[0]['path']}")
    assert response.content == b"<html"
    assert response.headers["content-disposition"].startswith("attachment")


async def test_an_archive_is_deleted_once_it_was_sent(agent):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    response = await agent.client.get(f"/runs/{run['id']}/archive")
    assert response.content == b"PK"
    await asyncio.wait_for(agent.app.asgi.quiet.wait(), 120)
    assert not list(agent.backend.folder.glob("*.zip"))


async def test_a_retry_is_a_new_run_that_names_the_old(agent):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    await agent.client.post(f"/runs/{run['id']}/cancel")
    again = (await agent.client.post(f"/runs/{run['id']}/retry")).json()
    assert again["retry_of"] == run["id"]
    assert again["id"] != run["id"]


async def test_a_retry_takes_earlier_results_where_it_is_told_to(agent):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    await agent.client.post(f"/runs/{run['id']}/cancel")
    retry = f"/runs/{run['id']}/retry"
    assert (await agent.client.post(retry, json={"inputs": {"charge": 1}, "reuse": True})).json()["reuse"] is True
    assert (await agent.client.post(retry)).json()["reuse"] is False


async def test_pausing_and_resuming_change_the_run(agent):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    assert (await agent.client.post(f"/runs/{run['id']}/pause")).json()["paused"] is True
    assert (await agent.client.post(f"/runs/{run['id']}/resume")).json()["paused"] is False


async def test_a_deep_refusal_names_the_field(agent):
    response = await agent.client.post("/workflows/molecule.optimize/validate", json={"inputs": {"charge": 99}})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["field"] == "charge"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"{", 400, "bad-request"), (b'{"inputs": {}}', 422, "invalid-input"), (b'{"workflow": 3}', 422, "invalid-input")],
)
async def test_a_malformed_submission_is_refused_as_a_problem(agent, body, status, code):
    response = await agent.client.post("/runs", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert agent.backend.runs == {}


async def test_an_unknown_address_and_method_are_problems(agent):
    assert (await agent.client.get("/nothing")).json()["code"] == "not-found"
    assert (await agent.client.put("/runs")).json()["code"] == "method-not-allowed"


async def test_a_bug_is_told_as_a_problem_without_its_innards(agent, monkeypatch):
    def fail(_run_id):
        raise RuntimeError("secret innards")

    monkeypatch.setattr(agent.backend, "run", fail)
    response = await agent.client.get("/runs/x")
    assert response.status_code == 500
    assert response.json()["code"] == "unexpected"
    assert "innards" not in response.text


async def test_the_socket_is_the_users_alone(agent, settings):
    from simdeck_common.layout import user_home

    socket = user_home(settings.data, "alice").agent_socket
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


async def test_the_status_says_whether_something_is_unfinished(agent):
    assert (await agent.client.get("/status")).json()["active"] is False
    await agent.client.post("/runs", json=SUBMIT)
    status = (await agent.client.get("/status")).json()
    assert status["active"] is True
    assert status["user"] == "alice"


def test_every_route_declares_a_scope():
    declared = [scope for _, scope in api.routes()]
    assert len(declared) > 20
    assert set(declared) == {"runs", "runs:read", "apps:read", "apps:install"}


def test_a_route_that_changes_something_never_asks_for_a_reading_scope():
    for route, scope in api.routes():
        assert route.methods <= {"GET"} or not scope.endswith(":read"), route.path


def test_a_route_without_scope_is_an_error(monkeypatch):
    careless = APIRouter()
    careless.get("/secret")(lambda: None)
    monkeypatch.setattr(api, "ROUTERS", (careless,))
    with pytest.raises(ValueError, match="/secret declares no scope"):
        list(api.routes())
