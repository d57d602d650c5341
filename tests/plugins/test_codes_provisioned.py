"""The site's codes as AiiDA's codes in a user's profile."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from simdeck_common.layout import UserHome
from simdeck_workflows import clusters, codes
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.codes import RunCode

ROOT = Path(__file__).parents[2]
BACKEND = Path(os.environ.get("SIMDECK_BACKEND_PYTHON", ROOT / ".simdeck/envs/backend/bin/python"))
SIDE = Path(__file__).with_name("plugins_profile_side.py")
PW = RunCode(label="pw", executable="/opt/qe/bin/pw.x", plugin="quantumespresso.pw", prepend=("export A=1",))

pytestmark = pytest.mark.backend


class Profile:
    """A home whose profile is brought up to date again and again."""

    def __init__(self, root: Path) -> None:
        self.home = UserHome(root, root)

    def load(self, *offered: RunCode, own: str | None = None) -> dict[str, Any]:
        codes.write(self.home, offered)
        environment = {**os.environ, **({"OWN": own} if own else {})}
        done = subprocess.run(
            [BACKEND, SIDE, self.home.root], check=True, text=True, stdout=subprocess.PIPE, env=environment
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    if not BACKEND.exists():
        pytest.skip("the workflow backend's environment is missing: make up makes it")
    return Profile(tmp_path)


def test_a_code_is_made_once_and_one_that_changes_or_goes_steps_back(profile: Profile) -> None:
    first = profile.load(PW)["codes"]
    assert [(one["name"], one["kind"], one["executable"], one["prepend"]) for one in first] == [
        ("pw@localhost", "InstalledCode", "/opt/qe/bin/pw.x", "export A=1")
    ]
    assert profile.load(PW)["codes"] == first

    moved = PW.model_copy(update={"executable": "/opt/qe-7/bin/pw.x"})
    answer = profile.load(moved)
    old, new = answer["codes"]
    assert (old["uuid"], old["hidden"], new["name"], new["hidden"]) == (first[0]["uuid"], True, "pw@localhost", False)
    assert old["name"].startswith("pw-")
    assert (new["executable"], answer["offered"]) == ("/opt/qe-7/bin/pw.x", "/opt/qe-7/bin/pw.x")

    gone = profile.load()
    assert [one["hidden"] for one in gone["codes"]] == [True, True]
    assert gone["offered"] is None
    assert [one["hidden"] for one in profile.load(moved)["codes"]] == [True, False]


def test_each_cluster_has_its_own_and_a_container_becomes_one_of_aiidas(profile: Profile) -> None:
    clusters.write(profile.home, [RunCluster(name="main")])
    boxed = RunCode.model_validate(
        {
            "label": "boxed",
            "cluster": "main",
            "executable": "/usr/bin/pw.x",
            "container": {"runtime": "ch-run", "image": "/img/qe", "binds": ["/scratch"]},
        }
    )
    found = profile.load(boxed, PW.model_copy(update={"cluster": "nowhere"}))["codes"]
    assert [(one["name"], one["kind"]) for one in found] == [("boxed@main", "ContainerizedCode")]
    words = ["ch-run", "-b", "$PWD:$PWD", "-b", "/scratch:/scratch", "-c", "$PWD", "/img/qe", "--"]
    assert found[0]["words"] == words


def test_a_code_of_the_users_own_stays_theirs(profile: Profile) -> None:
    profile.load(own="pw")
    (own,) = profile.load(PW)["codes"]
    assert (own["executable"], own["hidden"]) == ("/bin/true", False)
