"""Servers as batch jobs on the pages: asking for one, waiting for it, what is left of it, why it ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from bs4 import BeautifulSoup
from conftest import Visitor
from deck_pages_samples import before
from deck_pages_servers import OPTIONS, ended, queued, running_job, server
from deck_pages_site import Site, make_site
from deck_pages_worlds import WORLDS
from simdeck_common.problems import Problem
from simdeck_deck.pages.views.amounts import gpu_choice, memory_words, start_words, walltime_words
from simdeck_deck.pages.views.options import options_of, query_of
from simdeck_deck.pages.views.servers import remedied
from simdeck_deck.servers import ServerView

Make = Callable[[str], Visitor]
DECK = "/services/deck/"
FORM = {
    "form": "1", "app": "molecule", "run": "r1", "name": "", "opt-cluster": "alpha", "opt-partition": "short",
    "opt-cores": "4", "opt-memory_mb": "8 GiB", "opt-walltime_minutes": "2:00", "opt-account": "chem-2026",
    "opt-qos": "", "opt-reservation": "", "opt-environment": "default",
}  # fmt: skip


def values(soup: Any) -> dict[str, str]:
    """Return what the form would send."""
    found = {str(one["name"]): str(one.get("value", "")) for one in soup.select("#resource-fields input")}
    for one in soup.select("#resource-fields select"):
        chosen = one.find("option", selected=True) or one.find("option")
        found[str(one["name"])] = str(chosen["value"])
    return found


async def test_an_app_without_a_server_asks_for_resources_filled_in_as_last_time(visitor: Make) -> None:
    ada = visitor("site")
    ada.world.servers.views = []
    soup = await ada.soup("open/molecule?run=r1")
    assert soup.h1.get_text() == "Open Molecule"
    assert soup.select_one("#preset-1[checked]")["value"] == "~last"
    chosen = values(soup)
    assert (chosen["opt-cores"], chosen["opt-partition"], chosen["opt-account"]) == ("4", "short", "chem-2026")
    assert soup.select_one("input[name=run]")["value"] == "r1"


async def test_what_failed_last_time_is_asked_for_with_more(visitor: Make) -> None:
    soup = await visitor("site").soup("open/molecule")
    assert "The server ran out of memory." in soup.get_text()
    assert values(soup)["opt-memory_mb"] == "16 GiB"


async def test_an_address_fills_in_the_form_and_opens_all_options(visitor: Make) -> None:
    soup = await visitor("site").soup(
        "servers/new?opt-cores=8&opt-memory=12GiB&opt-walltime=90min&opt-gpus=v100:2&opt-partition=gpu"
    )
    chosen = values(soup)
    assert (chosen["opt-cores"], chosen["opt-memory_mb"], chosen["opt-walltime_minutes"]) == ("8", "12 GiB", "1:30")
    assert (chosen["opt-gpu_type"], chosen["opt-gpu_count"]) == ("v100", "2")
    assert soup.select_one("details.all-options").has_attr("open")


async def test_a_value_that_is_not_offered_any_more_is_said_and_replaced(visitor: Make) -> None:
    soup = await visitor("site").soup("servers/new?opt-partition=gone")
    assert "Partition “gone”" in soup.select_one(".notice").get_text()
    assert values(soup)["opt-partition"] == "short"


async def test_the_form_starts_the_server_and_leads_to_its_page(visitor: Make) -> None:
    ada = visitor("site")
    ada.world.servers.views.clear()
    answer = await ada.post("servers/new", **FORM)
    assert answer.headers["location"] == f"{DECK}servers/-?app=molecule&run=r1&open=1"
    wanted = {key: value for key, value in OPTIONS.items() if key != "gpus"}
    assert ada.world.servers.started == [("-", wanted)]
    assert ada.world.servers.estimated == [wanted]


async def test_a_preset_chosen_without_script_counts_instead_of_the_fields(visitor: Make) -> None:
    ada = visitor("site")
    await ada.post("servers/new", **FORM | {"preset": "gpu", "preset-shown": "~last", "name": "mine"})
    ((name, options),) = ada.world.servers.started
    assert name == "mine"
    assert (options["partition"], options["cores"], options["gpus"]) == ("gpu", 8, {"type": "a100", "count": 1})
    assert options["account"] == "chem-2026"


async def test_a_server_that_is_there_already_is_not_asked_for_twice(visitor: Make) -> None:
    ada = visitor("site")
    answer = await ada.post("servers/new", **FORM | {"name": "queue-1"})
    assert answer.status_code == 422
    error = BeautifulSoup(answer.text, "html.parser").select_one("#error-name")
    assert "queue-1 runs or waits already" in error.get_text()
    assert ada.world.servers.started == []


async def test_a_waiting_server_can_be_asked_for_anew_and_loses_its_place(visitor: Make) -> None:
    ada = visitor("site")
    link = (await ada.soup("servers/queue-1")).find("a", string="Ask for something else")
    soup = await ada.soup(str(link["href"]).removeprefix(DECK))
    assert "This takes the place of the job" in soup.get_text()
    assert soup.select_one("input[name=replaces]")["value"] == "1"
    await ada.post("servers/new", **FORM | {"name": "queue-1", "replaces": "1"})
    assert ada.world.servers.stopped == [("queue-1", False)]
    assert [name for name, _ in ada.world.servers.started] == ["queue-1"]
    answer = await ada.post("servers/new", **FORM | {"name": "", "replaces": "1"})
    assert answer.status_code == 422, "a running server is not stopped on the way"


async def test_a_refused_value_is_said_beside_its_field_and_nothing_is_lost(visitor: Make) -> None:
    ada = visitor("site")
    ada.world.servers.refusal = Problem("invalid-input", field="cores", detail="At most 32 cores can be had here.")
    answer = await ada.post("servers/new", **FORM | {"opt-cores": "99", "opt-memory_mb": "lots", "name": "mine"})
    assert answer.status_code == 422
    soup = BeautifulSoup(answer.text, "html.parser")
    assert "At most 32 cores" in soup.select_one("#error-cores").get_text()
    assert soup.select_one("#opt-cores")["aria-invalid"] == "true"
    chosen = values(soup)
    assert (chosen["opt-cores"], chosen["opt-memory_mb"], chosen["name"]) == ("99", "lots", "mine")
    assert soup.select_one("details.all-options").has_attr("open")
    assert ada.world.servers.started == []


async def test_a_scheduler_that_is_away_does_not_keep_a_server_from_being_asked_for(
    visitor: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = visitor("plain-site")

    async def silent(options: dict[str, Any]) -> Any:
        raise Problem("cluster-unavailable", cluster="beta", reason="no answer")

    monkeypatch.setattr(ada.world.servers, "estimate", silent)
    assert (await ada.post("servers/new", **{"form": "1", "opt-cores": "1"})).status_code == 303
    assert ada.world.servers.started == [
        ("-", {"cores": 1, "cluster": "beta", "partition": "all", "environment": "default"})
    ]


async def test_asking_without_script_when_it_would_start_starts_nothing(visitor: Make) -> None:
    ada = visitor("site")
    answer = await ada.post("servers/new", **FORM | {"do": "check"})
    assert "8 core-hours" in answer.text
    assert ada.world.servers.started == []


async def test_an_estimate_offers_what_starts_sooner_as_links_that_keep_the_rest(visitor: Make) -> None:
    soup = await visitor("site").soup(
        "servers/new/estimate?form=1&app=molecule&run=r1&name=mine&opt-cores=4", fragment=True
    )
    assert "in about 2" in soup.select_one(".estimate").get_text()
    query = parse_qs(urlsplit(str(soup.select_one(".sooner a")["href"])).query)
    assert query["opt-walltime_minutes"] == ["60"]
    assert (query["app"], query["run"], query["name"]) == (["molecule"], ["r1"], ["mine"])


async def test_an_estimate_says_a_refusal_beside_the_field_as_well(visitor: Make) -> None:
    ada = visitor("site")
    ada.world.servers.refusal = Problem("invalid-input", field="gpus", detail="No GPU is there.")
    soup = await ada.soup("servers/new/estimate?form=1&opt-partition=gpu&opt-gpu_count=9", fragment=True)
    assert "No GPU is there." in soup.select_one("#error-gpus[hx-swap-oob]").get_text()
    assert soup.select_one("#error-cores").get_text() == ""


async def test_an_estimate_does_not_say_that_a_preset_is_in_the_fields_before_it_is(visitor: Make) -> None:
    path = "servers/new/estimate?form=1&opt-cores=4&preset=small&preset-shown="
    assert not (await visitor("site").soup(path + "~last", fragment=True)).select("#presets")
    assert (await visitor("site").soup(path + "small", fragment=True)).select("#presets")


async def test_more_core_hours_than_are_left_are_marked(visitor: Make) -> None:
    ada = visitor("site")
    ada.world.servers.answer = {"start": None, "cost": {"core_hours": 100.0, "balance": 12.0}}
    assert "too few" in (await ada.soup("servers/new/estimate?form=1", fragment=True)).get_text()


@pytest.mark.parametrize(
    ("views", "leads"),
    [
        ([running_job()], "/user/site/deck/molecule/?run=r1"),
        ([running_job("mol-2")], "/user/site/mol-2/deck/molecule/?run=r1"),
        ([queued("mol-2")], f"{DECK}servers/mol-2?app=molecule&run=r1&open=1"),
        ([running_job(options=OPTIONS | {"app": "phonons"})], "/user/site/deck/molecule/?run=r1"),
    ],
)
async def test_an_app_opens_in_the_server_that_fits(visitor: Make, views: list[dict[str, Any]], leads: str) -> None:
    ada = visitor("site")
    ada.world.servers.views = views
    assert (await ada.get("open/molecule?run=r1")).headers["location"] == leads


async def test_an_app_that_asks_for_more_than_the_running_server_has_offers_both(visitor: Make) -> None:
    ada = visitor("site")
    ada.world.servers.views = [running_job(options={"app": "phonons", "cores": 1, "memory_mb": 2048})]
    soup = await ada.soup("open/molecule")
    assert "A server is running already" in soup.get_text()
    assert soup.find("a", href="/user/site/deck/molecule/") is not None
    assert values(soup)["name"] == "molecule"


async def test_a_waiting_server_says_place_reason_and_remedy(visitor: Make) -> None:
    soup = await visitor("site").soup("servers/queue-1")
    text = soup.select_one("#server-live").get_text(" ", strip=True)
    for words in ("Jobs with a higher priority", "It starts by itself", "4th", "in about 2", "Priority"):
        assert words in text
    assert soup.select_one("[sse-connect]")["sse-connect"].endswith("/api/v1/servers/queue-1/events")
    assert soup.select_one("[data-step=queued]")["aria-current"] == "step"


async def test_a_running_server_leads_on_when_it_was_opened_for_an_app(visitor: Make) -> None:
    ada = visitor("site")
    ada.world.servers.views = [running_job("mine")]
    assert (await ada.get("servers/mine?app=molecule&run=r1&open=1")).headers[
        "location"
    ] == "/user/site/mine/deck/molecule/?run=r1"
    live = await ada.get("servers/mine/live?app=molecule&open=1&was=starting", fragment=True)
    assert live.headers["hx-redirect"] == "/user/site/mine/deck/molecule/"
    assert (await ada.get("servers/mine")).status_code == 200


@pytest.mark.parametrize(("was", "refreshes"), [("starting", True), ("running", False)])
async def test_a_page_is_loaded_anew_when_the_server_is_something_else_now(
    visitor: Make, was: str, refreshes: bool
) -> None:
    live = await visitor("site").get(f"servers/-/live?was={was}", fragment=True)
    assert ("hx-refresh" in live.headers) is refreshes


async def test_a_hub_that_is_away_leaves_the_page_as_it_is(visitor: Make) -> None:
    ada = visitor("site")
    ada.world.servers.problem = Problem("hub-unavailable")
    assert (await ada.get("servers/-/live", fragment=True)).status_code == 204
    assert (await ada.get("servers/card", fragment=True)).status_code == 204
    assert (await ada.get("servers/-")).status_code == 503


@pytest.mark.parametrize(("left", "short"), [(7 * 60.0, True), (3600.0, False)])
async def test_time_left_is_a_warning_near_the_end(visitor: Make, left: float, short: bool) -> None:
    ada = visitor("site")
    ada.world.servers.views = [running_job(left=left)]
    assert bool((await ada.soup("servers/-")).select(".panel-warning")) is short
    assert bool((await ada.soup("")).select("[data-server='-'] .tone-bad")) is short


async def test_a_failed_server_shows_cause_evidence_log_and_a_way_on(visitor: Make) -> None:
    soup = await visitor("site").soup("servers/molecule-2")
    text = soup.get_text(" ", strip=True)
    for words in ("ran out of memory", "16 GiB would leave room", "OUT_OF_MEMORY", "Killed"):
        assert words in text
    query = parse_qs(urlsplit(str(soup.select_one("#change")["href"])).query)
    assert (query["opt-memory_mb"], query["opt-cores"], query["name"]) == (["16384"], ["4"], ["molecule-2"])
    assert soup.find("a", download=True)["href"].endswith("/api/v1/servers/molecule-2/bundle")


async def test_forms_stop_remove_and_continue_servers(visitor: Make) -> None:
    ada = visitor("site")
    assert (await ada.post("servers/queue-1/stop")).headers["location"] == DECK + "servers"
    await ada.post("servers/idle-1/stop", remove="1")
    assert ada.world.servers.stopped == [("queue-1", False), ("idle-1", True)]
    answer = await ada.post("servers/-/continue", app="phonons", run="r1")
    assert answer.headers["location"] == f"{DECK}servers/server-2?app=phonons&run=r1&open=1"
    assert ada.world.servers.continued == ["-"]


CHANGES = ["servers/new", "servers/-/stop", "servers/-/continue"]


@pytest.mark.parametrize("path", CHANGES)
async def test_nothing_is_changed_without_the_sessions_token_or_the_scope(
    client: Callable[[Site], httpx.AsyncClient], path: str
) -> None:
    for scopes, token in (
        (frozenset({"custom:simdeck:runs!user"}), None),
        (frozenset({"custom:simdeck:server!user"}), "forged"),
    ):
        site = make_site({"site": WORLDS["site"]()}, scopes)
        ada = Visitor(client(site), site, "site")
        assert (await ada.post(path, xsrf=token, **FORM)).status_code == 403
        assert (ada.world.servers.started, ada.world.servers.stopped, ada.world.servers.continued) == ([], [], [])


async def test_an_app_starts_nothing_while_it_is_not_known_whether_servers_are_jobs(visitor: Make) -> None:
    ada = visitor("empty")
    ada.world.servers.problem = Problem("hub-unavailable")
    assert (await ada.get("open/molecule")).status_code == 503


async def test_a_server_of_which_nothing_is_known_is_said_to_be_safe_and_looked_at_again(visitor: Make) -> None:
    ada = visitor("site")
    ada.world.servers.views = [queued("mine") | {"phase": "unknown", "unknown_since": before(minutes=3)}]
    soup = await ada.soup("servers/mine")
    assert "Your job is not lost" in soup.get_text()
    assert "every 5s" in soup.select_one("#server-live")["hx-trigger"]
    assert soup.select_one("#cancel") is not None


async def test_without_a_cluster_nothing_of_this_shows(visitor: Make) -> None:
    ada = visitor("busy")
    assert not (await ada.soup("")).select("#servers-card")
    for path in ("servers", "servers/new"):
        assert (await ada.get(path)).headers["location"] == DECK
    assert (await ada.get("open/molecule")).headers["location"] == "/user/busy/deck/molecule/"


async def test_the_deck_shows_servers_that_live_or_failed_and_no_others(visitor: Make) -> None:
    soup = await visitor("site").soup("")
    assert [one["data-server"] for one in soup.select("#servers-card [data-server]")] == [
        "-",
        "queue-1",
        "molecule-2",
        "booting-1",
    ]


NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ""),
        ("2026-11-21T11:00:00Z", "at once"),
        ("2026-11-21T12:25:00Z", "in about 25 min"),
        ("2026-11-21T15:00:00Z", "in about 3 hours"),
        ("2026-11-25T12:00:00Z", "in about 4 days"),
    ],
)
def test_a_start_to_come_is_told_roughly(text: str | None, words: str) -> None:
    assert start_words(text, NOW) == words


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        (None, ("", "")),
        (2, ("", "2")),
        ("a100:2", ("a100", "2")),
        ("a100", ("a100", "1")),
        ({"type": "a100", "count": 1}, ("a100", "1")),
    ],
)
def test_gpus_are_read_in_every_form_of_theirs(value: Any, choice: tuple[str, str]) -> None:
    assert gpu_choice(value) == choice


def test_amounts_that_cannot_be_read_are_shown_as_they_were_written() -> None:
    assert (memory_words("lots"), walltime_words("ages")) == ("lots", "ages")
    assert (memory_words(8192), walltime_words(150)) == ("8 GiB", "2:30")


def test_options_go_into_an_address_and_come_back() -> None:
    options = OPTIONS | {"gpus": {"type": "a100", "count": 2}}
    back = options_of(query_of(options))
    assert back == {key: value for key, value in options.items() if key != "app"} | {"gpus": "a100:2"}


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("server-out-of-memory", {"memory_mb": 16384}),
        ("server-time-limit", {"walltime_minutes": 240}),
        ("server-node-failed", {}),
    ],
)
def test_a_remedy_asks_for_more_of_what_was_short(code: str, changes: dict[str, int]) -> None:
    view = ServerView.model_validate(ended(failure={"code": code, "when": before(minutes=1)}))
    assert remedied(view) == changes
    assert remedied(ServerView.model_validate(server())) == {}
