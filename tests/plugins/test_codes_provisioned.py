"""The site's codes as AiiDA's codes in a user's profile."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from simdeck_common.layout import UserHome
from simdeck_workflows import clusters
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.codes import RunCode

ROOT = Path(__file__).parents[2]
BACKEND = Path(os.environ.get("SIMDECK_BACKEND_PYTHON", ROOT / ".simdeck/envs/backend/bin/python"))
SIDE = Path(__file__).with_name("plugins_profile_side.py")
PW = RunCode(label="pw", executable="/opt/qe/bin/pw.x", plugin="quantumespresso.pw", prepend=("export A=1",))

pytestmark = pytest.mark.backend


def provisioned(home: Path, *steps: dict[str, Any]) -> list[dict[str, Any]]:
    """What the profile in ``home`` holds after each of the steps, taken by one process."""
    if not BACKEND.exists():
        pytest.skip("the workflow backend's environment is missing: make up makes it")
    argv = [BACKEND, SIDE, home, json.dumps(steps)]
    done = subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE)
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def offering(*offered: RunCode, own: str | None = None) -> dict[str, Any]:
    return {"own": own, "offered": [code.model_dump(mode="json") for code in offered]}


def test_a_code_is_made_once_and_one_that_changes_or_goes_steps_back(tmp_path: Path) -> None:
    moved = PW.model_copy(update={"executable": "/opt/qe-7/bin/pw.x"})
    first, same, changed, gone, back = provisioned(
        tmp_path, offering(PW), offering(PW), offering(moved), offering(), offering(moved)
    )
    (made,) = first["codes"]
    told = ("pw@localhost", "InstalledCode", "/opt/qe/bin/pw.x", "export A=1", "quantumespresso.pw")
    assert (made["name"], made["kind"], made["executable"], made["prepend"], made["plugin"]) == told
    assert same == first

    old, new = changed["codes"]
    assert (old["uuid"], old["hidden"], new["name"], new["hidden"]) == (made["uuid"], True, "pw@localhost", False)
    assert old["name"].startswith("pw-")
    assert (new["executable"], changed["offered"]) == ("/opt/qe-7/bin/pw.x", "/opt/qe-7/bin/pw.x")

    assert ([one["hidden"] for one in gone["codes"]], gone["offered"]) == ([True, True], None)
    assert [one["hidden"] for one in back["codes"]] == [True, False]


def test_each_cluster_has_its_own_and_a_container_becomes_one_of_aiidas(tmp_path: Path) -> None:
    clusters.write(UserHome(tmp_path, tmp_path), [RunCluster(name="main")])
    boxed = RunCode.model_validate(
        {
            "label": "boxed",
            "cluster": "main",
            "executable": "/usr/bin/pw.x",
            "container": {"runtime": "ch-run", "image": "/img/qe", "binds": ["/scratch"]},
        }
    )
    (found,) = provisioned(tmp_path, offering(boxed, PW.model_copy(update={"cluster": "nowhere"})))
    (code,) = found["codes"]
    assert (code["name"], code["kind"]) == ("boxed@main", "ContainerizedCode")
    words = ["ch-run", "-b", "$PWD:$PWD", "-b", "/scratch:/scratch", "-c", "$PWD", "/img/qe", "--"]
    assert code["words"] == words


def test_a_code_of_the_users_own_stays_theirs(tmp_path: Path) -> None:
    (found,) = provisioned(tmp_path, offering(PW, own="pw"))
    (own,) = found["codes"]
    assert (own["executable"], own["hidden"]) == ("/bin/true", False)
