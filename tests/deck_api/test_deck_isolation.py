"""Two users: what is alice's does not exist for bob.

The matrix is made from the OpenAPI document, so that a new route is in it by itself.
"""

from __future__ import annotations

import asyncio
import re

import pytest
from deck_pages.deck_pages_servers import cluster_view, queued
from fastapi.routing import APIRoute
from simdeck_agent import api

API = "/services/deck/api/v1"
SUBMIT = {"workflow": "molecule.optimize"}

# What stands for the path's parameters: things that alice has. A new kind of parameter must be added here.
PARAMETERS = ("run_id", "key_id", "sweep_id", "task_id", "app", "name", "path", "server", "share", "ticket")
# Routes whose things belong to everybody: the registry's apps, and workflows by their (not personal) names.
SHARED = {"/store/{app}", "/store/files/{path}", "/workflows/{name}"}
# Routes that name what anybody may have: bob gets his own.
NAMED_BY_THE_APP = ("/apps/{app}/install", "/workflows/{name}/validate", "/workflows/{name}/run")
BOBS_OWN = {("post", "/servers/{server}")}


async def give_alice(site):
    """Let alice have a run, an installed app and a task; return them as path parameters."""
    async with site.client(site.hub.token("alice", "runs", "apps:install")) as alice:
        run = (await alice.post("/runs", json=SUBMIT | {"title": "alice's secret"})).json()
        task = (await alice.post("/apps/secretapp/install")).json()
        async with asyncio.timeout(20):
            await alice.get(f"/tasks/{task['id']}/events")
        key = (await alice.post("/ssh_keys", json={"metadata": {"for": "alice's secret"}})).json()
        vary = {"workflow": "molecule.optimize", "vary": {"charge": [0, 1]}, "title": "alice's secret sweep"}
        sweep = (await alice.post("/sweeps", json=vary)).json()
        backend = site.launcher.backend("alice")
        backend.runs = {run["id"]: backend.runs[run["id"]]}
        await backend.finish(run["id"])
        share = (await alice.post("/shares", json={"run": run["id"], "people": ["carol"]})).json()
        ticket = (await alice.post("/shared", json={"link": share["link"]})).json()["ticket"]
    site.hub.clusters = [cluster_view()]
    site.hub.views["alice"] = {"secretside": queued("secretside")}
    return {
        "server": "secretside", "run_id": run["id"], "task_id": task["id"], "app": "secretapp", "name": "molecule.optimize",
        "key_id": key["id"], "sweep_id": sweep["id"], "path": "out/result.html",
        "share": share["id"], "ticket": ticket,
    }  # fmt: skip


def operations(site, *methods):
    """Yield ``(method, path, scope)`` of the document's operations."""
    for path, item in site.app.state.openapi["paths"].items():
        for method, operation in item.items():
            if method in methods:
                yield method, path, operation["x-simdeck-scope"]


async def test_every_parameter_of_every_path_is_known_to_this_test(site):
    paths = [path for _, path, _ in operations(site, "get", "post", "patch", "delete", "put")]
    found = {name for path in paths for name in re.findall(r"{(\w+)}", path)}
    assert found <= set(PARAMETERS)


async def test_alice_reads_her_things_and_bob_finds_none_of_them(site):
    mine = await give_alice(site)
    alice = site.client(site.hub.token("alice", "runs", "apps:install", "server"))
    bob = site.client(site.hub.token("bob", "runs", "apps:install", "server"))
    checked = []
    async with alice, bob:
        for _, path, _ in operations(site, "get"):
            if "{" not in path or path in SHARED:
                continue
            url = path.format(**mine) + (f"?with={mine['run_id']}" if path.endswith("/diff") else "")
            async with asyncio.timeout(20):
                hers, his = await alice.get(url), await bob.get(url)
            assert hers.status_code == 200, path
            assert his.status_code == 404, path
            assert his.headers["content-type"] == "application/problem+json", path
            checked.append(path)
    assert len(checked) >= 12


async def test_no_list_of_bobs_names_anything_of_alices(site):
    mine = await give_alice(site)
    async with site.client(site.hub.token("bob", "runs", "apps:install", "server")) as bob:
        for _, path, scope in operations(site, "get"):
            if "{" in path or scope == "open" or path.endswith("/events"):
                continue
            response = await bob.get(path)
            for word in (mine["run_id"], mine["task_id"], "secretapp", "secret", "alice"):
                assert word not in response.text, path


async def test_bob_changes_nothing_of_alices(site):
    mine = await give_alice(site)
    before = site.launcher.backend("alice").runs[mine["run_id"]]
    queued_before = dict(site.hub.views["alice"]["secretside"])
    bodies = {"/runs/{run_id}": {"title": "bob's"}, "/apps/{app}/pin": {"version": "1.0"}}
    async with site.client(site.hub.token("bob", "runs", "apps:install", "server")) as bob:
        for method, path, _ in operations(site, "post", "patch", "delete", "put"):
            if "{" not in path or path in SHARED or path in NAMED_BY_THE_APP or (method, path) in BOBS_OWN:
                continue
            response = await bob.request(method, path.format(**mine), json=bodies.get(path))
            assert response.status_code == 404, f"{method} {path}"
    assert site.launcher.backend("alice").runs == {mine["run_id"]: before}
    assert site.hub.views["alice"] == {"secretside": queued_before}
    assert site.launcher.agents["alice"].app.state.agent.installer.apps == {"secretapp": ["1.0"]}


async def test_bob_starts_a_server_of_his_own_where_alice_has_one_of_that_name(site):
    mine = await give_alice(site)
    before = dict(site.hub.views["alice"])
    async with site.client(site.hub.token("bob", "server")) as bob:
        assert (await bob.post(f"/servers/{mine['server']}")).status_code == 202
        assert (await bob.get("/server/options", params={"app": "molecule"})).json()["source"] == "site"
    assert site.hub.started == [("bob", "secretside", {})]
    assert site.hub.views["alice"] == before


async def test_each_route_without_a_token_is_401_and_without_its_scope_403(site):
    mine = dict.fromkeys(PARAMETERS, "x")
    every = {"runs", "runs:read", "apps:install", "apps:read", "server", "admin"}
    opened_by = {"runs:read": {"runs:read", "runs"}, "apps:read": {"apps:read", "apps:install"}}
    tokens = {}
    for scope in every:
        tokens[scope] = site.hub.token("alice", *(every - opened_by.get(scope, {scope})))
    async with site.client() as client:
        for method, path, scope in operations(site, "get", "post", "patch", "delete", "put"):
            if scope == "open":
                continue
            url = path.format(**mine)
            response = await client.request(method, url)
            assert response.status_code == 401, f"{method} {path}"
            if scope == "signed-in":
                continue
            response = await client.request(method, url, headers={"Authorization": f"token {tokens[scope]}"})
            assert (response.status_code, response.json()["code"]) == (403, "missing-scope"), f"{method} {path}"
    assert site.launcher.agents == {}


async def test_the_deck_serves_exactly_the_agents_routes_and_its_own(site):
    described = {(method, path) for method, path, _ in operations(site, "get", "post", "patch", "delete", "put")}
    agents = {
        (method.lower(), re.sub(r":\w+}", "}", route.path)) for route, _ in api.routes() for method in route.methods
    }
    assert agents <= described
    for route in site.app.routes:
        if isinstance(route, APIRoute) and route.path.startswith(API):
            assert (route.openapi_extra or {}).get("x-simdeck-scope"), route.path


@pytest.mark.parametrize("name", ["../alice", "alice/", ".", "a/b"])
async def test_a_user_name_that_is_a_path_reaches_nobody(site, name):
    async with site.client(site.hub.token(name, "runs!user=x", "custom:simdeck:runs!user")) as client:
        response = await client.get("/runs")
    assert response.status_code >= 400
    assert site.launcher.agents == {}
