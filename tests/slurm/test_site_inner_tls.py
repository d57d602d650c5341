"""A whole site with `internal_tls = true`: hub, proxy and the servers on the nodes speak TLS and know each other."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from simdeck_hub.inner_tls import CLIENT, InnerTls
from simdeck_hub.places import DataFolder
from simdeck_hub.trial.trial import Options, Trial
from slurm.site_stack import SiteStack, as_user, missing_for_slurm
from slurm.traces import processes_below, traces
from stack import wait_for
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]
ALICE, BOB = "sdl-alice", "sdl-bob"
OPTIONS = Options(
    folder=Path("/var/lib/simdeck-trial-tls"), users=(ALICE, BOB), service="sdl-service", group="sdl-people"
)
CERTIFICATES = ("key.pem", "cert.pem", "ca.pem")


class TlsTrial(Trial):
    def write_site(self) -> None:
        """Write the usual site file and switch the inner TLS on in it."""
        super().write_site()
        text = self.site_file.read_text(encoding="utf-8")
        self.site_file.write_text(text.replace("[hub]\n", "[hub]\ninternal_tls = true\n"), encoding="utf-8")


class TlsSite(SiteStack):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, options=OPTIONS)
        self.trial = TlsTrial(self.options, say=self._say)

    def runtime(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.data / "hub" / "runtime.json").read_text(encoding="utf-8"))
        return found

    def job(self, user: str) -> tuple[str, str]:
        """Return the id of the job of the user's running server, and its node."""

        def found() -> list[str]:
            listed = self.slurm("squeue", "--noheader", "--user", user, "--states=RUNNING", "--format=%A %N %j")
            return [line for line in listed.splitlines() if "simdeck-calc-" not in line]

        (line,) = wait_for("the job", found, 300)
        return line.split()[0], line.split()[1]

    def start_server(self, user: str) -> None:
        with self.client(user) as client:
            if client.get("/server").json()["state"] != "running":
                assert client.post("/server").status_code in {200, 202}
        self.wait_running(user)

    def wait_running(self, user: str) -> None:
        with self.client(user) as client:
            wait_for(f"{user}'s server", lambda: client.get("/server").json()["state"] == "running", 300)

    def status(self, user: str) -> int:
        """Return what the user's server answers them through the proxy."""
        headers = {"Authorization": f"token {self.token(user, 'access:servers!user')}"}
        return httpx.get(f"{self.url}/user/{user}/api/status", headers=headers, trust_env=False, timeout=30).status_code

    def address_of(self, user: str) -> tuple[str, int]:
        """Return where the user's server listens on its node, as the server itself told its log."""
        _, node = self.job(user)
        shown = self.slurm("scontrol", "--oneliner", "show", "node", node)
        found = re.search(r"NodeAddr=(\S+)", shown)
        assert found
        (log,) = (self.run / "home" / user / ".simdeck" / "servers").glob("*/job.log")
        port = int(re.findall(r"https://0\.0\.0\.0:(\d+)/", log.read_text(encoding="utf-8"))[-1])
        return found.group(1), port


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSite]:
    """The whole of `make site`, with the inner TLS; one server runs."""
    reason = missing_for_slurm()
    if reason:
        pytest.skip(reason)
    names = (*OPTIONS.users, OPTIONS.service, OPTIONS.group)
    running = TlsSite(tmp_path_factory.mktemp("tls"))
    with running:
        running.start_server(ALICE)
        yield running
    assert not traces(names)["accounts"]
    assert not processes_below(running.run)
    assert not running.run.exists()


def answers(address: tuple[str, int], context: ssl.SSLContext | None) -> bool:
    """Return whether a request is answered in HTTP; sent with TLS where a context is given."""
    try:
        with socket.create_connection(address, timeout=20) as plain:
            connection = context.wrap_socket(plain) if context else plain
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1")
    except (ssl.SSLError, ConnectionResetError):
        return False


def without_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def with_certificate(certificate: Path, key: Path) -> ssl.SSLContext:
    context = without_certificate()
    context.load_cert_chain(certificate, key)
    return context


def of_part(site: TlsSite, name: str) -> ssl.SSLContext:
    tls = InnerTls(site.data / "private" / "tls")
    return with_certificate(tls.certificate(name), tls.key(name))


def of_server(site: TlsSite, user: str) -> ssl.SSLContext:
    """Return how a user's server presents itself."""
    (key,) = (site.run / "home" / user / ".simdeck" / "servers").glob("*/key.pem")
    return with_certificate(key.with_name("cert.pem"), key)


def test_a_server_on_a_node_answers_its_person_through_the_proxy(site: TlsSite) -> None:
    assert site.status(ALICE) == 200


def test_signing_in_leads_to_the_deck(site: TlsSite) -> None:
    page = site.sign_in(ALICE).get("/services/deck/")
    assert page.status_code == 200
    assert ALICE in page.text


def test_a_person_signs_in_at_their_server(site: TlsSite) -> None:
    page = site.sign_in(ALICE).get(f"/user/{ALICE}/lab")
    assert page.status_code == 200
    assert urlsplit(str(page.url)).path.startswith(f"/user/{ALICE}/lab")


def test_a_kernel_answers_through_the_proxy(site: TlsSite) -> None:
    headers = {"Authorization": f"token {site.token(ALICE, 'access:servers!user')}"}
    base = f"{site.url}/user/{ALICE}/api/kernels"
    kernel = httpx.post(base, headers=headers, json={}, trust_env=False, timeout=60).json()["id"]

    async def ask() -> str:
        request = HTTPRequest(f"{base}/{kernel}/channels".replace("http:", "ws:"), headers=headers)
        channel = await websocket_connect(request)
        message = {
            "channel": "shell", "header": {"msg_id": "one", "msg_type": "execute_request", "version": "5.3"},
            "parent_header": {}, "metadata": {}, "content": {"code": "print(6 * 7)", "silent": False},
        }  # fmt: skip
        await channel.write_message(json.dumps(message))
        while (said := await channel.read_message()) is not None:
            found = json.loads(said)
            if found["msg_type"] == "stream":
                return str(found["content"]["text"])
        return ""

    assert asyncio.run(asyncio.wait_for(ask(), 60)) == "42\n"


def test_the_hub_answers_only_who_has_a_certificate(site: TlsSite) -> None:
    runtime = site.runtime()
    hub = (str(runtime["node_address"]), int(str(runtime["hub_port"])))
    assert answers(hub, of_part(site, CLIENT))
    assert answers(hub, of_server(site, ALICE))
    assert not answers(hub, without_certificate())
    assert not answers(hub, None)


def test_a_server_answers_hub_and_proxy_alone(site: TlsSite) -> None:
    address = site.address_of(ALICE)
    assert answers(address, of_part(site, "hub-internal"))
    assert answers(address, of_part(site, "proxy-client"))
    assert not answers(address, without_certificate())
    assert not answers(address, None)
    # What another server has is no way in either.
    assert not answers(address, of_server(site, ALICE))


def test_the_proxys_own_interface_asks_for_a_certificate(site: TlsSite) -> None:
    address = ("127.0.0.1", int(str(site.runtime()["proxy_api_port"])))
    assert answers(address, of_part(site, "hub-internal"))
    assert not answers(address, without_certificate())
    assert not answers(address, None)


def test_doctor_finds_hub_and_deck_and_reaches_the_hub_from_a_node(site: TlsSite) -> None:
    program = site.options.folder / "prefix" / "env" / "bin" / "simdeck"
    places = {"SIMDECK_DATA": str(site.data), "SIMDECK_SITE": str(site.trial.site_file)}
    said = as_user(site.options.service, [str(program), "doctor"], places).stdout
    address = site.runtime()["node_address"]
    assert "hub and deck answer" in said, said
    assert re.search(rf"cn[12] reaches {address}:\d+, {address}:{site.runtime()['hub_port']}\n", said), said


def test_keys_are_closed_to_everybody_but_their_owner(site: TlsSite) -> None:
    folders = list((site.run / "home" / ALICE / ".simdeck" / "servers").glob("*/key.pem"))
    assert folders
    for key in folders:
        assert {(key.parent / name).owner() for name in CERTIFICATES} == {ALICE}
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE((site.data / "private").stat().st_mode) == 0o700
    keys = list((site.data / "private" / "tls").glob("*/*.key"))
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_a_server_is_reached_again_after_the_next_start_with_the_same_certificates(site: TlsSite) -> None:
    job, _ = site.job(ALICE)
    before = (site.data / "private" / "tls" / "hub-internal" / "hub-internal.crt").read_bytes()
    site.stop_up()
    site.start_up()
    site.wait_running(ALICE)
    assert site.status(ALICE) == 200
    assert site.job(ALICE)[0] == job
    assert (site.data / "private" / "tls" / "hub-internal" / "hub-internal.crt").read_bytes() == before


def test_a_server_that_waits_while_the_hub_is_away_is_reached_when_it_runs(site: TlsSite) -> None:
    def pending() -> bool:
        return bool(site.slurm("squeue", "--noheader", "--user", BOB, "--states=PENDING", "--format=%A").strip())

    site.slurm("scontrol", "update", "NodeName=cn1,cn2", "State=DRAIN", "Reason=test")
    try:
        with site.client(BOB) as client:
            assert client.post("/server").status_code in {200, 202}
        wait_for("the job to wait", pending, 180)
        site.stop_up()
        assert pending()
        site.start_up()
    finally:
        site.slurm("scontrol", "update", "NodeName=cn1,cn2", "State=RESUME")
    site.wait_running(BOB)
    assert site.status(BOB) == 200


def test_a_server_that_slurm_starts_again_on_another_node_is_reached_there(site: TlsSite) -> None:
    job, node = site.job(ALICE)
    other = "cn2" if node == "cn1" else "cn1"
    site.slurm("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    try:
        site.slurm("scontrol", "requeue", job)
        # Slurm keeps a requeued job back for two minutes; its time can be given.
        wait_for("the job to wait", lambda: "PENDING" in site.slurm("scontrol", "show", "job", job), 180)
        site.slurm("scontrol", "update", f"JobId={job}", "StartTime=now")
        wait_for("the other node", lambda: site.job(ALICE) == (job, other), 400)
        wait_for("the server to answer there", lambda: site.status(ALICE) == 200, 300)
    finally:
        site.slurm("scontrol", "update", f"NodeName={node}", "State=RESUME")


def test_two_servers_of_one_person_that_start_at_once_are_both_reached(site: TlsSite) -> None:
    options = {"partition": "normal", "cores": 1, "memory": "512 MiB", "walltime": "0:20:00"}
    names = ("one", "two")

    def start(name: str) -> int:
        with site.client(BOB) as client:
            return client.post(f"/servers/{name}", json={"options": options}).status_code

    with ThreadPoolExecutor(len(names)) as pool:
        assert set(pool.map(start, names)) == {202}
    headers = {"Authorization": f"token {site.token(BOB, 'access:servers!user')}"}
    with site.client(BOB) as client:
        for name in names:
            wait_for(name, lambda name=name: client.get(f"/servers/{name}").json()["phase"] == "running", 300)
            url = f"{site.url}/user/{BOB}/{name}/api/status"
            assert httpx.get(url, headers=headers, trust_env=False, timeout=30).status_code == 200
        keys = {path.read_bytes() for path in (site.run / "home" / BOB / ".simdeck" / "servers").glob("*/key.pem")}
        assert len(keys) >= len(names)
        for name in names:
            client.delete(f"/servers/{name}?remove=true")


def test_another_address_gets_the_hub_another_certificate_and_keeps_the_rest(tmp_path: Path) -> None:
    tls = InnerTls.of(DataFolder(tmp_path))
    made = []
    for address in ("10.1.2.3", "10.1.2.3", "hub.cluster"):
        tls.make(address, tmp_path / "tls.log", os.environ)
        made.append([tls.certificate(name).read_bytes() for name in ("hub-internal", "notebooks-ca", CLIENT)])
    first, second, third = made
    assert first == second
    assert first[0] != third[0]
    assert first[1:] == third[1:]
    assert tls.context().cert_store_stats()["x509_ca"] > 0


def test_what_a_killed_start_left_half_made_is_made_anew(tmp_path: Path) -> None:
    tls = InnerTls.of(DataFolder(tmp_path))
    tls.folder.mkdir(parents=True)
    (tls.folder / "certipy.json").write_text('{"hub-ca', encoding="utf-8")
    tls.make("10.1.2.3", tmp_path / "tls.log", os.environ)
    assert tls.context()
