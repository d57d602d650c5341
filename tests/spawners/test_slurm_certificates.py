"""Inner TLS: each server's own pair, for the nodes its job may get, whoever starts it and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from simdeck_spawners.testing import World
from traitlets.config import Config

pytestmark = pytest.mark.asyncio(loop_scope="function")
Files = dict[str, str]


@pytest.fixture
def secure(tmp_path: Path) -> Callable[[Config], None]:
    def configure(config: Config) -> None:
        config.JupyterHub.internal_ssl = True
        config.JupyterHub.internal_certs_location = str(tmp_path / "certificates")
        config.SimdeckSlurmSpawner.ssl_alt_names = []

    return configure


def names(files: Files) -> set[str]:
    found = x509.load_pem_x509_certificate(files["cert.pem"].encode())
    value = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    numbers = value.get_values_for_type(x509.IPAddress)
    return {*value.get_values_for_type(x509.DNSName), *(str(one) for one in numbers)}


def is_pair(files: Files) -> bool:
    key = load_pem_private_key(files["key.pem"].encode(), None)
    certificate = x509.load_pem_x509_certificate(files["cert.pem"].encode())
    return key.public_key() == certificate.public_key()


def files_of(world: World, server: str = "") -> Files | None:
    """Return the files that were written for the server's job."""
    job_name = world.entry("alice", server).job_name
    return world.slurm.files.get(("alice", job_name))


async def written(world: World, server: str = "") -> Files:
    files: Files = await world.until("the orders are written", lambda: files_of(world, server))
    return files


async def test_a_start_that_an_earlier_hub_left_gets_a_certificate_for_its_nodes(
    make_world: Callable[..., Any], secure: Callable[[Config], None]
) -> None:
    world: World = await make_world(configure=secure)
    world.no_room()
    world.crash_at("after-intent")
    await world.start("alice")
    await world.crash_and_return()
    assert "127.0.0.2" in names(await written(world))


async def test_a_certificate_waits_until_the_nodes_are_known(
    make_world: Callable[..., Any], secure: Callable[[Config], None]
) -> None:
    world: World = await make_world(configure=secure)
    world.no_room()
    world.crash_at("after-intent")
    await world.start("alice")
    world.slurm.fault("scontrol", "error")
    await world.crash_and_return()
    fleet = world.hub.fleet
    await world.until("it is taken up", lambda: fleet.submitting(world.entry("alice")))
    before = world.slurm.calls["squeue"]
    await world.until("the queue is asked again", lambda: world.slurm.calls["squeue"] > before + 2)
    assert files_of(world) is None
    assert world.entry("alice").failure is None
    world.slurm.heal()
    assert "127.0.0.2" in names(await written(world))


async def test_two_servers_of_one_person_that_start_at_once_get_a_pair_each(
    make_world: Callable[..., Any], secure: Callable[[Config], None]
) -> None:
    world: World = await make_world(configure=secure)
    watcher = world.hub.fleet.watchers["sim"]
    await world.until("the nodes are known", lambda: watcher.snapshot.nodes)
    world.no_room()
    servers = ["", "one", "two", "three"]
    await asyncio.gather(*(world.start("alice", server) for server in servers))
    found = [await written(world, server) for server in servers]
    assert all(is_pair(files) for files in found)
    assert len({files["key.pem"] for files in found}) == len(servers)


async def test_the_names_of_one_start_are_not_kept_for_the_next(
    make_world: Callable[..., Any], secure: Callable[[Config], None]
) -> None:
    world: World = await make_world(configure=secure)
    watcher = world.hub.fleet.watchers["sim"]
    await world.until("the nodes are known", lambda: watcher.snapshot.nodes)
    spawner = world.hub.user("alice").get_or_create_spawner("", "")
    given = spawner.ssl_alt_names
    world.no_room()
    await world.start("alice")
    await written(world)
    assert spawner.ssl_alt_names == given
