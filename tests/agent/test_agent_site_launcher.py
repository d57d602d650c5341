"""The site's launcher without accounts: what it says when a start fails, and when it forgets that work is unfinished."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import pwd
import sys
import tempfile
from pathlib import Path

import pytest
from simdeck_agent import site_launcher
from simdeck_agent.launcher import Launcher, SiteLauncher, answers, make_launcher
from simdeck_agent.serving import InheritedSocket, listen_at
from simdeck_agent.settings import AgentSettings, SiteAgents
from simdeck_common.layout import account_home, site_root
from simdeck_common.problems import Problem
from simdeck_deck import agents as deck_agents
from simdeck_deck.agents import Agents

SOMEBODY = next(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid not in (0, os.getuid()))


@pytest.fixture
def launcher(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="sd-") as folder:
        data = Path(folder)
        site = SiteAgents(program=data / "launch", sudo=data / "sudo", minimum_uid=1, status_seconds=1e-6)
        settings = AgentSettings(data=data, backend_python=Path("/nowhere"), uv=Path("/nowhere"), site=site)
        yield SiteLauncher(data / "agent.json", settings)


def sudo(launcher, text: str) -> None:
    """Put a program in sudo's place."""
    launcher.site.sudo.write_text(f"#!{sys.executable}\nimport sys\n{text}\n")
    launcher.site.sudo.chmod(0o755)


def test_the_settings_choose_the_kind(launcher, tmp_path):
    assert isinstance(make_launcher(tmp_path / "agent.json", launcher.settings), SiteLauncher)
    local = launcher.settings.model_copy(update={"site": None})
    assert isinstance(make_launcher(tmp_path / "agent.json", local), Launcher)


@pytest.mark.parametrize("on_a_site", [True, False])
def test_settings_are_readable_by_everybody_on_a_site_only(launcher, tmp_path, on_a_site):
    settings = launcher.settings if on_a_site else launcher.settings.model_copy(update={"site": None})
    settings.write(tmp_path / "agent.json")
    assert (tmp_path / "agent.json").stat().st_mode & 0o777 == (0o644 if on_a_site else 0o600)
    assert AgentSettings.read(tmp_path / "agent.json") == settings


async def test_the_program_is_called_through_sudo_with_the_socket_as_its_input(launcher):
    sudo(
        launcher,
        "import os, socket\n"
        "s = socket.socket(fileno=0)\n"
        "assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1\n"
        "assert not [name for name in os.environ if name not in ('PATH', 'LANG', 'LC_CTYPE')]\n"
        f"open({str(launcher.folder / 'called')!r}, 'w').write(' '.join(sys.argv[1:]))",
    )
    socket = await launcher.ensure(SOMEBODY)
    words = ["-n", "-u", SOMEBODY, "--", str(launcher.site.program), "agent", SOMEBODY]
    assert (launcher.folder / "called").read_text().split() == words
    assert socket.stat().st_mode & 0o777 == 0o600
    # That program has ended: nothing here may keep the socket open in its place.
    assert not await answers(socket)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("simdeck-launch: it ended with status 1.", "it ended with status 1"),
        ("sudo: a password is required", "sudo does not let the service start it"),
        ("", "ended with status 1 and no word"),
    ],
)
async def test_what_sudo_or_the_launcher_said_last_is_told(launcher, said, told):
    sudo(launcher, f"print('noise', file=sys.stderr) if {said!r} else None; sys.exit({said!r} or 1)")
    with pytest.raises(Problem) as refused:
        await launcher.ensure(SOMEBODY)
    assert refused.value.code == "agent-unavailable"
    assert told in refused.value.detail
    assert sorted(os.listdir(launcher.folder)) == [f"{SOMEBODY}.lock"]


async def test_a_missing_sudo_is_told(launcher):
    with pytest.raises(Problem, match="No such file"):
        await launcher.ensure(SOMEBODY)


async def test_a_launcher_that_hangs_is_given_up(launcher, monkeypatch):
    monkeypatch.setattr(site_launcher, "_PATIENCE", 0.0)
    launcher.settings = launcher.settings.model_copy(update={"start_timeout": 0.2})
    sudo(
        launcher,
        "import os, time\nopen(os.path.dirname(sys.argv[0]) + '/pid', 'w').write(str(os.getpid()))\ntime.sleep(60)",
    )
    with pytest.raises(Problem, match="does not end"):
        await launcher.ensure(SOMEBODY)
    pid = launcher.settings.data / "pid"
    if pid.exists():
        os.kill(int(pid.read_text()), 9)


@pytest.mark.parametrize("user", ["", ".", "..", "a/b", "../x", "-u", "a b", "a\n", "ä", ".hidden"])
def test_a_name_that_is_no_users_makes_no_path(launcher, user):
    with pytest.raises(ValueError, match="not a user name"):
        launcher.socket(user)


@pytest.mark.parametrize(
    ("account", "code"),
    [
        ("root", "agent-account-system"),
        ("no-such-account-here", "agent-account-missing"),
        ("-u", "agent-account-missing"),
        ("#0", "agent-account-missing"),
        ("ALL", "agent-account-missing"),
    ],
)
def test_a_hub_user_is_mapped_to_an_account_of_a_person_only(launcher, account, code):
    launcher.site = launcher.site.model_copy(update={"accounts": {"somebody": account}})
    with pytest.raises(Problem) as refused:
        launcher.account("somebody")
    assert refused.value.code == code


def test_an_account_below_the_lowest_uid_is_refused(launcher):
    launcher.site = launcher.site.model_copy(update={"minimum_uid": 2**31})
    with pytest.raises(Problem) as refused:
        launcher.account(SOMEBODY)
    assert refused.value.code == "agent-account-system"


def test_a_hub_user_without_an_entry_is_the_account_of_the_same_name(launcher):
    assert launcher.account(SOMEBODY) == SOMEBODY


# --- markers ----------------------------------------------------------------------------------------------------------


def says(launcher, *answers: bool) -> None:
    """Have the agent say whether it is active, one answer a question."""
    left = list(answers)

    async def active(_user):
        return left.pop(0)

    launcher._active = active


async def test_the_marker_goes_after_two_quiet_answers_in_a_row(launcher):
    launcher.mark("alice")
    says(launcher, False, True, False, False)
    for expected in (["alice"], ["alice"], ["alice"], []):
        await launcher.look_after("alice")
        assert launcher.marked() == expected


async def test_work_begun_while_the_agent_is_asked_keeps_the_marker(launcher):
    launcher.mark("alice")

    async def active(_user):
        with launcher.working("alice"):
            return False

    launcher._active = active
    for _ in range(3):
        await launcher.look_after("alice")
    assert launcher.marked() == ["alice"]


async def test_a_request_under_way_keeps_the_marker(launcher):
    says(launcher, *[False] * 3)
    with launcher.working("alice"):
        for _ in range(3):
            await launcher.look_after("alice")
    assert launcher.marked() == ["alice"]


async def test_an_agent_that_does_not_answer_keeps_its_marker(launcher):
    launcher.mark("alice")
    for _ in range(3):
        await launcher.look_after("alice")
    assert launcher.marked() == ["alice"]


async def test_an_agent_is_not_asked_more_often_than_the_settings_say(launcher):
    launcher.site = launcher.site.model_copy(update={"status_seconds": 3600.0})
    launcher.mark("alice")
    says(launcher, True)
    for _ in range(3):
        await launcher.look_after("alice")


@pytest.mark.parametrize(("method", "marked"), [("GET", []), ("POST", ["alice"]), ("DELETE", ["alice"])])
async def test_what_can_start_work_is_marked_before_it_is_passed_on(launcher, method, marked):
    seen = []

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        seen.append(launcher.marked())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    path = launcher.socket("alice")
    server = await asyncio.start_unix_server(serve, sock=listen_at(path))
    agents = Agents(launcher)
    client = await agents.client("alice")
    assert (await client.request(method, "/runs")).status_code == 200
    assert seen == [marked]
    await agents.close()
    server.close()


# --- an agent that is not what it should be ---------------------------------------------------------------------------


async def answering(launcher, head: str, chunk: bytes, chunks: int):
    """Serve an answer of ``chunks`` times ``chunk`` in the place of alice's agent."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            for _ in range(chunks):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(serve, sock=listen_at(launcher.socket("alice")))


async def test_an_answer_without_end_is_cut_off(launcher, monkeypatch):
    monkeypatch.setattr(deck_agents, "LONGEST", 10_000)
    server = await answering(launcher, "Connection: close", b"[" * 1000, 1_000_000)
    agents = Agents(launcher)
    with pytest.raises(Problem, match="larger than 10000 bytes"):
        await agents.get_json("alice", "/apps")
    await agents.close()
    server.close()


async def test_a_packed_answer_is_not_unpacked(launcher):
    server = await answering(launcher, "Content-Encoding: gzip\r\nConnection: close", gzip.compress(b"{}"), 1)
    agents = Agents(launcher)
    with pytest.raises(Problem, match="packed"):
        await agents.get_json("alice", "/apps")
    await agents.close()
    server.close()


async def test_what_is_only_passed_on_has_no_limit(launcher, monkeypatch):
    monkeypatch.setattr(deck_agents, "LONGEST", 10)
    server = await answering(launcher, "Connection: close", b"x" * 1000, 3)
    agents = Agents(launcher)
    client = await agents.client("alice")
    answer = await client.get("/runs/1/archive", extensions={deck_agents.PASSED_ON: True})
    assert len(answer.content) == 3000
    await agents.close()
    server.close()


async def test_a_status_without_end_keeps_the_marker(launcher):
    body = b'{"active": false}' + b" " * 1_000_000
    server = await answering(launcher, f"Content-Length: {len(body)}", body, 1)
    launcher.mark("alice")
    for _ in range(2):
        await launcher.look_after("alice")
    assert launcher.marked() == ["alice"]
    server.close()


async def test_only_the_end_of_what_a_talkative_launcher_says_is_kept(launcher):
    sudo(launcher, "[sys.stderr.write('x' * 9999 + chr(10)) for _ in range(200)]; sys.exit('the last word')")
    with pytest.raises(Problem, match="the last word"):
        await launcher.ensure(SOMEBODY)


# --- a user's own folders ---------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and a place for sockets."""
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    me = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd([*me[:5], str(tmp_path / "home"), me[6]]))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "home"


def test_a_users_things_lie_in_their_home_and_the_place_for_sockets_stays(home):
    first, second = account_home(), account_home()
    assert first == second
    assert first.root == site_root(home)
    assert first.root.stat().st_mode & 0o777 == 0o700
    assert first.runtime.stat().st_mode & 0o777 == 0o700


def test_a_place_for_sockets_that_is_gone_or_open_is_made_anew(home):
    first = account_home().runtime
    first.chmod(0o755)
    second = account_home().runtime
    assert second != first
    second.rmdir()
    assert account_home().runtime not in (first, second)


def test_a_link_in_place_of_a_users_folder_is_refused(home, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (home / ".simdeck").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError):
        account_home()


# --- the inherited socket ---------------------------------------------------------------------------------------------


async def serve_on(path: Path, peer_uid: int):
    """Serve one word to everybody let in; returns the server and its socket."""
    with listen_at(path) as listening:
        handle = os.dup(listening.fileno())
    taken = InheritedSocket.take(handle, peer_uid)
    os.close(handle)
    taken.setblocking(False)

    async def answer(_reader, writer):
        writer.write(b"welcome")
        writer.close()

    return await asyncio.start_unix_server(answer, sock=taken), taken


async def hear(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        return await asyncio.wait_for(reader.read(), 120)
    finally:
        writer.close()


async def test_a_peer_of_the_right_user_is_let_in(launcher):
    path = launcher.folder / "s"
    server, _ = await serve_on(path, os.getuid())
    assert await hear(path) == b"welcome"
    server.close()


async def test_a_peer_of_another_user_is_dropped(launcher):
    path = launcher.folder / "s"
    server, _ = await serve_on(path, os.getuid() + 1)
    assert await hear(path) == b""
    server.close()


async def test_who_came_before_the_socket_was_shut_is_served_and_nobody_after(launcher):
    path = launcher.folder / "s"
    server, taken = await serve_on(path, os.getuid())
    reader, writer = await asyncio.open_unix_connection(str(path))
    taken.shut()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_unix_connection(str(path))
    assert await asyncio.wait_for(reader.read(), 120) == b"welcome"
    writer.close()
    server.close()
