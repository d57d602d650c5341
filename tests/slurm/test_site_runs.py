"""Two people install the molecule app and calculate at the same time, each as themselves on the compute nodes."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from slurm.site_stack import ALICE, BOB, SiteStack, as_user
from stack import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]
PEOPLE = (ALICE, BOB)
ENDED = {"finished", "failed", "cancelled", "rejected"}
WATER = "3\nwater, off its minimum\nO 0.00 0.00 0.11\nH 0.00 0.76 -0.47\nH 0.00 -0.76 -0.47\n"


def install(client: httpx.Client) -> dict[str, Any]:
    task = client.post("/apps/molecule/install").json()

    def done() -> dict[str, Any] | None:
        now: dict[str, Any] = client.get(f"/tasks/{task['id']}").json()
        return now if now["state"] in {"done", "failed", "cancelled"} else None

    return wait_for("the install", done, 480)


def calculate(client: httpx.Client) -> dict[str, Any]:
    inputs = {"structure": {"name": "water.xyz", "content": WATER}}
    answer = client.post("/runs", json={"workflow": "molecule.optimize", "inputs": inputs, "title": "Water"})
    assert answer.status_code == 202, answer.text
    run = answer.json()["id"]

    def done() -> dict[str, Any] | None:
        now: dict[str, Any] = client.get(f"/runs/{run}").json()
        return now if now["state"] in ENDED else None

    return wait_for("the run", done, 400)


@pytest.fixture(scope="module")
def installed(site: SiteStack) -> dict[str, dict[str, Any]]:
    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        return dict(zip(PEOPLE, pool.map(lambda user: install(site.client(user)), PEOPLE), strict=True))


@pytest.fixture(scope="module")
def runs(site: SiteStack, installed: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        return dict(zip(PEOPLE, pool.map(lambda user: calculate(site.client(user)), PEOPLE), strict=True))


def test_both_install_the_app_into_their_own_home(site: SiteStack, installed: dict[str, dict[str, Any]]) -> None:
    assert {user: (task["state"], task["problem"]) for user, task in installed.items()} == dict.fromkeys(
        PEOPLE, ("done", None)
    )
    for user in PEOPLE:
        assert (site.run / "home" / user / ".simdeck" / "apps" / "molecule" / "current").owner() == user


def test_both_runs_finish_with_the_energy_of_water(runs: dict[str, dict[str, Any]]) -> None:
    assert {user: (run["state"], run["problem"]) for user, run in runs.items()} == dict.fromkeys(
        PEOPLE, ("finished", None)
    )
    energies = [run["summary"]["energy"]["value"] for run in runs.values()]
    assert energies == pytest.approx([-137.97, -137.97], abs=0.05)


def test_each_run_was_a_job_of_its_own_person_on_a_compute_node(
    site: SiteStack, runs: dict[str, dict[str, Any]]
) -> None:
    shown = site.slurm("scontrol", "--oneliner", "show", "job")
    jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in shown.splitlines()]
    calculations = [job for job in jobs if job["JobState"] == "COMPLETED" and not job["JobName"].startswith("simdeck-")]
    if not calculations:
        calculations = [job for job in jobs if job["JobState"] == "COMPLETED"]
    assert {job["UserId"].split("(")[0] for job in calculations} == set(PEOPLE)
    assert {job["BatchHost"] for job in calculations} <= {"cn1", "cn2"}


@pytest.mark.parametrize(("user", "other"), [(ALICE, BOB), (BOB, ALICE)])
def test_a_person_does_not_see_anothers_runs(
    site: SiteStack, runs: dict[str, dict[str, Any]], user: str, other: str
) -> None:
    with site.client(user) as client:
        seen = {run["id"] for run in client.get("/runs").json()["items"]}
        assert runs[user]["id"] in seen
        assert runs[other]["id"] not in seen
        assert client.get(f"/runs/{runs[other]['id']}").status_code == 404
        assert client.get(f"/runs/{runs[other]['id']}/files").status_code == 404


@pytest.mark.parametrize(("user", "other"), [(ALICE, BOB), (BOB, ALICE)])
def test_nothing_a_person_has_is_open_to_another(
    site: SiteStack, runs: dict[str, dict[str, Any]], user: str, other: str
) -> None:
    home = site.run / "home" / other
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / ".simdeck").stat().st_mode) == 0o700
    assert as_user(user, ["ls", str(home / ".simdeck")]).returncode != 0
    for path in sockets_of(other):
        done = as_user(user, ["/usr/bin/python3", "-c", CONNECT, path])
        assert "PermissionError" in done.stderr, path


CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


def sockets_of(user: str) -> list[str]:
    """Return the Unix sockets below folders of ``user`` that something listens on."""
    found = []
    for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()[1:]:
        words = line.split()
        if len(words) == 8 and words[7].startswith("/") and Path(words[7]).exists() and Path(words[7]).owner() == user:
            found.append(words[7])
    return found
