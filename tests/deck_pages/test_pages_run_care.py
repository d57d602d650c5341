"""What a person does with runs beyond looking: wait knowingly, cure, vary, compare, delete, compute anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup
from conftest import Visitor
from deck_pages_lab import FAILED, RETRIED, REUSED, RUN, SWEEP, WAITING, sweep, waiting_run
from deck_pages_samples import before, run
from deck_pages_site import Site, make_site
from deck_pages_worlds import WORLDS
from simdeck_common.problems import Problem

Make = Callable[[str], Visitor]


def words(soup: Any) -> str:
    return " ".join(soup.get_text(" ", strip=True).replace("\u00a0", " ").split())


# --- waiting ------------------------------------------------------------------------------------------------------------


async def test_a_run_that_waits_says_why_what_then_and_since_when(visitor: Make) -> None:
    notice = words((await visitor("lab").soup(f"runs/{WAITING}")).select_one("#run-waiting"))
    assert "It waits: Your limit is reached" in notice
    assert "4 of your calculations run, which is as many as one user may have here." in notice
    assert "It begins when one of them has ended." in notice
    assert "UTC, 12 min ago" in notice


@pytest.mark.parametrize(
    "code", ["waiting-pause", "waiting-here", "waiting-group-limit", "waiting-rate", "waiting-queue"]
)
async def test_each_reason_has_a_word_of_what_comes_next(visitor: Make, code: str) -> None:
    ada = visitor("lab")
    ada.world.agent.runs = [waiting_run(waiting={"code": code, "title": "T", "detail": "D"})]
    notice = (await ada.soup(f"runs/{WAITING}")).select_one("#run-waiting")
    assert len(notice.select("p")) == 3  # type: ignore[union-attr]
    assert "Since" not in words(notice)


async def test_a_reason_nobody_knows_is_shown_as_it_was_told(visitor: Make) -> None:
    ada = visitor("lab")
    ada.world.agent.runs = [waiting_run(waiting={"code": "waiting-for-rain", "title": "No rain", "detail": "Dry."})]
    assert "It waits: No rain Dry." in words((await ada.soup(f"runs/{WAITING}")).select_one("#run-waiting"))


async def test_the_list_says_which_run_waits_for_what(visitor: Make) -> None:
    row = (await visitor("lab").soup("runs")).select_one(f"[data-run='{WAITING}']")
    assert "Waits: Your limit is reached" in words(row)


async def test_a_run_that_is_being_cancelled_says_so_and_cannot_be_cancelled_again(visitor: Make) -> None:
    ada = visitor("lab")
    ada.world.agent.runs = [waiting_run(cancelling=True)]
    soup = await ada.soup(f"runs/{WAITING}")
    assert words(soup.select_one("#run-shown")) == "Being cancelled"
    assert not soup.select("#cancel, #pause")


# --- failure and cure ---------------------------------------------------------------------------------------------------


async def test_a_failure_names_cause_and_cures_with_what_they_change(visitor: Make) -> None:
    card = (await visitor("lab").soup(f"runs/{FAILED}")).select_one(".failure")
    assert "did not converge in 250 iterations" in words(card)
    first, second = card.select(".cures li")  # type: ignore[union-attr]
    assert words(first) == "Run again with: More cycles Steps at most 400 (default) → 800"
    assert "Force threshold 0.005 eV/Å → 0.05 eV/Å; Method GFN2-xTB → GFN1-xTB" in words(second)
    assert second.select_one("a")["href"] == f"/services/deck/runs/{FAILED}/again?cure=2"  # type: ignore[index]


async def test_without_a_cure_the_general_advice_stands(visitor: Make) -> None:
    card = words((await visitor("bare-lab").soup(f"runs/{FAILED}")).select_one(".failure"))
    assert "What may help" not in card
    assert "a better starting structure often helps" in card


async def test_a_cure_is_filled_in_shown_and_submitted_as_a_retry(visitor: Make) -> None:
    ada = visitor("lab")
    soup = await ada.soup(f"runs/{FAILED}/again?cure=2")
    assert words(soup.select_one("#changes tbody")) == "Force threshold 0.005 eV/Å 0.05 eV/Å Method GFN2-xTB GFN1-xTB"
    assert "version 1.2.0 of molecule; this run was made by 1.1.0" in words(soup.select_one("#changes"))
    form = {
        str(one["name"]): one.get("value", "") for one in soup.select("#again input") if one.get("type") != "checkbox"
    }
    form |= {
        str(one["name"]): (one.select_one("[selected]") or {}).get("value", "") for one in soup.select("#again select")
    }
    form |= {str(one["name"]): one.get_text() for one in soup.select("#again textarea")}
    form.pop("_xsrf")
    answer = await ada.post(f"runs/{FAILED}/again", **form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/services/deck/runs/new-id")
    assert ada.world.agent.sent == [
        ("POST", f"/runs/{FAILED}/retry", {"inputs": {"fmax": 0.05, "method": "GFN1-xTB"}}),
    ]


async def test_more_can_be_changed_and_earlier_steps_taken(visitor: Make) -> None:
    ada = visitor("lab")
    form = {"input-charge": "-1", "input-solver.mixing": "0.2", "reuse": "1"}
    await ada.post(f"runs/{RUN}/again", **form)
    changed = {"charge": -1, "solver": {"mixing": 0.2, "options": {"level": 3}}}
    assert ada.world.agent.sent == [("POST", f"/runs/{RUN}/retry", {"inputs": changed, "reuse": True})]


async def test_what_changes_is_told_while_it_is_typed_and_nothing_is_sent(visitor: Make) -> None:
    ada = visitor("lab")
    answer = await ada.post(f"runs/{RUN}/again/changes", **{"input-charge": "-1"})
    assert "Total charge 0 e −1 e" in words(BeautifulSoup(answer.text, "html.parser"))
    assert ada.world.agent.sent == []


async def test_a_value_that_cannot_be_read_is_marked_and_nothing_is_sent(visitor: Make) -> None:
    ada = visitor("lab")
    answer = await ada.post(f"runs/{RUN}/again", **{"input-charge": "many"})
    soup = BeautifulSoup(answer.text, "html.parser")
    assert answer.status_code == 422
    assert "“many” is not a number." in words(soup.select_one("[id='error-charge']"))
    assert soup.select_one("[id='in-charge']")["value"] == "many"  # type: ignore[index]
    assert soup.select_one("[id='in-charge']")["aria-invalid"] == "true"  # type: ignore[index]
    assert ada.world.agent.sent == []


@pytest.mark.parametrize(("field", "place"), [("fmax", "[id='error-fmax']"), ("structure", ".notice-bad")])
async def test_a_refusal_stands_where_it_belongs_and_keeps_what_was_typed(
    visitor: Make, field: str, place: str
) -> None:
    ada = visitor("lab")
    ada.world.agent.refusal = Problem("invalid-input", field=field, detail="That does not fit.")
    answer = await ada.post(f"runs/{RUN}/again", **{"input-fmax": "7"})
    soup = BeautifulSoup(answer.text, "html.parser")
    assert answer.status_code == 422
    assert "That does not fit." in words(soup.select_one(place))
    assert soup.select_one("[id='in-fmax']")["value"] == "7"  # type: ignore[index]


@pytest.mark.parametrize("path", [f"runs/{WAITING}/again", f"runs/{WAITING}/delete"])
async def test_a_run_that_goes_on_is_left_alone(visitor: Make, path: str) -> None:
    assert "This can only be done to a run that has ended." in (await visitor("lab").get(path)).text


# --- sweeps -------------------------------------------------------------------------------------------------------------


async def test_a_sweep_is_started_from_a_runs_page(visitor: Make) -> None:
    ada = visitor("lab")
    form = {"form": "1", "input1": "charge", "start1": "-1", "stop1": "1", "count1": "3", "input2": "solver.mixing"}
    answer = await ada.post(f"runs/{RUN}/sweep", **form, values2="0.1, 0.2", title="Charges", reuse="1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/services/deck/sweeps/new-id")
    [(method, path, body)] = ada.world.agent.sent
    assert (method, path, body["title"], body["reuse"], body["mode"]) == ("POST", "/sweeps", "Charges", True, "grid")
    assert body["vary"] == {"charge": [-1, 0, 1], "solver.mixing": [0.1, 0.2]}
    assert body["inputs"]["structure"] == ada.world.agent.inputs["structure"]
    assert body["inputs"]["solver"] == {"mixing": 0.1, "options": {"level": 3}}
    assert ada.world.agent.inputs["solver"]["mixing"] == 0.4


async def test_a_sweep_without_a_name_is_called_after_what_it_varies(visitor: Make) -> None:
    ada = visitor("lab")
    await ada.post(f"runs/{RUN}/sweep", form="1", input1="solver.mixing", values1="0.1")
    assert ada.world.agent.sent[0][2]["title"] == "Optimise a molecule: Solver · Mixing"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "Choose an input and give its values."),
        ({"input1": "charge"}, "Give at least one value."),
        ({"input1": "charge", "values1": "1, x"}, "“x” is not a number."),
        ({"input1": "charge", "values1": "1", "input2": "charge", "values2": "2"}, "varied above already"),
        ({"input1": "charge", "values1": "1,2", "input2": "fmax", "values2": "1", "mode": "together"}, "equally many"),
        (
            {"input1": "fmax", "start1": "1", "stop1": "2", "count1": "40", "input2": "max_steps", "start2": "1",
             "stop2": "40", "count2": "40"},
            "1600 runs; a sweep may have 500",
        ),
    ],
)  # fmt: skip
async def test_a_sweep_that_cannot_be_run_says_why_and_nothing_is_sent(
    visitor: Make, form: dict[str, str], said: str
) -> None:
    ada = visitor("lab")
    answer = await ada.post(f"runs/{RUN}/sweep", form="1", **form)
    assert answer.status_code == 422
    assert said in answer.text
    assert ada.world.agent.sent == []


async def test_while_a_sweep_is_filled_in_its_runs_are_counted(visitor: Make) -> None:
    answer = await visitor("lab").get(
        f"runs/{RUN}/sweep/plan?form=1&input1=charge&values1=0,1,2&input2=method", fragment=True
    )
    soup = BeautifulSoup(answer.text, "html.parser")
    assert words(soup).startswith("3 runs Total charge 0, 1, 2 e")
    assert "One of GFN2-xTB" in words(soup.select_one("#hint-2"))


async def test_a_sweeps_table_has_inputs_results_units_states_and_a_csv(visitor: Make) -> None:
    soup = await visitor("lab").soup(f"sweeps/{SWEEP}?by=r:energy&down=1")
    heads = [words(cell) for cell in soup.select("thead th")]
    assert heads == [
        "Choose",
        "Total charge (e)",
        "Method",
        "State",
        "Total energy (eV) , sorted descending",
        "Gap (eV)",
        "Run",
    ]
    rows = [words(row) for row in soup.select("tbody tr")]
    assert "0 GFN2-xTB Finished reused −135.11 9.25" in rows[0]
    assert "did not converge" in rows[5]
    assert soup.select_one("#csv")["href"] == f"/services/deck/api/v1/sweeps/{SWEEP}/table.csv"  # type: ignore[index]
    assert soup.select_one("#sweep-poll")["hx-get"].endswith("?by=r%3Aenergy&down=1")  # type: ignore[index,union-attr]


async def test_a_sweep_that_has_ended_is_neither_followed_nor_cancelled(visitor: Make) -> None:
    ada = visitor("lab")
    ada.world.agent.more[f"/sweeps/{SWEEP}"] = sweep(ended=True)
    soup = await ada.soup(f"sweeps/{SWEEP}")
    assert not soup.select("#sweep-poll, #cancel-sweep")


async def test_sweeps_are_listed_with_how_far_they_are(visitor: Make) -> None:
    rows = [words(row) for row in (await visitor("lab").soup("sweeps")).select("tbody tr")]
    assert "4 of 6 runs ended 1 waiting 1 running 3 finished 1 failed" in rows[0]
    assert "Ethane: method molecule.optimize 3 runs 3 finished" in rows[1]


# --- comparing ----------------------------------------------------------------------------------------------------------


async def test_two_runs_are_compared_with_titles_units_and_changes(visitor: Make) -> None:
    soup = await visitor("lab").soup(f"compare?run={RUN}&run={RETRIED}")
    text = words(soup.main)
    assert "App version 1.1.0 1.2.0" in text
    assert "Total charge 0 e 1 e +1 e" in text
    assert "Solver · Mixing 0.4 0.1 −0.3" in text
    assert "Force threshold 0.005 eV/Å – " in text
    assert "Optimised structure: 9 values differ" in text
    assert "atom 1, x 0.1 Å 0.2 Å +0.1 Å" in text
    assert "The right run is the left one run again." in text


async def test_two_runs_that_do_not_differ_say_so(visitor: Make) -> None:
    ada = visitor("lab")
    same = {"left": run(), "right": run(RETRIED), "run": [], "inputs": [], "outputs": []}
    ada.world.agent.more[f"/runs/{RUN}/diff"] = same
    text = words((await ada.soup(f"compare?run={RUN}&run={RETRIED}")).main)
    assert "The inputs are the same." in text
    assert "The outputs are the same." in text


async def test_one_chosen_run_asks_for_another_of_its_workflow(visitor: Make) -> None:
    ada = visitor("lab")
    soup = await ada.soup(f"compare?run={RUN}")
    assert ("/runs", {"limit": 50, "workflow": "molecule.optimize"}) in ada.world.agent.asked
    offered = [str(one["value"]) for one in soup.select("input[type=radio]")]
    assert RUN not in offered
    assert RETRIED in offered


async def test_more_than_two_chosen_runs_are_too_many(visitor: Make) -> None:
    assert "Only two runs can be compared" in (await visitor("lab").get("compare?run=a&run=b&run=c")).text


async def test_runs_are_chosen_in_the_list(visitor: Make) -> None:
    soup = await visitor("lab").soup("runs")
    assert soup.select_one("#compare")["action"] == "/services/deck/compare"  # type: ignore[index]
    boxes = soup.select("input[type=checkbox][form=compare][name=run]")
    assert [box["value"] for box in boxes][:2] == [WAITING, REUSED]
    assert all(box.has_attr("hx-preserve") for box in boxes), "what is chosen survives the next look at the runs"


async def test_a_retried_run_leads_to_the_run_it_came_from(visitor: Make) -> None:
    links = [str(link["href"]) for link in (await visitor("lab").soup(f"runs/{RETRIED}")).select(".facts a")]
    assert f"/services/deck/runs/{RUN}" in links
    assert f"/services/deck/compare?run={RUN}&run={RETRIED}" in links


async def test_a_parent_that_was_deleted_is_no_link(visitor: Make) -> None:
    ada = visitor("lab")
    ada.world.agent.runs = [run(RETRIED, retry_of="gone")]
    facts = (await ada.soup(f"runs/{RETRIED}")).select(".facts")[-1]
    assert "gone (deleted)" in words(facts)


# --- deleting -----------------------------------------------------------------------------------------------------------


async def test_a_deletion_shows_what_goes_and_what_stays_and_why(visitor: Make) -> None:
    ada = visitor("lab")
    text = words((await ada.soup(f"runs/{RUN}/delete")).main)
    assert "31 nodes Files 12 files, 1.2 MB Calculations ran in 2 directories, 48.1 MB Together 49.3 MB" in text
    assert "molecule-1.1.0@localhost , a code, which all runs use" in text
    assert "structure , which also belongs to Fe(CO)5, triplet" in text
    assert "This cannot be undone." in text
    assert ada.world.agent.sent == []


async def test_deleting_sends_it_and_the_list_says_it_is_done(visitor: Make) -> None:
    ada = visitor("lab")
    answer = await ada.post(f"runs/{RUN}/delete")
    assert (answer.status_code, answer.headers["location"]) == (303, "/services/deck/runs?deleted=1")
    assert ada.world.agent.sent == [("DELETE", f"/runs/{RUN}", None)]
    assert "The run is deleted." in words((await ada.soup("runs?deleted=1")).main)


async def test_a_run_whose_results_another_one_took_is_not_offered_for_deletion(visitor: Make) -> None:
    soup = await visitor("lab").soup(f"runs/{FAILED}/delete")
    assert "Another run used its results" in words(soup.main)
    assert soup.select_one("a[href='/services/deck/runs?q=1b7e0c52']")
    assert not soup.select("form")


async def test_a_deletion_refused_at_the_last_moment_says_why(visitor: Make) -> None:
    ada = visitor("lab")
    ada.world.agent.refusal = Problem("run-in-use", others="1b7e0c52")
    answer = await ada.post(f"runs/{RUN}/delete")
    assert answer.status_code == 409
    assert "Another run used its results" in answer.text


# --- reuse --------------------------------------------------------------------------------------------------------------


async def test_a_run_taken_from_an_earlier_one_says_so_and_can_be_computed_anyway(visitor: Make) -> None:
    ada = visitor("lab")
    notice = (await ada.soup(f"runs/{REUSED}")).select_one("#run-reuse")
    assert "Nothing was computed anew" in words(notice)
    assert notice.select_one("a")["href"] == f"/services/deck/runs/{RUN}"  # type: ignore[index,union-attr]
    form = notice.select_one("form")  # type: ignore[union-attr]
    assert words(form) == "Compute it anyway"
    await ada.post(form["action"].removeprefix("/services/deck/"))  # type: ignore[index,union-attr]
    assert ada.world.agent.sent == [("POST", f"/runs/{REUSED}/retry", None)]


async def test_a_run_partly_taken_says_how_much(visitor: Make) -> None:
    ada = visitor("lab")
    ada.world.agent.events.append(("step", {"process": "p2", "label": "B", "kind": "calculation", "state": "finished"}))
    assert "1 of 2 calculations was not computed anew" in words(
        (await ada.soup(f"runs/{REUSED}")).select_one("#run-reuse")
    )


async def test_a_source_that_is_gone_is_named_without_a_link(visitor: Make) -> None:
    ada = visitor("lab")
    ada.world.agent.runs = [run(REUSED, reused=1, ended=before(minutes=1))]
    notice = (await ada.soup(f"runs/{REUSED}")).select_one("#run-reuse")
    assert "6f1c2a90 (deleted)" in words(notice)
    assert not notice.select("a")  # type: ignore[union-attr]


# --- who may ------------------------------------------------------------------------------------------------------------

CHANGES = [
    (f"runs/{RUN}/again", {"input-charge": "1"}),
    (f"runs/{RUN}/delete", {}),
    (f"runs/{RUN}/sweep", {"form": "1", "input1": "charge", "values1": "1"}),
    (f"sweeps/{SWEEP}/cancel", {}),
    (f"sweeps/{SWEEP}/forget", {}),
]
every_change = pytest.mark.parametrize(("path", "form"), CHANGES)


@every_change
async def test_a_change_asks_the_agent(visitor: Make, path: str, form: dict[str, str]) -> None:
    ada = visitor("lab")
    assert (await ada.post(path, **form)).status_code == 303
    assert len(ada.world.agent.sent) == 1


@every_change
async def test_a_change_without_the_sessions_token_is_none(visitor: Make, path: str, form: dict[str, str]) -> None:
    ada = visitor("lab")
    assert (await ada.post(path, xsrf="forged", **form)).status_code == 403
    assert ada.world.agent.sent == []


@every_change
async def test_a_session_that_may_only_look_changes_nothing(
    client: Callable[[Site], httpx.AsyncClient], path: str, form: dict[str, str]
) -> None:
    site = make_site({"lab": WORLDS["lab"]()}, frozenset({"custom:simdeck:runs:read!user"}))
    ada = Visitor(client(site), site, "lab")
    assert (await ada.post(path, **form)).status_code == 403
    assert ada.world.agent.sent == []
