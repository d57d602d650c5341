"""Servers on the real cluster that ask for something special, and what they are told before their time is up."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from slurm.site_stack import ALICE, SiteStack
from stack import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]
SMALL = {"cluster": "simdeck", "partition": "normal", "cores": 1, "memory": "512 MiB", "environment": "default"}


def started(client: httpx.Client, name: str, **options: Any) -> dict[str, Any]:
    """Start a named server and return its view once it runs."""
    answer = client.post(f"/servers/{name}", json={"options": SMALL | options})
    assert answer.status_code == 202, answer.text

    def running() -> dict[str, Any] | None:
        view: dict[str, Any] = client.get(f"/servers/{name}").json()
        assert view["phase"] != "failed", view
        # The server speaks for itself sooner than the queue is read again: node and end are known a moment later.
        return view if view["phase"] == "running" and view["walltime_left"] else None

    return wait_for(f"the server {name}", running, 300)


def test_a_server_that_asks_for_a_gpu_has_it_in_slurms_books(site: SiteStack) -> None:
    with site.client(ALICE) as client:
        view = started(client, "with-gpu", partition="gpu", gpus=1, walltime="0:20:00")
        told = site.slurm("scontrol", "show", "job", view["job"]["id"])
        assert re.search(r"TresPerNode=\S*gpu|gres/gpu(:\w+)?=1", told), told
        assert "cn2" in view["job"]["nodes"], view["job"]
        client.delete("/servers/with-gpu?remove=true")


def test_slurms_warning_reaches_the_server_and_is_written_down(site: SiteStack) -> None:
    with site.client(ALICE) as client:
        view = started(client, "warned", walltime="0:20:00")
        assert 0 < view["walltime_left"] <= 20 * 60
        job = view["job"]["id"]
        folder = site.run / "home" / ALICE / ".simdeck" / "servers" / view["job"]["name"]
        # What Slurm itself sends to the batch script (`--signal=B:USR1`), minutes before the end.
        site.slurm("scancel", "--batch", "--signal=USR1", job)
        warning = wait_for(
            "the warning", lambda: (folder / "warning.json").exists() and (folder / "warning.json").read_text()
        )
        assert json.loads(warning)
        assert client.get("/servers/warned").json()["phase"] == "running"
        client.delete("/servers/warned?remove=true")


def test_the_next_job_is_started_beside_the_ending_one_with_the_same_options(site: SiteStack) -> None:
    with site.client(ALICE) as client:
        first = started(client, "first", walltime="0:20:00")
        answer = client.post("/servers/first/continue", json={})
        assert answer.status_code == 202, answer.text
        name = answer.json()["name"]
        assert name != "first"
        second = wait_for("the next job", lambda: _running(client, name), 300)
        assert second["job"]["id"] != first["job"]["id"]
        assert second["options"]["memory_mb"] == first["options"]["memory_mb"]
        for one in ("first", name):
            client.delete(f"/servers/{one}?remove=true")


def _running(client: httpx.Client, name: str) -> dict[str, Any] | None:
    view: dict[str, Any] = client.get(f"/servers/{name}").json()
    return view if view["phase"] == "running" else None
