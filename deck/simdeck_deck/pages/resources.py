"""The form that asks for a server with resources: filled in beforehand, answered by the scheduler as it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Response
from simdeck_common.problems import Problem

from simdeck_deck.hub_servers import free_name
from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.sources import attempt, attempt_all
from simdeck_deck.pages.store import find_app
from simdeck_deck.pages.views.apps import AppCard, installed_card
from simdeck_deck.pages.views.estimate import age_words, estimate_card, partition_rows
from simdeck_deck.pages.views.options import PREFIX, options_of, query_of
from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.pages.views.resources import LABELS, Extra, chosen_partition, form_view, not_offered
from simdeck_deck.pages.visit import Visit, Visiting
from simdeck_deck.servers import DEFAULT, ClusterView, EstimateView, ServerView

router = APIRouter()

# What a preset does not say is kept of what was chosen before; all else begins anew with it.
KEPT_BESIDE_A_PRESET = ("account", "qos", "reservation", "environment")
# An estimate that cannot be had is no reason not to start; these say that the request itself is wrong.
REFUSALS = (400, 403, 409, 422)


@dataclass(frozen=True)
class Wanted:
    """What a person wants: the app to open in the server (and its run), the server's name, the options.

    ``address`` is the app, with its version where that is not the one in use (``app@version``).
    ``replaces``: the server of that name waits now, and this takes its place.
    """

    address: str
    run: str
    name: str
    replaces: bool
    options: dict[str, Any]
    extra: Extra
    dropped: Mapping[str, str]

    @property
    def app(self) -> str:
        return self.address.partition("@")[0]

    @property
    def kept(self) -> dict[str, str]:
        """The address's values beside the options."""
        return {"app": self.address, "run": self.run, "name": self.name, "replaces": "1" if self.replaces else ""}

    @property
    def asked(self) -> dict[str, Any]:
        """The options as the hub takes them."""
        chosen = {name: value for name, value in self.options.items() if value not in (None, "")}
        return chosen | ({"app": self.app} if self.app else {})


async def read(visit: Visit, clusters: list[ClusterView], given: Mapping[str, Any]) -> Wanted:
    """Return what ``given`` (an address's or a form's values) asks for, filled in where it says nothing."""
    address, run = str(given.get("app", ""))[:200], str(given.get("run", ""))[:100]
    begun = await visit.servers.beginning(address.partition("@")[0], clusters)
    extra: list[tuple[str, str, str, Mapping[str, Any]]] = []
    if begun.source == "last":
        extra.append(("~last", "As last time", "What you chose the last time.", begun.options))
    elif begun.source == "app":
        extra.append(("~app", "As the app asks", "What the app says it needs.", begun.options))
    chosen = options_of(given)
    # A form sends every field, so that an empty one is empty; an address says what is different.
    options = chosen if "form" in given else begun.options | {key: v for key, v in chosen.items() if v is not None}
    preset = str(given.get("preset", ""))
    if preset and preset != given.get("preset-shown"):
        options = _with_preset(clusters, options, preset, extra)
    dropped = not_offered(clusters, options)
    options = {key: value for key, value in options.items() if key not in dropped}
    cluster = next((one for one in clusters if one.name == options.get("cluster")), clusters[0])
    partition = chosen_partition(cluster, options)
    options |= {"cluster": cluster.name} | ({"partition": partition.name} if partition else {})
    if not options.get("environment") and cluster.environments:
        options["environment"] = cluster.environments[0].name
    if partition is not None and not partition.gpu_types:
        options.pop("gpus", None)
    name = str(given.get("name", "")).strip()[:60]
    return Wanted(address, run, name, given.get("replaces") == "1", options, extra, dropped)


def _with_preset(clusters: list[ClusterView], options: Mapping[str, Any], preset: str, extra: Extra) -> dict[str, Any]:
    known = {value: chosen for value, _, _, chosen in extra}
    for cluster in clusters:
        known |= {one.name: one.options for one in cluster.presets}
    chosen = known.get(preset)
    if chosen is None:
        raise Problem("invalid-input", field="preset", detail=f"There is no preset {preset[:40]}.")
    return {key: options[key] for key in KEPT_BESIDE_A_PRESET if options.get(key)} | dict(chosen)


@router.get("/servers/new")
async def new(visit: Visiting) -> Response:
    """Ask what a new server shall have."""
    given = dict(visit.request.query_params)
    clusters = await visit.servers.clusters()
    if not clusters:
        return see_other(visit.links.page())
    return await form_page(visit, clusters, given)


async def form_page(
    visit: Visit,
    clusters: list[ClusterView],
    given: Mapping[str, Any],
    *,
    problem: ProblemView | None = None,
    estimate: EstimateView | None = None,
    note: ProblemView | None = None,
    beside: tuple[str, str] | None = None,
) -> Response:
    """Render the form. ``note`` says why it is shown; ``beside``: address and size of a running server."""
    wanted = await read(visit, clusters, given)
    (apps, _), (servers, _) = await attempt_all(visit.agent.get("/apps"), visit.servers.servers())
    if (
        not (wanted.name or wanted.replaces)
        and "form" not in given
        and any(one.name == DEFAULT and one.active for one in servers or [])
    ):
        wanted = replace(wanted, name=free_name(wanted.app or "server", {one.name for one in servers or []}))
    mine = find_app(apps, wanted.app) if wanted.app else None
    card: AppCard | None = installed_card(mine, None, visit.links) if mine else None
    view = form_view(clusters, wanted.options, wanted.extra)
    deep = any(key.startswith(PREFIX) for key in given) and "form" not in given
    return visit.page(
        "resources.html",
        here="deck",
        status=422 if problem else 200,
        card=card,
        title=card.title if card else wanted.app,
        wanted=wanted,
        note=note,
        beside=beside,
        all_open=not view.presets or deep or problem is not None or not any(one.selected for one in view.presets),
        estimate=estimate_card(estimate, visit.links, now(), wanted.options, wanted.kept) if estimate else None,
        **_form(view, problem),
        **_now(clusters, wanted),
    )


def _form(view: Any, problem: ProblemView | None) -> dict[str, Any]:
    field = problem.field if problem is not None and problem.field in LABELS else None
    return {
        "form": view,
        "labels": LABELS,
        "problem": problem,
        "wrong": field,
        "errors": {field: problem.detail + " " + problem.remedy} if field and problem else {},
    }


def _now(clusters: list[ClusterView], wanted: Wanted) -> dict[str, Any]:
    cluster = next((one for one in clusters if one.name == wanted.options["cluster"]), clusters[0])
    return {
        "rows": partition_rows(cluster, wanted.options),
        "age": age_words(cluster, now()),
        "silent": cluster.unknown_since is not None,
        "cluster_title": cluster.title or cluster.name,
    }


@router.get("/servers/new/fields")
async def fields(visit: Visiting) -> Response:
    """The fields anew, as a choice of cluster, partition or preset changes what can be chosen in the others."""
    clusters = await visit.servers.clusters()
    wanted = await read(visit, clusters, dict(visit.request.query_params))
    view = form_view(clusters, wanted.options, wanted.extra)
    answer = visit.page("_resource_fields.html", wanted=wanted, anew=True, **_form(view, None))
    answer.headers["HX-Trigger-After-Swap"] = "refilled"
    return answer


@router.get("/servers/new/estimate")
async def estimate(visit: Visiting) -> Response:
    """What the scheduler says to the form as it stands, with what it refuses beside the fields."""
    clusters = await visit.servers.clusters()
    given = dict(visit.request.query_params)
    wanted = await read(visit, clusters, given)
    found, problem = await attempt(visit.servers.estimate(wanted.asked))
    return visit.page(
        "_estimate.html",
        live=True,
        # While the fields still wait for what a new preset puts into them, the cards must not say that it is done.
        filled=given.get("preset", "") in ("", given.get("preset-shown")),
        wanted=wanted,
        estimate=estimate_card(found, visit.links, now(), wanted.options, wanted.kept) if found else None,
        **_form(form_view(clusters, wanted.options, wanted.extra), problem),
    )


@router.get("/servers/new/now")
async def free_now(visit: Visiting) -> Response:
    """What of the cluster is free, anew."""
    clusters = await visit.servers.clusters()
    wanted = await read(visit, clusters, dict(visit.request.query_params))
    return visit.page("_cluster_now.html", **_now(clusters, wanted))


@router.post("/servers/new")
async def start(visit: Visiting) -> Response:
    """Start the server and lead to its page; what is refused is said beside its field."""
    visit.need("server")
    form = await visit.request.form()
    given = {key: value for key, value in form.items() if isinstance(value, str)}
    clusters = await visit.servers.clusters()
    if not clusters:
        raise Problem("resources-no-cluster")
    wanted = await read(visit, clusters, given)
    # What a preset has filled in is what the form shows from here on.
    shown = {key: value for key, value in given.items() if key != "preset"} if "preset" in given else given
    shown = {key: v for key, v in shown.items() if not key.startswith(PREFIX)} | _fields_of(wanted)
    try:
        found = await visit.servers.estimate(wanted.asked)
        if given.get("do") == "check":
            return await form_page(visit, clusters, shown, estimate=found)
    except Problem as problem:
        if problem.status in REFUSALS or given.get("do") == "check":
            return await form_page(visit, clusters, shown, problem=problem_view(problem))
    try:
        server = await _start(visit, wanted)
    except Problem as problem:
        return await form_page(visit, clusters, shown, problem=problem_view(problem))
    return see_other(visit.links.page("servers", server.name, app=wanted.address, run=wanted.run, open="1"))


async def _start(visit: Visit, wanted: Wanted) -> ServerView:
    """Start what is wanted; one that is there already would keep what it has, so it is replaced or refused."""
    name = wanted.name or DEFAULT
    there = (await attempt(visit.servers.server(name)))[0]
    if there is None or not there.active:
        return await visit.servers.start(name, wanted.asked)
    if wanted.replaces and there.phase != "running":
        return await visit.servers.replace(name, wanted.asked)
    raise Problem("server-active", field="name", server="Your default server" if name == DEFAULT else name)


def _fields_of(wanted: Wanted) -> dict[str, Any]:
    return query_of(wanted.options)
