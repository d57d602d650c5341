"""Stopping and starting `simdeck up` on a site: agents and servers belong to their people and go on."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import httpx
import pytest
from slurm.site_stack import ALICE, SiteStack
from stack import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


def jobs(site: SiteStack) -> list[str]:
    return site.slurm("squeue", "--noheader", "--user", ALICE, "--states=RUNNING", "--format=%A").split()


def agents(user: str) -> list[int]:
    """Return the pids of the user's agents on this machine."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"simdeck_agent" in words and pwd.getpwuid(entry.stat().st_uid).pw_name == user:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def of_the_service(site: SiteStack) -> list[str]:
    uid = pwd.getpwnam(site.options.service).pw_uid
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.stat(entry).st_uid == uid:
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return found


def test_stopping_ends_proxy_hub_and_deck_alone_and_the_next_start_finds_everything(site: SiteStack) -> None:
    with site.client(ALICE) as client:
        if client.get("/server").json()["state"] != "running":
            assert client.post("/server").status_code in {200, 202}
        wait_for("the server", lambda: client.get("/server").json()["state"] == "running", 300)
        agent = client.get("/status").json()["pid"]
    (job,) = jobs(site)
    assert agents(ALICE) == [agent]

    site.stop_up()
    assert of_the_service(site) == []
    assert agents(ALICE) == [agent]
    assert jobs(site) == [job]

    site.start_up()
    token = site.token(ALICE, "access:servers!user")
    with site.client(ALICE) as client:
        wait_for("the server to be known again", lambda: client.get("/server").json()["state"] == "running", 180)
        assert client.get("/status").json()["pid"] == agent
    headers = {"Authorization": f"token {token}"}
    answer = httpx.get(f"{site.url}/user/{ALICE}/api/status", headers=headers, trust_env=False, timeout=30)
    assert answer.status_code == 200
    assert jobs(site) == [job]
