"""PyCOMPSs descriptions: what becomes a command, and what is refused by its name."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from simdeck_appstore.commands import Command
from simdeck_appstore.developer.new import create
from simdeck_appstore.manifest import load_project
from simdeck_appstore.software import add_to_project, as_toml, read_software
from simdeck_common.problems import Problem

LOCK = Path(__file__).parents[2] / "apps" / "molecule" / "requirements.lock"
GREP = {
    "execution": {"type": "binary", "binary": "grep", "params": "-c '{{expression}}' {{inFile}} {{report}}"},
    "parameters": {"inFile": "FILE_IN", "report": {"type": "FILE_OUT"}, "count": "STDOUT", "expression": "IN"},
    "constraints": {"computing_units": 2, "memory_size": "4"},
    "prolog": {"binary": "mkdir", "params": "-p scratch"},
    "epilog": {"binary": "rm", "args": "-rf scratch"},
}
MPI = {
    "type": "mpi",
    "properties": {"runner": "mpirun", "binary": "app_mpi.bin", "processes": "2", "params": "-d {{param_d}}"},
    "constraints": {"computing_units": 2},
}


def read(tmp_path: Path, data: Any, name: str = "") -> Command:
    file = tmp_path / "Count Words.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return read_software(file, name)


def test_a_binary_becomes_a_command(tmp_path: Path) -> None:
    found = read(tmp_path, GREP)
    assert (found.name, found.command) == ("count_words", "grep")
    assert found.arguments == ["-c", "{expression}", "{in_file}", "report.out"]
    assert {name: given.type for name, given in found.inputs.items()} == {"in_file": "file", "expression": "str"}
    assert {name: output.file for name, output in found.outputs.items()} == {"report": "report.out", "count": "stdout"}
    assert (found.resources.cores, found.resources.memory) == (2, "4 GiB")
    assert (found.before, found.after) == ([["mkdir", "-p", "scratch"]], [["rm", "-rf", "scratch"]])


def test_an_mpi_program_is_started_by_its_runner(tmp_path: Path) -> None:
    found = read(tmp_path, MPI, "solve")
    assert (found.name, found.command) == ("solve", "mpirun")
    assert found.arguments == ["-n", "2", "app_mpi.bin", "-d", "{param_d}"]
    assert found.resources.cores == 4


@pytest.mark.parametrize("data", [GREP, MPI])
def test_what_is_written_into_the_manifest_reads_back_the_same(tmp_path: Path, data: Any) -> None:
    found = read(tmp_path, data)
    [table] = tomllib.loads(as_toml(found))["tool"]["simdeck"]["commands"]
    assert Command.model_validate(table) == found


def test_it_is_added_to_a_project_once(tmp_path: Path) -> None:
    project = create(tmp_path / "swing", "swing", "command")
    shutil.copyfile(LOCK, project / "requirements.lock")
    add_to_project(project, read(tmp_path, GREP))
    assert load_project(project).manifest.workflows == ["swing.run", "swing.count_words"]
    with pytest.raises(Problem) as caught:
        add_to_project(project, read(tmp_path, GREP))
    assert caught.value.code == "command-taken"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"execution": {"type": "task"}}, "type"),
        ({"execution": {"type": "http", "service_name": "x"}}, "service_name"),
        ({"execution": {"type": "binary"}}, "binary"),
        ({"execution": {"type": "binary", "binary": "~/x"}}, "binary"),
        ({"execution": {"type": "binary", "binary": "x", "working_dir": "/tmp"}}, "working_dir"),
        ({"execution": {"type": "binary", "binary": "x", "params": "'open"}}, "execution.params"),
        ({"execution": {"type": "mpi", "binary": "x", "runner": "sh"}}, "runner"),
        (
            {"execution": {"type": "mpi", "binary": "x", "runner": "srun", "processes": 4, "processes_per_node": 2}},
            "processes_per_node",
        ),
        ({"container": {"engine": "DOCKER", "image": "compss/compss"}}, "container"),
        ({"constraints": {"processor_architecture": "arm"}}, "constraints.processor_architecture"),
        ({"parameters": {"inFile": "FILE_INOUT"}}, "parameters.inFile"),
        ({"parameters": {"inFile": "COLLECTION_IN"}}, "parameters.inFile"),
        ({"prolog": {"binary": "x", "fail_by_exit_value": False}}, "prolog.fail_by_exit_value"),
        ({"streams": {}}, "streams"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_its_name(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    with pytest.raises(Problem) as caught:
        read(tmp_path, {**GREP, **change})
    assert (caught.value.code, caught.value.field) == ("software-unsupported", what)
    assert what in caught.value.detail


@pytest.mark.parametrize("text", ["{", "[]", "nonsense"])
def test_what_is_no_description_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Problem) as caught:
        read(tmp_path, text)
    assert caught.value.code == "software-unreadable"
