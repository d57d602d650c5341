"""The audit log: appended to by several processes, put together again, whole after a kill."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from simdeck_appstore.audit import Audit


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path / "audit.jsonl")


def test_what_became_of_a_thing_is_told_with_it(audit: Audit) -> None:
    entry = audit.ask("alice", "install", "wave")
    audit.tell(entry, "begun", task="t1")
    audit.tell(entry, "failed", version="1.0", detail="install-hash")
    (found,) = audit.read()
    assert (found.who, found.what, found.app, found.version) == ("alice", "install", "wave", "1.0")
    assert (found.outcome, found.task, found.detail) == ("failed", "t1", "install-hash")
    assert found.ended is not None


def test_the_newest_comes_first_and_can_be_asked_for_by_person_and_app(audit: Audit) -> None:
    for who, app in (("alice", "wave"), ("bob", "wave"), ("alice", "band")):
        audit.ask(who, "install", app)
    assert [entry.app for entry in audit.read(who="alice")] == ["band", "wave"]
    assert [entry.who for entry in audit.read(app="wave")] == ["bob", "alice"]
    assert [entry.app for entry in audit.read(limit=1)] == ["band"]


def test_a_thing_without_an_end_is_known_as_open(audit: Audit) -> None:
    begun, done = audit.ask("alice", "install", "wave"), audit.ask("alice", "remove", "band")
    audit.tell(begun, "begun", task="t1")
    audit.tell(done, "done")
    assert [entry.id for entry in audit.open_entries()] == [begun]


def test_the_file_is_the_services_alone_and_no_line_is_ever_changed(audit: Audit) -> None:
    entry = audit.ask("alice", "install", "wave")
    before = audit.path.read_bytes()
    audit.tell(entry, "done")
    assert audit.path.read_bytes().startswith(before)
    assert stat.S_IMODE(audit.path.stat().st_mode) == 0o600


def test_half_a_line_of_a_killed_writer_harms_no_other(audit: Audit) -> None:
    audit.ask("alice", "install", "wave")
    with audit.path.open("ab") as stream:
        stream.write(b'{"id": "ab')
    audit.ask("bob", "install", "band")
    assert [entry.who for entry in audit.read()] == ["bob", "alice"]


def test_an_app_or_person_of_any_name_stays_one_line(audit: Audit) -> None:
    audit.ask("alice", "install", 'x"\n{"id": "forged", "who": "bob"}\n')
    assert len(audit.path.read_text().splitlines()) == 1
    assert [entry.who for entry in audit.read()] == ["alice"]


def test_a_link_in_its_place_is_not_followed(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    audit.path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        audit.ask("alice", "install", "wave")


def test_without_a_file_there_is_nothing_to_tell(audit: Audit) -> None:
    assert audit.read() == []


def test_writers_at_the_same_time_do_not_mix_their_lines(audit: Audit) -> None:
    code = (
        "import sys, pathlib; from simdeck_appstore.audit import Audit\n"
        "for number in range(40): Audit(pathlib.Path(sys.argv[1])).ask(sys.argv[2], 'install', 'a' * 200)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(audit.path), name]) for name in ("alice", "bob")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    lines = audit.path.read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 80
