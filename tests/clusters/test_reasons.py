"""Every reason Slurm documents has a sentence and a remedy of its own."""

from pathlib import Path

import pytest
from simdeck_clusters.reasons import explain

LINES = (Path(__file__).parent / "reason_names.txt").read_text().splitlines()
DOCUMENTED = [line for line in LINES if line and not line.startswith("#")]


def test_the_list_is_whole():
    assert len(DOCUMENTED) == 199
    assert len(set(DOCUMENTED)) == len(DOCUMENTED)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_each_documented_reason_has_a_sentence_and_a_remedy(name):
    said = explain(name)
    assert said.known
    assert said.sentence.endswith(".")
    assert said.remedy.endswith(".")
    assert not any(sign in said.sentence + said.remedy for sign in "{}_")
    assert name not in said.sentence or name in {"Resources", "Licenses", "Reservation", "Priority", "Prolog"}


def test_different_reasons_are_told_apart():
    said = {(explain(name).sentence, explain(name).remedy) for name in DOCUMENTED}
    assert len(said) > 120


@pytest.mark.parametrize(
    ("reason", "sentence", "remedy"),
    [
        ("AssocGrpCpuLimit", "All running jobs of your account together use as many cores as is allowed.", "Wait until some of them end, or ask for fewer cores."),
        ("QOSMaxMemoryPerUser", "Your jobs together use as much memory as the QoS allows one person.", "Stop another of your jobs, wait for one to end, or ask for less memory."),
        ("QOSMaxWallDurationPerJobLimit", "The job asks for more time than the QoS allows one job.", "Cancel, and ask for less time, or choose another QoS."),
        ("MaxCpuPerAccount", "The jobs of your account together use as many cores as the QoS allows one account.", "Wait until some of them end, charge another account, or ask for fewer cores."),
        ("Priority", "Other jobs stand ahead of yours in the queue.", "Wait, or ask for less: a shorter or smaller job can often start in a gap before them."),
    ],
)  # fmt: skip
def test_a_reason_reads_like_a_sentence(reason, sentence, remedy):
    said = explain(reason)
    assert (said.sentence, said.remedy) == (sentence, remedy)


@pytest.mark.parametrize("reason", ["", "None", "(None)"])
def test_no_reason_is_not_looked_at_yet(reason):
    assert "not looked at" in explain(reason).sentence


def test_nodes_that_slurm_names_are_named():
    assert "cn[1-2]" in explain("ReqNodeNotAvail, UnavailableNodes:cn[1-2]").sentence


def test_slurms_longest_reason_is_known():
    said = explain("Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions")
    assert said.known


def test_maintenance_is_told_as_such():
    assert "maintenance" in explain("ReqNodeNotAvail, Reserved for maintenance").sentence


@pytest.mark.parametrize("reason", ["SomethingNew", "QOSMaxWidgetsPerMoon", "<script>", "x" * 5000, "a\nb"])
def test_an_unknown_reason_is_repeated_and_said_to_be_unknown(reason):
    said = explain(reason)
    assert not said.known
    assert len(said.sentence) < 400
    assert "\n" not in said.sentence
    assert said.remedy
