"""What Slurm's answers mean, and which clusters a run may choose."""

from __future__ import annotations

from pathlib import Path

import pytest
from simdeck_clusters.models import JobState
from simdeck_common.layout import UserHome
from simdeck_workflows import clusters
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.engine import slurm_commands
from simdeck_workflows.engine.slurm_commands import LaterError, RefusedError, SchedulerSilentError

ONE, TWO = RunCluster(name="one"), RunCluster(name="two", title="The big one")


@pytest.mark.parametrize("out", ["42\n", "42;science\n", "some site's greeting\n42\n"])
def test_the_jobs_id_is_read(out: str) -> None:
    assert slurm_commands.parse_sbatch(0, out, "") == "42"


@pytest.mark.parametrize(
    "sentence",
    [
        "Invalid partition name specified",
        "Requested node configuration is not available",
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
        "Memory specification can not be satisfied",
        "User's group not permitted to use this partition",
    ],
)
def test_a_refusal_for_good_is_told_in_slurms_words(sentence: str) -> None:
    with pytest.raises(RefusedError) as refused:
        slurm_commands.parse_sbatch(1, "", f"sbatch: error: Batch job submission failed: {sentence}\n")
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    "err",
    [
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "",
    ],
)
def test_an_outcome_that_is_not_known_is_not_a_refusal(err: str) -> None:
    with pytest.raises(SchedulerSilentError) as silent:
        slurm_commands.parse_sbatch(1, "", err)
    assert not isinstance(silent.value, LaterError)


def test_a_full_queue_is_waited_for() -> None:
    err = "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates …"
    with pytest.raises(LaterError):
        slurm_commands.parse_sbatch(1, "", err)


def test_a_line_that_is_no_job_is_no_answer() -> None:
    with pytest.raises(SchedulerSilentError):
        slurm_commands.parse_squeue("slurm_load_jobs error: something\n")


def test_states_are_read_as_squeue_and_scontrol_write_them() -> None:
    found = [slurm_commands.state_of(text) for text in ("CANCELLED by 1000", "COMPLETED", "NODE_FAIL+", "NEWSTATE")]
    assert found == [JobState.CANCELLED, JobState.COMPLETED, JobState.NODE_FAIL, JobState.UNKNOWN]


def test_a_jobs_environment_holds_nothing_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    monkeypatch.setenv("SIMDECK_INSTANCE", "abc")
    env = slurm_commands.environment(RunCluster(name="one", slurm_conf=Path("/etc/one.conf")))
    assert set(env) <= {*slurm_commands._KEPT, "SLURM_CONF"}
    assert env["SLURM_CONF"] == "/etc/one.conf"


def test_the_first_cluster_is_the_default() -> None:
    assert clusters.choose({"a": 1}, ["a"], (ONE, TWO)) == (ONE, {"a": 1})


def test_an_input_of_the_workflows_own_named_cluster_stays_its_own() -> None:
    assert clusters.choose({"cluster": "Au55"}, ["cluster"], (ONE, TWO)) == (ONE, {"cluster": "Au55"})


def test_without_clusters_nothing_is_chosen() -> None:
    assert clusters.choose({"cluster": "x"}, [], ()) == (None, {"cluster": "x"})


def test_what_was_written_is_read_again_and_told_apart(tmp_path: Path) -> None:
    home = UserHome(tmp_path, tmp_path)
    assert clusters.write(home, [ONE, TWO])
    assert not clusters.write(home, [ONE, TWO])
    assert clusters.read(clusters.file_of(home)) == (ONE, TWO)


@pytest.mark.parametrize(
    "bad", [{"name": "../x"}, {"name": "one", "partition": "a,b"}, {"name": "one", "account": "x y"}]
)
def test_names_that_could_become_more_than_names_are_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="pattern"):
        RunCluster.model_validate(bad)
