"""What an app may say of itself, and how a wrong description is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from simdeck_appstore.manifest import json_schema, load_project
from simdeck_appstore.toml_lines import line_of
from simdeck_common.problems import Problem
from synthetic import SIX, write_app


def refusal(folder: Path) -> Problem:
    with pytest.raises(Problem) as caught:
        load_project(folder)
    assert caught.value.code == "manifest-invalid"
    return caught.value


def line_with(folder: Path, text: str, name: str = "pyproject.toml") -> str:
    lines = (folder / name).read_text().splitlines()
    return f"line {next(number for number, line in enumerate(lines, 1) if text in line)}:"


def test_a_complete_project_is_read(tmp_path: Path) -> None:
    project = load_project(write_app(tmp_path, "demo", "1.2", notebook=True, project={"name": "Simdeck_App.Demo"}))
    assert (project.name, project.version, project.package) == ("simdeck-app-demo", "1.2", "simdeck_demo")
    assert project.manifest.entry.kind == "notebook"
    assert project.manifest.resources.memory == "1 GiB"


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"title": None}, "title", "title is missing"),
        ({"summary": "  "}, "summary", "must not be empty"),
        ({"summary": "x" * 201}, "summary", "200"),
        ({"sumary": "typo"}, "sumary", "sumary is not a known key"),
        ({"entry": None}, "entry", "entry is missing"),
        ({"entry": {"path": "simdeck_demo/app.ipynb"}}, "entry", "entry needs a kind"),
        ({"entry": {"kind": "notebook", "path": "app.ipynb"}}, "entry.path", "inside the app's import package"),
        ({"entry": {"kind": "notebook", "path": "simdeck_demo/none.ipynb"}}, "entry.path", "there is no file"),
        ({"entry": {"kind": "notebook", "path": "a/b.ipynb", "x": 1}}, "entry.x", "x is not a known key"),
        ({"entry": {"kind": "command", "command": []}}, "entry.command", "at least 1 item"),
        ({"logo": "../logo.svg"}, "logo", "must stay inside"),
        ({"logo": "/etc/logo.svg"}, "logo", "must stay inside"),
        ({"logo": "nowhere.svg"}, "logo", "there is no file nowhere.svg"),
        ({"logo": "simdeck_demo/__init__.py"}, "logo", "not an SVG, PNG or JPEG"),
        ({"screenshots": ["simdeck_demo/logo.svg", "gone.png"]}, "screenshots.1", "there is no file gone.png"),
        ({"screenshots": ["simdeck_demo/logo.svg"] * 2}, None, "screenshots names something twice"),
        ({"categories": ["two words"]}, "categories.0", "pattern"),
        ({"resources": {"cores": 0}}, "resources.cores", "greater than or equal to 1"),
        ({"resources": {"memory": "much"}}, "resources.memory", "pattern"),
        ({"workflows": ["demo.none"]}, "workflows.0", "demo.none is not an entry point"),
        ({"workflows": ["demo; rm"]}, "workflows.0", "pattern"),
        ({"checks": ["simdeck_demo.none"]}, "checks.0", "simdeck_demo.none is not a module that this project can run"),
        ({"checks": ["simdeck_demo"]}, "checks.0", "is not a module that this project can run"),
        ({"checks": ["six"]}, "checks.0", "six is not a module that this project can run"),
        ({"checks": ["-c"]}, "checks.0", "pattern"),
        ({"checks": ["simdeck_demo.a/b"]}, "checks.0", "pattern"),
        ({"citations": [{"doi": "10.1000/1"}]}, "citations.0.text", "text is missing"),
        ({"citations": [{"text": "A", "doi": "https://doi.org/10.1000/1"}]}, "citations.0.doi", "pattern"),
        ({"citations": [{"text": "A", "url": "http://plain.example"}]}, "citations.0.url", "https://"),
        ({"minimum_simdeck": "soon"}, "minimum_simdeck", "version number"),
    ],
)
def test_a_wrong_key_is_refused_by_name(tmp_path: Path, change: dict[str, Any], field: str | None, says: str) -> None:
    problem = refusal(write_app(tmp_path / "demo", manifest=change))
    assert problem.field == ("tool.simdeck" if field is None else f"tool.simdeck.{field}")
    assert says in problem.detail
    assert problem.detail.startswith("demo/pyproject.toml, line ")
    assert problem.remedy


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"version": "one"}, "project.version", "'one' is not a version number"),
        ({"version": None}, "project.version", "version is missing"),
        ({"name": None}, "project", "no [project] table with a name"),
        ({"requires-python": "3.11 or so"}, "project.requires-python", "not a version range"),
    ],
)
def test_a_wrong_project_table_is_refused(tmp_path: Path, change: dict[str, Any], field: str, says: str) -> None:
    problem = refusal(write_app(tmp_path, project=change))
    assert problem.field == field
    assert says in problem.detail


def test_a_refusal_names_the_line_of_the_key(tmp_path: Path) -> None:
    folder = write_app(tmp_path, manifest={"summary": ""})
    assert line_with(folder, "summary =") in refusal(folder).detail


def test_a_missing_key_is_refused_with_the_line_of_its_table(tmp_path: Path) -> None:
    folder = write_app(tmp_path, manifest={"title": None})
    assert line_with(folder, "[tool.simdeck]") in refusal(folder).detail


def test_broken_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    folder = write_app(tmp_path)
    text = (folder / "pyproject.toml").read_text().replace("title = ", "title == ")
    (folder / "pyproject.toml").write_text(text)
    assert line_with(folder, "title ==") in refusal(folder).detail


def test_a_folder_without_pyproject_is_refused(tmp_path: Path) -> None:
    assert "there is no readable pyproject.toml" in refusal(tmp_path).detail


def test_a_project_without_the_table_is_refused(tmp_path: Path) -> None:
    folder = write_app(tmp_path)
    text = (folder / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(text.partition("[tool.simdeck]")[0])
    assert "there is no [tool.simdeck] table" in refusal(folder).detail


def test_a_link_that_leads_out_of_the_project_is_refused(tmp_path: Path) -> None:
    folder = write_app(tmp_path / "demo")
    outside = tmp_path / "outside.svg"
    outside.write_text((folder / "simdeck_demo/logo.svg").read_text())
    (folder / "simdeck_demo/logo.svg").unlink()
    (folder / "simdeck_demo/logo.svg").symlink_to(outside)
    assert "leads outside the project" in refusal(folder).detail


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("logo.png", b"\x89PNG\r\n\x1a\n" + bytes(101 * 1024), "is too large: 101 KiB"),
        ("logo.png", b"GIF89a", "is not a real PNG file"),
        ("logo.jpg", b"\x89PNG\r\n\x1a\n", "is not a real JPEG file"),
        ("logo.gif", b"GIF89a", "is not an SVG, PNG or JPEG file"),
        ("logo.svg", b"<svg><script>alert(1)</script></svg>", "carries a script"),
        ("logo.svg", b'<svg><rect onload="x()"/></svg>', "carries a script"),
    ],
)
def test_a_logo_that_is_no_proper_picture_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    folder = write_app(tmp_path, manifest={"logo": name})
    (folder / name).write_bytes(content)
    assert says in refusal(folder).detail


@pytest.mark.parametrize(
    ("lock", "line", "says"),
    [
        (SIX + "tomli-w==1.0.0\n", 4, "tomli-w has no SHA-256 hash"),
        ("six>=1 --hash=sha256:" + "0" * 64 + "\n", 1, "six is not pinned to one version"),
        (
            "# made by hand\n--index-url=https://mirror.example/simple\n" + SIX,
            2,
            "--index-url does not belong in a lock",
        ),
        ("-e .\n" + SIX, 1, "-e does not belong in a lock"),
        ("six @ https://files.example/six.whl --hash=sha256:" + "0" * 64 + "\n", 1, "six is locked to an address"),
        ("six = 1\n", 1, "is not a pinned requirement"),
    ],
)
def test_a_lock_that_does_not_lock_is_refused(tmp_path: Path, lock: str, line: int, says: str) -> None:
    problem = refusal(write_app(tmp_path / "demo", lock=lock))
    assert problem.detail.startswith(f"demo/requirements.lock, line {line}: ")
    assert says in problem.detail


def test_a_lock_may_hold_markers_extras_and_comments(tmp_path: Path) -> None:
    hashed = " --hash=sha256:" + "0" * 64
    lock = f"# head\n{SIX}    # via demo\n\nfoo[bar]==1.0 ; python_version < '3.12'{hashed}  # inline\n"
    assert load_project(write_app(tmp_path, lock=lock)).version == "1.0.0"


def test_another_build_backend_is_refused(tmp_path: Path) -> None:
    folder = write_app(tmp_path)
    text = (folder / "pyproject.toml").read_text().replace("hatchling.build", "setuptools.build_meta")
    (folder / "pyproject.toml").write_text(text)
    assert "the build backend is not hatchling" in refusal(folder).detail


def test_the_json_schema_accepts_what_the_model_accepts(tmp_path: Path) -> None:
    folder = write_app(tmp_path, notebook=True)
    table = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["simdeck"]
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(table, json_schema(), cls=jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**table, "unknown": 1}, json_schema(), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("project", "name"), 2),
        (("tool", "simdeck", "title"), 5),
        (("tool", "simdeck", "entry", "path"), 6),
        (("tool", "simdeck", "resources", "cores"), 8),
        (("tool", "simdeck", "codes"), 4),
        (("build-system",), 1),
    ],
)
def test_the_line_of_a_key_is_found(key: tuple[str, ...], line: int) -> None:
    text = '[project]\nname = "x"\n\n[tool.simdeck]\n"title" = "X"\nentry = {kind = "notebook"}\n'
    text += "[ tool.simdeck.resources ]\ncores = 1\n"
    assert line_of(text, key) == line
