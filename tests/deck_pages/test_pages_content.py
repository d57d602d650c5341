"""What stands on the pages: the deck, the store, runs, opening an app."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import Visitor
from deck_pages_fakes import FakeServer
from deck_pages_samples import before, failed, installed_app, many_entries, run, running, task
from simdeck_common.problems import Problem

Make = Callable[[str], Visitor]
RUN, RUNNING, FAILED = (str(kind()["id"]) for kind in (run, running, failed))


# --- deck ---------------------------------------------------------------------------------------------------------------


async def test_the_deck_shows_apps_with_updates_runs_and_the_server(visitor: Make) -> None:
    soup = await visitor("busy").soup("")
    assert [card.get_text(strip=True) for card in soup.select(".card-title")] == ["Molecule", "Phonons"]
    assert soup.select_one(".badge-new").get_text(strip=True) == "Update to 0.3.0"  # type: ignore[union-attr]
    assert [state["data-state"] for state in soup.select("[data-run] .state")] == [
        "running",
        "accepted",
        "paused",
        "finished",
        "failed",
        "cancelled",
        "rejected",
    ]
    assert soup.select_one("#server .state")["data-state"] == "running"  # type: ignore[index]


async def test_a_first_visit_leads_to_the_store(visitor: Make) -> None:
    soup = await visitor("empty").soup("")
    assert [link["href"] for link in soup.select(".empty a")] == ["/services/deck/store"] * 2


async def test_the_deck_renders_while_agent_store_and_hub_are_away(visitor: Make) -> None:
    answer = await visitor("failed").get("")
    assert answer.status_code == 200
    assert "Your agent does not answer" in answer.text
    assert "Nothing has run yet" not in answer.text
    assert "No apps installed yet" not in answer.text


async def test_runs_are_looked_at_often_only_while_one_is_under_way(visitor: Make) -> None:
    busy, empty = await visitor("busy").soup(""), await visitor("empty").soup("")
    assert busy.select_one("#recent-runs")["hx-trigger"].startswith("every 3s,")  # type: ignore[index,union-attr]
    assert empty.select_one("#recent-runs")["hx-trigger"].startswith("every 20s,")  # type: ignore[index,union-attr]


@pytest.mark.parametrize("path", ["", "recent-runs", "runs", f"runs/{RUNNING}", f"runs/{RUNNING}/live"])
async def test_runs_that_wait_for_a_worker_that_does_not_start_say_why(visitor: Make, path: str) -> None:
    ada = visitor("busy")
    assert "Runs are waiting" not in (await ada.get(path)).text
    ada.world.agent.worker = {"state": "failing", "reason": "no module named aiida"}
    said = (await ada.get(path)).text
    assert "The process that carries them out does not start: no module named aiida." in said
    assert "Nothing is lost" in said


async def test_a_run_that_has_ended_waits_for_nothing(visitor: Make) -> None:
    ada = visitor("busy")
    ada.world.agent.worker = {"state": "failing", "reason": "x"}
    assert "Runs are waiting" not in (await ada.get(f"runs/{RUN}")).text


async def test_a_starting_server_is_followed_until_it_is_there(visitor: Make) -> None:
    ada = visitor("empty")
    ada.world.server.answer = {"state": "starting"}
    assert (await ada.soup("server")).select_one("#server")["hx-trigger"] == "every 2s"  # type: ignore[index]
    ada.world.server.answer = {"state": "running", "started": before(minutes=3)}
    assert not (await ada.soup("server")).select_one("#server").has_attr("hx-trigger")  # type: ignore[union-attr]


# --- store --------------------------------------------------------------------------------------------------------------


async def test_typing_gets_only_the_results_that_match(visitor: Make) -> None:
    ada = visitor("busy")
    soup = await ada.soup("store?q=surface+sl", fragment=True)
    titles = [card.get_text(strip=True) for card in soup.select(".card-title")]
    assert titles
    assert all(title.startswith("Surface slab") for title in titles)
    assert soup.select_one("[role=status]").get_text(strip=True) == f"{len(titles)}\u00a0apps for “surface sl”"  # type: ignore[union-attr]


async def test_the_search_works_as_a_plain_form_and_keeps_the_filters(visitor: Make) -> None:
    soup = await visitor("busy").soup("store?q=a&category=solids&installed=1")
    form = soup.select_one("form[role=search]")
    assert form is not None
    assert (form["action"], form["method"]) == ("/services/deck/store", "get")
    fields = {field["name"]: field.get("value") for field in form.select("input[name]")}
    assert fields == {"q": "a", "category": "solids", "installed": "1"}


async def test_five_hundred_apps_come_in_pages(visitor: Make) -> None:
    ada = visitor("empty")
    ada.world.store.entries = many_entries(500)
    soup = await ada.soup("store?page=21")
    assert len(soup.select(".card")) == 20
    assert soup.select_one("a[rel=next]") is None
    assert len((await ada.soup("store")).select(".card")) == 24


async def test_the_store_is_readable_without_the_agent(visitor: Make) -> None:
    soup = await visitor("agent-down").soup("store")
    assert len(soup.select(".card")) == 24
    assert "Your agent does not answer" in soup.get_text()


async def test_an_app_page_tells_what_it_needs_and_how_to_cite(visitor: Make) -> None:
    soup = await visitor("empty").soup("store/molecule")
    text = soup.get_text(" ", strip=True)
    assert "Structures of up to 300 atoms" in text
    assert "1 core, 1 GiB of memory" in text
    assert soup.select_one('a[href="https://doi.org/10.1021/acs.jctc.8b01176"]')
    assert "@misc{molecule-1," in text
    assert all(
        str(image["src"]).startswith("/services/deck/api/v1/store/files/") for image in soup.select(".shots img")
    )
    assert soup.select_one("#install")


async def test_citations_can_be_downloaded(visitor: Make) -> None:
    answer = await visitor("empty").get("store/molecule/citations.bib")
    assert answer.text.count("@misc{") == 2
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''molecule.bib"


async def test_an_app_that_is_nowhere_is_a_404(visitor: Make) -> None:
    answer = await visitor("busy").get("store/nothing")
    assert answer.status_code == 404
    assert "The store has no app “nothing”" in answer.text


async def test_an_installed_app_can_be_opened_rolled_back_and_removed_without_the_store(visitor: Make) -> None:
    ada = visitor("busy")
    ada.world.store.problem = Problem("registry-unreachable", location="registry", reason="it is away")
    soup = await ada.soup("store/molecule")
    text = soup.get_text(" ", strip=True)
    assert "Roll back to 1.0.0" in text
    assert soup.select_one('a[href="/services/deck/store/molecule/remove"]')


async def test_an_install_under_way_is_followed_and_can_be_cancelled(visitor: Make) -> None:
    ada = visitor("empty")
    ada.world.agent.tasks = [task()]
    soup = await ada.soup("store/molecule")
    section = soup.select_one("#task")
    assert section is not None
    assert section["sse-connect"] == "/services/deck/api/v1/tasks/task-1/events"
    assert [step["class"][1] for step in soup.select(".step")] == [  # type: ignore[index]
        "step-done",
        "step-done",
        "step-now",
        "step-open",
        "step-open",
    ]
    assert soup.select_one("#task-cancel")
    assert soup.select_one("#install") is None, "a second install cannot be begun"


async def test_an_install_that_failed_says_why_and_can_be_tried_again(visitor: Make) -> None:
    ada = visitor("empty")
    problem = Problem("install-offline", app="molecule", reason="no route to host").to_json()
    ada.world.agent.tasks = [task(state="failed", step="download", problem=problem)]
    soup = await ada.soup("store/molecule")
    notice = soup.select_one("#task .notice")
    assert notice is not None
    assert problem["remedy"] in notice.get_text()
    assert not soup.select_one("#task").has_attr("sse-connect")  # type: ignore[union-attr]
    assert soup.select_one("#install")


async def test_the_end_of_an_install_loads_the_whole_page(visitor: Make) -> None:
    ada = visitor("empty")
    ada.world.agent.tasks = [task(state="done", step="ready")]
    answer = await ada.get("store/molecule/tasks/task-1", fragment=True)
    assert answer.headers["hx-redirect"] == "/services/deck/store/molecule?task=task-1"


async def test_a_live_part_is_kept_while_the_agent_is_away(visitor: Make) -> None:
    ada = visitor("agent-down")
    assert (await ada.get("store/molecule/tasks/task-1", fragment=True)).status_code == 204
    assert (await ada.get(f"runs/{RUNNING}/live", fragment=True)).status_code == 204


async def test_an_app_removed_for_good_leads_back_to_the_store(visitor: Make) -> None:
    ada = visitor("empty")
    ada.world.agent.tasks = [task(kind="remove", app="gone", state="done")]
    answer = await ada.get("store/gone?task=task-1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/services/deck/store")


async def test_removing_asks_first(visitor: Make) -> None:
    ada = visitor("busy")
    soup = await ada.soup("store/molecule/remove")
    form = soup.select_one("form[method=post]")
    assert form is not None
    assert form["action"] == "/services/deck/store/molecule/remove"
    assert ada.world.agent.sent == []


# --- runs ---------------------------------------------------------------------------------------------------------------


async def test_filters_of_runs_reach_the_agent(visitor: Make) -> None:
    ada = visitor("busy")
    soup = await ada.soup("runs?state=finished&workflow=molecule.optimize")
    assert (
        "/runs",
        {"limit": 25, "cursor": None, "state": "finished", "workflow": "molecule.optimize"},
    ) in ada.world.agent.asked
    assert [row["data-run"] for row in soup.select("[data-run]")] == [RUN]


async def test_runs_are_found_by_text_over_many_pages(visitor: Make) -> None:
    ada = visitor("empty")
    ada.world.agent.runs = [run(f"id-{number}", title="Neon" if number == 450 else "Argon") for number in range(600)]
    soup = await ada.soup("runs?q=neon")
    assert [row["data-run"] for row in soup.select("[data-run]")] == ["id-450"]


async def test_long_lists_of_runs_are_paged(visitor: Make) -> None:
    ada = visitor("empty")
    ada.world.agent.runs = [run(f"id-{number}") for number in range(30)]
    first = await ada.soup("runs?state=finished")
    assert len(first.select("[data-run]")) == 25
    following = first.select_one("a[rel=next]")
    assert following is not None
    assert following["href"] == "/services/deck/runs?state=finished&cursor=25"
    second = await ada.soup("runs?state=finished&cursor=25")
    assert len(second.select("[data-run]")) == 5


async def test_a_run_page_shows_results_inputs_files_and_provenance(visitor: Make) -> None:
    soup = await visitor("busy").soup(f"runs/{RUN}")
    text = soup.get_text(" ", strip=True)
    assert "Total energy −137.97765\u00a0eV" in text
    assert "Force threshold 0.005\u00a0eV/Å" in text
    links = {str(link["href"]) for link in soup.select("a")}
    api = f"/services/deck/api/v1/runs/{RUN}"
    for rest in ("files/optimise/trajectory.xyz", "archive", "log", "graph", "graph.svg"):
        assert f"{api}/{rest}" in links
    assert f"/services/deck/open/molecule?run={RUN}" in links


async def test_a_run_under_way_is_live_with_its_energy_curve(visitor: Make) -> None:
    soup = await visitor("busy").soup(f"runs/{RUNNING}")
    assert soup.select_one("#run-state")["sse-connect"].endswith(f"/runs/{RUNNING}/events")  # type: ignore[index,union-attr]
    assert soup.select_one("svg.spark path")["d"].count("L") == 23  # type: ignore[index,union-attr]
    assert soup.select_one("#cancel")
    assert soup.select_one("#retry") is None


async def test_an_ended_run_is_not_followed(visitor: Make) -> None:
    soup = await visitor("busy").soup(f"runs/{RUN}")
    assert not soup.select_one("#run-state").has_attr("sse-connect")  # type: ignore[union-attr]


async def test_the_end_of_a_run_loads_the_whole_page(visitor: Make) -> None:
    ada = visitor("busy")
    assert (await ada.get(f"runs/{RUN}/live", fragment=True)).headers["hx-refresh"] == "true"
    assert "hx-refresh" not in (await ada.get(f"runs/{RUNNING}/live", fragment=True)).headers


async def test_a_failed_run_says_why_and_what_to_do(visitor: Make) -> None:
    soup = await visitor("busy").soup(f"runs/{FAILED}")
    notice = soup.select_one(".notice-bad")
    assert notice is not None
    assert "did not converge in 250 iterations" in notice.get_text()
    assert "Check charge and multiplicity" in notice.get_text()


async def test_a_run_of_somebody_else_is_not_there(visitor: Make) -> None:
    answer = await visitor("empty").get(f"runs/{RUN}")
    assert answer.status_code == 404
    assert "You have no run" in answer.text


async def test_the_log_is_escaped_for_htmx_and_plain_for_others(visitor: Make) -> None:
    ada = visitor("busy")
    fragment = await ada.get(f"runs/{RUN}/log", fragment=True)
    assert "&lt;converged&gt; &amp; done" in fragment.text
    plain = await ada.get(f"runs/{RUN}/log")
    assert plain.headers["content-type"].startswith("text/plain")
    assert "<converged> & done" in plain.text


# --- opening an app -----------------------------------------------------------------------------------------------------


async def test_an_app_opens_at_once_in_a_running_server(visitor: Make) -> None:
    ada = visitor("busy")
    answer = await ada.get("open/molecule?run=abc")
    assert (answer.status_code, answer.headers["location"]) == (303, "/user/busy/deck/molecule/?run=abc")


@pytest.mark.parametrize("state", ["stopped", "starting", "stopping", "unknown"])
async def test_opening_by_get_starts_nothing(visitor: Make, state: str) -> None:
    ada = visitor("empty")
    ada.world.server = FakeServer({"state": state})
    ada.world.agent.apps = [installed_app()]
    soup = await ada.soup("open/molecule?run=abc")
    assert soup.h1.get_text() == "Opening Molecule"  # type: ignore[union-attr]
    page = soup.select_one("#opening")
    assert page is not None
    assert page["data-target"] == "/user/empty/deck/molecule/?run=abc"
    assert ada.world.server.started == 0
    form = soup.select_one("noscript form")
    assert form is not None
    assert form.select_one("[name=then]")["value"] == "/services/deck/open/molecule?run=abc"  # type: ignore[index]


# --- account ------------------------------------------------------------------------------------------------------------


async def test_the_account_shows_a_curl_line_that_fits_this_site(visitor: Make) -> None:
    soup = await visitor("busy").soup("account")
    assert soup.select_one("#curl-list").get_text() == (  # type: ignore[union-attr]
        'curl -H "Authorization: token $SIMDECK_TOKEN" http://deck.test/services/deck/api/v1/runs'
    )
    assert soup.select_one('a[href="/hub/token"]')
    assert soup.select_one('form[action="/services/deck/logout"]')
