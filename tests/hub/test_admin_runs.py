"""`simdeck admin runs`, and what the site file says of runs on its way to the agents."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from simdeck_agent.settings import AgentSettings
from simdeck_hub import site_file
from simdeck_hub.agent_settings import write_agent_settings
from simdeck_hub.cli import main
from simdeck_hub.places import Checkout, DataFolder
from simdeck_workflows.policy import read_pause

SITE = """
[groups]
physics = ["alice", "bob"]

[runs]
calculations_per_user = 20
group_calculations = { physics = 3 }
submissions_per_minute = { main = 30 }

[notices]
smtp_host = "mail.example.org"
mail_to = "{user}@example.org"

[[clusters]]
name = "main"
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    monkeypatch.setenv("SIMDECK_DATA", str(tmp_path / "data"))
    folder = DataFolder(tmp_path / "data")
    folder.make()
    return folder


@pytest.fixture
def settings(data: DataFolder, tmp_path: Path) -> AgentSettings:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    return write_agent_settings(data, Checkout.find(), site_file.load(path))


def admin(*words: str) -> str:
    result = CliRunner().invoke(main, ["admin", "runs", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_pause_is_where_the_agents_are_told_to_look(settings: AgentSettings) -> None:
    admin("pause", "--reason", "maintenance until 17:00")
    found = read_pause(settings.policy.pause_file)
    assert found is not None
    assert found.reason == "maintenance until 17:00"
    assert "maintenance until 17:00" in admin("status")
    admin("resume")
    assert read_pause(settings.policy.pause_file) is None
    assert "not paused" in admin("status")


def test_resuming_what_is_not_paused_says_so(data: DataFolder) -> None:
    assert "were not paused" in admin("resume")


def test_the_site_files_limits_reach_the_agents(settings: AgentSettings) -> None:
    policy = settings.policy
    assert (policy.calculations_per_user, policy.calculations_here) == (20, None)
    assert [(group.name, group.calculations) for group in policy.groups_of("bob")] == [("physics", 3)]
    assert policy.groups_of("carol") == ()
    assert settings.clusters[0].submissions_per_minute == 30
    assert settings.notices.mail_to == "{user}@example.org"


def test_the_status_shows_how_much_of_a_groups_limit_is_in_use(settings: AgentSettings) -> None:
    assert settings.policy.slots is not None
    with (settings.policy.slots / "physics" / "1").open("rb") as place:
        fcntl.flock(place, fcntl.LOCK_EX)
        assert "physics: 1 of 3 calculations running" in admin("status")
    assert "physics: 0 of 3 calculations running" in admin("status")


def test_no_secret_and_no_address_of_a_person_is_in_what_every_user_reads(settings: AgentSettings) -> None:
    assert "secret" not in json.dumps(settings.model_dump(mode="json")["notices"])
