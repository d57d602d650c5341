"""Tokens, sessions and XSRF at the deck's API."""

from __future__ import annotations

import pytest

API = "/services/deck/api/v1"
SUBMIT = {"workflow": "molecule.optimize"}


@pytest.mark.parametrize("kind", ["Bearer", "token", "bearer"])
async def test_a_hub_token_opens_the_api_of_its_owner(site, kind):
    token = site.hub.token("alice", "runs:read")
    async with site.client() as client:
        response = await client.get("/status", headers={"Authorization": f"{kind} {token}"})
    assert response.json()["user"] == "alice"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic YWxpY2U6eA==", "token"])
async def test_without_a_valid_token_the_answer_is_401(site, header):
    async with site.client() as client:
        response = await client.get("/runs", headers={"Authorization": header} if header else {})
    assert (response.status_code, response.json()["code"]) == (401, "not-signed-in")
    assert response.headers["content-type"] == "application/problem+json"
    assert "www-authenticate" in response.headers


async def test_a_token_without_the_scope_is_refused_and_told_which(site):
    async with site.client(site.hub.token("alice", "runs:read")) as client:
        response = await client.post("/runs", json=SUBMIT)
    assert (response.status_code, response.json()["code"]) == (403, "missing-scope")
    assert "custom:simdeck:runs" in response.json()["detail"]
    # Refused before anything is touched: not even an agent was started.
    assert site.launcher.agents == {}


async def test_a_token_without_access_to_the_service_is_refused(site):
    async with site.client(site.hub.token("alice", "runs", access=False)) as client:
        response = await client.get("/runs")
    assert response.status_code == 403
    assert "access:services!service=deck" in response.json()["detail"]


async def test_a_service_named_like_a_user_is_not_that_user(site):
    async with site.client(site.hub.token("alice", "runs", kind="service")) as client:
        response = await client.get("/runs")
    assert (response.status_code, response.json()["code"]) == (403, "not-a-user")


async def test_a_hub_that_is_away_is_said_so(site):
    site.hub.down = True
    async with site.client(site.hub.token("alice", "runs")) as client:
        response = await client.get("/runs")
    assert (response.status_code, response.json()["code"]) == (503, "hub-unavailable")


async def test_the_hub_is_not_asked_anew_for_each_request(site):
    async with site.client(site.hub.token("alice", "runs")) as client:
        for _ in range(5):
            assert (await client.get("/runs")).status_code == 200
    assert site.hub.asked == 1
    assert site.deck.auth.hub.cache_max_age <= 10


async def test_me_says_who_and_what(site):
    async with site.client(site.hub.token("alice", "runs", "apps:read")) as client:
        me = (await client.get("/me")).json()
    assert me == {
        "name": "alice",
        "admin": False,
        "groups": [],
        "scopes": ["apps:read!user=alice", "runs!user=alice"],
    }


async def test_who_holds_the_admin_scope_is_told_so(site):
    token = site.hub.token("alice", "runs")
    site.hub.tokens[token]["scopes"].append("custom:simdeck:admin")
    async with site.client(token) as client:
        assert (await client.get("/me")).json()["admin"] is True


async def test_a_session_may_read_without_xsrf_token(site):
    async with site.signed_in() as browser:
        assert (await browser.get(API + "/runs")).status_code == 200


@pytest.mark.parametrize("sent", [{}, {"X-XSRF-Token": ""}, {"X-XSRF-Token": "0" * 64}, {"X-XSRF-Token": "é"}])
async def test_a_session_without_the_right_xsrf_token_changes_nothing(site, sent):
    async with site.signed_in() as browser:
        headers = {name: value.encode() for name, value in sent.items()}
        response = await browser.post(API + "/runs", json=SUBMIT, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "xsrf")
    assert site.launcher.agents == {}


async def test_the_xsrf_token_of_another_session_does_not_fit(site):
    async with site.signed_in("alice") as alice, site.signed_in("mallory") as mallory:
        headers = {"X-XSRF-Token": site.xsrf(mallory)}
        response = await alice.post(API + "/runs", json=SUBMIT, headers=headers)
    assert response.json()["code"] == "xsrf"


async def test_another_sites_request_is_refused_even_with_the_token(site):
    async with site.signed_in() as browser:
        headers = {"X-XSRF-Token": site.xsrf(browser), "Sec-Fetch-Site": "cross-site"}
        response = await browser.post(API + "/runs", json=SUBMIT, headers=headers)
    assert response.json()["code"] == "xsrf"


async def test_a_session_with_its_xsrf_token_submits(site):
    async with site.signed_in() as browser:
        response = await browser.post(API + "/runs", json=SUBMIT, headers={"X-XSRF-Token": site.xsrf(browser)})
    assert response.status_code == 202


async def test_a_wrong_token_is_not_saved_by_the_session(site):
    async with site.signed_in() as browser:
        response = await browser.get(API + "/runs", headers={"Authorization": "Bearer wrong"})
    assert response.status_code == 401


async def test_a_session_is_worth_what_its_hub_token_is_worth(site):
    async with site.signed_in("alice", "runs:read") as browser:
        response = await browser.post(API + "/apps/molecule/install", headers={"X-XSRF-Token": site.xsrf(browser)})
    assert (response.status_code, response.json()["code"]) == (403, "missing-scope")


async def test_a_forged_session_cookie_is_nothing(site):
    async with site.browser() as browser:
        browser.cookies.set("simdeck-session", "gAAAAABforged", path="/services/deck/")
        assert (await browser.get(API + "/runs")).status_code == 401
