"""The HPCWaaS API as its own client (hpcwaas-api 0.4) uses and reads it, and what it lacks there."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import datetime

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.models import RunState

WAAS = "/services/deck/api/hpcwaas"
WORKFLOW = "molecule@local@molecule.optimize"
FAST = (RunCluster(name="fast", title="Fast"), RunCluster(name="big"))


def waas(site, token=None, **headers):
    """A client with the base address that `waas` is configured with."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return httpx.AsyncClient(base_url=site.url + WAAS, headers={"Accept": "application/json", **headers}, timeout=30)


@pytest.fixture
async def alice(site):
    async with waas(site, site.hub.token("alice", "runs")) as client:
        yield client


async def trigger(client, body=b'{"inputs":{"charge":1}}', workflow=WORKFLOW, **headers):
    """What the Go client does: JSON without a content type; the id is the last part of Location."""
    answer = await client.post(f"/workflows/{workflow}", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].rsplit("/", 1)[-1]


async def test_a_workflow_has_the_recorded_fields_and_the_triple_id(alice):
    assert (await alice.get("/workflows")).json() == {
        "workflows": [
            {
                "id": WORKFLOW,
                "name": "molecule.optimize",
                "application_id": "molecule",
                "environment_id": "local",
                "environment_name": "This machine",
            }
        ]
    }


async def test_a_triggered_workflow_is_found_at_its_location(site, alice):
    answer = await alice.post(f"/workflows/{WORKFLOW}", content=b'{"inputs":{"charge":1}}')
    assert answer.status_code == 201
    assert answer.headers["location"].startswith(f"{WAAS}/executions/")
    found = httpx.URL(site.url).join(answer.headers["location"])
    assert (await alice.get(found)).json()["status"] == "RUNNING"


async def test_the_plain_name_works_where_the_documentation_uses_it(site, alice):
    run = await trigger(alice, workflow="molecule.optimize")
    assert site.launcher.backend("alice").sent[run].inputs == {"charge": 1}


async def test_another_cluster_is_another_environment_of_the_id(site, alice):
    await alice.get("/workflows")
    site.launcher.backend("alice").clusters = FAST
    listed = [one["environment_id"] for one in (await alice.get("/workflows")).json()["workflows"]]
    assert listed == ["fast", "big"]
    run = await trigger(alice, workflow="molecule@big@molecule.optimize")
    assert site.launcher.backend("alice").sent[run].inputs == {"charge": 1, "cluster": "big"}


@pytest.mark.parametrize("workflow", ["other@local@molecule.optimize", "molecule@nowhere@molecule.optimize", "a@b@c@d"])
async def test_an_id_that_is_not_offered_is_not_found(alice, workflow):
    answer = await alice.post(f"/workflows/{workflow}", json={"inputs": {}})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (RunState.FINISHED, "SUCCESS"),
        (RunState.FAILED, "FAILED"),
        (RunState.REJECTED, "FAILED"),
        (RunState.CANCELLED, "CANCELLED"),
    ],
)
async def test_each_end_has_its_status(site, alice, state, status):
    run = await trigger(alice)
    await site.launcher.backend("alice").finish(run, state)
    found = (await alice.get(f"/executions/{run}")).json()
    assert (found["id"], found["status"]) == (run, status)


async def test_a_running_execution_has_no_outputs_and_an_ended_one_has(site, alice):
    run = await trigger(alice)
    assert "outputs" not in (await alice.get(f"/executions/{run}")).json()
    await site.launcher.backend("alice").finish(run)
    assert (await alice.get(f"/executions/{run}")).json()["outputs"] == {"of": run}


async def test_a_cancelled_execution_answers_202_without_a_body(alice):
    run = await trigger(alice)
    answer = await alice.delete(f"/executions/{run}")
    assert (answer.status_code, answer.content) == (202, b"")
    assert (await alice.get(f"/executions/{run}")).json()["status"] == "CANCELLED"


async def test_logs_carry_level_timestamp_content_and_their_number(site, alice):
    run = await trigger(alice)
    backend = site.launcher.backend("alice")
    await backend.tell(run, "state", {"state": "running"})
    await backend.tell(run, "progress", {"step": 1, "energy": -2.5})
    await backend.tell(run, "step", {"title": "Optimise", "state": "finished", "exit_status": 310, "message": "hot"})
    body = (await alice.get(f"/executions/{run}/logs", params={"from": 0, "timeout": "1m0s"})).json()
    assert (body["total_results"], body["from"]) == (2, 0)
    assert [(one["level"], one["content"]) for one in body["logs"]] == [
        ("INFO", "running"),
        ("WARN", "Optimise: finished, exit status 310: hot"),
    ]
    for one in body["logs"]:
        datetime.fromisoformat(one["timestamp"])


@pytest.mark.parametrize(("levels", "count"), [(0, 1), (1, 1), (2, 1), (3, 2), (8, 0), (15, 2)])
async def test_levels_are_a_bit_mask_whose_nothing_means_all_but_debug(site, alice, levels, count):
    run = await trigger(alice)
    backend = site.launcher.backend("alice")
    await backend.tell(run, "log", {"level": "INFO", "message": "one"})
    await backend.tell(run, "progress", {"step": 1})
    body = (await alice.get(f"/executions/{run}/logs", params={"levels": levels, "timeout": "0s"})).json()
    assert len(body["logs"] or []) == body["total_results"] == count


async def test_logs_are_read_piece_by_piece(site, alice):
    run = await trigger(alice)
    for number in range(5):
        await site.launcher.backend("alice").tell(run, "log", {"level": "INFO", "message": str(number)})
    answer = await alice.get(f"/executions/{run}/logs", params={"from": 2, "size": 2})
    assert [one["content"] for one in answer.json()["logs"]] == ["2", "3"]
    assert answer.json()["total_results"] == 5


async def test_a_poll_without_news_ends_with_null_as_the_original_does(alice):
    run = await trigger(alice)
    body = (await alice.get(f"/executions/{run}/logs", params={"timeout": "10ms"})).json()
    assert body == {"logs": None, "total_results": 0, "from": 0}


async def test_a_poll_waits_for_news(site, alice):
    run = await trigger(alice)
    polled = asyncio.create_task(alice.get(f"/executions/{run}/logs", params={"timeout": "60s"}))
    while not site.launcher.backend("alice")._news._waiters:  # noqa: ASYNC110 - a poll that waits says so to nobody
        await asyncio.sleep(0.01)
    await site.launcher.backend("alice").tell(run, "log", {"level": "ERROR", "message": "at last"})
    async with asyncio.timeout(120):
        assert (await polled).json()["logs"][0]["content"] == "at last"


async def test_a_poll_ends_with_the_execution(site, alice):
    run = await trigger(alice)
    await site.launcher.backend("alice").finish(run)
    async with asyncio.timeout(120):
        body = (await alice.get(f"/executions/{run}/logs", params={"from": 5, "timeout": "600s"})).json()
    assert body == {"logs": None, "total_results": 1, "from": 5}


@pytest.mark.parametrize("duration", ["", "5", "1 minute", "m"])
async def test_a_timeout_that_is_no_go_duration_is_refused(alice, duration):
    run = await trigger(alice)
    answer = await alice.get(f"/executions/{run}/logs", params={"timeout": duration})
    assert answer.status_code == 400


async def test_an_ssh_key_is_made_without_a_body_and_its_private_half_not_told(site, alice):
    answer = await alice.post("/ssh_keys")
    assert answer.status_code == 201
    assert set(answer.json()) == {"id", "public_key"}
    assert answer.json()["public_key"].startswith("ssh-ed25519 AAAA")
    assert "PRIVATE" not in (await alice.get("/ssh_keys")).text


async def test_a_keys_metadata_is_kept_and_a_revoked_key_is_gone(alice):
    key = (await alice.post("/ssh_keys", content=b'{"metadata":{"for":"fast"}}')).json()["id"]
    assert (await alice.get("/ssh_keys")).json()["ssh_keys"][0]["metadata"] == {"for": "fast"}
    assert (await alice.delete(f"/ssh_keys/{key}")).status_code == 204
    assert (await alice.get("/ssh_keys")).json() == {"ssh_keys": []}


async def test_errors_are_read_by_the_original_client_and_as_problem_json(alice):
    answer = await alice.get("/executions/nothing")
    assert answer.headers["content-type"] == "application/problem+json"
    [error] = answer.json()["errors"]
    assert (error["id"], error["status"], answer.json()["status"]) == ("not_found", 404, 404)
    assert set(error) == {"id", "status", "title", "detail"}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"inputs": 5}', b'{"inputs": {}, "more": 1}'])
async def test_a_body_that_cannot_be_read_is_refused(alice, body):
    answer = await alice.post(f"/workflows/{WORKFLOW}", content=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["errors"][0]["id"] == "bad_request"


async def test_basic_authentication_takes_a_token_as_password(site):
    token = site.hub.token("alice", "runs")
    for name, status in (("alice", 200), ("bob", 401)):
        secret = base64.b64encode(f"{name}:{token}".encode()).decode()
        async with waas(site, Authorization=f"Basic {secret}") as client:
            assert (await client.get("/workflows")).status_code == status


async def test_the_login_leads_to_where_tokens_are_made(site):
    async with waas(site) as client:
        answer = await client.get("/auth/login")
    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/token")


# --- what it lacks there ---------------------------------------------------------------------------------------------


async def test_a_workflow_shows_the_schema_of_its_inputs(alice):
    found = (await alice.get(f"/workflows/{WORKFLOW}")).json()
    assert found["id"] == WORKFLOW
    assert found["inputs"]["properties"]["charge"] == {"type": "integer"}


async def test_executions_are_listed_newest_first(alice):
    runs = [await trigger(alice), await trigger(alice)]
    assert [one["id"] for one in (await alice.get("/executions")).json()["executions"]] == runs[::-1]


async def test_the_same_idempotency_key_makes_one_execution(alice):
    assert await trigger(alice, **{"Idempotency-Key": "k"}) == await trigger(alice, **{"Idempotency-Key": "k"})


async def test_a_webhook_is_passed_on(site, alice):
    body = {"inputs": {}, "notify": {"webhook": "https://example.org/done"}}
    run = await trigger(alice, json.dumps(body).encode())
    assert site.launcher.backend("alice").sent[run].notify.webhook == "https://example.org/done"


async def test_an_execution_is_followed_on_an_event_stream(site, alice):
    run = await trigger(alice)
    await site.launcher.backend("alice").finish(run)
    answer = await alice.get(f"/executions/{run}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: end" in answer.text


async def test_bob_finds_nothing_of_alices_by_any_route(site, alice):
    run = await trigger(alice)
    key = (await alice.post("/ssh_keys")).json()["id"]
    document = (await alice.get("/openapi.json")).json()
    known = {"execution_id": run, "key_id": key, "workflow_id": WORKFLOW}
    checked = 0
    async with waas(site, site.hub.token("bob", "runs")) as bob, waas(site) as nobody:
        for path, item in document["paths"].items():
            for method in item:
                url = path.format(**known)
                if not path.startswith("/auth"):
                    assert (await nobody.request(method, url)).status_code == 401, f"{method} {path}"
                if "{execution_id}" in path or "{key_id}" in path:
                    assert (await bob.request(method, url)).status_code == 404, f"{method} {path}"
                    checked += 1
                elif "{" not in path and method == "get":
                    assert run not in (await bob.get(url)).text
    assert checked == 5
    assert (await alice.get(f"/executions/{run}")).json()["status"] == "RUNNING"


async def test_its_document_is_valid_and_says_every_refusal(site):
    async with httpx.AsyncClient(base_url=site.url, timeout=30) as client:
        document = (await client.get("/services/deck/api/hpcwaas/openapi.json")).json()
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    for path, item in document["paths"].items():
        for operation in item.values():
            refused = {status for status in operation["responses"] if status >= "4"}
            assert path == "/auth/login" or {"401", "403", "503"} <= refused, path
            assert all("application/problem+json" in operation["responses"][one]["content"] for one in refused), path
