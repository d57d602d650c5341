"""The job script: no value adds a directive, a line or a word; and what it does when run."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from simdeck_clusters.records import end_record
from simdeck_clusters.request import GpuRequest, ResourceRequest
from simdeck_clusters.settings import ContainerEnvironment, Environment, ModulesEnvironment, VenvEnvironment
from simdeck_clusters.slurm.script import BODY, HOME_BIND, JobSpec, directives, job_script

PLAIN = Environment(name="default")


def request(**changes):
    return ResourceRequest(**{"cluster": "hpc", "partition": "normal", "environment": "default", **changes})


def spec(command=("/opt/simdeck/bin/simdeck-server",), **changes):
    values = {"name": "simdeck-abcd1234-x1", "server": "x1", "instance": "abcd1234", "command": tuple(command)}
    return JobSpec(**{**values, **changes})


def test_every_part_of_a_request_becomes_one_directive():
    full = request(
        account="chem",
        qos="long",
        cores=4,
        memory_mb=4096,
        gpus=GpuRequest(type="a100", count=2),
        walltime_minutes=120,
        reservation="course",
    )
    assert directives(full, spec()) == [
        "--job-name=simdeck-abcd1234-x1", "--comment=simdeck:abcd1234", "--partition=normal", "--account=chem", "--qos=long",
        "--reservation=course", "--nodes=1", "--ntasks=1", "--cpus-per-task=4", "--mem=4096M", "--gres=gpu:a100:2", "--time=120",
        "--signal=B:USR1@600", "--export=NONE", "--open-mode=append", "--output=.simdeck/servers/x1/job.log", "--requeue",
    ]  # fmt: skip


def test_what_is_not_asked_for_is_no_directive():
    lines = directives(request(walltime_minutes=10), spec(requeue=False, warning_minutes=0))
    assert not [line for line in lines if re.match(r"--(account|qos|gres|reservation|signal)", line)]
    assert lines[-1] == "--no-requeue"


def test_in_a_short_job_the_warning_comes_when_half_is_left():
    assert "--signal=B:USR1@120" in directives(request(walltime_minutes=4), spec(warning_minutes=10))


nasty = st.text(st.characters(exclude_categories=()), max_size=60)


@settings(max_examples=150, deadline=None)
@given(
    values=st.fixed_dictionaries(
        dict.fromkeys(("partition", "account", "qos", "reservation", "environment", "kind"), nasty)
    ),
    command=st.lists(nasty, min_size=1, max_size=4),
)
def test_no_value_adds_a_directive_a_line_or_a_word(values, command):
    kind = values.pop("kind")
    try:
        asked = request(**values, gpus=GpuRequest(type=kind, count=1))
        script = job_script(asked, spec(command), PLAIN)
    except (ValueError, ValidationError):
        return
    plain = job_script(
        request(account="a", qos="a", reservation="a", gpus=GpuRequest(type="a", count=1)), spec(["a"]), PLAIN
    )
    lines, expected = script.split("\n"), plain.split("\n")
    assert len(lines) == len(expected)
    for line, model in zip(lines, expected, strict=True):
        if line.startswith("#SBATCH"):
            assert line.split("=")[0] == model.split("=")[0]
            assert len(line.split()) == 2
        elif line.startswith("simdeck_command="):
            assert shlex.split(line.removeprefix("simdeck_command=(").removesuffix(")")) == command
        else:
            assert line == model


@settings(max_examples=100, deadline=None)
@given(value=nasty)
def test_names_that_an_administrator_gives_are_bound_to_patterns_too(value):
    for make in (
        lambda: ModulesEnvironment(load=(value,)),
        lambda: VenvEnvironment(path=value),
        lambda: ContainerEnvironment(runtime="bwrap", image=value, binds=(value,)),
        lambda: Environment(name="x", setup=(value,)),
    ):
        try:
            made = make()
        except ValidationError:
            continue
        text = value if isinstance(made, Environment) else shlex.quote(value)
        assert "\n" not in text
        assert "\r" not in text
        if not isinstance(made, Environment):
            assert re.fullmatch(r"[A-Za-z0-9_./+@%=:\-]*", value)


@pytest.mark.parametrize(
    "changes", [{"name": "a\nb"}, {"server": "../x"}, {"instance": "a b"}, {"command": ()}, {"command": ("a\nb",)}]
)
def test_what_the_hub_gives_is_checked_once_more(changes):
    with pytest.raises(ValueError, match=r"not a|no command"):
        job_script(request(), spec(**changes), PLAIN)


def test_the_scripts_own_part_is_constant():
    assert BODY.strip("\n") in job_script(request(), spec(), PLAIN)


class Run:
    """A job script run by bash as Slurm would run it, without Slurm."""

    def __init__(self, home, environment=PLAIN, command=("/bin/true",), extra=None):
        self.home = home
        self.folder = home / ".simdeck/servers/x1"
        script = job_script(request(), spec(command), environment)
        env = {
            "HOME": str(home),
            "SLURM_JOB_ID": "77",
            "SLURMD_NODENAME": "cn1",
            "SLURM_MEM_PER_NODE": "500",
            "SIMDECK_SAMPLE_SECONDS": "0.1",
            "PATH": os.defpath,
        }
        self.process = subprocess.Popen(
            ["bash", "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**env, **(extra or {})},
            cwd=home,
            text=True,
        )
        assert self.process.stdin is not None
        (home / "job.sh").write_text(script)
        self.process.stdin.write(f". {shlex.quote(str(home / 'job.sh'))}\n")
        self.process.stdin.close()

    def end(self):
        out = self.process.stdout.read()
        code = self.process.wait(20)
        return code, end_record(json.loads((self.folder / "end.json").read_text())), out

    def says(self, word):
        return any(word in line for line in self.process.stdout)


def python(folder, *lines):
    program = folder / "server.py"
    program.write_text("\n".join(lines))
    return (sys.executable, str(program))


def test_the_servers_exit_status_is_the_jobs_and_stands_in_the_record(tmp_path):
    code, record, _ = Run(tmp_path, command=python(tmp_path, "raise SystemExit(7)")).end()
    assert (code, record.code, record.stage, record.job, record.memory_limit_mb) == (7, 7, "server", "77", 500)


def test_the_warning_signal_reaches_the_server_and_is_noted(tmp_path):
    wait = python(
        tmp_path,
        "import signal, sys, time",
        "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(5))",
        "print('waiting', flush=True)",
        "time.sleep(60)",
    )
    run = Run(tmp_path, command=wait)
    assert run.says("waiting")
    run.process.send_signal(signal.SIGUSR1)
    code, record, _ = run.end()
    assert (code, record.code, record.warned) == (5, 5, True)


def test_a_warning_that_the_server_outlives_does_not_end_the_job(tmp_path):
    wait = python(tmp_path,
        "import os, signal", "signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'warned\\n'))",
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(4))", "os.write(1, b'waiting\\n')", "while True: signal.pause()",
    )  # fmt: skip
    run = Run(tmp_path, command=wait)
    assert run.says("waiting")
    run.process.send_signal(signal.SIGUSR1)
    assert run.says("warned")
    run.process.send_signal(signal.SIGTERM)
    code, record, _ = run.end()
    assert (code, record.code, record.warned, record.signal) == (4, 4, True, "15")


def test_a_killed_server_is_told_by_its_status(tmp_path):
    code, record, _ = Run(tmp_path, command=python(tmp_path, "import os", "os.kill(os.getpid(), 9)")).end()
    assert (code, record.code) == (137, 137)


def test_memory_of_the_server_and_its_children_is_sampled_where_no_control_group_counts(tmp_path):
    hold = "b = bytearray(60 << 20)"
    wait = python(
        tmp_path,
        "import subprocess, sys, time",
        hold,
        "p = subprocess.Popen([sys.executable, '-c', 'b = bytearray(60 << 20); print(1, flush=True); input()'], stdin=subprocess.PIPE)",
        "print('holding', flush=True)",
        "import signal; signal.signal(signal.SIGTERM, lambda *_: (p.kill(), sys.exit(0)))",
        "while True: signal.pause()",
    )
    run = Run(tmp_path, command=wait)
    assert run.says("holding")
    peak = run.folder / "peak"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (peak.exists() and int(peak.read_text().strip() or 0) >= 121 * 1024):
        time.sleep(0.05)
    run.process.send_signal(signal.SIGTERM)
    _, record, _ = run.end()
    assert 120 < record.peak_memory_mb < 400


def test_a_missing_program_is_told_with_its_name(tmp_path):
    code, record, _ = Run(tmp_path, command=("/nowhere/simdeck-server",)).end()
    assert (code, record.stage, record.detail) == (127, "command", "/nowhere/simdeck-server")


def test_a_missing_environment_is_told_with_its_path(tmp_path):
    broken = Environment(name="x", source=VenvEnvironment(path="/nowhere/env"))
    code, record, _ = Run(tmp_path, broken).end()
    assert (code, record.stage, record.detail) == (71, "environment", "/nowhere/env")


def test_a_python_environments_programs_come_first(tmp_path):
    made = tmp_path / "env/bin"
    made.mkdir(parents=True)
    for name, text in (("python", "#!/bin/sh\n"), ("my-server", "#!/bin/sh\necho $VIRTUAL_ENV\n")):
        (made / name).write_text(text)
        (made / name).chmod(0o755)
    code, _, out = Run(
        tmp_path, Environment(name="x", source=VenvEnvironment(path=str(tmp_path / "env"))), ("my-server",)
    ).end()
    assert (code, str(tmp_path / "env") in out) == (0, True)


MODULE = """module() { [ "$1" = load ] || return 0; case $2 in gcc) LOADEDMODULES=gcc/12.1 ;; quiet) return 0 ;; *) echo "unable to locate" >&2; return 1 ;; esac; }
"""


@pytest.mark.parametrize(("name", "code"), [("gcc", 0), ("nope/1", 72), ("quiet", 72)])
def test_modules_are_loaded_or_told_by_name(tmp_path, name, code):
    (tmp_path / "init").write_text(MODULE)
    environment = Environment(name="x", source=ModulesEnvironment(load=(name,), init=str(tmp_path / "init")))
    ended, record, _ = Run(tmp_path, environment).end()
    assert ended == code
    assert record.stage == ("server" if code == 0 else "modules")
    assert record.detail == ("" if code == 0 else name)


def test_the_administrators_lines_run_before_the_server_and_may_fail(tmp_path):
    code, _, out = Run(
        tmp_path, Environment(name="x", setup=("export GREETING=hello",)), ("/bin/sh", "-c", "echo $GREETING")
    ).end()
    assert (code, "hello" in out) == (0, True)
    code, record, _ = Run(tmp_path, Environment(name="x", setup=("exit 9",))).end()
    assert (code, record.stage) == (73, "setup")


def test_the_record_is_closed_to_others(tmp_path):
    run = Run(tmp_path)
    run.end()
    assert (run.folder / "end.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("runtime", "begin"),
    [
        ("ch-run", ["ch-run", HOME_BIND]),
        ("bwrap", ["bwrap", "--ro-bind", "/img"]),
        ("apptainer", ["apptainer", "exec"]),
    ],
)
def test_a_container_runs_the_server_inside_with_its_binds(runtime, begin):
    source = ContainerEnvironment(runtime=runtime, image="/img", binds=("/scratch", "/data:/mnt"))
    script = job_script(
        request(), spec(("/opt/server", "--x")), Environment(name="c", source=source, server="/usr/bin/server")
    )
    words = shlex.split(re.search(r"^simdeck_command=\((.*)\)$", script, re.MULTILINE)[1])
    assert words[: len(begin)] == begin
    assert words[-2:] == ["/usr/bin/server", "--x"]
    assert "/mnt" in " ".join(words)


def test_nothing_a_server_started_outlives_the_script(tmp_path):
    kernel = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(60)"
    program = python(
        tmp_path,
        "import os, subprocess, sys",
        f"kernel = subprocess.Popen([sys.executable, '-c', {kernel!r}], start_new_session=True, stdout=-1, stderr=-3)",
        "open('kernel.pid', 'wb').write(kernel.stdout.readline())",
        "os.kill(os.getpid(), 9)",
    )
    code, record, _ = Run(tmp_path, command=program).end()
    assert (code, record.code) == (137, 137)
    kernel_pid = (tmp_path / "kernel.pid").read_text().strip()
    assert not Path("/proc", kernel_pid).exists() or " Z " in Path("/proc", kernel_pid, "stat").read_text()
