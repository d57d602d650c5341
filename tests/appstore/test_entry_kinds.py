"""What an app may open: several pages, a web program on a Unix socket, files alone; from the manifest to the install."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from appstore_shop import UV
from simdeck_appstore.build import build_registry
from simdeck_appstore.installer import Installer, InstallerSettings
from simdeck_appstore.manifest import load_project
from simdeck_common.problems import Problem
from synthetic import NOTEBOOK, write_app, write_source, write_stand_in

PAGES = [{"path": "simdeck_demo/app.ipynb", "title": "Start"}, {"path": "simdeck_demo/more.ipynb", "title": "More"}]
STATIC = {"kind": "static", "path": "simdeck_demo/site"}


def write(folder: Path, **table: Any) -> Path:
    made = write_app(folder, "demo", "1.0", notebook=True, manifest=table)
    package = made / "simdeck_demo"
    (package / "more.ipynb").write_text(json.dumps(NOTEBOOK), "utf-8")
    (package / "site").mkdir()
    (package / "site" / "index.html").write_text("<h1>Viewer</h1>", "utf-8")
    return made


@pytest.mark.parametrize(
    ("table", "field", "says"),
    [
        ({"entry": {"kind": "command", "command": ["serve", "--port", "{port}"]}}, "entry.command", "TCP port"),
        ({"entry": {"kind": "command", "command": ["serve"]}}, "entry.command", "must say {unix_socket}"),
        ({"entry": {"kind": "static", "path": "../site"}}, "entry.path", "inside the project"),
        (
            {"entry": {"kind": "static", "path": "simdeck_demo/gone"}},
            "entry.path",
            "there is no file simdeck_demo/gone",
        ),
        ({"entry": {"kind": "static", "path": "site"}}, "entry.path", "a folder inside the app's import package"),
        ({"pages": [{"path": "simdeck_demo/gone.ipynb", "title": "Gone"}]}, "pages.0.path", "there is no file"),
        ({"pages": [{"path": "simdeck_demo/more.ipynb"}]}, "pages.0.title", "title is missing"),
        ({"pages": [PAGES[1], PAGES[1]]}, None, "names something twice"),
        ({"entry": STATIC, "pages": PAGES}, None, "pages are for an entry of the kind"),
    ],
)
def test_an_entry_that_cannot_be_opened_is_refused_with_the_reason(
    tmp_path: Path, table: dict[str, Any], field: str | None, says: str
) -> None:
    with pytest.raises(Problem) as caught:
        load_project(write(tmp_path, **table))
    assert caught.value.code == "manifest-invalid"
    assert says in caught.value.detail
    if field is not None:
        assert caught.value.field == f"tool.simdeck.{field}"


@pytest.mark.parametrize("name", ["{unix_socket}", "{socket}"])
def test_a_program_that_listens_on_a_socket_is_taken(tmp_path: Path, name: str) -> None:
    project = load_project(write(tmp_path, entry={"kind": "command", "command": ["serve", f"unix:{name}"]}))
    assert project.manifest.entry.kind == "command"


def test_pages_and_files_go_through_the_registry_into_the_install(tmp_path: Path) -> None:
    write(tmp_path / "several", pages=PAGES)
    write(tmp_path / "viewer", entry=STATIC)
    source = write_source(tmp_path / "source", {"several": ["file:../several"], "viewer": ["file:../viewer"]})
    report = build_registry(source, tmp_path / "registry", simdeck=write_stand_in(tmp_path / "simdeck"))
    assert report.problems == []
    apps = tmp_path / "apps"
    manager = Installer(apps, InstallerSettings(registries=[tmp_path / "registry"], uv=UV))
    several = manager.registries[0].app("several").releases[0].entry.model_dump()
    assert [page["title"] for page in several["pages"]] == ["Start", "More"]
    viewer = manager.install("viewer").entry
    assert viewer.model_dump() == STATIC
    env = apps / "viewer" / "current" / "env"
    assert next(env.glob("lib/python*/site-packages/simdeck_demo/site/index.html")).read_text() == "<h1>Viewer</h1>"
