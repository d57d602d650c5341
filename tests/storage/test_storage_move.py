"""A profile moves from SQLite to PostgreSQL: the same runs, the same numbers, and nothing lost by a kill at any step."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simdeck_hub.backups import back_up
from simdeck_hub.people import person
from simdeck_hub.places import DataFolder
from simdeck_hub.postgres_admin import provision
from simdeck_hub.restores import restore
from simdeck_hub.site_file import Site
from simdeck_workflows.copies import postgresql
from simdeck_workflows.models import RunState
from simdeck_workflows.storage import Database, StorageInUse
from toy_oven import Oven, until

pytestmark = pytest.mark.backend

Made = tuple[DataFolder, Site]
SIMDECK = Path(sys.executable).parent / "simdeck"

KILLED = """
import os, sys
from simdeck_workflows.engine import move
said, last = move.reached, sys.argv.pop(1)
def reached(step):
    said(step)
    if step == last:
        os._exit(9)
move.reached = reached
move.main()
"""


async def call(argv: list[str], **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**os.environ, **environment}
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def simdeck(made: Made, *words: str) -> tuple[int, str]:
    return await call([str(SIMDECK), *words], SIMDECK_DATA=str(made[0].root))


async def killed_at(oven: Oven, database: Database, step: str) -> tuple[int, str]:
    return await call(
        [
            str(oven.toy.BACKEND_PYTHON), "-c", KILLED, step, "--root", str(oven.home.root),
            "--runtime", str(oven.home.runtime), "--database", database.model_dump_json(),
        ]
    )  # fmt: skip


def used_by(oven: Oven) -> StorageInUse:
    used = StorageInUse.read(oven.home.workflows / "aiida")
    assert used is not None
    return used


async def contents(oven: Oven, run: str) -> dict[str, str]:
    found = {}
    for entry in await oven.backend.files(run):
        pieces = [piece async for piece in await oven.backend.open_file(run, entry.path)]
        found[entry.path] = hashlib.sha256(b"".join(pieces)).hexdigest()
    return found


def numbers(oven: Oven) -> list[tuple[int, str]]:
    """The nodes' numbers and UUIDs in the SQLite file."""
    with contextlib.closing(sqlite3.connect(used_by(oven).repository / "database.sqlite")) as connection:
        return [(row[0], row[1]) for row in connection.execute("SELECT id, uuid FROM db_dbnode ORDER BY id")]


class Had:
    """What alice had in SQLite: a run, its results, files, graph, and the numbers of all nodes."""

    def __init__(self, oven: Oven, run: str) -> None:
        self.oven, self.run = oven, run
        self.outputs = oven.backend.outputs(run)
        self.nodes = numbers(oven)
        self.files: dict[str, str] = {}
        self.graph: Any = None


@pytest.fixture(scope="module")
async def had(pg_data: Made, open_oven: Callable[..., Any]) -> Had:
    oven = await open_oven(pg_data[0].root, "erin", idle_seconds=300.0)
    run = await oven.end(oven.bake(steps=3))
    assert run.state is RunState.FINISHED
    found = Had(oven, run.id)
    found.files, found.graph = await contents(oven, run.id), await oven.backend.graph(run.id)
    return found


async def test_an_unfinished_run_keeps_the_profile_where_it_is(had: Had, pg_data: Made) -> None:
    going = had.oven.bake(steps=1000)
    await had.oven.event(going, "progress")
    code, said = await simdeck(pg_data, "storage", "move", "--to", "postgresql", "--user", "erin")
    assert code == 1
    assert "Something of erin is unfinished" in said
    assert used_by(had.oven).kind == "sqlite"
    await had.oven.backend.cancel(going.id)
    assert (await had.oven.end(going)).state is RunState.CANCELLED
    had.nodes = numbers(had.oven)


@pytest.mark.parametrize("step", ["locked", "noted", "table db_dblink", "copied", "verified"])
async def test_a_move_killed_before_the_switch_leaves_the_profile_as_it_was(had: Had, pg_data: Made, step: str) -> None:
    database = await asyncio.to_thread(provision, *pg_data, person("erin", *pg_data))
    code, said = await killed_at(had.oven, database, step)
    assert (code, said.splitlines()[-1]) == (9, step)
    assert used_by(had.oven).kind == "sqlite"
    assert numbers(had.oven) == had.nodes


async def test_a_move_killed_after_the_switch_is_finished_by_the_next(had: Had, pg_data: Made) -> None:
    database = await asyncio.to_thread(provision, *pg_data, person("erin", *pg_data))
    code, said = await killed_at(had.oven, database, "switched")
    assert (code, said.splitlines()[-1]) == (9, "switched")
    assert used_by(had.oven).postgresql == database
    code, said = await simdeck(pg_data, "storage", "move", "--to", "postgresql", "--user", "erin")
    assert code == 0, said
    assert json.loads((had.oven.home.workflows / "move.json").read_text())["state"] == "moved"
    assert numbers(had.oven) == had.nodes


async def test_after_the_move_everything_is_the_same_and_runs_go_on(had: Had) -> None:
    database = used_by(had.oven).postgresql
    assert database is not None
    rows = postgresql.ask(database, "SELECT id, uuid FROM db_dbnode ORDER BY id;").splitlines()
    assert [(int(row.split("|")[0]), row.split("|")[1]) for row in rows] == had.nodes
    assert had.oven.backend.outputs(had.run) == had.outputs
    assert await contents(had.oven, had.run) == had.files
    assert await had.oven.backend.graph(had.run) == had.graph
    assert (await had.oven.end(had.oven.bake(steps=2))).state is RunState.FINISHED
    assert numbers(had.oven) == had.nodes
    assert int(postgresql.ask(database, "SELECT max(id) FROM db_dbnode;")) > had.nodes[-1][0]


async def test_a_backup_of_a_moved_user_is_restored_into_another_database(
    had: Had, pg_data: Made, place: Path, open_oven: Callable[..., Any]
) -> None:
    manifest = await asyncio.to_thread(back_up, *pg_data, place / "backup", print)
    assert manifest.users["erin"].storage == "postgresql"
    other = DataFolder(place / "restored")
    other.make()
    (other.private / "keeper.pgpass").write_bytes((pg_data[0].private / "keeper.pgpass").read_bytes())
    (other.private / "keeper.pgpass").chmod(0o600)
    site = pg_data[1].model_copy(update={"storage": pg_data[1].storage.model_copy(update={"prefix": "again_"})})

    def database_of(one: Any) -> str:
        return provision(other, site, one).model_dump_json()

    await asyncio.to_thread(restore, other, site, place / "backup", print, database_of)
    oven = await open_oven(other.root, "erin")
    database = used_by(oven).postgresql
    assert database is not None
    assert database.name == "again_erin"
    assert oven.backend.outputs(had.run) == had.outputs
    assert await contents(oven, had.run) == had.files
    assert (await oven.end(oven.bake(steps=1))).state is RunState.FINISHED


async def test_the_old_file_is_kept_until_it_is_discarded(had: Had, pg_data: Made) -> None:
    old = used_by(had.oven).repository / "database.sqlite"
    assert old.exists()
    await had.oven.backend.reload()
    await until(lambda: had.oven.worker_pid() is None)
    code, said = await simdeck(pg_data, "storage", "move", "--to", "postgresql", "--user", "erin", "--discard-old")
    assert code == 0, said
    assert not old.exists()
    assert await contents(had.oven, had.run) == had.files
