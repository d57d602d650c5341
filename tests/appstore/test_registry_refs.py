"""``$ref`` in a registry's YAML: what is followed, and what is refused with the reason."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import yaml
from simdeck_appstore.aiidalab.foreign import find_api, read_foreign
from simdeck_appstore.refs import LARGEST, References
from simdeck_appstore.sources import RegistrySource, read_source
from simdeck_common.problems import Problem

REMOTE = {"deep/app": {"releases": ["git+https://host.example/app@main:"]}, "list": [{"releases": []}]}


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/large.yaml":
        return httpx.Response(200, content=b"a" * (LARGEST + 1))
    if request.url.path == "/circle.yaml":
        return httpx.Response(200, text='{"$ref": "https://host.example/other.yaml"}')
    if request.url.path == "/other.yaml":
        return httpx.Response(200, text='{"$ref": "circle.yaml"}')
    if request.url.path == "/offline.yaml":
        raise httpx.ConnectError("no route")
    if request.url.path == "/broken.yaml":
        return httpx.Response(200, text="{")
    if request.url.path == "/apps.yaml":
        return httpx.Response(200, text=yaml.safe_dump(REMOTE))
    return httpx.Response(404)


def read(folder: Path, apps: object, categories: object = None) -> RegistrySource:
    (folder / "apps.yaml").write_text(yaml.safe_dump(apps))
    (folder / "categories.yaml").write_text(yaml.safe_dump(categories or {}))
    return read_source(folder, References(httpx.Client(transport=httpx.MockTransport(answer))))


def test_a_reference_stands_for_what_it_leads_to(tmp_path: Path) -> None:
    source = read(tmp_path, {"app": {"$ref": "https://host.example/apps.yaml#/deep~1app"}})
    assert [spec.url for spec in source.apps["app"]] == ["git+https://host.example/app@main:"]


def test_a_reference_may_point_into_its_own_file(tmp_path: Path) -> None:
    source = read(tmp_path, {"one": {"releases": ["file:../one"]}, "two": {"$ref": "#/one"}})
    assert source.apps["two"] == source.apps["one"]


def test_a_whole_file_may_be_a_reference(tmp_path: Path) -> None:
    source = read(tmp_path, {"$ref": "https://host.example/apps.yaml"})
    assert sorted(source.broken) == ["deep/app", "list"]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("http://host.example/apps.yaml", "only https addresses are read"),
        ("file:///etc/passwd", "only https addresses are read"),
        ("apps/other.yaml", "only https addresses are read"),
        ("https://host.example/offline.yaml", "host.example cannot be reached: ConnectError"),
        ("https://host.example/large.yaml", "larger than 1 MiB"),
        ("https://host.example/gone.yaml", "the server answers 404"),
        ("https://host.example/broken.yaml", "neither YAML nor JSON"),
        ("https://host.example/apps.yaml#/nothing", "leads to nothing"),
        ("https://host.example/apps.yaml#/list/7", "leads to nothing"),
        ("https://host.example/circle.yaml", "perhaps in a circle"),
    ],
)
def test_a_reference_that_cannot_be_followed_breaks_its_app_alone(tmp_path: Path, reference: str, words: str) -> None:
    source = read(tmp_path, {"good": {"releases": ["file:../one"]}, "bad": {"$ref": reference}})
    assert list(source.apps) == ["good"]
    assert words in source.broken["bad"].detail


def test_a_category_that_cannot_be_followed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"offline\.yaml"):
        read(tmp_path, {}, {"solids": {"$ref": "https://host.example/offline.yaml"}})


def test_a_registry_on_the_web_that_aiidalab_built_is_read_over_https() -> None:
    release = {"url": "git+https://host.example/a@0123", "environment": {"python_requirements": ["six"]}}
    served = {
        "/r/api/v1/apps_index.json": {"apps": {"a": {}, "gone": {}}, "categories": {"x": {"title": "X"}}},
        "/r/api/v1/apps/a.json": {"releases": {"v1": {**release, "metadata": None}}},
    }

    def serve(request: httpx.Request) -> httpx.Response:
        document = served.get(request.url.path)
        return httpx.Response(404) if document is None else httpx.Response(200, json=document)

    api = find_api("https://host.example/r/")
    assert api == "https://host.example/r/api/v1"
    source = read_foreign(api, References(httpx.Client(transport=httpx.MockTransport(serve))))
    (spec,) = source.apps["a"]
    assert (spec.url, spec.version, spec.metadata) == (release["url"], "v1", None)
    assert spec.environment == release["environment"]
    assert "the server answers 404" in source.broken["gone"].detail
