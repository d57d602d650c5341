"""`simdeck doctor` on a whole site with a real Slurm: all is well, and what is not is told with its remedy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest
from simdeck_hub.trial import machine
from slurm.site_stack import SiteStack

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


def doctor(site: SiteStack, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run it as root, who names no site file; return the exit code and the findings by their check."""
    program = str(site.options.folder / "prefix" / "env" / "bin" / "simdeck")
    env = machine.system_environment() | {"SIMDECK_DATA": str(site.data)}
    done = subprocess.run(
        [program, "doctor", "--json", *arguments], env=env, cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return done.returncode, {one["check"]: one for one in found}


def test_a_site_that_is_well_is_found_well_from_the_sudo_rule_to_a_job_on_a_node(site: SiteStack) -> None:
    code, found = doctor(site)
    assert code == 0, found
    bad = {name: one for name, one in found.items() if one["state"] not in {"ok", "skipped"}}
    # The private Slurm keeps no accounts.
    assert set(bad) <= {"accounting"}, bad
    wanted = {
        "data-folder",
        "sudoers",
        "launcher",
        "munge",
        "slurm-answers",
        "slurm-version",
        "partitions",
        "sudo-rule",
    }
    assert wanted <= {name for name, one in found.items() if one["state"] == "ok"}
    assert any(name.startswith("canary") and one["state"] == "ok" for name, one in found.items()), found


def test_a_small_job_that_waits_is_told_and_taken_back(site: SiteStack) -> None:
    site.slurm("scontrol", "update", "NodeName=cn1,cn2", "State=DRAIN", "Reason=test")
    try:
        code, found = doctor(site, "--wait", "3")
        canary = next(one for name, one in found.items() if name.startswith("canary"))
        assert canary["state"] == "warning", canary
        assert canary["remedy"]
        assert code in {0, 1}
        assert "canary" not in site.slurm("squeue", "--noheader", "--format=%j")
    finally:
        site.slurm("scontrol", "update", "NodeName=cn1,cn2", "State=RESUME")


def test_a_controller_that_does_not_answer_is_named_with_what_to_look_at(site: SiteStack) -> None:
    controller = site.trial.slurm.daemons["controller"].pid
    os.kill(controller, signal.SIGSTOP)
    try:
        code, found = doctor(site, "--no-canary")
    finally:
        os.kill(controller, signal.SIGCONT)
    assert code == 1
    assert found["slurm-answers"]["state"] == "failed"
    assert found["slurm-answers"]["remedy"]
    assert found["sudo-rule"]["state"] == "ok"
