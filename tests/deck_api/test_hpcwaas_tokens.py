"""A token that can run one workflow, and nothing else: by HPCWaaS and by the API."""

from __future__ import annotations

import httpx
import pytest
from jupyterhub import scopes as hub_scopes
from simdeck_deck.scopes import workflows
from simdeck_hub.scopes import DEFINITIONS, OWN, for_workflow

API = "/services/deck/api/v1"
WAAS = "/services/deck/api/hpcwaas"
ONE = "custom:simdeck:runs:workflow!server=alice/molecule.optimize"
SECRET = {"workflow": "secret.bake", "inputs": {}}
OPTIMIZE = {"workflow": "molecule.optimize", "inputs": {}}


@pytest.fixture
async def limited(site):
    """Alice's token for molecule.optimize; she has another workflow, and a run of it."""
    async with client(site, site.hub.token("alice", "runs")) as alice:
        await alice.get(API + "/runs")
        site.launcher.backend("alice").another = True
        run = (await alice.post(API + "/runs", json=SECRET)).json()["id"]
    async with client(site, site.hub.token("alice", ONE)) as found:
        yield found, run


def client(site, token, **headers):
    return httpx.AsyncClient(base_url=site.url, headers={"Authorization": f"Bearer {token}", **headers}, timeout=30)


async def test_it_runs_its_workflow_and_reads_the_run(limited):
    api, _ = limited
    run = await api.post(API + "/runs", json=OPTIMIZE)
    assert run.status_code == 202
    for path in ("", "/outputs", "/files", "/history", "/log"):
        assert (await api.get(f"{API}/runs/{run.json()['id']}{path}")).status_code == 200
    made = await api.post(WAAS + "/workflows/molecule.optimize", json={"inputs": {}})
    assert made.status_code == 201
    assert (await api.delete(made.headers["location"])).status_code == 202


async def test_another_workflow_does_not_exist_for_it(limited):
    api, _ = limited
    assert (await api.post(API + "/runs", json=SECRET)).status_code == 404
    assert (await api.post(WAAS + "/workflows/secret.bake", json={})).status_code == 404
    assert (await api.get(API + "/workflows/secret.bake")).status_code == 404
    assert (await api.post(API + "/workflows/secret.bake/validate", json={"inputs": {}})).status_code == 404
    assert (await api.post(API + "/workflows/secret.bake/run", data={"title": "x"})).status_code == 404
    assert [one["name"] for one in (await api.get(API + "/workflows")).json()["items"]] == ["molecule.optimize"]
    assert len((await api.get(WAAS + "/workflows")).json()["workflows"]) == 1


async def test_runs_of_another_workflow_do_not_exist_for_it_at_any_route(site, limited):
    api, secret = limited
    for path, item in site.app.state.openapi["paths"].items():
        for method in item:
            if "{run_id}" in path:
                answer = await api.request(method, API + path.format(run_id=secret, path="out/result.html"))
                assert answer.status_code in (403, 404), f"{method} {path}"
    assert (await api.get(f"{WAAS}/executions/{secret}")).status_code == 404
    assert secret not in (await api.get(API + "/runs")).text
    assert secret not in (await api.get(WAAS + "/executions")).text


async def test_everything_else_is_closed_to_it(site, limited):
    api, _ = limited
    opened = set()
    for path, item in site.app.state.openapi["paths"].items():
        for method, operation in item.items():
            answer = await api.request(method, API + path.replace("{", "").replace("}", ""))
            if answer.status_code != 403 and operation["x-simdeck-scope"] not in ("open", "signed-in"):
                opened.add(path.split("/")[1])
    assert opened == {"runs", "workflows"}
    assert (await api.get(WAAS + "/ssh_keys")).status_code == 403
    assert (await api.post(WAAS + "/ssh_keys")).status_code == 403


async def test_a_caller_cannot_say_itself_what_a_token_is_for(site, limited):
    api, secret = limited
    answer = await api.get(f"{API}/runs/{secret}", headers={"X-Simdeck-Workflows": "secret.bake"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "scope",
    [
        "custom:simdeck:runs:workflow!server=bob/molecule.optimize",
        "custom:simdeck:runs:workflow!user=alice",
        "custom:simdeck:runs:workflow",
        "custom:simdeck:runs:workflow!server=alice/",
        "custom:simdeck:runs:workflow!server=alice/a,b",
        "custom:simdeck:server!server=alice/molecule.optimize",
        "access:servers!server=alice/molecule.optimize",
    ],
)
def test_a_scope_of_others_or_of_another_kind_names_no_workflow(scope):
    assert workflows([scope], "alice") == frozenset()


def test_the_hub_grants_it_to_whoever_may_run_everything_and_to_nobody_else():
    known = {name: hub_scopes.scope_definitions.get(name) for name in DEFINITIONS}
    try:
        hub_scopes.define_custom_scopes(DEFINITIONS)
        mine = set()
        for scope in OWN:
            mine |= hub_scopes._expand_scope(scope.replace("!user", "!user=alice"))
        asked = {for_workflow("alice", "molecule.optimize")[0]}
        assert hub_scopes._intersect_expanded_scopes(asked, mine) == asked == {ONE}
        assert hub_scopes._intersect_expanded_scopes({for_workflow("bob", "molecule.optimize")[0]}, mine) == set()
        # And a server's token, which holds filters of the same kind, gains none of it.
        server = {"access:servers!server=alice/molecule.optimize"}
        assert hub_scopes._intersect_expanded_scopes(asked, server) == set()
    finally:
        for name, definition in known.items():
            if definition is None:
                hub_scopes.scope_definitions.pop(name, None)
