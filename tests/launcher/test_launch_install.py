"""The sudo rule, and where the launcher's files are put."""

from __future__ import annotations

import ast
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from simdeck_clusters.launcher import install as installing
from simdeck_clusters.launcher import simdeck_launch as launch
from simdeck_clusters.launcher.install import LaunchConfig, Places, agent_words, install, remove, sudoers_text

PROGRAM = Path("/opt/simdeck/libexec/simdeck-launch")
VISUDO = shutil.which("visudo", path=os.environ["PATH"] + ":/usr/sbin")
needs_visudo = pytest.mark.skipif(VISUDO is None, reason="visudo is missing (apt-get install sudo)")
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")
CONFIG = LaunchConfig("root", agent_words(Path("/opt/simdeck/env/bin/python"), Path("/opt/simdeck/etc/agent.json")))


@needs_visudo
def test_visudo_takes_the_rule():
    assert installing.check_sudoers(sudoers_text("simdeck", "simdeck-users", PROGRAM)) == ""


@needs_visudo
def test_visudos_objection_is_told():
    assert "syntax error" in installing.check_sudoers("simdeck ALL=(ALL NOPASSWD: x\n")


def test_the_rule_grants_one_program_to_members_of_one_group():
    text = sudoers_text("simdeck", "simdeck-users", PROGRAM)
    _, alias, _, program = next(line for line in text.splitlines() if "Cmnd_Alias" in line).split()
    assert program == str(PROGRAM)
    rules = [line for line in text.splitlines() if "ALL=" in line]
    assert rules == [f"simdeck ALL=(%simdeck-users) NOPASSWD: {alias}"]


@needs_visudo
def test_two_installations_do_not_get_into_each_others_way():
    texts = [sudoers_text("simdeck", "simdeck-users", Path(f"/opt/{name}/simdeck-launch")) for name in ("a", "b")]
    assert installing.check_sudoers("".join(texts)) == ""


def test_the_rule_can_be_shown_without_being_written(capsys):
    assert installing.main(["--data", "/var/lib/simdeck", "--print"]) == 0
    assert capsys.readouterr().out == sudoers_text("simdeck", "simdeck-users", PROGRAM)


@pytest.mark.parametrize(
    ("user", "group", "program"),
    [
        ("ALL", "g", PROGRAM), ("a b", "g", PROGRAM), ("a", "g) NOPASSWD: ALL #", PROGRAM), ("a", "g", Path("bin/x")),
        ("a", "g", Path("/opt/a b/x")), ("a", "g", Path("/opt/a,/bin/sh")), ("a", "g", Path("/opt/../bin/sh")),
        ("a\nb", "g", PROGRAM), ("", "g", PROGRAM),
    ],
)  # fmt: skip
def test_names_that_sudo_would_read_as_something_else_are_refused(user, group, program):
    with pytest.raises(ValueError, match="plain"):
        sudoers_text(user, group, program)


def test_the_configuration_is_what_the_program_reads():
    read = launch.parse_config(CONFIG.text().encode())
    assert read.agent == list(CONFIG.agent)
    assert read.clusters == {"main": {"bin": "/usr/bin", "conf": ""}}
    assert read.service_uid == 0


def test_the_program_imports_the_standard_library_only():
    imported = {
        alias.name.split(".")[0] if isinstance(node, ast.Import) else str(node.module).split(".")[0]
        for node in ast.walk(ast.parse(installing.PROGRAM.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= set(sys.stdlib_module_names)


@needs_root
@needs_visudo
def test_the_files_belong_to_root_and_go_again(tmp_path):
    places = Places(tmp_path / "prefix", sudoers=tmp_path / "sudoers.d" / "simdeck")
    for _ in range(2):
        install(places, CONFIG, "simdeck-users")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in places.all()}
    assert modes == {"simdeck-launch": 0o755, "launch.json": 0o644, "simdeck": 0o440}
    assert {path.stat().st_uid for path in places.all()} == {0}
    assert json.loads(places.config.read_text())["service_user"] == "root"
    assert sorted(os.listdir(places.program.parent)) == ["launch.json", "simdeck-launch"]
    assert os.listdir(places.sudoers.parent) == ["simdeck"]
    remove(places)
    assert not any(path.exists() for path in places.all())


@needs_root
@needs_visudo
def test_a_rule_that_cannot_be_is_not_written(tmp_path):
    places = Places(tmp_path / "pre fix", sudoers=tmp_path / "sudoers.d" / "simdeck")
    with pytest.raises(ValueError, match="plain"):
        install(places, CONFIG, "simdeck-users")
    assert not any(path.exists() for path in places.all())


@needs_root
@needs_visudo
def test_the_installed_program_refuses_root(tmp_path):
    places = Places(tmp_path / "prefix", sudoers=tmp_path / "sudoers.d" / "simdeck")
    install(places, CONFIG, "simdeck-users")
    done = subprocess.run([places.program, "check"], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (launch.REFUSED, "")
    assert done.stderr == "simdeck-launch: not as root\n"
