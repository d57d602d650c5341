"""Before a user's agent first starts, the site's program makes that user's database; and the file that tells the worker."""

from __future__ import annotations

import base64
import hmac
import io
import os
import sys
import tarfile
from pathlib import Path

import pytest
from simdeck_agent.launching import BaseLauncher
from simdeck_agent.settings import AgentSettings
from simdeck_common.layout import UserHome
from simdeck_common.problems import Problem
from simdeck_hub import site_file
from simdeck_hub.agent_settings import prepare
from simdeck_hub.places import DataFolder
from simdeck_hub.postgres_admin import verifier
from simdeck_workflows import storage
from simdeck_workflows.copies import pack, plans
from simdeck_workflows.storage import Server

PEER = Server(host="/run/postgresql", peer=True, prefix="simdeck_")
WORDS = Server(host="db.example.org", peer=False, prefix="simdeck_")


class Starts(BaseLauncher):
    """Starts nothing, and remembers for whom."""

    def __init__(self, folder: Path, program: str) -> None:
        prepare = [sys.executable, "-c", program, str(folder / "prepared")]
        super().__init__(
            folder / "agent.json", AgentSettings(data=folder, backend_python=folder, uv=folder, prepare=prepare)
        )
        self.folder = folder
        self.started: list[str] = []

    def socket(self, user: str) -> Path:
        return self.folder / f"{user}.sock"

    def log_of(self, user: str) -> str:
        return "agent.log"

    def marked(self) -> list[str]:
        return []

    async def _start(self, user: str, socket: Path) -> Path:
        self.started.append(user)
        return socket


NOTES = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')"
FAILS = "import sys; sys.exit('PostgreSQL cannot be used')"


async def test_a_users_database_is_made_once_before_the_agent_starts(tmp_path: Path) -> None:
    launcher = Starts(tmp_path, NOTES)
    for user in ("alice", "bob", "alice"):
        await launcher.ensure(user)
    assert (tmp_path / "prepared").read_text().split() == ["alice", "bob"]
    assert launcher.started == ["alice", "bob", "alice"]


async def test_without_its_database_no_agent_starts_and_the_reason_is_told(tmp_path: Path) -> None:
    launcher = Starts(tmp_path, FAILS)
    with pytest.raises(Problem) as refused:
        await launcher.ensure("alice")
    assert refused.value.code == "agent-unavailable"
    assert "PostgreSQL cannot be used" in refused.value.detail
    assert launcher.started == []


@pytest.mark.parametrize("server", [PEER, WORDS])
def test_what_aiida_is_told_of_a_database_can_be_read_back(tmp_path: Path, server: Server) -> None:
    database = server.database("alice", tmp_path)
    config = database.storage_config(tmp_path / "repository")
    used = storage.StorageInUse.of({"backend": storage.POSTGRESQL, "config": config})
    assert (used.postgresql, used.repository) == (database, tmp_path / "repository")


def test_a_role_with_peer_is_the_account_and_with_a_password_is_not(tmp_path: Path) -> None:
    assert (PEER.database("alice", tmp_path).role, PEER.database("alice", tmp_path).passfile) == ("alice", None)
    with_password = WORDS.database("alice", tmp_path)
    assert (with_password.role, with_password.passfile) == ("simdeck_alice", tmp_path / "database.pgpass")


def test_the_worker_is_told_of_a_database_and_when_there_is_none_any_more(tmp_path: Path) -> None:
    home = UserHome(tmp_path / "home", tmp_path / "run")
    assert storage.write(home, "alice", PEER)
    assert not storage.write(home, "alice", PEER)
    assert storage.read(home) == PEER.database("alice", home.root)
    assert storage.write(home, "alice", None)
    assert storage.read(home) is None


def test_a_password_is_kept_by_postgresql_as_scram_says() -> None:
    # The example of RFC 7677: from the server key follows the signature that the RFC states.
    made = verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    begin, _, server_key = made.rpartition(":")
    assert begin.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}"
    signature = hmac.digest(base64.b64decode(server_key), message.encode(), "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_on_a_site_with_passwords_only_root_makes_databases(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    text = '[storage]\nkind = "postgresql"\n{more}\n[servers]\nkind = "slurm"\n[hub]\nnode_address = "10.0.0.1"\n[[clusters]]\nname = "main"\n'
    for more, made in (("", True), ('sign_in = "password"', False), ('host = "db.example.org"', False)):
        path.write_text(text.format(more=more))
        assert bool(prepare(DataFolder(tmp_path), site_file.load(path), path)) is made


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('sign_in = "peer"', "needs a Unix account for each user"),
        ('sign_in = "peer"\nhost = "db.example.org"', "needs the folder of the Unix socket"),
        ('host = "db example"', "storage.host"),
    ],
)
def test_a_section_that_cannot_work_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(f'[storage]\nkind = "postgresql"\n{text}\n')
    with pytest.raises(Problem) as refused:
        site_file.load(path)
    assert words in refused.value.detail


def test_the_objects_a_node_refers_to_are_found_at_any_depth() -> None:
    metadata = '{"o": {"a": {"k": "1"}, "b": {"o": {"c": {"k": "2"}, "d": {}}}}}'
    assert sorted(plans.referred(metadata)) == ["1", "2"]
    assert list(plans.referred("{}")) == []


def test_what_a_killed_backup_left_is_cleared_away_and_never_copied(tmp_path: Path) -> None:
    workflows = tmp_path / "workflows"
    old, new = workflows / ".copy-old.part", workflows / ".copy-new.part"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "copy.sqlite").write_text("half")
    os.utime(old, (0, 0))
    (workflows / "policy.json").write_text("{}")
    copy = io.BytesIO()
    pack.pack(tmp_path, plans.PLANS["user"], copy)
    assert (old.exists(), new.exists()) == (False, True)
    with tarfile.open(fileobj=io.BytesIO(copy.getvalue())) as tar:
        assert tar.getnames() == ["workflows/policy.json", "manifest.json"]
