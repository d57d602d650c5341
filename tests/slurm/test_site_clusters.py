"""A site of two clusters, each a real Slurm with a network of its own: chosen by the person, watched and ended apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from simdeck_hub.trial.cluster import PrivateSlurm
from slurm.site_stack import MAIN, OLD, TWIN_OPTIONS, SiteStack
from stack import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]
ALICE = TWIN_OPTIONS.users[0]
SMALL = {"partition": "normal", "cores": 1, "memory": "512 MiB", "walltime": "0:20:00"}
TITLE = "Trial cluster old"
SERVERS = {MAIN: "on-main", OLD: "on-old"}


def slurm_of(site: SiteStack, cluster: str) -> PrivateSlurm:
    return site.trial.clusters[cluster]


def queue(site: SiteStack, cluster: str) -> dict[str, str]:
    """Return what a cluster's own `squeue` shows of Alice: state by job id."""
    listed = slurm_of(site, cluster).slurm("squeue", "--noheader", "--user", ALICE, "--format=%A %T")
    return dict(line.split() for line in listed.splitlines())


def ask(client: httpx.Client, cluster: str) -> None:
    """Ask for a server on a cluster, as the form does."""
    answer = client.post(f"/servers/{SERVERS[cluster]}", json={"options": SMALL | {"cluster": cluster}})
    assert answer.status_code == 202, answer.text


def view(client: httpx.Client, cluster: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/servers/{SERVERS[cluster]}").json()
    return found


def wait_running(client: httpx.Client, cluster: str) -> dict[str, Any]:
    def running() -> dict[str, Any] | None:
        found = view(client, cluster)
        assert found["phase"] != "failed", found
        return found if found["phase"] == "running" and found["job"]["state"] == "RUNNING" else None

    return wait_for(f"the server on {cluster}", running, 300)


def status(site: SiteStack, cluster: str) -> int:
    """Return what Alice's server on a cluster answers her through the proxy."""
    headers = {"Authorization": f"token {site.token(ALICE, 'access:servers!user')}"}
    url = f"{site.url}/user/{ALICE}/{SERVERS[cluster]}/api/status"
    return httpx.get(url, headers=headers, trust_env=False, timeout=30).status_code


def unknown(client: httpx.Client) -> dict[str, bool]:
    """Return of each cluster whether the page says that it does not answer."""
    return {one["name"]: one["unknown_since"] is not None for one in client.get("/clusters").json()["items"]}


@pytest.fixture(scope="module")
def client(twin: SiteStack) -> Iterator[httpx.Client]:
    with twin.client(ALICE) as found:
        yield found


@pytest.fixture
def both(twin: SiteStack, client: httpx.Client) -> dict[str, dict[str, Any]]:
    """A server of Alice's on each cluster, running; by the clusters' names."""
    for cluster in SERVERS:
        # One that is being ended can be asked for only when it has.
        wait_for(f"the end on {cluster}", lambda name=cluster: view(client, name).get("phase") != "ending", 240)
        if view(client, cluster).get("phase") != "running":
            ask(client, cluster)
    return {cluster: wait_running(client, cluster) for cluster in SERVERS}


@pytest.fixture
def drained(twin: SiteStack) -> Iterator[None]:
    """One of the partitions that both clusters have takes no jobs on one of them."""
    slurm_of(twin, OLD).slurm("scontrol", "update", "PartitionName=debug", "State=DRAIN")
    yield
    slurm_of(twin, OLD).slurm("scontrol", "update", "PartitionName=debug", "State=UP")


def test_a_person_chooses_between_clusters_with_numbers_of_their_own(twin: SiteStack, client: httpx.Client) -> None:
    def known() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = client.get("/clusters").json()["items"]
        return items if all(one["partitions"][0]["free"]["cores"] for one in items) else []

    items = wait_for("the clusters' numbers", known)
    assert [one["name"] for one in items] == [MAIN, OLD]
    assert [one["title"] for one in items] == ["Trial cluster", TITLE]


def test_servers_run_on_both_clusters_at_once_and_are_reached(twin: SiteStack, both: dict[str, dict[str, Any]]) -> None:
    for cluster, found in both.items():
        assert found["job"]["cluster"] == cluster
        assert queue(twin, cluster) == {found["job"]["id"]: "RUNNING"}
        assert status(twin, cluster) == 200


def test_an_estimate_asks_the_cluster_that_was_chosen(client: httpx.Client, drained: None) -> None:
    # Both have a partition of this name; only the other cluster's takes nothing.
    wanted = SMALL | {"partition": "debug", "walltime": "0:05:00"}
    told = client.post("/server/estimate", json={"options": wanted | {"cluster": MAIN}})
    assert (told.status_code, bool(told.json()["start"])) == (200, True), told.text
    told = client.post("/server/estimate", json={"options": wanted | {"cluster": OLD}})
    assert told.status_code == 422, told.text
    assert TITLE in told.json()["detail"]


def test_ending_a_server_ends_the_job_of_its_own_cluster(
    twin: SiteStack, client: httpx.Client, both: dict[str, dict[str, Any]]
) -> None:
    # Both clusters count from one, so a job of the same id is on each.
    assert both[MAIN]["job"]["id"] == both[OLD]["job"]["id"]
    assert client.delete(f"/servers/{SERVERS[OLD]}").status_code in {202, 204}
    wait_for("the end of its job", lambda: not queue(twin, OLD), 180)
    assert queue(twin, MAIN) == {both[MAIN]["job"]["id"]: "RUNNING"}
    assert status(twin, MAIN) == 200


def test_a_refusal_names_the_cluster_it_comes_from(client: httpx.Client, drained: None) -> None:
    wanted = SMALL | {"partition": "debug", "walltime": "0:05:00", "cluster": OLD}
    assert client.post("/servers/refused", json={"options": wanted}).status_code in {202, 422}

    def failed() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get("/servers/refused").json()
        return found if found["phase"] == "failed" else None

    found = wait_for("the refusal", failed)
    client.delete("/servers/refused?remove=true")
    assert found["job"]["cluster"] == OLD
    assert TITLE in found["failure"]["detail"], found["failure"]


def test_a_job_that_is_cancelled_on_one_cluster_fails_the_server_there(
    twin: SiteStack, client: httpx.Client, both: dict[str, dict[str, Any]]
) -> None:
    slurm_of(twin, OLD).slurm("scancel", both[OLD]["job"]["id"])
    failed = wait_for("the failure", lambda: view(client, OLD)["phase"] == "failed" and view(client, OLD), 240)
    assert failed["job"]["cluster"] == OLD
    assert failed["failure"]["code"].startswith("server-cancelled")
    assert view(client, MAIN)["phase"] == "running"


def test_while_one_clusters_controller_is_away_the_other_goes_on_as_ever(
    twin: SiteStack, client: httpx.Client, both: dict[str, dict[str, Any]]
) -> None:
    away = slurm_of(twin, OLD)
    away.stop_daemon("controller")
    try:
        wait_for("it to be noticed", lambda: unknown(client) == {MAIN: False, OLD: True}, 240)
        # Its server lives on, and is not taken for gone.
        assert (view(client, OLD)["phase"], view(client, OLD)["unknown_since"] is None) == ("running", False)
        assert view(client, MAIN)["unknown_since"] is None
        assert {status(twin, cluster) for cluster in SERVERS} == {200}
        # The other cluster's servers end and start as ever.
        assert client.delete(f"/servers/{SERVERS[MAIN]}").status_code in {202, 204}
        wait_for("the end of its job", lambda: not queue(twin, MAIN), 180)
        wait_for("its end to be known", lambda: view(client, MAIN)["phase"] == "none", 180)
        ask(client, MAIN)
        wait_running(client, MAIN)
        # What is asked of the one that is away is done when it is back.
        assert client.delete(f"/servers/{SERVERS[OLD]}").status_code in {202, 204}
        assert view(client, OLD)["phase"] == "ending"
    finally:
        away.start_controller()
    wait_for("the end of its job", lambda: not queue(twin, OLD), 300)
    wait_for("both to be known", lambda: unknown(client) == {MAIN: False, OLD: False}, 180)
    assert view(client, MAIN)["phase"] == "running"


def test_a_hub_that_starts_while_a_cluster_is_away_knows_the_servers_of_both(
    twin: SiteStack, both: dict[str, dict[str, Any]]
) -> None:
    away = slurm_of(twin, OLD)
    twin.stop_up()
    away.stop_daemon("controller")
    try:
        twin.start_up()
        with twin.client(ALICE) as client:
            wait_for("both servers", lambda: {status(twin, cluster) for cluster in SERVERS} == {200}, 240)
            assert unknown(client) == {MAIN: False, OLD: True}
            assert {cluster: view(client, cluster)["job"]["id"] for cluster in SERVERS} == {
                cluster: found["job"]["id"] for cluster, found in both.items()
            }
    finally:
        away.start_controller()
    with twin.client(ALICE) as client:
        wait_for("both to be known", lambda: unknown(client) == {MAIN: False, OLD: False}, 180)


def test_kernels_of_a_server_that_was_killed_are_gone_with_its_job(
    twin: SiteStack, client: httpx.Client, both: dict[str, dict[str, Any]]
) -> None:
    headers = {"Authorization": f"token {twin.token(ALICE, 'access:servers!user')}"}
    url = f"{twin.url}/user/{ALICE}/{SERVERS[MAIN]}/api/kernels"
    assert httpx.post(url, headers=headers, json={}, trust_env=False, timeout=60).status_code == 201
    running = processes_on_nodes(twin)
    assert any("ipykernel" in line for line in running), running
    (server,) = [line for line in running if "simdeck_spawners.server" in line]
    twin.on(both[MAIN]["job"]["nodes"], ["kill", "-KILL", server.split()[1]])
    wait_for("the job's end", lambda: not queue(twin, MAIN), 180)
    assert processes_on_nodes(twin) == []
    assert wait_for("the reason", lambda: view(client, MAIN)["failure"], 180)["code"] == "server-crashed"


def processes_on_nodes(twin: SiteStack) -> list[str]:
    """Return what runs of Alice on the first cluster's nodes."""
    listings = [twin.on(node, ["ps", "-e", "-o", "user:32=,pid=,args="]) for node in twin.trial.slurm.nodes]
    return [line for listing in listings for line in listing.splitlines() if line.split()[0] == ALICE]
