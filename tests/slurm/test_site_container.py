"""A whole server in a container image on a compute node: ready, reached, with an app's kernel, and ended cleanly."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from slurm.job_runs import needs
from slurm.site_images import MARK, RUNTIMES, make_image
from slurm.site_stack import MAIN, TWIN_OPTIONS, SiteStack
from stack import wait_for
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]
ALICE = TWIN_OPTIONS.users[0]
APP = "molecule"
PACKAGES = {"ch-run": "charliecloud", "bwrap": "bubblewrap"}
# What a kernel finds of where it is, and whether it is the app's own environment.
LOOK = f"""\
import ase, json, os
print(json.dumps({{
    "mark": os.path.exists("/{MARK}"),
    "outside": os.path.exists("/var/lib/dpkg"),
    "home": os.path.isdir(os.path.expanduser("~/.simdeck/apps/{APP}")),
    "app": os.environ.get("SIMDECK_APP"),
}}))
"""


@pytest.fixture(scope="module")
def image(twin: SiteStack) -> Iterator[Path]:
    made = make_image(twin.options)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def client(twin: SiteStack) -> Iterator[httpx.Client]:
    with twin.client(ALICE) as found:
        yield found


@pytest.fixture(scope="module")
def installed(client: httpx.Client) -> None:
    """Alice has the app, installed outside of any image."""
    task = client.post(f"/apps/{APP}/install").json()
    ended = {"done", "failed", "cancelled"}

    def done() -> dict[str, Any] | None:
        now: dict[str, Any] = client.get(f"/tasks/{task['id']}").json()
        return now if now["state"] in ended else None

    assert wait_for("the install", done, 480)["state"] == "done"


@pytest.fixture(scope="module", params=RUNTIMES)
def server(request: pytest.FixtureRequest, twin: SiteStack, client: httpx.Client, image: Path) -> Iterator[str]:
    """A running server of Alice's in the image; its name."""
    runtime = str(request.param)
    needs(runtime, PACKAGES[runtime])
    name = f"in-{runtime}"
    options = {
        "cluster": MAIN, "partition": "normal", "cores": 1, "memory": "2 GiB", "walltime": "0:20:00",
        "environment": f"image-{runtime}",
    }  # fmt: skip
    answer = client.post(f"/servers/{name}", json={"options": options})
    assert answer.status_code == 202, answer.text

    def running() -> bool:
        view = client.get(f"/servers/{name}").json()
        assert view["phase"] != "failed", view
        return bool(view["phase"] == "running")

    wait_for(f"the server {name}", running, 300)
    yield name
    client.delete(f"/servers/{name}?remove=true")


def api(twin: SiteStack, server: str) -> httpx.Client:
    headers = {"Authorization": f"token {twin.token(ALICE, 'access:servers!user')}"}
    base = f"{twin.url}/user/{ALICE}/{server}"
    return httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=60)


def printed(base: httpx.Client, kernel: str, code: str) -> str:
    """Run code in a kernel through the proxy and return what it printed."""

    async def ask() -> str:
        url = str(base.base_url).replace("http:", "ws:") + f"api/kernels/{kernel}/channels"
        channel = await websocket_connect(HTTPRequest(url, headers=dict(base.headers)))
        message = {
            "channel": "shell", "header": {"msg_id": "one", "msg_type": "execute_request", "version": "5.3"},
            "parent_header": {}, "metadata": {}, "content": {"code": code, "silent": False},
        }  # fmt: skip
        await channel.write_message(json.dumps(message))
        while (said := await channel.read_message()) is not None:
            found = json.loads(said)
            if found["msg_type"] == "error":
                return "\n".join(found["content"]["traceback"])
            if found["msg_type"] == "stream" and found["content"]["name"] == "stdout":
                return str(found["content"]["text"])
        return ""

    return asyncio.run(asyncio.wait_for(ask(), 90))


def processes_in(image: Path) -> list[str]:
    """Return the command lines of processes whose root is the image, by its mark."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "root" / MARK).exists():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def runtime_folders(twin: SiteStack) -> set[Path]:
    """Return the folders of servers' kernels in the nodes' /tmp."""
    return {path for path in twin.run.glob("slurm/tmp-cn*/simdeck-*-r*") if path.is_dir()}


def test_a_server_in_an_image_answers_through_the_proxy(twin: SiteStack, server: str) -> None:
    with api(twin, server) as base:
        assert base.get("/api/status").status_code == 200


def test_an_apps_kernel_runs_in_the_image_from_the_persons_home(twin: SiteStack, server: str, installed: None) -> None:
    with api(twin, server) as base:
        page = base.get(f"/deck/{APP}/")
        assert page.status_code == 200, page.text[:500]
        answer = base.post("/api/kernels", json={"name": f"simdeck-{APP}"})
        assert answer.status_code == 201, answer.text
        told = printed(base, answer.json()["id"], LOOK)
    assert json.loads(told) == {"mark": True, "outside": False, "home": True, "app": APP}


def test_a_server_in_an_image_ends_with_all_that_ran_in_it(
    twin: SiteStack, server: str, client: httpx.Client, image: Path
) -> None:
    with api(twin, server) as base:
        assert base.post("/api/kernels", json={"name": "python3"}).status_code == 201
    assert processes_in(image)
    folders = runtime_folders(twin)
    view = client.get(f"/servers/{server}").json()
    assert client.delete(f"/servers/{server}").status_code in {202, 204}
    wait_for("the end", lambda: client.get(f"/servers/{server}").json()["phase"] == "none", 240)
    wait_for("the end of what ran in it", lambda: not processes_in(image), 180)
    state = twin.slurm("squeue", "--noheader", "--states=all", "--jobs", view["job"]["id"], "--format=%T").strip()
    assert state in {"CANCELLED", "COMPLETED"}, state
    # With bwrap the node's /tmp is not the server's own: nothing of it is there before either.
    assert len(runtime_folders(twin)) == len(folders) - (server == "in-ch-run")
