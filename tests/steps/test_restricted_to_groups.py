"""A workflow that is restricted to groups does not exist for anybody else: at no route, of no API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import steps_app
from deck_api.conftest import Site, running, site  # noqa: F401
from simdeck_workflows.backend import Backend, BackendSettings

API = "/services/deck/api/v1"
WAAS = "/services/deck/api/hpcwaas"
NAME = "spring.law"
SOURCE = """
from simdeck_workflows.steps import workflow

@workflow(title="Law of springs")
def law(strain: float = 1.0) -> float:
    return 2.0 * strain * strain
"""


def client(site: Site, user: str, *groups: str) -> httpx.AsyncClient:  # noqa: F811
    token = site.hub.token(user, "runs", "apps:install")
    site.hub.tokens[token]["groups"] = list(groups)
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=site.url, headers=headers, timeout=30)


async def give(site: Site, user: str) -> None:  # noqa: F811
    """Let the user's agent have the app, and the real workflows behind it."""
    async with client(site, user) as api:
        await api.get(API + "/status")
    agent = site.launcher.agents[user]
    home = site.launcher.home(user)
    steps_app.install(home.apps, "spring", SOURCE, {NAME: "spring_law:law"}, groups=("lab", "staff"))
    agent.app.state.agent.backend = Backend(home, BackendSettings(steps_app.BACKEND_PYTHON))


@pytest.mark.backend
async def test_whoever_is_in_no_named_group_finds_it_nowhere(site: Site) -> None:  # noqa: F811
    await give(site, "bob")
    body: dict[str, Any] = {"workflow": NAME, "inputs": {"strain": 2.0}}
    async with client(site, "bob", "lab") as member:
        listed = (await member.get(API + "/workflows")).json()["items"]
        assert [(one["name"], one["groups"]) for one in listed] == [(NAME, ["lab", "staff"])]
        assert len((await member.get(WAAS + "/workflows")).json()["workflows"]) == 1
        accepted = await member.post(API + "/runs", json=body)
        assert accepted.status_code == 202
        run = accepted.json()["id"]
    for groups in ((), ("visitors",)):
        async with client(site, "bob", *groups) as outsider:
            assert (await outsider.get(API + "/workflows")).json()["items"] == []
            assert (await outsider.get(WAAS + "/workflows")).json()["workflows"] == []
            refused = [
                await outsider.get(f"{API}/workflows/{NAME}"),
                await outsider.post(f"{API}/workflows/{NAME}/validate", json={"inputs": {}}),
                await outsider.post(f"{API}/workflows/{NAME}/run", data={"title": "x"}),
                await outsider.post(API + "/runs", json=body),
                await outsider.post(API + "/sweeps", json={"workflow": NAME, "vary": {"strain": [1.0, 2.0]}}),
                await outsider.post(f"{API}/runs/{run}/retry", json={}),
                await outsider.get(f"{WAAS}/workflows/{NAME}"),
                await outsider.get(f"{WAAS}/workflows/spring@local@{NAME}"),
                await outsider.post(f"{WAAS}/workflows/spring@local@{NAME}", json={"inputs": {}}),
                await outsider.post(f"{WAAS}/workflows/{NAME}", json={"inputs": {}}),
            ]
            told = [(str(answer.request.url.path), answer.status_code) for answer in refused]
            assert {status for _, status in told} <= {404, 409}, told
            # Ended or not, it cannot be begun again; what they have run is theirs to read.
            assert [path for path, status in told if status == 409] in ([], [f"{API}/runs/{run}/retry"])
            assert (await outsider.get(f"{API}/runs/{run}")).status_code == 200


@pytest.mark.backend
async def test_a_token_for_it_alone_obeys_the_groups_too(site: Site) -> None:  # noqa: F811
    await give(site, "bob")
    token = site.hub.token("bob", f"custom:simdeck:runs:workflow!server=bob/{NAME}")
    async with httpx.AsyncClient(base_url=site.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as api:
        assert (await api.post(API + "/runs", json={"workflow": NAME, "inputs": {}})).status_code == 404
        site.hub.tokens[token]["groups"] = ["staff"]
        site.deck.auth.hub.cache.clear()
        assert (await api.post(API + "/runs", json={"workflow": NAME, "inputs": {}})).status_code == 202
        assert (await api.post(WAAS + f"/workflows/{NAME}", json={"inputs": {}})).status_code == 201
        assert (await api.get(API + "/apps")).status_code == 403
