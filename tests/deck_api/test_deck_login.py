"""Signing in through the hub and out again."""

from __future__ import annotations

import httpx
import pytest
from simdeck_deck.login import safe_next

PREFIX = "/services/deck"


async def test_a_page_without_session_leads_to_the_hub_and_back_to_the_page(site):
    async with site.browser() as browser:
        response = await browser.get(PREFIX + "/account?x=1")
        query = httpx.URL(response.headers["location"]).params
        assert response.headers["location"].startswith("/hub/api/oauth2/authorize?")
        assert query["client_id"] == "service-deck"
        assert query["redirect_uri"] == "/services/deck/oauth_callback"
        site.hub.codes["c"] = (query["code_challenge"], site.hub.token("alice", "runs"))
        response = await browser.get(PREFIX + "/oauth_callback", params={"code": "c", "state": query["state"]})
        assert response.headers["location"] == "/services/deck/account?x=1"
        assert (await browser.get("/services/deck/api/v1/me")).json()["name"] == "alice"


async def test_the_session_cookie_is_closed_to_scripts_and_other_paths(site):
    async with site.browser() as browser:
        response = await browser.get(PREFIX + "/account")
        query = httpx.URL(response.headers["location"]).params
        token = site.hub.token("alice", "runs")
        site.hub.codes["c"] = (query["code_challenge"], token)
        response = await browser.get(PREFIX + "/oauth_callback", params={"code": "c", "state": query["state"]})
    cookie = next(line for line in response.headers.get_list("set-cookie") if line.startswith("simdeck-session="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/services/deck/" in cookie
    assert token not in cookie


async def test_behind_https_the_cookies_are_secure(site):
    async with site.browser() as browser:
        response = await browser.get(PREFIX + "/account", headers={"X-Forwarded-Proto": "https"})
    assert all("Secure" in line for line in response.headers.get_list("set-cookie") if "Max-Age=600" in line)
    assert "Max-Age=600" in response.headers["set-cookie"]


async def test_a_login_begun_in_another_browser_is_refused(site):
    async with site.browser() as victim, site.browser() as attacker:
        query = httpx.URL((await attacker.get(PREFIX + "/account")).headers["location"]).params
        site.hub.codes["c"] = (query["code_challenge"], site.hub.token("mallory", "runs"))
        response = await victim.get(PREFIX + "/oauth_callback", params={"code": "c", "state": query["state"]})
        assert response.status_code == 403
        assert "simdeck-session" not in victim.cookies


async def test_a_code_that_the_hub_does_not_know_is_refused(site):
    async with site.browser() as browser:
        query = httpx.URL((await browser.get(PREFIX + "/account")).headers["location"]).params
        response = await browser.get(PREFIX + "/oauth_callback", params={"code": "no", "state": query["state"]})
    assert response.status_code == 403
    assert response.headers["content-type"].startswith("text/html")


async def test_two_tabs_can_sign_in_at_once(site):
    async with site.browser() as browser:
        queries = [httpx.URL((await browser.get(PREFIX + "/account")).headers["location"]).params for _ in range(2)]
        for number, query in enumerate(queries):
            code = f"c{number}"
            site.hub.codes[code] = (query["code_challenge"], site.hub.token("alice", "runs"))
            response = await browser.get(PREFIX + "/oauth_callback", params={"code": code, "state": query["state"]})
            assert response.status_code == 302


async def test_a_session_whose_token_was_revoked_leads_to_the_login(site):
    async with site.signed_in() as browser:
        site.hub.tokens.clear()
        site.deck.auth.hub.cache.clear()
        response = await browser.get(PREFIX + "/account")
    assert response.status_code == 302
    assert response.headers["location"].startswith("/hub/api/oauth2/authorize")


async def test_a_fragment_without_session_has_htmx_load_the_page_anew(site):
    async with site.browser() as browser:
        response = await browser.get(PREFIX + "/account", headers={"HX-Request": "true"})
    assert (response.status_code, response.headers["hx-refresh"]) == (401, "true")


async def test_signing_out_needs_the_xsrf_token_and_ends_the_session(site):
    async with site.signed_in() as browser:
        assert (await browser.post(PREFIX + "/logout")).status_code == 403
        response = await browser.post(PREFIX + "/logout", data={"_xsrf": site.xsrf(browser)})
        assert (response.status_code, response.headers["location"]) == (303, "/hub/logout")
        assert (await browser.get("/services/deck/api/v1/me")).status_code == 401


async def test_a_session_survives_a_restart_of_the_deck(site):
    from simdeck_deck.keys import Keys

    assert Keys.load(site.deck.settings.data) == site.deck.keys
    assert (site.deck.settings.data / "private" / "deck.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/services/deck/",
        "/hub/logout",
        "/services/deck/\\evil",
        "/services/deck/\n",
        "",
    ],
)
def test_a_login_never_leads_elsewhere(url):
    class Settings:
        prefix = "/services/deck/"

    assert safe_next(Settings(), url) == "/services/deck/"
