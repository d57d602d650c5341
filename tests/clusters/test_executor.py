"""Running commands: no shell, an end to what hangs, and the way to act as a user."""

import asyncio
import getpass
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from simdeck_clusters import executor
from simdeck_clusters.executor import LocalExecutor, SshExecutor, SudoExecutor, make_executor, run_process
from simdeck_clusters.settings import ClusterSettings, SshSettings
from simdeck_clusters.slurm import argv

ME = getpass.getuser()


@pytest.fixture
def echo(tmp_path):
    """A program that prints its arguments and its standard input, one to a line."""
    program = tmp_path / "echo"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint(*sys.argv[1:], sep='\\n')\nprint(sys.stdin.read())\n")
    program.chmod(0o755)
    return str(program)


async def test_words_reach_the_command_as_they_are(echo):
    words = ["a b", "$HOME", "; reboot", "*", "'", '"', "ünï"]
    done = await LocalExecutor().run([echo, *words], stdin=b"given")
    assert done.ok
    assert done.out.splitlines() == [*words, "given"]


async def test_a_command_that_fails_is_told_with_its_words():
    done = await LocalExecutor().run([sys.executable, "-c", "import sys; sys.exit('went wrong')"])
    assert (done.ok, done.code, done.unreached, done.message) == (False, 1, False, "went wrong")


async def test_a_command_that_is_not_there_is_unreached():
    done = await LocalExecutor().run(["/nowhere/squeue"])
    assert (done.code, done.unreached) == (127, True)


async def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path):
    pids = tmp_path / "pids"
    code = f"import os, subprocess, sys, time; p = subprocess.Popen(['sleep', '600']); open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{p.pid}}'); p.wait()"
    # Long enough for Python to start; what is waited for is the end.
    done = await run_process([sys.executable, "-c", code], timeout=3)
    assert (done.unreached, done.ok) == (True, False)
    for pid in pids.read_text().split():
        assert not alive(int(pid))


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] not in "ZX"
    except OSError:
        return False


async def test_who_is_cancelled_leaves_no_process(tmp_path):
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    task = asyncio.create_task(run_process([sys.executable, "-c", code], timeout=600))
    while not (pid.exists() and pid.read_text()):  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int(pid.read_text()))


async def test_output_past_the_limit_is_no_answer(monkeypatch):
    monkeypatch.setattr(executor, "OUTPUT_LIMIT", 1000)
    done = await LocalExecutor().run([sys.executable, "-c", "print('x' * 10**6)"])
    assert done.unreached


async def test_a_command_that_reads_nothing_is_no_error():
    done = await LocalExecutor().run([sys.executable, "-c", "print('done')"], stdin=b"x" * 10**6)
    assert (done.ok, done.out) == (True, "done\n")


async def test_nothing_of_our_environment_changes_slurms_output(monkeypatch):
    monkeypatch.setenv("SQUEUE_FORMAT", "%i")
    monkeypatch.setenv("SBATCH_PARTITION", "x")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    done = await LocalExecutor(environment={"SLURM_CONF": "/etc/one.conf"}).run(
        [sys.executable, "-c", "import os; print(sorted(os.environ.items()))"]
    )
    assert "('SLURM_TIME_FORMAT', '%s')" in done.out
    assert "('SLURM_CONF', '/etc/one.conf')" in done.out
    assert not [word for word in ("SQUEUE_FORMAT", "SBATCH_PARTITION", "secret") if word in done.out]


async def test_sudo_gets_one_fixed_form(echo):
    done = await SudoExecutor("/opt/launch", sudo=echo).run(
        argv.launch("sbatch", "s1", "hpc"), user="alice", stdin=b"script"
    )
    assert done.out.splitlines() == ["-n", "-u", "alice", "--", "/opt/launch", "sbatch", "s1", "hpc", "script"]


async def test_the_services_own_questions_need_no_sudo(echo):
    done = await SudoExecutor(sudo="/nowhere/sudo").run([echo, "x"])
    assert done.ok


@pytest.mark.parametrize("user", ["root", "-u", "alice;", "a b", "#0", "", "%wheel", "alice\n"])
async def test_nobody_becomes_what_is_no_user(user, echo):
    with pytest.raises(ValueError, match="user"):
        await SudoExecutor(sudo=echo).run(argv.launch("check"), user=user)


@pytest.mark.parametrize(("words", "user"), [(["sbatch"], "alice"), (argv.launch("check"), None), ([], None)])
async def test_as_a_user_only_the_launchers_verbs_are_run(words, user, echo):
    for one in (LocalExecutor(echo), SudoExecutor(echo, sudo=echo), SshExecutor(SshSettings(host="login"), ssh=echo)):
        with pytest.raises(ValueError, match="verb"):
            await one.run(words, user=user)


async def test_without_sudo_we_act_for_ourselves_alone(echo):
    local = LocalExecutor(echo)
    if ME != "root":
        assert (await local.run(argv.launch("check"), user=ME)).ok
    assert not (await local.run(argv.launch("check"), user="somebody-else")).ok
    assert (await LocalExecutor().run(argv.launch("check"), user="alice")).unreached


def ssh_words(command):
    options = {word.partition("=")[0]: word.partition("=")[2] for flag, word in pairwise(command) if flag == "-o"}
    return options, command[command.index("--") + 1 :]


def test_ssh_asks_nothing_trusts_no_new_key_and_forwards_nothing():
    options, _ = ssh_words(SshExecutor(SshSettings(host="login")).command(["squeue"], None, 20))
    assert options["BatchMode"] == options["StrictHostKeyChecking"] == options["ClearAllForwardings"] == "yes"
    assert options["ForwardAgent"] == options["ControlMaster"] == "no"


def test_ssh_words_are_quoted_for_the_far_shell():
    words = ["squeue", "-o", "%i $(reboot) `x` 'y' ; z"]
    _, (host, command) = ssh_words(SshExecutor(SshSettings(host="login")).command(words, None, 20))
    assert host == "login"
    parsed = shlex.split(command)
    assert parsed[-3:] == words
    assert parsed[0] == "env"
    assert "SLURM_TIME_FORMAT=%s" in parsed


async def test_ssh_signs_in_as_the_user_it_acts_for(echo):
    settings = SshSettings(host="login", user="svc", launcher="/far/launch")
    done = await SshExecutor(settings, ssh=echo).run(argv.launch("check"), user="alice")
    lines = done.out.splitlines()
    assert lines[lines.index("-l") + 1] == "alice"
    assert lines[-2].endswith("/far/launch check")


async def test_a_broken_connection_is_unreached(tmp_path):
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'ssh: connect to host login port 22: Connection refused' >&2\nexit 255\n")
    ssh.chmod(0o755)
    done = await SshExecutor(SshSettings(host="login"), ssh=str(ssh)).run(["squeue"])
    assert (done.unreached, done.ok) == (True, False)


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a b", "", "user@host", "h;x"])
def test_a_host_is_a_host(host):
    with pytest.raises(ValueError, match="pattern"):
        SshSettings(host=host)


def test_the_settings_choose_the_executor():
    made = make_executor(ClusterSettings(name="a", executor="sudo", slurm_conf="/etc/a.conf"), "/opt/l")
    assert isinstance(made, SudoExecutor)
    assert (made.launcher, made.environment) == ("/opt/l", {"SLURM_CONF": "/etc/a.conf"})
    assert isinstance(make_executor(ClusterSettings(name="a", executor="local")), LocalExecutor)
    assert isinstance(make_executor(ClusterSettings(name="a", executor="ssh", ssh={"host": "login"})), SshExecutor)
