"""On a node that several people share: another's server answers with the hub's sign-in, another's kernels not at all."""

from __future__ import annotations

import contextlib
import json
import pwd
import secrets
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from slurm.site_stack import ALICE, BOB, SiteStack
from stack import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]

NOTE = "alices-note.txt"

# One person's process on the node asks a server there. Its orders, with the token, come on standard input.
ASK = """
import http.client, json, sys
orders = json.load(sys.stdin)
found = {}
for name, (path, upgrade) in orders["paths"].items():
    headers = {"Authorization": "token " + orders["token"]} if orders["token"] else {}
    if upgrade:
        headers |= {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                    "Sec-WebSocket-Key": "c2ltZGVjay1zaW1kZWNrIQ=="}
    connection = http.client.HTTPConnection(orders["host"], orders["port"], timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = "" if answer.status == 101 else answer.read(1000000).decode(errors="replace")
    found[name] = {"status": answer.status, "to": answer.getheader("Location") or "", "body": body}
    connection.close()
print(json.dumps(found))
"""

# As root: the Unix sockets below folders of a user that something on this node listens on.
SOCKETS = """
import json, os, sys
found = []
for line in open("/proc/net/unix").readlines()[1:]:
    words = line.split(None, 7)
    path = words[7].strip() if len(words) == 8 else ""
    if words[3] == "00010000" and path.startswith("/") and os.path.exists(path):
        if os.stat(path).st_uid == int(sys.argv[1]):
            found.append(path)
print(json.dumps(found))
"""

CONNECT = """
import json, socket, sys
found = {}
for path in json.load(sys.stdin):
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(path)
        found[path] = "open"
    except OSError as error:
        found[path] = type(error).__name__
print(json.dumps(found))
"""

# As root: the TCP ports that a user's processes listen on, on this node.
PORTS = """
import json, sys
found = []
for table in ("/proc/net/tcp", "/proc/net/tcp6"):
    for line in open(table).readlines()[1:]:
        words = line.split()
        if words[3] == "0A" and words[7] == sys.argv[1]:
            found.append(int(words[1].rpartition(":")[2], 16))
print(json.dumps(sorted(found)))
"""

# Ask a ZeroMQ socket what kind it is, as whoever connects is told. A web server waits in silence for the end of a line.
KIND = """
import json, socket, sys
found = {}
for port in json.load(sys.stdin):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        one.sendall(b"\\xff" + bytes(8) + b"\\x7f\\x03\\x00" + b"NULL".ljust(20, b"\\0") + bytes(32))
        answer = b""
        while b"Socket-Type" not in answer or len(answer) < answer.index(b"Socket-Type") + 19:
            try:
                part = one.recv(1000)
            except TimeoutError:
                part = b""
            if not part:
                break
            answer += part
        rest = answer.partition(b"Socket-Type")[2]
        found[port] = rest[4:4 + int.from_bytes(rest[:4], "big")].decode()
print(json.dumps(found))
"""


def run_on(
    site: SiteStack, node: str, script: str, *, user: str = "root", given: Any = None, words: tuple[str, ...] = ()
) -> Any:
    """Run a Python script on a node as an account; return the JSON that it prints."""
    argv = ["runuser", "-u", user, "--", "/usr/bin/python3", "-I", "-c", script, *words]
    done = subprocess.run(
        site.trial.slurm.nodes[node].argv(argv), input=json.dumps(given), capture_output=True, text=True,
        check=False, timeout=270,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ports_on(site: SiteStack, node: str) -> list[int]:
    found: list[int] = run_on(site, node, PORTS, words=(str(pwd.getpwnam(ALICE).pw_uid),))
    return found


def processes_of(user: str) -> list[str]:
    """Return what an account runs, for a failed test's message."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == pwd.getpwnam(user).pw_uid:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


class Shared:
    """The node on which Alice's server runs, with a kernel of hers and a note in her home."""

    def __init__(self, site: SiteStack, node: str) -> None:
        self.site, self.node = site, node
        self.base = f"/user/{ALICE}"
        self.secret = secrets.token_hex(16)
        self.tokens = {ALICE: site.token(ALICE, "access:servers!user"), BOB: site.token(BOB, "access:servers!user")}
        self.kernel = ""
        # Kernels that wait for a page have ports of their own kind.
        ports = [port for port, kind in self.run(KIND, given=self.ports()).items() if kind != "PULL"]
        assert len(ports) == 1, f"{ports} on {node}: {processes_of(ALICE)}"
        self.port = int(ports[0])

    def run(self, script: str, *, user: str = "root", given: Any = None, words: tuple[str, ...] = ()) -> Any:
        """Run a Python script on the node as an account; return the JSON that it prints."""
        return run_on(self.site, self.node, script, user=user, given=given, words=words)

    def ports(self) -> list[int]:
        return ports_on(self.site, self.node)

    def sockets(self) -> list[str]:
        found: list[str] = self.run(SOCKETS, words=(str(pwd.getpwnam(ALICE).pw_uid),))
        return found

    def ask(self, user: str, token: str | None) -> dict[str, dict[str, Any]]:
        """What a process of ``user`` on the node gets from Alice's server."""
        paths = {
            "status": (f"{self.base}/api/status", False),
            "kernels": (f"{self.base}/api/kernels", False),
            "folder": (f"{self.base}/api/contents", False),
            "page": (f"{self.base}/lab", False),
            "note": (f"{self.base}/files/{NOTE}", False),
            "channels": (f"{self.base}/api/kernels/{self.kernel}/channels", True),
        }
        orders = {"host": "127.0.0.1", "port": self.port, "token": token, "paths": paths}
        found: dict[str, dict[str, Any]] = self.run(ASK, user=user, given=orders)
        return found


@pytest.fixture(scope="module")
def shared(site: SiteStack) -> Shared:
    with site.client(ALICE) as client:
        # Whatever earlier tests left running has ports and kernels of its own.
        for one in client.get("/servers").json()["items"]:
            client.delete(f"/servers/{one['name']}?remove=true")
        wait_for("the end of all her jobs", lambda: not site.slurm("squeue", "--noheader", "--user", ALICE), 300)
        wait_for("a stopped server", lambda: client.get("/server").json()["state"] == "stopped", 180)
        # A kernel whose server is gone notices it a moment after the job has left the queue.
        try:
            wait_for("free nodes", lambda: not any(ports_on(site, node) for node in site.trial.slurm.nodes), 180)
        except AssertionError as error:
            raise AssertionError(f"{error}: {processes_of(ALICE)}") from None
        assert client.post("/server").status_code in {200, 202}
        wait_for("the server", lambda: client.get("/server").json()["state"] == "running", 300)
    listed = site.slurm("squeue", "--noheader", "--user", ALICE, "--states=RUNNING", "--format=%j %N")
    (node,) = {line.split()[1] for line in listed.splitlines() if not line.startswith("simdeck-calc-")}
    found = Shared(site, node)
    headers = {"Authorization": f"token {found.tokens[ALICE]}"}
    with httpx.Client(base_url=f"{site.url}{found.base}/api", headers=headers, trust_env=False, timeout=60) as client:
        note = {"type": "file", "format": "text", "content": found.secret}
        assert client.put(f"/contents/{NOTE}", json=note).status_code in {200, 201}
        answer = client.post("/kernels", json={})
        assert answer.status_code == 201, answer.text
        found.kernel = answer.json()["id"]
    wait_for("the kernel", lambda: found.sockets() or found.ports() != [found.port])
    return found


def test_alice_reaches_her_own_server_from_the_node(shared: Shared) -> None:
    told = shared.ask(ALICE, shared.tokens[ALICE])
    assert {told[name]["status"] for name in ("status", "kernels", "folder", "note")} == {200}
    assert told["channels"]["status"] == 101
    assert shared.secret in told["note"]["body"]


@pytest.mark.parametrize("signed", [True, False], ids=["with-his-own-token", "without-a-token"])
def test_bob_on_the_same_node_gets_only_the_hubs_sign_in(shared: Shared, signed: bool) -> None:
    told = shared.ask(BOB, shared.tokens[BOB] if signed else None)
    assert told
    for name, answer in told.items():
        assert answer["status"] in {302, 403}, (name, answer)
        if answer["status"] == 302:
            to = answer["to"]
            assert "/hub/api/oauth2/authorize" in to or "/hub/login" in to or f"{shared.base}/login" in to, (name, to)
        for content in (shared.secret, NOTE, shared.kernel):
            assert content not in answer["body"], name


def test_no_port_of_alices_on_the_node_but_her_servers_gives_anything_out(shared: Shared) -> None:
    others = [port for port in shared.ports() if port != shared.port]
    # ipykernel gathers what its forked children print on a port of its own: it takes messages that name a secret, and
    # has nothing to say to anybody.
    assert set(shared.run(KIND, user=BOB, given=others).values()) == {"PULL"}


def test_bob_on_the_same_node_cannot_reach_the_sockets_of_alices_kernels(shared: Shared) -> None:
    sockets = shared.sockets()
    assert sockets
    assert set(shared.run(CONNECT, user=ALICE, given=sockets).values()) == {"open"}
    assert set(shared.run(CONNECT, user=BOB, given=sockets).values()) == {"PermissionError"}
