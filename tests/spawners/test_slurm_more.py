"""Named servers, tokens, inner TLS, people who go: what a site meets besides starts and crashes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm
from jupyterhub.utils import compare_token
from simdeck_spawners.book import Stage
from simdeck_spawners.testing import World
from traitlets.config import Config

pytestmark = pytest.mark.asyncio(loop_scope="function")


async def test_servers_of_one_person_have_jobs_of_their_own_and_end_apart(world: World) -> None:
    await world.start("alice")
    await world.start("alice", "gpu-app", cores=2)
    await world.until_running("alice")
    await world.until_running("alice", "gpu-app")
    assert sorted(job.cores for job in world.jobs("alice")) == [1, 2]
    await world.stop("alice", "gpu-app")
    await world.until_gone("alice", "gpu-app")
    assert world.ready("alice")
    world.check()


async def test_a_server_goes_to_the_cluster_that_was_chosen(make_world: Callable[..., Any]) -> None:
    site = {"clusters": [{"name": "sim", "command_timeout": 10}, {"name": "other", "command_timeout": 10}]}
    world: World = await make_world(site=site)
    await world.start("alice", cluster="other")
    await world.until_running("alice")
    assert world.entry("alice").cluster == "other"


async def test_url_options_start_the_same_checked_request(world: World) -> None:
    async with world.hub.client("alice") as client:
        user = world.hub.user("alice")
        spawner = user.get_or_create_spawner("", "")
        chosen = spawner.options_from_query({"cores": ["2"], "walltime": ["1:00:00"], "app": ["molecule"]})
        assert (await client.post("/users/alice/server", json=chosen)).status_code in (201, 202)
    await world.until_running("alice")
    options = world.entry("alice").options
    assert (options["cores"], options["walltime_minutes"], options["app"]) == (2, 60, "molecule")


async def test_the_token_is_in_the_orders_alone(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    (job,) = world.jobs()
    token = world.hub.fleet.token(world.entry("alice"))
    files = world.slurm.files[("alice", job.name)]
    assert token in files["server.json"]
    assert token not in job.script
    assert not any(token.encode() in path.read_bytes() for path in (world.folder / "hub").iterdir())


async def test_after_a_restart_the_servers_token_is_known_and_its_sign_in_has_its_scopes(world: World) -> None:
    world.servers.boots.clear()
    await world.start("alice")
    await world.until("the job runs", lambda: world.servers.begun)
    token = world.hub.fleet.token(world.entry("alice"))
    await world.kill_hub()
    await world.hub_again()
    world.servers.boots.set()
    await world.until_running("alice")
    db = world.hub.app.db
    assert orm.APIToken.find(db, token) is not None
    client = db.query(orm.OAuthClient).filter_by(identifier="jupyterhub-user-alice").one()
    assert any(scope.startswith("access:servers") for scope in client.allowed_scopes)
    assert compare_token(client.secret, token)
    await world.stop("alice")
    await world.until_gone("alice")
    assert orm.APIToken.find(db, token) is None


async def test_without_its_key_a_waiting_server_gets_a_new_token(world: World) -> None:
    world.no_room()
    await world.start("alice")
    await world.until("it waits", lambda: world.entry("alice").stage is Stage.SUBMITTED)
    await world.kill_hub()
    (world.folder / "hub" / "servers.key").unlink()
    await world.hub_again()
    await world.until("the orders are written anew", lambda: world.slurm.calls["write"] == 2)
    world.room()
    await world.until_running("alice")
    world.check()


async def test_a_person_who_was_deleted_while_the_hub_was_down_leaves_no_job(world: World) -> None:
    world.no_room()
    await world.start("alice")
    await world.until("it waits", lambda: world.entry("alice").stage is Stage.SUBMITTED)
    await world.kill_hub()
    world.configure = lambda config: config.Authenticator.update({"blocked_users": {"alice"}})
    await world.hub_again()
    await world.until("the job is gone", lambda: not world.jobs())
    world.check()


async def test_the_hub_does_not_count_waiting_jobs_as_starts(world: World) -> None:
    world.no_room()
    for number in range(5):
        assert await world.start(f"user{number}") in (201, 202)
    assert len(world.jobs()) == 5
    assert world.hub.app.concurrent_spawn_limit == 0


async def test_inner_tls_reaches_the_node_with_certificates_made_for_it(
    make_world: Callable[..., Any], tmp_path: Path
) -> None:
    def secure(config: Config) -> None:
        config.JupyterHub.internal_ssl = True
        config.JupyterHub.internal_certs_location = str(tmp_path / "certificates")

    world: World = await make_world(configure=secure, fleet={"boot_timeout": 0, "handshake_timeout": 0})
    watcher = world.hub.fleet.watchers["sim"]
    await world.until("the nodes are known", lambda: watcher.snapshot.nodes)
    world.servers.homes = tmp_path / "homes"
    await world.start("alice", walltime="5h")
    await world.until("the server runs", lambda: world.hub.user("alice").spawner.ready, 60)
    (job,) = world.jobs()
    folder = tmp_path / "homes" / "alice" / ".simdeck" / "servers" / job.name
    assert {"key.pem", "cert.pem", "ca.pem"} <= {path.name for path in folder.iterdir()}
    assert str(world.target("alice")).startswith("https://")
