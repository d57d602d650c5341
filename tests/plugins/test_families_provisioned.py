"""The site's families of pseudopotentials as AiiDA's groups in a user's profile."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from simdeck_workflows.pseudopotentials import RunFamily, read_family

ROOT = Path(__file__).parents[2]
BACKEND = Path(os.environ.get("SIMDECK_BACKEND_PYTHON", ROOT / ".simdeck/envs/backend/bin/python"))
SIDE = Path(__file__).with_name("families_profile_side.py")

pytestmark = [pytest.mark.backend, pytest.mark.timeout(900)]


def upf(element: str, note: str = "") -> str:
    header = f'element="{element}" pseudo_type="NC" relativistic="scalar" functional="PBE" z_valence="4.0"'
    return f'<UPF version="2.0.1">\n<PP_INFO>{note}</PP_INFO>\n<PP_HEADER {header}/>\n</UPF>\n'


def step(*families: RunFamily, own: str | None = None) -> dict[str, Any]:
    return {"own": own, "families": [one.model_dump(mode="json") for one in families]}


def test_a_family_is_made_once_renewed_when_it_changes_and_leaves_the_users_own_alone(tmp_path: Path) -> None:
    if not BACKEND.exists():
        pytest.skip("the workflow backend's environment is missing: make up makes it")
    folder = tmp_path / "upf"
    folder.mkdir()
    for element in ("Si", "Ge"):
        (folder / f"{element}.upf").write_text(upf(element))
    first = read_family("ours", "PBE", folder, title="Ours")
    (folder / "cutoffs.json").write_text(json.dumps({"Si": {"cutoff_wfc": 33, "cutoff_rho": 264}}))
    changed = read_family("ours", "PBE", folder, folder / "cutoffs.json")
    theirs = first.model_copy(update={"family": "theirs"})
    steps = [step(first), step(first), step(changed), step(), step(changed, theirs, own="theirs")]
    done = subprocess.run(
        [BACKEND, SIDE, tmp_path / "home", json.dumps(steps)], check=True, text=True, stdout=subprocess.PIPE
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    made, same, renewed, gone, own = answer["steps"]

    assert not answer["early"]
    (ours,) = made
    assert (ours["label"], ours["kind"], ours["members"]) == ("ours", "CutoffsPseudoPotentialFamily", ["Ge", "Si"])
    assert (ours["cutoffs"]["Si"], ours["unit"]) == ({"cutoff_wfc": 40.0, "cutoff_rho": 160.0}, "Ry")
    assert same == made

    old, new = renewed
    assert (old["nodes"], new["nodes"]) == (ours["nodes"], ours["nodes"])
    assert old["label"].startswith("ours-")
    assert (new["label"], new["cutoffs"]["Si"]) == ("ours", {"cutoff_wfc": 33.0, "cutoff_rho": 264.0})

    assert gone == renewed
    assert [(one["label"], one["kind"]) for one in own[2:]] == [("theirs", "Group")]
