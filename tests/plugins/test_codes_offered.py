"""The codes of the site file: what may stand there, what scripts become of it, and what the store is told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from simdeck_common.layout import UserHome
from simdeck_common.problems import Problem
from simdeck_hub import site_codes, site_file
from simdeck_workflows import codes
from simdeck_workflows.codes import MODULE_MISSING, RunCode

SITE = """\
[[codes]]
label = "pw"
title = "Quantum ESPRESSO 7.3"
executable = "pw.x"
modules = ["gcc/13", "qe/7.3"]
prepend = ["export OMP_NUM_THREADS=1"]
mpi = ["srun", "-n", "{cores}"]
memory = "4 GiB"
walltime = "2:00:00"
"""
CLUSTERS = """
[[clusters]]
name = "main"

[[clusters]]
name = "old"
"""


def load(folder: Path, text: str) -> site_file.Site:
    path = folder / "site.toml"
    path.write_text(text)
    return site_file.load(path)


def test_a_code_is_on_the_first_cluster_unless_it_says_otherwise(tmp_path: Path) -> None:
    site = load(tmp_path, SITE + SITE.replace('label = "pw"', 'label = "pw"\ncluster = "old"') + CLUSTERS)
    found = site_codes.run_codes(site.codes, ("main", "old"))
    assert [(code.label, code.computer) for code in found] == [("pw", "main"), ("pw", "old")]
    assert found[0].resources() == {"memory_mb": 4096, "walltime_minutes": 120}


def test_without_clusters_it_is_on_this_machine(tmp_path: Path) -> None:
    (code,) = site_codes.run_codes(load(tmp_path, SITE).codes, ())
    assert (code.cluster, code.computer) == (None, "localhost")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SITE.replace("[[codes]]", '[[codes]]\ncluster = "far"') + CLUSTERS, 'no cluster is called "far"'),
        (SITE + SITE, "stands twice"),
        (SITE + 'container = {kind = "container", runtime = "bwrap", image = "/img"}\n', "modules and a container"),
        (SITE.replace('"gcc/13"', '"gcc; rm"'), "codes.modules"),
        (SITE.replace('"pw.x"', '"pw.x $(id)"'), "codes.executable"),
        (SITE.replace("export OMP_NUM_THREADS=1", "#SBATCH --qos=best"), "codes.prepend"),
    ],
)
def test_a_wrong_code_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Problem) as refusal:
        load(tmp_path, text)
    assert words in refusal.value.detail


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "a b"},
        {"executable": "../pw.x"},
        {"executable": "/opt/qe bin/pw.x"},
        {"executable": "`id`"},
        {"modules": ["qe 7.3"]},
        {"modules": ["$(id)"]},
        {"modules": ["-f"]},
        {"module_init": "/etc/x; id"},
        {"prepend": ["  # a comment"]},
        {"prepend": ["one\ntwo"]},
        {"prepend": ["\n#SBATCH --qos=best"]},
        {"mpi": ["srun -n 2"]},
        {"mpi": ["$X"]},
        {"mpi": ["{cwd}"]},
        {"plugin": "a b"},
        {"container": {"runtime": "bwrap", "image": "/img; id"}},
        {"container": {"runtime": "bwrap", "image": "/img", "binds": ["/a b"]}},
    ],
)
def test_no_value_can_be_more_than_a_word(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunCode.model_validate({"label": "pw", "executable": "pw.x", **wrong})


def run_script(code: RunCode, folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder / "script.sh"
    script.write_text(f"#!/bin/bash\n{code.prepend_text()}\necho reached $MARK\n")
    return subprocess.run(
        ["/bin/bash", "--norc", script], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}
    )


@pytest.fixture
def module_init(tmp_path: Path) -> Path:
    """The definition of a `module` command that knows one module."""
    path = tmp_path / "module-init.sh"
    path.write_text('module() { [ "$2" = qe/7.3 ] && export MARK="with $2"; }\n')
    return path


def test_modules_are_loaded_before_the_program(tmp_path: Path, module_init: Path) -> None:
    code = RunCode(label="pw", executable="pw.x", modules=("qe/7.3",), module_init=str(module_init))
    assert run_script(code, tmp_path).stdout == "reached with qe/7.3\n"


def test_a_module_that_cannot_be_loaded_ends_the_script_and_is_named(tmp_path: Path, module_init: Path) -> None:
    code = RunCode(label="pw", executable="pw.x", modules=("qe/9",), module_init=str(module_init))
    done = run_script(code, tmp_path)
    assert (done.returncode, done.stdout) == (72, "")
    assert f"{MODULE_MISSING} qe/9" in done.stderr


def test_own_lines_come_as_they_are(tmp_path: Path) -> None:
    code = RunCode(label="pw", executable="pw.x", prepend=("export MARK='a  b'", 'MARK="$MARK c"'))
    assert run_script(code, tmp_path).stdout == "reached a b c\n"


def test_an_agent_leaves_the_codes_for_its_worker_and_knows_when_they_changed(tmp_path: Path) -> None:
    home = UserHome(tmp_path, tmp_path)
    one = RunCode(label="pw", executable="/opt/qe/bin/pw.x")
    assert [codes.write(home, [one]), codes.write(home, [one]), codes.write(home, [])] == [True, False, True]
    assert codes.read(codes.file_of(home)) == ()


def test_the_store_is_told_the_titles(tmp_path: Path) -> None:
    file = tmp_path / "codes.json"
    site_codes.write_offered(file, load(tmp_path, SITE).codes, one_machine=False)
    assert json.loads(file.read_text())["codes"] == ["Quantum ESPRESSO 7.3"]


def test_what_an_administrator_wrote_by_hand_stays(tmp_path: Path) -> None:
    file = tmp_path / "codes.json"
    file.write_text('{"codes": ["cp2k"]}')
    site_codes.write_offered(file, load(tmp_path, SITE).codes, one_machine=False)
    assert file.read_text() == '{"codes": ["cp2k"]}'


def test_on_one_machine_a_program_on_the_path_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "pw.x"
    program.parent.mkdir()
    program.touch(mode=0o755)
    file = tmp_path / "codes.json"
    for path, expected in ((program.parent, ["Quantum ESPRESSO"]), (tmp_path, [])):
        monkeypatch.setenv("PATH", str(path))
        site_codes.write_offered(file, (), one_machine=True)
        assert json.loads(file.read_text())["codes"] == expected
