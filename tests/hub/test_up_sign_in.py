"""What `simdeck up` says of the sign-in before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from simdeck_hub.cli import main

SHARED = '[auth]\nkind = "shared-password"\npassword_file = "password"\n'
PROVIDER = """
[auth]
kind = "oidc"
[auth.oidc]
issuer = "http://127.0.0.1:9/"
client_id = "deck"
client_secret_file = "secret"
"""


def up(folder: Path, site: str) -> Result:
    path = folder / "site.toml"
    path.write_text(site, encoding="utf-8")
    return CliRunner().invoke(main, ["up", "--data", str(folder / "data"), "--site", str(path)])


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the variable `up` sets to this test."""
    monkeypatch.setenv("SIMDECK_DATA", str(tmp_path / "data"))


def test_a_secret_that_is_missing_is_told_before_anything_is_started(tmp_path: Path) -> None:
    said = up(tmp_path, SHARED)
    assert said.exit_code == 1
    assert "cannot be read" in said.output
    assert not (tmp_path / "data" / "logs" / "hub.log").exists()


def test_a_provider_that_does_not_answer_is_told_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simdeck_hub.auth_discovery.TRIES", 1)
    secret = tmp_path / "data" / "private" / "secret"
    secret.parent.mkdir(parents=True, mode=0o700)
    secret.touch(mode=0o600)
    secret.write_text("x" * 20)
    said = up(tmp_path, PROVIDER)
    assert said.exit_code == 1
    assert "does not answer at http://127.0.0.1:9/" in said.output
    assert not (tmp_path / "data" / "logs" / "hub.log").exists()


def test_a_way_of_signing_in_that_is_for_tests_alone_is_warned_of(tmp_path: Path) -> None:
    assert "this is a test, not a place for real work" in up(tmp_path, SHARED).output
