"""Searching OPTIMADE databases: against the reference implementation's own answers, and against what goes wrong on the way.

The recorded answers are of `optimade[server]` 1.5.0 with its test data. Name a Python that has it in
SIMDECK_OPTIMADE_SERVER_PYTHON and the same tests ask a real server process.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from simdeck_widgets import optimade
from simdeck_widgets.optimade import KNOWN, Found, OptimadeError, Provider
from simdeck_widgets.optimade_model import OptimadeModel
from stack import wait_for

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "optimade_recorded.json").read_text())
SERVER_PYTHON = os.environ.get("SIMDECK_OPTIMADE_SERVER_PYTHON", "")
ALIASES = {
    "id": "task_id",
    "chemical_formula_reduced": "pretty_formula",
    "chemical_formula_descriptive": "pretty_formula",
}
HERE = Provider("ref", "Reference", "http://recorded")
SILICON: dict[str, Any] = {
    "lattice_vectors": [[0, 2.7, 2.7], [2.7, 0, 2.7], [2.7, 2.7, 0]],
    "cartesian_site_positions": [[0, 0, 0], [1.35, 1.35, 1.35]],
    "species": [{"name": "Si", "chemical_symbols": ["Si"], "concentration": [1.0]}],
    "species_at_sites": ["Si", "Si"],
    "dimension_types": [1, 1, 1],
    "structure_features": [],
}


def client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


def recorded(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/info"):
        return httpx.Response(200, json=RECORDED["info"])
    return httpx.Response(200, json=RECORDED[request.url.params["filter"]])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The reference implementation as a process of its own, with its in-memory database."""
    if not SERVER_PYTHON:
        pytest.skip("the reference server is not named in SIMDECK_OPTIMADE_SERVER_PYTHON; recorded answers were asked")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("optimade")
    (folder / "config.json").write_text(json.dumps({"insert_test_data": True, "aliases": {"structures": ALIASES}}))
    argv = [SERVER_PYTHON, "-m", "uvicorn", "optimade.server.main:app", "--port", str(port)]
    env = {**os.environ, "OPTIMADE_CONFIG_FILE": str(folder / "config.json")}
    with subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for("the reference server answers", lambda: answers(port), 400)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v1/info", timeout=30).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(params=["recorded", "server"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Provider, httpx.AsyncClient | None]]:
    if request.param == "server":
        yield Provider("ref", "Reference", request.getfixturevalue("server")), None
    else:
        async with client(recorded) as made:
            yield HERE, made


Database = tuple[Provider, httpx.AsyncClient | None]


@pytest.mark.parametrize("text", ["Ac, Mg", "Mg Ac", "Ac2Mg", "MgAc2", "Mg2Ac4"])
async def test_elements_and_formulas_find_the_same_crystal(database: Database, text: str) -> None:
    provider, made = database
    (found,) = await optimade.search(provider, text, made)
    assert (found.id, found.formula, found.why_not) == ("mpf_23", "Ac2Mg", "")
    assert sorted(found.symbols) == ["Ac", "Ac", "Mg"]
    assert len(found.positions) == 3
    assert len(found.cell) == 3


async def test_what_nobody_has_is_an_empty_list(database: Database) -> None:
    provider, made = database
    assert await optimade.search(provider, "Ag Br Te", made) == []


async def test_a_chosen_crystal_brings_where_it_came_from(database: Database) -> None:
    provider, made = database
    taken: list[tuple[Found, dict[str, str]]] = []

    async def take(found: Found, origin: dict[str, str]) -> None:
        taken.append((found, origin))

    model = OptimadeModel((provider,), take, made)
    await model.search("Ac2Mg")
    await model.choose("mpf_23")
    ((found, origin),) = taken
    assert found.sites == 3
    assert origin["url"] == f"{provider.url}/v1/structures/mpf_23"
    assert origin["text"] == "Ac2Mg, entry mpf_23 of Reference, by OPTIMADE"
    assert model.chosen == "mpf_23"


@pytest.mark.parametrize("text", ["", "  ", "foo", "Si;rm -rf", "Xx2O", '"Si"'])
def test_what_is_no_formula_is_refused_before_anybody_is_asked(text: str) -> None:
    with pytest.raises(OptimadeError, match="SiO2"):
        optimade.filter_of(text)


def refuses(status: int) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(status, text="<html>")


def no_way(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("Name or service not known")


def too_slow(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("")


def endless(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=b" " * (optimade.MOST_BYTES + 1))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (no_way, "no way to the internet; upload a file"),
        (too_slow, "did not answer in time"),
        (endless, "more than 5 MB"),
        (refuses(429), "asked too often"),
        (refuses(503), "has a fault at the moment (HTTP 503)"),
        (refuses(400), "does not understand the question"),
        (refuses(200), "not OPTIMADE"),
        (lambda request: httpx.Response(200, json=[1]), "not OPTIMADE"),
        (lambda request: httpx.Response(200, json={"data": {}}), "no list of structures"),
    ],
)
async def test_what_goes_wrong_on_the_way_is_said_in_plain_words(answer: Any, said: str) -> None:
    async with client(answer) as made:
        model = OptimadeModel((HERE,), client=made)
        await model.search("Si")
    assert said in model.error
    assert (model.busy, model.results) == (False, [])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"structure_features": ["disorder"]}, "partly occupied"),
        (
            {"species": [{"name": "Si", "chemical_symbols": ["Si", "Ge"], "concentration": [0.5, 0.5]}]},
            "no single element",
        ),
        ({"species": [{"name": "Si", "chemical_symbols": ["X"], "concentration": [1.0]}]}, "no single element"),
        ({"dimension_types": [1, 1, 0]}, "not periodic"),
        ({"lattice_vectors": [[None, None, None], [0, 1, 0], [0, 0, 1]]}, "coordinates are missing"),
        ({"lattice_vectors": [[1, 0, 0], [1, 0, 0], [0, 0, 1]]}, "no volume"),
        ({"cartesian_site_positions": [[0, 0, 0], [0, 0, float("nan")]]}, "coordinates are missing"),
        ({"cartesian_site_positions": [[0, 0, 0]]}, "coordinates are missing"),
        ({"species_at_sites": ["Si"] * 300}, "300 sites"),
        ({"species_at_sites": None}, "no sites"),
    ],
)
def test_an_entry_that_makes_no_crystal_says_why(changed: dict[str, Any], why: str) -> None:
    assert optimade.entry({"id": "a", "attributes": SILICON}).why_not == ""
    assert why in optimade.entry({"id": "a", "attributes": {**SILICON, **changed}}).why_not


def test_an_entry_that_is_refused_cannot_be_chosen_and_stands_last() -> None:
    odd = {"id": "odd", "attributes": {**SILICON, "structure_features": ["disorder"]}}
    answer = httpx.Response(200, json={"data": [odd, {"id": "good", "attributes": SILICON}]})

    async def ask() -> OptimadeModel:
        async with client(lambda request: answer) as made:
            model = OptimadeModel((HERE,), client=made)
            await model.search("Si")
            await model.choose("odd")
            return model

    import asyncio

    model = asyncio.run(ask())
    assert [one["id"] for one in model.results] == ["good", "odd"]
    assert model.chosen == ""


def test_a_site_names_its_own_databases_or_none() -> None:
    assert optimade.providers({}) == KNOWN
    assert optimade.providers({"SIMDECK_OPTIMADE": "none"}) == ()
    own = optimade.providers({"SIMDECK_OPTIMADE": "cod ours=https://db.example.org/optimade/ bad=ftp://x"})
    assert [(one.id, one.url) for one in own] == [("cod", KNOWN[0].url), ("ours", "https://db.example.org/optimade")]


def test_the_licence_of_a_database_goes_into_the_origin() -> None:
    found = Found("a/b", "Si", 2)
    told = optimade.origin(HERE, found, "CC-BY-4.0")
    assert told["url"].endswith("/structures/a%2Fb")
    assert told["licence"] == "CC-BY-4.0"
    assert told["text"].endswith("CC-BY-4.0")
