"""Two users of one deck on fakes. That alice's things do not exist for bob is asked of a real stack, in ``api_matrix``."""

from __future__ import annotations

import re

import pytest
from deck_pages.deck_pages_servers import cluster_view, queued
from fastapi.routing import APIRoute
from simdeck_agent import api

API = "/services/deck/api/v1"


def operations(site, *methods):
    """Yield ``(method, path, scope)`` of the document's operations."""
    for path, item in site.app.state.openapi["paths"].items():
        for method, operation in item.items():
            if method in methods:
                yield method, path, operation["x-simdeck-scope"]


async def test_bob_starts_a_server_of_his_own_where_alice_has_one_of_that_name(site):
    site.hub.clusters = [cluster_view()]
    site.hub.views["alice"] = {"secretside": queued("secretside")}
    before = dict(site.hub.views["alice"])
    async with site.client(site.hub.token("bob", "server")) as bob:
        assert (await bob.post("/servers/secretside")).status_code == 202
        assert (await bob.get("/server/options", params={"app": "molecule"})).json()["source"] == "site"
    assert site.hub.started == [("bob", "secretside", {})]
    assert site.hub.views["alice"] == before


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
