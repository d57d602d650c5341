"""The private Slurm with accounting: who may charge which account, and what is known of ended jobs."""

from __future__ import annotations

import pytest
from simdeck_hub.trial.trial import Trial
from slurm.site_stack import ADA
from stack import wait_for

pytestmark = pytest.mark.slurm
FORMAT = "--format=State,ExitCode,Account"


def test_an_ended_job_is_known_with_its_account_and_exit_code(accounted: Trial) -> None:
    job = accounted.run_as(ADA, ["sbatch", "--parsable", "--wrap", "exit 7"]).stdout.strip()

    def told() -> list[str] | None:
        argv = ["sacct", "--noheader", "--parsable2", "--allocations", "--jobs", job, FORMAT]
        words = accounted.run_as(ADA, argv).stdout.strip().split("|")
        return words if words[0] == "FAILED" else None

    assert wait_for("the job's record", told) == ["FAILED", "7:0", "science"]


def test_an_account_that_is_not_ones_own_is_refused(accounted: Trial) -> None:
    done = accounted.run_as(ADA, ["sbatch", "--account=other", "--wrap", "true"])
    assert done.returncode != 0
    assert "account" in done.stderr


def test_the_database_lets_nobody_of_the_people_in(accounted: Trial) -> None:
    done = accounted.run_as(ADA, ["mariadb", f"--socket={accounted.slurm.database_socket}", "--user=root"])
    assert done.returncode != 0
    assert "Access denied" in done.stderr
