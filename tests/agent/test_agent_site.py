"""Agents of a site: started as their own Unix users through the launcher, and closed to everybody else."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from agent.site_accounts import PYTHON, Site, answer, missing
from stack import wait_for

pytestmark = [pytest.mark.stack, pytest.mark.skipif(missing() is not None, reason=missing() or "")]

CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print('connected')"
TOKEN = "token-0f-alice-9d2c"


@pytest.fixture(scope="module")
def made() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def site(made: Site) -> Site:
    """The site with no agent running and no marker left."""
    for name in (made.alice, made.bob):
        made.kill_agents(name)
    made.configure()
    shutil.rmtree(made.data / "agents", ignore_errors=True)
    return made


# --- one agent, as its user -------------------------------------------------------------------------------------------


def test_an_agent_runs_as_its_user_and_keeps_its_things_in_their_home(site: Site) -> None:
    status = site.ensure(site.alice)
    assert status["user"] == site.alice
    assert set(psutil.Process(status["pid"]).uids()) == {site.uid(site.alice)}
    root = site.home(site.alice) / ".simdeck"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert (root / "agent" / "tasks.sqlite").stat().st_uid == site.uid(site.alice)


def test_an_agent_gets_nothing_of_the_services_environment(site: Site) -> None:
    pid = site.ensure(site.alice)["pid"]
    environment = psutil.Process(pid).environ()
    assert set(environment) <= {"HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LC_CTYPE"}
    assert environment["HOME"] == str(site.home(site.alice))


def test_a_restarted_deck_finds_the_living_agent(site: Site) -> None:
    assert site.ensure(site.alice)["pid"] == site.ensure(site.alice)["pid"]


def test_two_decks_at_once_start_one_agent(site: Site) -> None:
    body = f"await launcher.ensure({site.alice!r})\nreturn await status({site.alice!r})"
    first, second = site.deck(body), site.deck(body)
    assert answer(first)["pid"] == answer(second)["pid"]
    assert len(site.agents_of(site.alice)) == 1


def test_a_stale_socket_is_replaced(site: Site) -> None:
    before = site.ensure(site.alice)["pid"]
    site.kill_agents(site.alice)
    assert site.socket(site.alice).exists()
    assert site.ensure(site.alice)["pid"] != before


def test_an_agent_whose_socket_is_lost_gives_way_to_the_next(site: Site) -> None:
    before = site.ensure(site.alice)["pid"]
    site.socket(site.alice).unlink()
    after = site.ensure(site.alice)["pid"]
    assert after != before
    assert site.agents_of(site.alice) == [after]


def test_an_agent_ends_when_idle_and_its_socket_takes_nobody_any_more(site: Site) -> None:
    site.configure(idle_seconds=0.2)
    site.service(f"await launcher.ensure({site.alice!r})")
    wait_for("the idle agent's end", lambda: not site.agents_of(site.alice))
    assert site.service(f"return await launcher.running({site.alice!r})") is False
    assert "ending" in (site.home(site.alice) / ".simdeck" / "agent" / "agent.log").read_text()


# --- unfinished work --------------------------------------------------------------------------------------------------


def test_a_marked_agent_comes_back_after_a_crash(site: Site) -> None:
    site.ensure(site.alice)
    site.kill_agents(site.alice)
    body = f"launcher.mark({site.alice!r})\nawait launcher.start_active()\nreturn await status({site.alice!r})"
    assert site.service(body)["pid"] in site.agents_of(site.alice)


def test_the_marker_goes_when_the_agent_says_twice_that_nothing_is_active(site: Site) -> None:
    body = f"""
user = {site.alice!r}
await launcher.ensure(user)
marker = launcher.folder / (user + ".active")
with launcher.working(user):
    for _ in range(4):
        await launcher.look_after(user)
        await asyncio.sleep(0.11)
    seen = [marker.exists()]
for _ in range(2):
    await launcher.look_after(user)
    seen.append(marker.exists())
    await asyncio.sleep(0.11)
return seen + [launcher.marked()]
"""
    assert site.service(body) == [True, True, False, []]


# --- accounts that nothing runs as ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "code"),
    [("gone", "agent-account-missing"), ("chief", "agent-account-system"), ("daemon", "agent-account-system")],
)
def test_an_account_that_nothing_may_run_as_is_refused_in_plain_words(site: Site, user: str, code: str) -> None:
    problem = site.service(f"await launcher.ensure({user!r})")
    assert problem["code"] == code
    assert problem["status"] == 403


def test_a_person_outside_the_group_is_refused_by_sudo_and_told_so(site: Site) -> None:
    problem = site.service("await launcher.ensure('stranger')")
    assert problem["code"] == "agent-unavailable"
    assert "sudo does not let the service start it" in problem["detail"]


def test_why_an_agent_does_not_start_is_told(site: Site) -> None:
    folder = site.home(site.bob) / ".simdeck" / "agent"
    site.ensure(site.bob)
    site.kill_agents(site.bob)
    (folder / "agent.lock").unlink()
    (folder / "agent.lock").mkdir()
    problem = site.service(f"await launcher.ensure({site.bob!r})")
    (folder / "agent.lock").rmdir()
    assert problem["code"] == "agent-unavailable"
    assert "The agent cannot start: [Errno 21] Is a directory" in problem["detail"]
    assert f"~{site.bob}/.simdeck/agent/agent.log" in problem["remedy"]
    assert not (site.data / "agents" / f"{site.bob}.new").exists()


# --- nobody else ------------------------------------------------------------------------------------------------------


def test_nobody_but_the_service_can_connect_to_an_agent(site: Site) -> None:
    site.ensure(site.alice)
    for name in (site.bob, site.alice, site.outsider):
        done = site.run(name, PYTHON, "-I", "-c", CONNECT, site.socket(site.alice))
        assert "PermissionError" in done.stderr, name
    assert "connected" in site.run(site.service_user, PYTHON, "-I", "-c", CONNECT, site.socket(site.alice)).stdout


def test_the_agent_drops_whoever_is_not_the_service_even_when_the_socket_lets_them_in(site: Site) -> None:
    site.ensure(site.alice)
    # Root gets through every mode; the agent sees whose connection it is.
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(site.socket(site.alice)))
        try:
            client.sendall(b"GET /status HTTP/1.1\r\nHost: agent\r\n\r\n")
            answered = client.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            answered = b""
    assert answered == b""
    assert site.ensure(site.alice)["user"] == site.alice


def test_what_an_agent_starts_does_not_get_its_socket(site: Site) -> None:
    pid = site.ensure(site.alice)["pid"]
    assert os.readlink(f"/proc/{pid}/fd/0") == os.devnull
    inheritable = []
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        flags = next(line for line in entry.read_text().splitlines() if line.startswith("flags:"))
        if int(entry.name) > 2 and not int(flags.split()[1], 8) & os.O_CLOEXEC:
            inheritable.append(entry.name)
    assert inheritable == []


def test_a_user_cannot_read_what_is_another_users(site: Site) -> None:
    site.ensure(site.alice)
    assert site.launch(site.alice, "write", "a", given='{"files": {"server.json": "secret"}}').returncode == 0
    secret = site.home(site.alice) / ".simdeck" / "servers" / "a" / "server.json"
    assert secret.read_text() == "secret"
    for name in (site.bob, site.service_user):
        assert "Permission denied" in site.run(name, "cat", secret).stderr
        assert "Permission denied" in site.run(name, "ls", secret.parent).stderr
    # Not even where the home folder is open, as on many clusters.
    for folder in (site.home(site.alice),):
        folder.chmod(0o755)
    try:
        assert "Permission denied" in site.run(site.bob, "cat", secret).stderr
    finally:
        site.home(site.alice).chmod(0o700)


def test_a_user_can_start_nothing_as_another(site: Site) -> None:
    for verb in (["agent"], ["check"], ["read", "a"]):
        done = site.launch(site.alice, *verb, by=site.bob)
        assert done.returncode == 1
        assert "password is required" in done.stderr
    assert site.agents_of(site.alice) == []


@pytest.mark.parametrize(
    "words",
    [
        ["-u", "ALICE", "--", "/bin/sh", "-c", "id"],
        ["-u", "ALICE", "--", "PROGRAM.py", "check"],
        ["-u", "ALICE", "--", "PYTHON", "PROGRAM", "check"],
        ["-u", "root", "--", "PROGRAM", "check"],
        ["--", "PROGRAM", "check"],
        ["-u", "OUTSIDER", "--", "PROGRAM", "check"],
        ["-u", "ALICE", "-g", "root", "--", "PROGRAM", "check"],
        ["-u", "ALICE", "PYTHONPATH=/tmp", "PROGRAM", "check"],
        ["-E", "-u", "ALICE", "--", "PROGRAM", "check"],
        ["-u", "ALICE", "-i"],
        ["-u", "ALICE", "-s"],
        ["-u", "ALICE", "-e", "/etc/passwd"],
    ],
)
def test_the_service_can_run_nothing_but_the_launcher_as_a_member(site: Site, words: list[str]) -> None:
    names = {"ALICE": site.alice, "OUTSIDER": site.outsider, "PROGRAM": str(site.places.program), "PYTHON": str(PYTHON)}
    named = []
    for word in words:
        for name, value in names.items():
            word = word.replace(name, value) if not word.startswith("PYTHONPATH") else word
        named.append(word)
    done = site.run(site.service_user, "sudo", "-n", *named)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "sudo:" in done.stderr


def test_the_launcher_gives_the_service_its_verbs_alone(site: Site) -> None:
    assert site.launch(site.alice, "check").returncode == 0
    for verb in (["sh"], ["read", "../../../etc"], ["scancel", "1", "--user=bob"], ["agent", "--settings"], []):
        done = site.launch(site.alice, *verb)
        assert (done.returncode, done.stdout) == (2, ""), verb


def test_a_link_a_user_planted_leads_the_launcher_nowhere(site: Site) -> None:
    bobs, alices = site.home(site.bob), site.home(site.alice)
    (bobs / "open").mkdir(exist_ok=True)
    (bobs / "open").chmod(0o777)
    bobs.chmod(0o755)
    shutil.rmtree(alices / ".simdeck" / "servers", ignore_errors=True)
    assert site.run(site.alice, "mkdir", "-p", alices / ".simdeck").returncode == 0
    assert site.run(site.alice, "ln", "-s", bobs / "open", alices / ".simdeck" / "servers").returncode == 0
    try:
        done = site.launch(site.alice, "write", "a", given='{"files": {"server.json": "secret"}}')
        assert done.returncode == 2
        assert "is not a folder" in done.stderr
        assert list((bobs / "open").iterdir()) == []
    finally:
        (alices / ".simdeck" / "servers").unlink()
        bobs.chmod(0o700)


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_token_is_in_its_file_and_nowhere_else(site: Site) -> None:
    words = ["sudo", "-n", "-u", site.alice, "--", site.places.program, "write", "a"]
    process = site.start(site.service_user, *words)
    assert process.stdin is not None
    process.stdin.write(f'{{"files": {{"server.json": {{"token": "{TOKEN}"}}, ')
    process.stdin.flush()
    # The launcher waits for the rest, so sudo and it can be looked at while they hold the token.
    wait_for("the launcher", lambda: [one for one in psutil.process_iter() if running(one, site) == site.alice])
    for one in psutil.process_iter():
        for read in (one.cmdline, one.environ):
            try:
                assert TOKEN not in str(read()), one
            except psutil.Error:
                continue
    out, err = process.communicate('"job.sh": "#!/bin/sh\\n"}}', timeout=180)
    assert (process.returncode, out, err) == (0, "", "")
    holding = [
        path
        for folder in (site.root, Path("/var/log"))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and TOKEN.encode() in path.read_bytes()
    ]
    assert holding == [site.home(site.alice) / ".simdeck" / "servers" / "a" / "server.json"]
    assert site.launch(site.alice, "clean", "a").returncode == 0
    assert not holding[0].exists()


def running(process: psutil.Process, site: Site) -> str | None:
    """Return whose launcher the process is."""
    try:
        return process.username() if str(site.places.program) in process.cmdline() else None
    except psutil.Error:
        return None


def test_a_script_is_submitted_as_the_user_with_the_log_in_their_folder(site: Site) -> None:
    done = site.launch(site.alice, "sbatch", "a", "main", given="#!/bin/sh\n")
    log = site.home(site.alice) / ".simdeck" / "servers" / "a" / "job.log"
    assert done.stdout.split() == [str(site.root / "bin" / "sbatch"), "--parsable", f"--output={log}"]
