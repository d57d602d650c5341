"""PostgreSQL with a role and a database for each user: who reaches what, and runs whose server goes away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy_app
from simdeck_common.problems import Problem
from simdeck_deck.server_extension.aiida_profile import make, own_aiida, profile_of, refusal
from simdeck_hub.people import person
from simdeck_hub.places import DataFolder
from simdeck_hub.postgres_admin import provision, reaches
from simdeck_hub.site_file import Site
from simdeck_workflows import storage
from simdeck_workflows.copies import postgresql
from simdeck_workflows.models import RunState
from simdeck_workflows.storage import Database, StorageError, StorageInUse
from storage.pg_server import PostgresServer
from toy_oven import Oven

pytestmark = pytest.mark.backend

Made = tuple[DataFolder, Site]


def database_of(made: Made, name: str) -> Database:
    return provision(*made, person(name, *made))


def password_of(database: Database) -> str:
    assert database.passfile is not None
    return database.passfile.read_text().strip().rpartition(":")[2]


def test_a_user_gets_a_role_and_a_database_and_the_second_time_the_same(pg_data: Made, server: PostgresServer) -> None:
    first = database_of(pg_data, "alice")
    password = password_of(first)
    assert database_of(pg_data, "alice") == first
    assert password_of(first) == password
    assert reaches(person("alice", *pg_data), first)
    assert server.super("SELECT datcollate FROM pg_database WHERE datname = 'simdeck_alice';") == "C.UTF-8"


def test_a_password_is_in_its_users_file_alone(pg_data: Made, server: PostgresServer) -> None:
    database = database_of(pg_data, "alice")
    assert database.passfile is not None
    assert database.passfile.stat().st_mode & 0o777 == 0o600
    assert password_of(database) not in (server.folder / "log").read_text()


def test_bobs_role_cannot_connect_to_alices_database_nor_to_any_other(pg_data: Made, server: PostgresServer) -> None:
    alice, bob = database_of(pg_data, "alice"), database_of(pg_data, "bob")
    assert server.ask("SELECT 1;", bob.role, password_of(bob), bob.name).stdout.strip() == "1"
    every = server.super("SELECT datname FROM pg_database WHERE datallowconn;").split()
    assert alice.name in every
    for name in every:
        if name != bob.name:
            assert "permission denied" in server.ask("SELECT 1;", bob.role, password_of(bob), name).stderr


def test_a_users_role_can_make_neither_roles_nor_databases(pg_data: Made, server: PostgresServer) -> None:
    bob = database_of(pg_data, "bob")
    for sql in ("CREATE ROLE mallory;", "CREATE DATABASE mallory;", f"SET ROLE {database_of(pg_data, 'alice').role};"):
        assert "permission denied" in server.ask(sql, bob.role, password_of(bob), bob.name).stderr


def test_a_lost_password_file_is_made_anew(pg_data: Made) -> None:
    database = database_of(pg_data, "bob")
    assert database.passfile is not None
    before = password_of(database)
    database.passfile.unlink()
    assert password_of(database_of(pg_data, "bob")) != before
    assert reaches(person("bob", *pg_data), database)


def test_a_cluster_whose_databases_are_open_to_all_is_refused(pg_data: Made, server: PostgresServer) -> None:
    server.super("CREATE DATABASE others;")
    try:
        with pytest.raises(Problem) as refused:
            database_of(pg_data, "carol")
        assert refused.value.code == "storage-databases-open"
        assert "others" in refused.value.detail
    finally:
        server.super("DROP DATABASE others;")


def test_a_role_with_rights_is_not_given_to_a_user(pg_data: Made, server: PostgresServer) -> None:
    server.super("CREATE ROLE simdeck_dave LOGIN CREATEROLE;")
    with pytest.raises(Problem) as refused:
        database_of(pg_data, "dave")
    assert refused.value.code == "storage-role-powerful"


def test_a_server_that_is_not_there_is_said_in_its_own_words(pg_data: Made, tmp_path: Path) -> None:
    section = pg_data[1].storage.model_copy(update={"host": str(tmp_path)})
    with pytest.raises(Problem) as refused:
        provision(pg_data[0], pg_data[1].model_copy(update={"storage": section}), person("alice", *pg_data))
    assert refused.value.code == "storage-server"
    assert "No such file or directory" in refused.value.detail


@pytest.fixture(scope="module")
async def pg_oven(pg_data: Made, open_oven: Callable[..., Any]) -> Oven:
    """Alice's backend, whose profile is made in her database."""
    await asyncio.to_thread(database_of, pg_data, "alice")
    return await open_oven(pg_data[0].root, "alice", server=pg_data[1].storage.server(on_site=False))


async def test_a_new_profile_is_in_the_users_database(pg_oven: Oven, pg_data: Made) -> None:
    run = await pg_oven.end(pg_oven.bake(steps=2))
    assert run.state is RunState.FINISHED
    used = StorageInUse.read(pg_oven.home.workflows / "aiida")
    assert used is not None
    assert used.postgresql == database_of(pg_data, "alice")
    assert int(postgresql.ask(used.postgresql, "SELECT count(*) FROM db_dbnode;")) > 5
    config = (pg_oven.home.workflows / "aiida" / ".aiida" / "config.json").read_text()
    assert password_of(used.postgresql) not in config


async def test_an_aiidalab_apps_own_aiida_knows_the_schema_of_a_profile_in_postgresql(pg_oven: Oven) -> None:
    await pg_oven.end(pg_oven.bake(steps=1))
    profile = profile_of(pg_oven.home.apps)
    assert profile.made
    own = own_aiida(toy_app.BACKEND_PYTHON.parent.parent)
    assert own is not None
    assert refusal(own, profile) == ""


async def test_an_aiidalab_app_that_is_opened_first_makes_the_profile_in_postgresql(
    pg_data: Made, open_oven: Callable[..., Any]
) -> None:
    await asyncio.to_thread(database_of, pg_data, "frank")
    oven = await open_oven(pg_data[0].root, "frank", server=pg_data[1].storage.server(on_site=False))
    assert await make(toy_app.BACKEND_PYTHON, profile_of(oven.home.apps))
    used = StorageInUse.read(oven.home.workflows / "aiida")
    assert used is not None
    assert used.postgresql == storage.read(oven.home)
    assert (await oven.end(oven.bake(steps=1))).state is RunState.FINISHED


async def test_a_worker_whose_postgresql_is_restarted_goes_on_and_loses_no_run(
    pg_oven: Oven, server: PostgresServer
) -> None:
    rounds = int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "0")) // 40 or 1
    for number in range(rounds):
        runs = [pg_oven.bake(steps=20 + count) for count in range(3)]
        await pg_oven.event(runs[0], "progress")
        await asyncio.to_thread(server.stop, "immediate" if number % 2 else "fast")
        accepted = pg_oven.bake(steps=2)
        await asyncio.to_thread(server.start)
        for run in [*runs, accepted]:
            assert (await pg_oven.end(run)).state is RunState.FINISHED
    begun = pg_oven.computed()
    assert len(begun) == len(set(begun))


async def test_a_database_of_an_earlier_profile_is_not_taken_over(pg_oven: Oven, tmp_path: Path) -> None:
    database = storage.read(pg_oven.home)
    assert database is not None
    code = (
        "import sys; from pathlib import Path; from simdeck_workflows.engine import postgres;"
        "from simdeck_workflows.storage import Database;"
        "postgres.make_profile(None, 'simdeck', Database.model_validate_json(sys.argv[1]), Path(sys.argv[2]), {})"
    )
    argv = [str(toy_app.BACKEND_PYTHON), "-c", code, database.model_dump_json(), str(tmp_path)]
    process = await asyncio.create_subprocess_exec(
        *argv, stderr=asyncio.subprocess.PIPE, env={**os.environ, "AIIDA_PATH": str(tmp_path)}
    )
    _, said = await process.communicate()
    assert "holds the nodes of an earlier profile" in said.decode()


def test_a_dump_of_a_database_that_cannot_be_reached_is_refused(tmp_path: Path) -> None:
    nowhere = Database(host=str(tmp_path), port=5432, role="alice", name="alice")
    with pytest.raises(StorageError):
        postgresql.dump(nowhere, tmp_path / "dump")
