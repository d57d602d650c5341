"""What forms do: they ask the caller's agent or hub, and nothing without token and scope."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from conftest import Visitor
from deck_pages_site import Site, make_site
from deck_pages_worlds import WORLDS
from simdeck_common.problems import Problem

Make = Callable[[str], Visitor]
ACTIONS = [
    (
        "store/molecule/install",
        {"version": "1.1.0"},
        ("POST", "/apps/molecule/install", {"version": "1.1.0"}),
        "apps:install",
    ),
    ("store/molecule/install", {}, ("POST", "/apps/molecule/install", {}), "apps:install"),
    ("store/molecule/rollback", {}, ("POST", "/apps/molecule/rollback", None), "apps:install"),
    ("store/molecule/remove", {}, ("DELETE", "/apps/molecule", None), "apps:install"),
    ("store/molecule/tasks/t1/cancel", {}, ("DELETE", "/tasks/t1", None), "apps:install"),
    ("runs/r1/cancel", {}, ("POST", "/runs/r1/cancel", None), "runs"),
    ("runs/r1/pause", {}, ("POST", "/runs/r1/pause", None), "runs"),
    ("runs/r1/resume", {}, ("POST", "/runs/r1/resume", None), "runs"),
    ("runs/r1/retry", {}, ("POST", "/runs/r1/retry", None), "runs"),
    ("runs/r1/rename", {"title": "  New \n title "}, ("PATCH", "/runs/r1", {"title": "New title"}), "runs"),
]
every_action = pytest.mark.parametrize(("path", "form", "sent", "scope"), ACTIONS)


@every_action
async def test_a_form_asks_the_agent_and_leads_on(
    visitor: Make, path: str, form: dict[str, str], sent: object, scope: str
) -> None:
    ada = visitor("busy")
    answer = await ada.post(path, **form)
    assert answer.status_code == 303
    assert ada.world.agent.sent == [sent]


@every_action
@pytest.mark.parametrize("token", ["", "forged"])
async def test_a_form_without_the_sessions_token_does_nothing(
    visitor: Make, path: str, form: dict[str, str], sent: object, scope: str, token: str
) -> None:
    ada = visitor("busy")
    answer = await ada.post(path, xsrf=token, **form)
    assert answer.status_code == 403
    assert "The page is out of date" in answer.text
    assert ada.world.agent.sent == []


@every_action
async def test_a_session_without_the_scope_may_only_look(
    client: Callable[[Site], httpx.AsyncClient], path: str, form: dict[str, str], sent: object, scope: str
) -> None:
    site = make_site({"busy": WORLDS["busy"]()}, frozenset({"custom:simdeck:runs:read!user"}))
    ada = Visitor(client(site), site, "busy")
    answer = await ada.post(path, **form)
    assert answer.status_code == 403
    assert scope in answer.text
    assert ada.world.agent.sent == []


async def test_an_install_is_followed_on_the_apps_page(visitor: Make) -> None:
    answer = await visitor("empty").post("store/molecule/install")
    assert answer.headers["location"] == "/services/deck/store/molecule?task=new-id"


async def test_a_retry_leads_to_the_new_run(visitor: Make) -> None:
    assert (await visitor("busy").post("runs/r1/retry")).headers["location"] == "/services/deck/runs/new-id"
    assert (await visitor("busy").post("runs/r1/cancel")).headers["location"] == "/services/deck/runs/r1"


async def test_a_refusal_of_the_agent_is_a_page_in_plain_words(visitor: Make) -> None:
    ada = visitor("busy")
    ada.world.agent.problem = Problem("run-ended", run="r1", state="finished")
    answer = await ada.post("runs/r1/cancel")
    assert answer.status_code == 409
    assert ada.world.agent.problem.remedy in answer.text


@pytest.mark.parametrize("title", ["", "   ", "x" * 201])
async def test_a_run_is_not_renamed_to_nothing(visitor: Make, title: str) -> None:
    ada = visitor("busy")
    answer = await ada.post("runs/r1/rename", title=title)
    assert answer.status_code == 422
    assert "A title has between 1 and 200 characters." in answer.text
    assert ada.world.agent.sent == []


async def test_an_unknown_action_on_a_run_is_a_404(visitor: Make) -> None:
    ada = visitor("busy")
    assert (await ada.post("runs/r1/explode")).status_code == 404
    assert ada.world.agent.sent == []


@pytest.mark.parametrize("name", ["%2e%2e", "%2e"])
async def test_an_id_cannot_climb_in_the_agents_paths(visitor: Make, name: str) -> None:
    ada = visitor("busy")
    assert (await ada.post(f"store/{name}/install")).status_code == 404
    assert ada.world.agent.sent == []


async def test_the_server_is_started_and_stopped(visitor: Make) -> None:
    ada = visitor("empty")
    assert (await ada.post("server/start")).headers["location"] == "/services/deck/"
    assert (await ada.post("server/stop")).headers["location"] == "/services/deck/"
    assert (ada.world.server.started, ada.world.server.stopped) == (1, 1)


@pytest.mark.parametrize(
    ("then", "leads"),
    [
        ("/services/deck/open/molecule?run=1", "/services/deck/open/molecule?run=1"),
        ("https://example.org/", "/services/deck/"),
        ("//example.org/", "/services/deck/"),
        ("/services/deck/\\example.org", "/services/deck/"),
        ("/services/deck//example.org", "/services/deck/"),
        ("/services/deck/\r\nSet-Cookie: x=y", "/services/deck/"),
        ("/hub/logout", "/services/deck/"),
    ],
)
async def test_starting_leads_nowhere_outside_the_deck(visitor: Make, then: str, leads: str) -> None:
    assert (await visitor("empty").post("server/start", then=then)).headers["location"] == leads


async def test_a_server_that_cannot_start_is_told_with_its_cause(visitor: Make) -> None:
    ada = visitor("empty")
    ada.world.server.problem = Problem("server-start-failed", reason="no memory is left")
    answer = await ada.post("server/start")
    assert answer.status_code == 502
    assert "no memory is left" in answer.text
