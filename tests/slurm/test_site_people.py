"""The whole of `make site`: two people sign in, and all that is theirs runs as themselves, out of the other's reach."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import httpx
import pytest
from slurm.site_stack import ALICE, BOB, SiteStack, as_user
from stack import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]
PEOPLE = (ALICE, BOB)


@pytest.fixture(scope="module")
def servers(site: SiteStack) -> dict[str, dict[str, str]]:
    """Start both people's servers at the same time; return each one's job: user, node, id."""
    for user in PEOPLE:
        with site.client(user) as client:
            if client.get("/server").json()["state"] != "running":
                assert client.post("/server").status_code in {200, 202}
    found = {}
    for user in PEOPLE:
        with site.client(user) as client:
            wait_for(f"{user}'s server", lambda client=client: client.get("/server").json()["state"] == "running", 300)
        listed = site.slurm("squeue", "--noheader", "--user", user, "--states=RUNNING", "--format=%j %A %u %N")
        (line,) = [line for line in listed.splitlines() if not line.startswith("simdeck-calc-")]
        found[user] = dict(zip(("name", "id", "user", "node"), line.split(), strict=True))
    return found


@pytest.mark.parametrize("user", PEOPLE)
def test_each_person_signs_in_with_a_one_time_password(site: SiteStack, user: str) -> None:
    page = site.sign_in(user).get("/services/deck/")
    assert page.status_code == 200
    assert user in page.text


def test_the_first_person_alone_looks_after_the_site(site: SiteStack) -> None:
    told = {}
    for user in PEOPLE:
        with site.client(user) as client:
            told[user] = "admin" in client.get("/me").json()["scopes"]
    assert told == {ALICE: True, BOB: False}


def test_hub_proxy_and_deck_run_as_the_service_user_without_rights(site: SiteStack) -> None:
    owners = {}
    for part, words in {
        "hub": " -m jupyterhub ",
        "deck": " -m simdeck_deck",
        "proxy": "/configurable-http-proxy",
    }.items():
        owners[part] = {owner for command, owner in processes_of(site) if words in command}
    assert owners == {part: {site.options.service} for part in ("hub", "deck", "proxy")}


@pytest.mark.parametrize("user", PEOPLE)
def test_a_server_is_a_batch_job_of_its_own_user_on_a_compute_node(
    site: SiteStack, servers: dict[str, dict[str, str]], user: str
) -> None:
    job = servers[user]
    assert job["user"] == user
    assert job["node"] in {"cn1", "cn2"}
    listing = site.on(job["node"], ["ps", "-e", "-o", "user:32=,args="])
    own = [line for line in listing.splitlines() if line.split()[0] == user and "simdeck_spawners.server" in line]
    assert len(own) == 1


@pytest.mark.parametrize("user", PEOPLE)
def test_a_persons_server_opens_for_them_and_for_nobody_else(
    site: SiteStack, servers: dict[str, dict[str, str]], user: str
) -> None:
    other = BOB if user == ALICE else ALICE
    token = site.token(user, "access:servers!user")
    strange = site.token(other)

    def status(key: str) -> int:
        headers = {"Authorization": f"token {key}"}
        return httpx.get(f"{site.url}/user/{user}/api/status", headers=headers, trust_env=False, timeout=30).status_code

    assert status(token) == 200
    assert status(strange) in {403, 404}


def test_no_secret_stands_in_a_job_script_its_environment_or_any_argument(
    site: SiteStack, servers: dict[str, dict[str, str]]
) -> None:
    orders = (site.run / "home" / ALICE / ".simdeck" / "servers").glob("*/server.json")
    words = [word for path in orders for word in path.read_text(encoding="utf-8").split('"')]
    tokens = [word for word in words if len(word) >= 32 and word.isalnum()]
    assert tokens
    script = site.slurm("scontrol", "write", "batch_script", servers[ALICE]["id"], "-")
    shown = site.slurm("scontrol", "show", "job", servers[ALICE]["id"])
    commands = " ".join(command for command, _ in processes())
    assert not [token for token in tokens if token in script or token in shown or token in commands]


@pytest.mark.parametrize(("user", "other"), [(ALICE, BOB), (BOB, ALICE)])
def test_a_person_sees_nothing_of_another_in_the_file_system(
    site: SiteStack, servers: dict[str, dict[str, str]], user: str, other: str
) -> None:
    home = site.run / "home" / other
    for closed in (home, site.data / "hub", site.data / "private", site.data / "agents", site.data / "logs"):
        done = as_user(user, ["ls", str(closed)])
        assert done.returncode != 0, f"{user} can list {closed}: {done.stdout}"
    # uv makes its lock files for everybody; the folder above lets nobody in.
    loose = [
        path
        for path in (home / ".simdeck").rglob("*")
        if not path.is_symlink() and path.name != ".lock" and stat.S_IMODE(path.stat().st_mode) & 0o002
    ]
    assert not loose


def test_everybody_can_read_what_agents_and_servers_need(site: SiteStack) -> None:
    for path in ("agent.json", "registry/api/v2/index.json"):
        assert as_user(BOB, ["cat", str(site.data / path)]).returncode == 0
    wheels = list((site.data / "registry" / "files").rglob("*.whl"))
    assert wheels
    assert as_user(BOB, ["md5sum", *map(str, wheels)]).returncode == 0


def test_a_person_cannot_speak_to_anothers_agent_or_to_their_own_past_the_deck(site: SiteStack) -> None:
    with site.client(ALICE) as client:
        assert client.get("/status").json()["user"] == ALICE
    ask = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
    for user in PEOPLE:
        done = as_user(user, ["/usr/bin/python3", "-c", ask, str(site.data / "agents" / f"{ALICE}.sock")])
        assert "PermissionError" in done.stderr


def test_a_person_may_not_use_the_launcher_of_the_service(site: SiteStack) -> None:
    program = str(site.options.folder / "prefix" / "libexec" / "simdeck-launch")
    done = as_user(BOB, ["sudo", "-n", "-u", ALICE, "--", program, "check"])
    assert done.returncode != 0


def test_the_service_may_become_nobody_but_the_people_and_run_nothing_but_the_launcher(site: SiteStack) -> None:
    program = str(site.options.folder / "prefix" / "libexec" / "simdeck-launch")
    service = site.options.service
    assert as_user(service, ["sudo", "-n", "-u", ALICE, "--", program, "check"]).returncode == 0
    for user, argv in ((ALICE, ["id"]), ("root", [program, "check"]), ("nobody", [program, "check"])):
        assert as_user(service, ["sudo", "-n", "-u", user, "--", *argv]).returncode != 0


def processes() -> list[tuple[str, str]]:
    """Return (command line, owner) of every process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((f"{command} ", pwd.getpwuid(entry.stat().st_uid).pw_name))
            except (OSError, KeyError):
                continue
    return found


def processes_of(site: SiteStack) -> list[tuple[str, str]]:
    """Return (command line, owner) of the processes that were started with this site's data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"SIMDECK_DATA={site.data}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append((f"{command} ", pwd.getpwuid(entry.stat().st_uid).pw_name))
            except (OSError, KeyError):
                continue
    return found


def test_who_looks_after_the_site_sees_people_and_cannot_become_one_of_them(site: SiteStack) -> None:
    headers = {"Authorization": f"token {site.token(ALICE)}"}
    with httpx.Client(base_url=f"{site.url}/hub/api", headers=headers, trust_env=False, timeout=30) as client:
        assert {user["name"] for user in client.get("/users").json()} >= set(PEOPLE)
        assert client.post(f"/users/{BOB}/tokens", json={"note": "mine now"}).status_code in {403, 404}
