"""One-time passwords."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from simdeck_hub.authenticator import LONGEST_DELAY_SECONDS, failure_delay
from simdeck_hub.passwords import PasswordStore


def test_a_password_is_good_once(tmp_path: Path) -> None:
    store = PasswordStore(tmp_path)
    password = store.make("alice")
    assert store.use("alice", password)
    assert not store.use("alice", password)


def test_a_wrong_try_does_not_use_the_password_up(tmp_path: Path) -> None:
    store = PasswordStore(tmp_path)
    password = store.make("alice")
    assert not store.use("alice", "wrong")
    assert store.use("alice", password)


def test_capitals_and_spaces_that_people_add_do_not_matter(tmp_path: Path) -> None:
    store = PasswordStore(tmp_path)
    assert store.use("alice", f" {store.make('alice').upper()} ")


def test_only_one_of_many_tries_at_the_same_moment_signs_in(tmp_path: Path) -> None:
    store = PasswordStore(tmp_path)
    password = store.make("alice")
    barrier = threading.Barrier(4)
    answers: list[bool] = []

    def attempt() -> None:
        barrier.wait()
        answers.append(store.use("alice", password))

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, False, False, True]


def test_the_file_holds_no_password_and_is_the_owners_alone(tmp_path: Path) -> None:
    store = PasswordStore(tmp_path)
    password = store.make("alice")
    content = store.path("alice").read_text(encoding="utf-8")
    assert all(part not in content for part in (password, password.replace("-", "")))
    assert stat.S_IMODE(store.path("alice").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "../secrets", "a/b", ".hidden", "nobody"])
def test_a_name_without_a_password_is_refused(tmp_path: Path, name: str) -> None:
    assert not PasswordStore(tmp_path).use(name, "anything")


def test_a_password_made_while_another_is_compared_stays_good(tmp_path: Path) -> None:
    store = PasswordStore(tmp_path)
    store.make("alice")
    old = {"salt": "00", "hash": "00"}
    newer = store.make("alice")
    assert not store._claim(store.path("alice"), old)
    assert store.use("alice", newer)


def test_each_wrong_try_waits_longer_up_to_a_bound() -> None:
    delays = [failure_delay(failures) for failures in range(40)]
    assert delays[0] == 0
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY_SECONDS
