"""Several Unix accounts: each signs in to PostgreSQL as itself alone, and root's backup has each one's own rights."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import sqlite3
import subprocess
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from simdeck_common.layout import site_root
from simdeck_common.problems import Problem
from simdeck_hub import site_file
from simdeck_hub.backups import back_up
from simdeck_hub.people import Person, account_of, person, start_as
from simdeck_hub.places import DataFolder
from simdeck_hub.postgres_admin import provision, reaches
from simdeck_hub.restores import restore
from simdeck_hub.site_file import Site
from storage.pg_server import PostgresServer

PYTHON = """#!/usr/bin/python3 -I
import runpy, site, sys
site.addsitedir({packages!r})
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def backend_python(place: Path) -> Iterator[None]:
    """A backend's Python that every account can run: the tests' own may lie in root's home."""
    place.chmod(0o755)
    python = place / "checkout/.simdeck/envs/backend/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON.format(packages=sysconfig.get_paths()["purelib"]))
    python.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIMDECK_CHECKOUT", str(place / "checkout"))
        nobody = account_of("nobody")
        assert nobody is not None
        try:
            child = start_as(nobody.account, [str(python), "-m", "simdeck_workflows.copies.pack", "-h"])
        except PermissionError:
            pytest.skip("needs root, to act as other accounts")
        _, said = child.communicate()
        if child.returncode:
            pytest.skip(f"/usr/bin/python3 cannot run the checkout's backend here: {said.decode()[-200:]}")
        yield


pytestmark = pytest.mark.backend
SITE = '[servers]\nkind = "slurm"\n[hub]\nnode_address = "10.0.0.1"\n[[clusters]]\nname = "main"\n[users]\nnames = {names}\n'
COLUMNS = "id TEXT, title TEXT"


@pytest.fixture(scope="module")
def accounts(backend_python: None) -> Iterator[list[Person]]:
    """Two new accounts with homes."""
    names = [f"sdk{letter}{secrets.token_hex(3)}" for letter in "ab"]
    made = []
    try:
        for name in names:
            subprocess.run(["useradd", "--create-home", "--shell", "/bin/false", name], check=True, capture_output=True)
            made.append(name)
        found = [account_of(name) for name in names]
        yield [one for one in found if one is not None]
    finally:
        for name in made:
            subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def site(place: Path, accounts: list[Person]) -> tuple[DataFolder, Site]:
    data = DataFolder(place / "site")
    data.make(on_site=True)
    names = "[" + ", ".join(f'"{one.name}"' for one in accounts) + "]"
    data.site_file.write_text(SITE.format(names=names))
    return data, site_file.load(data.site_file)


def with_runs(one: Person) -> None:
    """Leave a run store in the person's home, as the person."""
    assert one.account is not None
    folder = one.root / "workflows"
    folder.mkdir(parents=True, mode=0o700)
    with contextlib.closing(sqlite3.connect(folder / "runs.sqlite")) as connection:
        connection.execute(f"CREATE TABLE runs ({COLUMNS})")
        connection.execute("INSERT INTO runs VALUES ('1', ?)", (f"run of {one.name}",))
        connection.commit()
    for path in [one.root, *one.root.rglob("*")]:
        os.chown(path, one.account.pw_uid, one.account.pw_gid)


def test_roots_backup_reads_with_each_users_own_rights_and_restores_to_them(
    accounts: list[Person], site: tuple[DataFolder, Site], place: Path
) -> None:
    alice, bob = accounts
    for one in accounts:
        with_runs(one)
    # Bob would like a copy of what only root and alice can read.
    (bob.root / "workflows" / "keys").symlink_to(alice.root / "workflows")
    (bob.root / "workflows" / "shadow").symlink_to("/etc/shadow")
    (bob.root / "agent").symlink_to("/root")
    manifest = back_up(*site, place / "backup", print)
    assert sorted(manifest.users) == sorted(one.name for one in accounts)
    with tarfile.open(place / "backup" / "users" / f"{bob.name}.tar") as tar:
        assert tar.getnames() == ["workflows/runs.sqlite", "manifest.json"]

    for one in accounts:
        shutil.rmtree(one.root)
    shutil.rmtree(site[0].root)
    assert restore(*site, place / "backup", print, lambda _person: "") == []
    for one in accounts:
        store = one.root / "workflows" / "runs.sqlite"
        assert store.stat().st_uid == pwd.getpwnam(one.name).pw_uid
        with contextlib.closing(sqlite3.connect(store)) as connection:
            assert connection.execute("SELECT title FROM runs").fetchall() == [(f"run of {one.name}",)]


def test_a_users_link_in_the_way_of_a_restore_is_not_followed(
    accounts: list[Person], site: tuple[DataFolder, Site], place: Path
) -> None:
    bob = accounts[1]
    shutil.rmtree(bob.root)
    elsewhere = place / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    bob.root.symlink_to(elsewhere)
    try:
        with pytest.raises(Problem) as refused:
            restore(*site, place / "backup", print, lambda _person: "")
        assert refused.value.code == "restore-failed"
        assert list(elsewhere.iterdir()) == []
    finally:
        bob.root.unlink()


def test_with_peer_an_account_reaches_its_own_database_alone(
    accounts: list[Person], site: tuple[DataFolder, Site], server: PostgresServer
) -> None:
    alice, bob = accounts
    server.trust_accounts([one.name for one in accounts])
    (site[0].root / "storage.toml").write_text(
        SITE.format(names=f'["{alice.name}", "{bob.name}"]') + server.site(site[0].private)
    )
    settings = site_file.load(site[0].root / "storage.toml")
    made = {one.name: provision(site[0], settings, one) for one in accounts}
    assert made[alice.name].passfile is None
    for one in accounts:
        assert reaches(one, made[one.name])
    assert not reaches(bob, made[alice.name])
    assert not reaches(bob, made[bob.name].model_copy(update={"name": made[alice.name].name}))
    assert person(alice.name, site[0], settings).root == site_root(Path(f"/home/{alice.name}"))


def test_on_a_site_only_root_makes_backups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.toml"
    path.write_text(SITE.format(names='["alice"]'))
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(Problem) as refused:
        back_up(DataFolder(tmp_path / "data"), site_file.load(path), tmp_path / "backup", print)
    assert refused.value.code == "storage-needs-root"
