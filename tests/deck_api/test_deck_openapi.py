"""The one OpenAPI document, and the headers on every answer."""

from __future__ import annotations

import pytest
from fastapi import APIRouter
from openapi_spec_validator import OpenAPIV31SpecValidator
from simdeck_deck import openapi

API = "/services/deck/api/v1"


@pytest.fixture
async def document(site):
    async with site.client() as client:
        response = await client.get("/openapi.json")
    assert response.status_code == 200
    return response.json()


async def test_the_document_is_valid(document):
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


async def test_every_operation_says_who_may_and_what_is_refused(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            scope = operation["x-simdeck-scope"]
            if scope == "open":
                assert operation["security"] == []
                continue
            assert operation["security"] == [{"token": []}, {"session": []}], path
            assert {"401", "403"} <= set(operation["responses"]), path
            if "{" in path and method == "get":
                assert "404" in operation["responses"], path
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], path


async def test_operations_have_unique_names(document):
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


async def test_every_successful_answer_in_json_has_a_model(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for status, response in operation["responses"].items():
                schema = response.get("content", {}).get("application/json", {}).get("schema")
                if status.startswith("2") and schema is not None:
                    assert schema != {}, f"{method} {path}"


def test_a_route_without_a_scope_is_not_served():
    careless = APIRouter()
    careless.get("/secret")(lambda: None)
    with pytest.raises(ValueError, match="GET /secret declares no scope"):
        openapi.document([careless], "0", "/api", "/hub/token")


async def test_every_answer_has_the_security_headers(site):
    async with site.browser() as browser:
        for path in ("/services/deck/", API + "/openapi.json", "/services/deck/nothing", API + "/runs"):
            headers = (await browser.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert (
                "object-src 'none'" in headers["content-security-policy"]
                or "sandbox" in headers["content-security-policy"]
            )
            assert headers["cache-control"] == "no-store"


async def test_pages_allow_scripts_and_styles_of_this_site_only(site):
    async with site.browser() as browser:
        policy = (await browser.get("/services/deck/nothing")).headers["content-security-policy"]
    assert policy == (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
    )


async def test_an_unknown_page_is_an_error_page_for_a_person_and_a_problem_for_a_program(site):
    async with site.browser() as browser:
        page = await browser.get("/services/deck/nothing")
        program = await browser.get("/services/deck/nothing", headers={"Accept": "application/json"})
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (404, "text/html")
    assert (program.status_code, program.headers["content-type"]) == (404, "application/problem+json")


async def test_every_other_method_is_405_and_allow_names_the_documented_ones(site, document):
    checked = 0
    async with site.client(site.hub.token("alice", "runs", "apps:install", "server", "admin")) as client:
        for path, item in document["paths"].items():
            documented = {method.upper() for method in item}
            for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - documented:
                answer = await client.request(method, path.replace("{", "").replace("}", ""))
                assert answer.status_code == 405, f"{method} {path}"
                assert set(answer.headers["allow"].split(", ")) == documented, f"{method} {path}"
                checked += 1
    assert checked > 300


async def test_values_are_not_turned_into_what_the_schema_asks_for(site):
    async with site.client(site.hub.token("alice", "runs", "apps:install")) as alice:
        for path, body in (
            ("/apps/molecule/install", {"beside": 0}),
            ("/runs", {"workflow": "molecule.optimize", "reuse": "yes"}),
            ("/shares", {"run": "x", "people": ["bob"], "days": "7"}),
        ):
            answer = await alice.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input"), path
