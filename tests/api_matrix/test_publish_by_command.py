"""`simdeck app publish --to <name>`: by the API of a running Simdeck, with no access to the registry's files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from simdeck_appstore.registry import Registry
from stack import SIMDECK, missing
from synthetic import write_app

from api_matrix.people import API, People

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(900),
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]


def publish(people: People, project: Path, *, user: str, to: str = "ours") -> subprocess.CompletedProcess[str]:
    """Run the command as ``user``, who knows the API's address and a token, and nothing else."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SIMDECK_", "JUPYTERHUB_"))
    }
    environment |= {"SIMDECK_API": people.stack.api, "SIMDECK_TOKEN": people.stack.cli_token(user)}
    argv = [str(SIMDECK), "app", "publish", str(project), "--to", to, "--no-checks"]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=360, check=False)


def test_a_member_of_the_group_publishes_and_others_are_told_whom_to_ask(people: People, tmp_path: Path) -> None:
    registry = people.stack.data.root.parent / "registry"
    project = write_app(tmp_path / "app", "commanded")
    refused = publish(people, project, user="bob")
    assert refused.returncode != 0
    assert "in none of the groups that may publish into the registry ours" in refused.stderr
    done = publish(people, project, user="alice")
    assert done.returncode == 0, done.stderr
    assert "1.0.0 is in the registry ours." in done.stdout
    assert Registry(registry / "built").app("commanded").latest == "1.0.0"
    with people.client(people.stack.cli_token("bob")) as bob:
        offered = bob.get(f"{API}/store/commanded")
        assert offered.json()["app"]["latest"] == "1.0.0", offered.text
    again = publish(people, project, user="alice")
    assert again.returncode != 0
    assert "already" in again.stderr


def test_a_registry_that_the_site_does_not_have_is_said(people: People, tmp_path: Path) -> None:
    refused = publish(people, write_app(tmp_path / "app"), user="alice", to="theirs")
    assert refused.returncode != 0
    assert "no registry called theirs" in refused.stderr
