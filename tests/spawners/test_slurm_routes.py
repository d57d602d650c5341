"""The hub's routes of ours: who may ask what, and what is refused."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from simdeck_clusters.models import JobState
from simdeck_clusters.simulated import SimulatedNode
from simdeck_spawners.testing import World

pytestmark = pytest.mark.asyncio(loop_scope="function")


async def waiting(world: World, user: str = "alice") -> str:
    """Bring a server to the point where it should announce itself; return its token."""
    world.servers.silent = True
    await world.start(user)
    await world.until("the job runs", lambda: world.servers.begun)
    return world.hub.fleet.token(world.entry(user))


async def ready(world: World, token: str, body: Any) -> int:
    async with world.hub.client("nobody") as client:
        headers = {"Authorization": f"token {token}"}
        answer = await client.post("/simdeck/ready", content=json.dumps(body), headers=headers)
        return answer.status_code


BODIES: list[Any] = [
    {"port": 80}, {"port": 65536}, {"port": "8888"}, {"port": True}, {"port": 8888.0}, {"port": None}, {}, [], 8888,
    {"port": 8888, "ip": "10.0.0.1"}, {"port": 8888, "cmd": ["sh"]},
]  # fmt: skip


async def test_a_server_may_say_one_whole_number_in_the_range_of_ports_and_nothing_else(world: World) -> None:
    token = await waiting(world)
    answers = {json.dumps(body): await ready(world, token, body) for body in BODIES}
    assert {body for body, status in answers.items() if status not in (400, 422)} == set()
    assert world.entry("alice").port == 0


async def test_only_the_servers_own_token_may_announce_it(world: World) -> None:
    await waiting(world)
    for user in ("alice", "mallory"):
        async with world.hub.client(user) as client:
            assert (await client.post("/simdeck/ready", json={"port": 8888})).status_code == 403
    assert await ready(world, "0" * 32, {"port": 8888}) in (401, 403)
    assert world.entry("alice").port == 0


async def test_an_announcement_is_refused_once_the_server_runs(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    entry = world.entry("alice")
    other = entry.port + 1 if entry.port < 65535 else entry.port - 1
    assert await ready(world, world.hub.fleet.token(entry), {"port": other}) == 409
    assert world.entry("alice").port == entry.port
    assert world.ready("alice")


async def test_batchspawners_own_handler_is_not_mounted(world: World) -> None:
    async with world.hub.client("alice") as client:
        assert (await client.post("/batchspawner", json={"port": 8888})).status_code == 404


async def test_people_see_their_own_servers_and_no_others(world: World) -> None:
    await world.start("alice", "side")
    await world.until_running("alice", "side")
    async with world.hub.client("alice") as alice, world.hub.client("mallory") as mallory:
        names = [one["name"] for one in (await alice.get("/simdeck/servers")).json()["items"]]
        assert names == ["-", "side"]
        assert (await alice.get("/simdeck/servers/side")).json()["phase"] == "running"
        assert (await mallory.get("/simdeck/servers/side")).status_code == 404
        assert (await mallory.get("/simdeck/servers/side/bundle")).status_code == 404
        assert [one["name"] for one in (await mallory.get("/simdeck/servers")).json()["items"]] == ["-"]


async def test_a_token_without_the_scope_is_refused(world: World) -> None:
    async with world.hub.client("alice", scopes=["read:users:name!user"]) as client:
        for path in ("/simdeck/servers", "/simdeck/servers/-", "/simdeck/clusters"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")
    async with world.hub.client("alice", scopes=["read:servers!user"]) as client:
        assert (await client.get("/simdeck/servers/-")).status_code == 200
        assert (await client.post("/simdeck/estimate", json={"options": {}})).status_code == 403
    async with world.hub.client("alice") as client:
        assert (await client.get("/simdeck/servers", headers={"Authorization": "token x"})).status_code in (401, 403)


async def test_a_job_that_waits_shows_place_reason_and_remedy(world: World) -> None:
    world.no_room()
    for user in ("alice", "bob"):
        await world.start(user)
    async with world.hub.client("bob") as client:
        view: dict[str, Any] = {}
        while not (view.get("job") or {}).get("reason_text"):
            view = (await client.get("/simdeck/servers/-")).json()
            await world.hub.fleet.changed(world.entry("bob").id, 1)
    assert view["phase"] == "queued"
    assert view["job"]["position"] == 2
    assert view["job"]["remedy"]
    assert view["elapsed"] >= 0
    assert view["options"]["cores"] == 1


async def test_progress_carries_the_whole_view(world: World) -> None:
    world.servers.boots.clear()
    await world.start("alice")
    phases: list[str] = []
    async with (
        world.hub.client("alice") as client,
        client.stream("GET", "/users/alice/server/progress") as stream,
    ):
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                if "simdeck" in event:
                    phases.append(event["simdeck"]["phase"])
                    if event["simdeck"]["phase"] == "booting":
                        world.servers.boots.set()
                if event.get("ready"):
                    break
    assert "booting" in phases
    assert phases == sorted(phases, key=["submitting", "unknown", "queued", "booting", "connecting", "running"].index)


async def test_the_bundle_for_support_holds_the_story_and_no_token(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    (job,) = world.jobs()
    token = world.hub.fleet.token(world.entry("alice"))
    world.slurm.files[("alice", job.name)]["job.log"] = "something broke\n"
    world.slurm.finish(job.id, code=1, state=JobState.OUT_OF_MEMORY)
    await world.until_gone("alice")
    async with world.hub.client("alice") as client:
        answer = await client.get("/simdeck/servers/-/bundle")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {"README.txt", "server.json", "job.json", "job.log"} == set(texts)
    assert "something broke" in texts["job.log"]
    assert json.loads(texts["server.json"])["failure"]["code"] == "server-out-of-memory"
    assert not any(token in text for text in texts.values())


async def test_what_may_be_chosen_comes_with_live_limits_and_their_age(make_world: Any) -> None:
    site = {
        "presets": [{"name": "small", "title": "Small", "cores": 1}],
        "policies": [{"groups": ["*"], "max_cores": 4, "max_walltime": "2h"}],
    }
    world: World = await make_world(site=site, accounting=True, accounts={"alice": ["chem", "teaching"]})
    watcher = world.hub.fleet.watchers["sim"]
    await world.until("the nodes are known", lambda: watcher.snapshot.facts_taken)
    async with world.hub.client("alice") as client:
        (cluster,) = (await client.get("/simdeck/clusters")).json()["items"]
    (partition,) = cluster["partitions"]
    assert partition["limits"] == {"cores": 4, "memory_mb": 128000, "gpus": 0, "walltime_minutes": 120}
    assert partition["free"]["cores"] == 16
    assert [one["name"] for one in cluster["accounts"]] == ["chem", "teaching"]
    assert cluster["age"] >= 0
    assert cluster["presets"][0]["options"] == {"cores": 1, "cluster": "sim"}


async def test_an_estimate_tells_the_start_the_cost_and_what_starts_sooner(make_world: Any) -> None:
    nodes = [SimulatedNode("localhost", cores=4)]
    world: World = await make_world(nodes=nodes)
    await world.start("alice", cores=3, walltime="2h")
    await world.until_running("alice")
    async with world.hub.client("bob") as client:
        answer = await client.post("/simdeck/estimate", json={"options": {"cores": 2, "walltime": "4h"}})
        body = answer.json()
        assert body["cost"]["core_hours"] == 8
        assert body["start"] is not None
        assert any(one["options"]["cores"] == 1 for one in body["sooner"])
        refused = await client.post("/simdeck/estimate", json={"options": {"cores": 64}})
        assert (refused.status_code, refused.json()["field"]) == (422, "cores")
    assert len(world.slurm.machine.jobs) == 1


def wait_for_refusals(world: World) -> None:
    """Have the hub wait for what becomes of a start, however slow the machine: else it says soon that it takes its time."""
    world.hub.app.tornado_application.settings["slow_spawn_timeout"] = 60


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cores": 64}, "cores"),
    ({"partition": "normal\n#SBATCH --uid=0"}, "partition"),
    ({"partition": "secret"}, "partition"),
    ({"environment": "$(id)"}, "environment"),
    ({"homedir": "/root"}, "homedir"),
    ({"walltime": "900d"}, "walltime_minutes"),
]


async def test_what_may_not_be_had_is_refused_at_the_start_and_nothing_is_submitted(world: World) -> None:
    watcher = world.hub.fleet.watchers["sim"]
    await world.until("the limits are known", lambda: watcher.snapshot.partitions)
    wait_for_refusals(world)
    async with world.hub.client("alice") as client:
        for options, field in REFUSED:
            answer = await client.post("/users/alice/server", json=options)
            assert 400 <= answer.status_code < 500, options
            assert json.loads(answer.headers["X-Simdeck-Problem"])["field"] == field
    assert world.slurm.calls["sbatch"] == 0
    assert world.hub.fleet.book.latest("alice", "") is None


async def test_a_site_may_limit_how_many_servers_a_person_has(make_world: Any) -> None:
    world: World = await make_world(site={"policies": [{"groups": ["*"], "max_servers": 1}]})
    assert await world.start("alice") in (201, 202)
    wait_for_refusals(world)
    assert await world.start("alice", "second") == 403
    assert len(world.jobs()) == 1
