"""What an app developer writes: what is taken, what is refused with its line, and what an install makes of it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
from simdeck_appstore import command_package
from simdeck_appstore.commands import Command, described
from simdeck_appstore.developer.dev.generations import Generations
from simdeck_appstore.developer.new import create
from simdeck_appstore.manifest import json_schema, load_project
from simdeck_appstore.reference import command_table
from simdeck_appstore.toml_lines import line_of
from simdeck_common.problems import Problem

DOCS = Path(__file__).parents[2] / "docs" / "apps.md"
LOCK = Path(__file__).parents[2] / "apps" / "molecule" / "requirements.lock"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = create(tmp_path / "swing", "swing", "command")
    shutil.copyfile(LOCK, folder / "requirements.lock")
    return folder


def changed(project: Path, old: str, new: str) -> Path:
    file = project / "pyproject.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return project


def test_the_template_is_an_app_with_one_workflow_and_its_files_texts(project: Path) -> None:
    found = load_project(project)
    assert found.manifest.workflows == ["swing.run"]
    [command] = found.commands()
    script = (project / "simdeck_swing" / "oscillator.awk").read_text()
    assert command["files"]["oscillator.awk"] == {"text": script, "plain": True}
    assert "{stiffness}" in command["files"]["oscillator.in"]["text"]


def test_the_tests_of_the_template_pass(project: Path) -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize(
    ("old", "new", "line_with", "words"),
    [
        ('"-f", "oscillator.awk", "oscillator.in"', '"{speed}"', "name = ", "names {speed}, which is no input"),
        ("mass {mass}", "mass {weight}", "name = ", "names {weight}, which is no input"),
        ("default = 1.0, min = 0.001", 'default = "x"', "mass = ", "is not of the type float"),
        ("default = 1.0, min = 0.001", "default = 0.0, min = 0.001", "mass = ", "is not between min and max"),
        ('type = "float", default = 4.0', 'type = "number", default = 4.0', "stiffness = ", "should be 'float'"),
        ('command = "awk"', 'command = "awk -f x"', "command = ", "without arguments"),
        ('file = "trajectory.csv"', 'file = "../trajectory.csv"', "trajectory = ", "below the working directory"),
        ('file = "trajectory.csv"', 'file = "/etc/passwd"', "trajectory = ", "below the working directory"),
        ("'period = (\\S+)'", "'period = ('", "period = ", "no regular expression"),
        ("'period = (\\S+)'", "'p(a)(b)'", "period = ", "may have one group"),
        ('from = "stdout", pattern', "pattern", "period = ", "needs one of file, files, from and parser"),
        ("simdeck_swing/oscillator.awk", "simdeck_swing/none.awk", '"oscillator.awk" = ', "there is no text file"),
        ("simdeck_swing/oscillator.awk", "README.md", '"oscillator.awk" = ', "is not in simdeck_swing"),
        ("exit_codes = {3", "exit_codes = {0", "exit_codes = ", "string should match pattern"),
        ('name = "run"', 'name = "run"\nstdinn = "x"', "stdinn = ", "stdinn is not a known key"),
        ('name = "run"', 'name = "run"\nstdin = "other.txt"', "[[tool.simdeck.commands]]", "neither one of files"),
        ('name = "run"', 'name = "run"\nparser = "simdeck_swing:read"', "parser = ", "has no function read"),
        ('name = "run"', 'name = "run"\nparser = "os:system"', "parser = ", "not a module of simdeck_swing"),
        ('workflow = "swing.run"', 'workflow = "other.run"', "smoke = ", "other.run is not among the workflows"),
        ("steps = {type", "code = {type", "[[tool.simdeck.commands]]", "cannot be called code"),
        ('cores = 1, memory = "256 MiB"', 'cores = "{many}"', "[[tool.simdeck.commands]]", "resources.cores names many"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(project: Path, old: str, new: str, line_with: str, words: str) -> None:
    changed(project, old, new)
    with pytest.raises(Problem) as caught:
        load_project(project)
    assert caught.value.code == "manifest-invalid"
    assert words in caught.value.detail
    lines = (project / "pyproject.toml").read_text().splitlines()
    number = int(caught.value.detail.partition("line ")[2].partition(":")[0])
    wanted = "[[tool.simdeck.commands]]" if line_with == "name = " else line_with
    assert lines[number - 1].startswith((wanted, '"oscillator.in" = ')), lines[number - 1]


def test_the_line_is_that_of_the_right_command() -> None:
    text = '[[a.b]]\nname = "x"\n[a.b.inputs]\nn = 1\n[[a.b]]\nname = "y"\n[a.b.inputs]\nn = 2\n[[a.b]]\nname = "z"\n'
    assert line_of(text, ("a", "b", 1, "inputs", "n")) == 8
    assert line_of(text, ("a", "b", 0, "inputs", "n")) == 4
    assert line_of(text, ("a", "b", 2, "inputs", "n")) == 9


def test_the_schema_of_the_manifest_knows_commands(project: Path) -> None:
    table = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["simdeck"]
    jsonschema.validate(table, json_schema())
    table["commands"][0]["outputs"]["period"]["form"] = "stdout"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(table, json_schema())


def module_of(folder: Path) -> ModuleType:
    """The descriptions in the package an install made, without the classes that need AiiDA."""
    source = next(folder.glob("simdeck_commands_*/__init__.py"))
    text = source.read_text().replace("from simdeck_workflows", "# ").partition("for _command")[0]
    spec = importlib.util.spec_from_loader("made", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(text, str(source), "exec"), module.__dict__)
    return module


def test_an_install_writes_the_description_as_data_whatever_stands_in_it(tmp_path: Path) -> None:
    nasty = '"""\n\'\'\'\\ {x} #\n__import__("os")\r\x7f'
    command = Command.model_validate(
        {
            "name": "a_b",
            "command": "true",
            "files": {"in": {"text": nasty, "plain": True}},
            "description": "It's “one”.",
        }
    )
    data = described(command, {})
    command_package.write(tmp_path, "1.0", ["my-app.a_b"], [data])
    assert [data] == module_of(tmp_path).COMMANDS
    points = next(tmp_path.glob("*.dist-info/entry_points.txt")).read_text()
    assert "my-app.a_b = simdeck_commands_my_app:ABWorkChain" in points


@pytest.mark.parametrize(
    ("workflows", "data"),
    [
        (["app.other"], {"name": "run", "command": "true"}),
        (["app.run"], {"name": "run", "command": "true", "of_a_newer_simdeck": 1}),
        (['a"""\nimport os\n""".run'], {"name": "run", "command": "true"}),
    ],
)
def test_an_install_refuses_a_command_it_does_not_understand(
    tmp_path: Path, workflows: list[str], data: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="its command"):
        command_package.write(tmp_path, "1.0", workflows, [data])
    assert not list(tmp_path.iterdir())


def test_the_table_of_the_documentation_is_the_models() -> None:
    assert command_table() in DOCS.read_text("utf-8")


def test_the_example_of_the_documentation_is_a_valid_command() -> None:
    section = DOCS.read_text("utf-8").partition("### A program without glue")[2]
    example = section.partition("```toml\n")[2].partition("```")[0]
    [table] = tomllib.loads(example)["tool"]["simdeck"]["commands"]
    assert Command.model_validate(table).name == "mean"


@pytest.mark.backend
def test_a_save_of_the_project_makes_its_program_a_workflow(project: Path, tmp_path: Path, toy: ModuleType) -> None:
    environment = tmp_path / "env"
    (environment / "lib" / "python3" / "site-packages").mkdir(parents=True)
    describe = [str(toy.BACKEND_PYTHON), "-m", "simdeck_workflows.engine.describe"]
    version = Generations(tmp_path / "apps", describe).add(load_project(project), environment)
    folder = tmp_path / "apps" / "swing" / "versions" / version
    [workflow] = json.loads((folder / "workflows.json").read_text())["workflows"]
    assert (workflow["name"], workflow["title"], workflow["headline"]) == ("swing.run", "Damped oscillator", ["period"])
    properties = workflow["schema"]["properties"]
    assert list(properties) == ["mass", "stiffness", "damping", "start", "steps"]
    mass = {"title": "Mass", "type": "number", "default": 1.0, "minimum": 0.001, "x-simdeck-unit": "kg"}
    assert properties["mass"] == mass
    assert properties["steps"]["x-simdeck-advanced"] is True
