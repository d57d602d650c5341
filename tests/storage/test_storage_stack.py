"""The whole of it: `simdeck up` with a site file that names a PostgreSQL, two users, a backup while it runs, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from simdeck_common.layout import user_home
from simdeck_hub.places import DataFolder
from stack import Stack, missing, wait_for
from storage.pg_server import PostgresServer
from toy_oven import WATER

NIGHTLY = int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "0")) >= 100

pytestmark = [
    pytest.mark.stack,
    pytest.mark.backend,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.skipif(not NIGHTLY, reason="two whole starts take a minute: `make nightly` does it"),
]
USERS = ["alice", "bob"]


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, server: PostgresServer, toy: ModuleType, described: bytes
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("storage")
    data = DataFolder(folder / "data")
    data.make()
    for name in USERS:
        toy.install(user_home(data.root, name).apps, described=described)
    with Stack(folder, users=USERS, site=server.site(data.private)) as running:
        yield running


def baked(stack: Stack, user: str, steps: int) -> str:
    """The id of a finished run."""
    with stack.client(user) as api:
        body = {"workflow": "toy.bake", "inputs": {"structure": WATER, "steps": steps}}
        run = api.post("/runs", json=body).raise_for_status().json()["id"]
        wait_for("the run to end", lambda: api.get(f"/runs/{run}").json()["state"] == "finished", 300)
        return str(run)


def test_a_users_first_start_makes_their_database_and_a_backup_brings_all_runs_back(
    stack: Stack, server: PostgresServer, tmp_path: Path
) -> None:
    runs = {user: baked(stack, user, steps) for steps, user in enumerate(USERS, start=2)}
    said = stack.run("storage", "status").stdout
    assert said.splitlines() == ["alice: postgresql (simdeck_alice)", "bob: postgresql (simdeck_bob)"]
    outputs = {user: stack.client(user).get(f"/runs/{runs[user]}/outputs").json() for user in USERS}
    stack.run("backup", str(tmp_path / "backup"))
    manifest = json.loads((tmp_path / "backup" / "manifest.json").read_text())
    assert [manifest["users"][user]["storage"] for user in USERS] == ["postgresql", "postgresql"]
    assert stack.stop() == 0

    # The machine is lost, PostgreSQL's databases with it.
    stack.data.root.rename(tmp_path / "lost")
    for user in USERS:
        server.super(f"DROP DATABASE simdeck_{user} WITH (FORCE);")
    stack.run("restore", str(tmp_path / "backup"))
    stack.start()
    for user in USERS:
        with stack.client(user) as api:
            assert api.get(f"/runs/{runs[user]}/outputs").json() == outputs[user]
            files = api.get(f"/runs/{runs[user]}/files").raise_for_status().json()["items"]
            assert files
            assert api.get(f"/runs/{runs[user]}/files/{files[0]['path']}").is_success
