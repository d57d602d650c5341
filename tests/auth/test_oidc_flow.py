"""The whole code flow: a real provider, a real hub, httpx as the browser."""

from __future__ import annotations

import sqlite3
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from auth.auth_hub import Browser, Hub, refusal
from auth.auth_provider import SECRET, Provider
from auth.conftest import Start, oidc

pytestmark = pytest.mark.stack
Pair = tuple[Hub, Provider]


@pytest.fixture(scope="module")
def site(start: Start) -> Pair:
    return start(
        hub={"admins": ["alice"], "groups": {"beta": ["alice"]}}, accounts={"group_names": {"staff": "employees"}}
    )


def callback_of(browser: Browser, person: str) -> str:
    """Sign in at the provider and return the address it sends the browser back to, without going there."""
    page = browser.get("/hub/oauth_login")
    address = next(line.split('"')[1] for line in page.text.splitlines() if f"/as/{person}" in line)
    address = str(page.url.join(address.split('href="')[-1]))
    browser.client.follow_redirects = False
    try:
        while "/hub/oauth_callback" not in address:
            answer = browser.client.get(address)
            address = str(answer.url.join(answer.headers["location"]))
    finally:
        browser.client.follow_redirects = True
    return address


def test_a_person_comes_back_from_the_provider_as_their_account_with_groups(site: Pair) -> None:
    hub, _ = site
    browser = Browser(hub)
    page = browser.sign_in_as("alice")
    assert (page.status_code, page.url.path) == (200, "/hub/home")
    assert browser.signed_in() == "alice"
    user = hub.user("alice")
    assert sorted(user["groups"]) == ["beta", "employees", "physics"]
    assert user["admin"] is True


def test_the_sign_in_page_names_the_provider_and_whom_to_ask(site: Pair) -> None:
    page = Browser(site[0]).get("/hub/login")
    assert "Sign in with single sign-on" in page.text
    assert "help@uni.example" in page.text
    assert "one-time" not in page.text.lower()


def test_the_proof_key_is_part_of_every_sign_in(site: Pair) -> None:
    hub, provider = site
    assert Browser(hub).sign_in_as("bob").status_code == 200
    query = parse_qs([line for line in provider.requests() if line.startswith("GET /auth ")][-1].split(" ")[2])
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["code_challenge"][0]) == 43
    assert query["redirect_uri"] == [f"{hub.url}/hub/oauth_callback"]


def test_somebody_elses_answer_signs_nobody_in(site: Pair) -> None:
    hub, _ = site
    stolen = callback_of(Browser(hub), "bob")
    fresh, begun = Browser(hub), Browser(hub)
    begun.get("/hub/oauth_login")
    for victim in (fresh, begun):
        page = victim.get(stolen)
        assert page.status_code == 400
        assert "not begun in this browser" in refusal(page)
        assert victim.signed_in() is None


def test_an_answer_counts_once(site: Pair) -> None:
    hub, _ = site
    browser = Browser(hub)
    address = callback_of(browser, "bob")
    assert browser.get(address).url.path == "/hub/home"
    browser.get("/hub/logout")
    assert browser.get(address).status_code == 400
    assert browser.signed_in() is None


def test_a_made_up_error_text_does_not_reach_the_page(site: Pair) -> None:
    page = Browser(site[0]).get("/hub/oauth_callback?error=<b>call+0900</b>&error_description=call+0900+now&state=x")
    assert page.status_code == 400
    assert "0900" not in page.text
    assert "no known reason" in refusal(page)


def test_who_cancels_at_the_provider_reads_so_on_the_sign_in_page(site: Pair) -> None:
    page = Browser(site[0]).sign_in_as("cancel")
    assert page.status_code == 400
    assert "cancelled or not permitted (access_denied)" in refusal(page)
    assert "Sign in with single sign-on" in page.text


@pytest.mark.parametrize(
    ("person", "words"),
    [
        ("superuser", "The account root belongs to the system"),
        ("nameless", "sends no preferred_username for you"),
    ],
)
def test_who_has_no_account_reads_why_and_whom_to_ask(site: Pair, person: str, words: str) -> None:
    hub, _ = site
    browser = Browser(hub)
    page = browser.sign_in_as(person)
    assert page.status_code == 403
    assert words in refusal(page)
    assert "help@uni.example" in refusal(page)
    assert browser.signed_in() is None
    # The provider still knows them: another try asks again who it is.
    again = page.text.split('again=1">', maxsplit=1)
    assert again[1].startswith("Sign in as somebody else")
    assert browser.sign_in_as("alice", "/hub/oauth_login?again=1").url.path == "/hub/home"
    assert browser.signed_in() == "alice"


def test_the_way_back_leads_to_the_page_that_was_asked_for_and_never_to_another_site(site: Pair) -> None:
    hub, _ = site
    assert Browser(hub).sign_in_as("alice", "/hub/oauth_login?next=%2Fhub%2Ftoken").url.path == "/hub/token"
    browser = Browser(hub)
    callback = browser.sign_in_as("alice", "/hub/oauth_login?next=https%3A%2F%2Fevil.example%2Fhub%2Fhome")
    assert callback.url.host == "127.0.0.1"


def test_signing_out_ends_the_session_here_alone(site: Pair) -> None:
    hub, _ = site
    browser = Browser(hub)
    browser.sign_in_as("alice")
    browser.get("/hub/logout")
    assert browser.signed_in() is None
    # The provider's own session goes on: it does not ask.
    assert browser.get("/hub/oauth_login").url.path == "/hub/home"
    assert browser.signed_in() == "alice"


def test_no_token_is_kept_and_the_provider_is_not_asked_again(site: Pair) -> None:
    hub, provider = site
    browser = Browser(hub)
    browser.sign_in_as("alice")
    before = len(provider.requests())
    for _ in range(3):
        assert browser.signed_in() == "alice"
    assert len(provider.requests()) == before
    with sqlite3.connect(f"file:{hub.data.hub / 'jupyterhub.sqlite'}?mode=ro", uri=True) as database:
        kept = [row[0] for row in database.execute("select encrypted_auth_state from users")]
    assert kept
    assert set(kept) == {None}


@pytest.mark.parametrize("endpoint", ["token", "me"])
def test_a_provider_that_fails_midway_is_told_in_a_sentence(site: Pair, endpoint: str) -> None:
    hub, provider = site
    provider.break_endpoint(endpoint)
    try:
        page = Browser(hub).sign_in_as("alice")
    finally:
        provider.break_endpoint("")
    assert page.status_code == 502
    assert "did not answer as it should" in refusal(page)
    assert "leaked-by" not in page.text + hub.log()
    assert f"{provider.issuer}/{endpoint} answers 500: server_error" in hub.log()


def test_the_log_says_who_was_refused_and_holds_no_secret(site: Pair) -> None:
    hub, _ = site
    browser = Browser(hub)
    address = callback_of(browser, "superuser")
    code = parse_qs(urlsplit(address).query)["code"][0]
    browser.get(address)
    log = hub.log()
    assert "Sign-in refused (account-system): The account root belongs to the system" in log
    for secret in (SECRET, code):
        assert secret not in log


def test_a_session_outlives_the_hub_and_the_providers_absence_and_ends_when_the_account_is_denied(start: Start) -> None:
    hub, provider = start()
    browser = Browser(hub)
    browser.sign_in_as("bob")
    hub.stop()
    provider.stop()
    hub.start(oidc(provider))
    assert browser.signed_in() == "bob"
    assert sorted(hub.user("bob")["groups"]) == ["chemistry"]
    assert "its addresses of last time are used" in hub.log()
    # Signing in needs it, and says so.
    answer = Browser(hub).client.get(f"{hub.url}/hub/oauth_login", follow_redirects=False)
    assert answer.headers["location"].startswith(f"{provider.issuer}/auth?")
    hub.stop()
    hub.start(oidc(provider, accounts={"deny": ["bob"]}))
    assert browser.signed_in() is None
    assert "The session of bob ends (account-denied)" in hub.log()
    provider.start()
    assert "bob may not sign in here" in refusal(Browser(hub).sign_in_as("bob"))


def test_only_members_of_the_allowed_group_sign_in_and_a_verified_address_finds_the_account(start: Start) -> None:
    hub, _ = start(
        provider={"method": "client_secret_basic"},
        username_claim="email",
        accounts={"strip_domain": "uni.example", "allow_groups": ["physics"]},
    )
    browser = Browser(hub)
    browser.sign_in_as("alice")
    assert browser.signed_in() == "alice"
    unverified = Browser(hub).sign_in_as("bob")
    assert "has not verified the e-mail address bob@uni.example" in refusal(unverified)
    outsider = Browser(hub).sign_in_as("nobody")
    assert "The account nobody is not a member of physics" in refusal(outsider)


def test_a_provider_that_insists_on_the_proof_key_gets_none_when_it_is_switched_off(start: Start) -> None:
    hub, _ = start(pkce=False)
    page = Browser(hub).sign_in_as("alice")
    assert page.status_code == 400
    assert "the provider reports invalid_request" in refusal(page)


def test_signing_out_can_end_the_providers_session_too(start: Start) -> None:
    hub, provider = start(logout="provider")
    browser = Browser(hub)
    browser.sign_in_as("alice")
    page = browser.get("/hub/logout")
    assert str(page.url).startswith(f"{provider.issuer}/session/end")
    xsrf = page.text.split('name="xsrf" value="', maxsplit=1)[1].split('"', maxsplit=1)[0]
    page = browser.client.post(f"{provider.issuer}/session/end/confirm", data={"xsrf": xsrf, "logout": "yes"})
    assert str(page.url).startswith(f"{hub.url}/hub/login")
    assert browser.signed_in() is None
    assert "Who are you?" in browser.get("/hub/oauth_login").text


def test_a_hub_whose_provider_never_answered_does_not_start_and_says_why(hub: Hub) -> None:
    secret = hub.data.private / "oidc-secret"
    secret.write_text(SECRET, encoding="utf-8")
    secret.chmod(0o600)
    section = {"issuer": "http://127.0.0.1:1", "client_id": "simdeck", "client_secret_file": "oidc-secret"}
    hub.launch({"kind": "oidc", "oidc": section})
    assert hub.process is not None
    assert hub.process.wait(timeout=180) != 0
    assert "The sign-in provider does not answer at http://127.0.0.1:1/.well-known/openid-configuration" in hub.log()


def test_the_hub_of_these_tests_answers_nothing_to_strangers(site: Pair) -> None:
    assert httpx.get(f"{site[0].url}/hub/api/users", trust_env=False).status_code == 403
