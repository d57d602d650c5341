"""What the pages show, built from the API's JSON without any web server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from deck_pages_samples import (
    CATEGORIES,
    OUTPUTS,
    WORKFLOW,
    index_entry,
    installed_app,
    many_entries,
    run,
    store_app,
    task,
)
from simdeck_deck.pages.views.apps import app_page, category_titles, installed_cards
from simdeck_deck.pages.views.events import progress_curve, step_rows
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.runs import (
    file_rows,
    formula,
    headlines,
    progress_line,
    run_matches,
    run_view,
    value_rows,
)
from simdeck_deck.pages.views.server import server_view
from simdeck_deck.pages.views.sparkline import sparkline
from simdeck_deck.pages.views.states import RUN_STATES
from simdeck_deck.pages.views.store_list import store_page
from simdeck_deck.pages.views.tasks import active_task, task_view
from simdeck_workflows.models import RunState

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LINKS = Links("/services/deck/", "ada")
S = "\u00a0"


# --- addresses ----------------------------------------------------------------------------------------------------------


def test_every_part_of_an_address_is_escaped() -> None:
    links = Links("/services/deck/", "a/b c")
    assert links.page("runs", "../x", q="a b&c", cursor=None) == "/services/deck/runs/..%2Fx?q=a+b%26c"
    assert links.app_page("mol", "r/1") == "/user/a%2Fb%20c/deck/mol/?run=r%2F1"
    assert links.file("r", "out/a b.xyz") == "/services/deck/api/v1/runs/r/files/out/a%20b.xyz"


def test_a_hub_below_a_path_is_respected() -> None:
    links = Links("/science/services/deck/", "ada")
    assert (links.hub, links.lab) == ("/science/hub/", "/science/user/ada/lab")


# --- runs ---------------------------------------------------------------------------------------------------------------


def test_every_state_of_a_run_has_its_words() -> None:
    assert set(RUN_STATES) == {state.value for state in RunState}


@pytest.mark.parametrize(
    ("state", "paused", "label", "actions"),
    [
        ("accepted", False, "Waiting", "cancel pause"),
        ("running", False, "Running", "cancel pause"),
        ("running", True, "Paused", "cancel resume"),
        ("finished", False, "Finished", "retry"),
        ("finished", True, "Finished", "retry"),
        ("failed", False, "Failed", "retry"),
        ("cancelled", False, "Cancelled", "retry"),
        ("rejected", False, "Inputs refused", "retry"),
        ("dreaming", False, "Dreaming", "retry"),
    ],
)
def test_a_state_offers_only_what_is_possible(state: str, paused: bool, label: str, actions: str) -> None:
    view = run_view(run(state=state, paused=paused), LINKS, NOW)
    offered = [name for name in ("cancel", "pause", "resume", "retry") if getattr(view, f"can_{name}")]
    assert (view.state.label, offered) == (label, actions.split())


def test_a_run_with_nothing_known_still_has_a_view() -> None:
    view = run_view({}, LINKS, NOW)
    assert (view.title, view.elapsed, view.progress, view.headlines, view.open_url) == (
        "Untitled run",
        None,
        "",
        (),
        "",
    )


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (
            {"stage": "optimise", "step": 3, "energy": -137.97, "energy_unit": "eV", "fmax": 0.02, "fmax_unit": "eV/Å"},
            f"Optimise · step 3 · energy −137.97{S}eV · fmax 0.02{S}eV/Å",
        ),
        ({"stage": "vibrations", "displacement": 4, "displacements": 12}, "Vibrations · displacement 4 of 12"),
        ({"stage": "optimise", "message": "Continuing after step 7"}, "Continuing after step 7"),
        ({"stage": "optimise", "converged": True, "nested": {"a": 1}}, "Optimise"),
        ({}, ""),
    ],
)
def test_progress_reads_as_one_line(progress: dict[str, Any], shown: str) -> None:
    assert progress_line(progress) == shown


def test_headline_results_carry_their_units() -> None:
    found = headlines(
        {"energy": {"title": "Total energy", "value": -1.25, "unit": "eV"}, "n_steps": 7, "big": {"value": [1]}}
    )
    assert [(item.label, item.value) for item in found] == [("Total energy", f"−1.25{S}eV"), ("N steps", "7")]


def test_outputs_take_title_and_unit_from_the_workflow() -> None:
    described = {item["name"]: item for item in WORKFLOW["outputs"]}  # type: ignore[index,attr-defined]
    rows = {row.name: row for row in value_rows(OUTPUTS, described)}
    assert (rows["energy"].title, rows["energy"].text) == ("Total energy", f"−137.97765{S}eV")
    assert rows["energy"].exact == "-137.9776543"
    assert rows["frequencies"].text == f"1539.4, 3643.1, 3651.7{S}cm⁻¹"
    assert (rows["structure"].text, "positions" in rows["structure"].long) == ("H₂O", True)
    assert rows["converged"].text == "yes"


@pytest.mark.parametrize(
    ("symbols", "shown"),
    [("O H H", "H₂O"), ("C H H H H", "CH₄"), ("H O C C H H H H H", "C₂H₆O"), ("Fe O", "FeO"), ("Na", "Na")],
)
def test_a_structure_is_named_by_its_hill_formula(symbols: str, shown: str) -> None:
    assert formula(symbols.split()) == shown


def test_files_are_sorted_and_odd_ones_left_out() -> None:
    rows = file_rows([{"path": "b/x.txt", "size": 1}, {"size": 3}, "odd", {"path": "a.txt", "size": None}], "r1", LINKS)
    assert [(row.folder, row.name, row.size) for row in rows] == [("", "a.txt", ""), ("b/", "x.txt", f"1{S}B")]


@pytest.mark.parametrize(
    ("text", "found"), [("WATER tight", True), ("6f1c", True), ("optimize", True), ("ammonia", False)]
)
def test_runs_are_found_by_title_workflow_and_id(text: str, found: bool) -> None:
    assert run_matches(run(), text) is found


# --- a run's events -----------------------------------------------------------------------------------------------------


def test_the_curve_ignores_energies_of_other_stages() -> None:
    events: list[tuple[str, dict[str, Any]]] = [
        ("progress", {"stage": "optimise", "step": step, "energy": energy, "energy_unit": "eV"})
        for step, energy in enumerate((-1.0, -1.5, -1.75))
    ]
    events += [("progress", {"stage": "vibrations", "displacement": n, "energy": 100.0 + n}) for n in range(55)]
    events += [("log", {"message": "x"})]
    curve, words = progress_curve(events)
    assert curve is not None
    assert (curve.low, curve.high, curve.count) == (-1.75, -1.0, 3)
    assert words == f"Energy over 3 steps, change −0.75{S}eV"


def test_without_two_numbers_there_is_no_curve() -> None:
    assert progress_curve([("progress", {"energy": 1.0}), ("progress", {"energy": "x"})]) == (None, "")


def test_a_step_is_shown_once_as_it_stands_last() -> None:
    events = [
        ("step", {"process": "p1", "label": "Chain", "state": "running"}),
        ("step", {"process": "p2", "label": "Calculation", "state": "waiting"}),
        ("step", {"process": "p2", "label": "Calculation", "state": "finished", "exit_status": 310, "message": "no"}),
        ("step", {"process": "p1", "state": "finished", "exit_status": 0}),
    ]
    assert [(row.label, row.state.label, row.message) for row in step_rows(events)] == [
        ("Chain", "Done", ""),
        ("Calculation", "Failed", "no"),
    ]


def test_a_step_has_its_title_and_its_class_beside_it() -> None:
    events = [
        ("step", {"process": "p1", "label": "XtbCalculation", "title": "Geometry optimisation", "state": "running"}),
        ("step", {"process": "p2", "label": "Chain", "title": "Chain", "state": "running"}),
    ]
    assert [(row.label, row.type) for row in step_rows(events)] == [
        ("Geometry optimisation", "XtbCalculation"),
        ("Chain", ""),
    ]


def test_no_step_is_under_way_in_a_run_that_has_ended() -> None:
    events = [("step", {"process": "p1", "label": "Chain", "state": "running"})]
    assert step_rows(events, active=False) == ()


def test_a_sparkline_stays_in_its_box_and_runs_down_with_the_energy() -> None:
    curve = sparkline([3.0, 1.0, 2.0, float("nan"), 0.0], width=100, height=40, pad=5)
    assert curve is not None
    points = [tuple(map(float, point.split(","))) for point in curve.path.removeprefix("M").split(" L")]
    assert points == [(5, 5), (35, 25), (65, 15), (95, 35)]
    assert (curve.last_x, curve.last_y) == (95, 35)


def test_a_flat_curve_lies_in_the_middle() -> None:
    curve = sparkline([1.0, 1.0], width=100, height=40)
    assert curve is not None
    assert curve.path == "M4,20 L96,20"


def test_a_long_curve_is_thinned_but_keeps_its_ends() -> None:
    curve = sparkline([float(value) for value in range(10_000)], limit=50)
    assert curve is not None
    assert (curve.path.count("L"), curve.low, curve.high, curve.count) == (49, 0, 9999, 10_000)


@pytest.mark.parametrize("path", ["../../../hub/logout", "a/../b", "/etc/passwd", ".", "a//b"])
def test_a_file_whose_path_leads_elsewhere_is_not_linked(path: str) -> None:
    assert file_rows([{"path": path, "size": 1}], "r", LINKS) == ()


# --- apps ---------------------------------------------------------------------------------------------------------------


def test_an_update_is_offered_when_the_store_has_another_version() -> None:
    cards = installed_cards(
        {"items": [installed_app(), installed_app("b", title="b")]}, {"molecule": "2.0", "b": "1.1.0"}, LINKS
    )
    assert [(card.id, card.update) for card in cards] == [("b", None), ("molecule", "2.0")]


def test_the_store_is_paged_with_filters_kept_in_the_addresses() -> None:
    page = store_page(many_entries(60), category_titles({"categories": CATEGORIES}), {}, LINKS, query="x", page=2)
    assert (page.total, page.page, page.pages, len(page.cards)) == (60, 2, 3, 24)
    assert (page.previous_url, page.next_url) == ("/services/deck/store?q=x", "/services/deck/store?q=x&page=3")


def test_a_page_beyond_the_last_is_the_last() -> None:
    assert store_page(many_entries(30), {}, {}, LINKS, page=99).page == 2
    assert store_page([], {}, {}, LINKS, page=99).pages == 1


def test_categories_count_what_was_found_and_the_chosen_one_turns_itself_off() -> None:
    titles = category_titles({"categories": CATEGORIES})
    page = store_page(many_entries(8), titles, {}, LINKS, query="q", category="solids")
    assert [(item.title, item.count, item.active) for item in page.categories] == [
        ("Data and analysis", 2, False),
        ("Molecular dynamics", 2, False),
        ("Quantum chemistry", 2, False),
        ("Solids and surfaces", 2, True),
    ]
    assert page.categories[3].url == "/services/deck/store?q=q"
    assert {card.categories for card in page.cards} == {("Solids and surfaces",)}


def test_only_installed_apps_are_shown_when_asked_for() -> None:
    page = store_page(
        [index_entry("molecule"), *many_entries(3)], {}, {"molecule": "1.0.0"}, LINKS, installed_only=True
    )
    assert [(card.id, card.installed, card.update) for card in page.cards] == [("molecule", "1.0.0", "1.1.0")]


def test_an_app_page_joins_the_store_with_what_is_on_disk() -> None:
    view = app_page(store_app(), installed_app(versions=["0.9.0", "1.0.0", "1.1.0"]), {}, LINKS)
    rows = [(row.version, row.current, row.installed, row.offered, row.latest) for row in view.versions]
    assert rows == [
        ("1.1.0", True, True, True, True),
        ("1.0.0", False, True, True, False),
        ("0.9.0", False, True, False, False),
    ]
    assert (view.previous, view.resources) == ("1.0.0", "1 core, 1 GiB of memory")


def test_an_installed_app_that_left_the_store_still_has_its_page() -> None:
    view = app_page(None, installed_app(), {}, LINKS)
    assert (view.card.title, view.card.version, view.in_store) == ("Molecule", "1.1.0", False)


def test_only_web_addresses_become_links() -> None:
    view = app_page(
        store_app(links={"homepage": "javascript:alert(1)", "source": "https://example.org/"}), None, {}, LINKS
    )
    assert (view.homepage, view.source) == (None, "https://example.org/")


# --- installs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "step", "shown"),
    [
        ("queued", None, "open open open open open"),
        ("running", "build", "done done now open open"),
        ("failed", "download", "done failed open open open"),
        ("cancelled", "verify", "done done done stopped open"),
        ("done", "ready", "done done done done done"),
    ],
)
def test_steps_show_how_far_an_install_has_come(state: str, step: str | None, shown: str) -> None:
    view = task_view(task(state=state, step=step))
    assert [item.state for item in view.steps] == shown.split()


@pytest.mark.parametrize(
    ("kind", "state", "heading"),
    [
        ("install", "running", "Installing molecule 1.1.0"),
        ("install", "done", "Installed molecule 1.1.0"),
        ("rollback", "running", "Rolling back molecule 1.1.0"),
        ("remove", "done", "Removed molecule 1.1.0"),
    ],
)
def test_a_task_says_what_it_does(kind: str, state: str, heading: str) -> None:
    assert task_view(task(kind=kind, state=state)).heading == heading


def test_the_task_under_way_is_shown_else_the_last_when_it_failed() -> None:
    old = task("old", state="failed", created="2026-11-20T00:00:00Z")
    done = task("done", state="done", created="2026-11-20T01:00:00Z")
    now = task("now", state="running", created="2026-11-20T00:30:00Z")
    other = task("other", app="phonons")
    assert active_task({"items": [old, done, now, other]}, "molecule") == now
    assert active_task({"items": [old, done, other]}, "molecule") is None
    assert active_task({"items": [old, other]}, "molecule") == old
    assert active_task(None, "molecule") is None


@pytest.mark.parametrize(
    ("state", "start", "stop"),
    [
        ("stopped", True, False),
        ("starting", False, True),
        ("running", False, True),
        ("stopping", False, False),
        ("?", False, False),
    ],
)
def test_the_server_offers_what_is_possible(state: str, start: bool, stop: bool) -> None:
    view = server_view({"state": state}, LINKS, NOW)
    assert (view.can_start, view.can_stop) == (start, stop)


def test_a_hub_that_is_silent_leaves_nothing_to_press() -> None:
    view = server_view(None, LINKS, NOW)
    assert (view.state.label, view.can_start, view.can_stop) == ("Not known", False, False)
