"""The private Slurm by itself: real nodes with addresses and names of their own, jobs as the people they belong to."""

from __future__ import annotations

import subprocess

import pytest
from simdeck_hub.trial.trial import Trial
from slurm.site_stack import ADA, EMIL
from stack import wait_for

pytestmark = pytest.mark.slurm


def srun(cluster: Trial, user: str, *argv: str) -> str:
    done = cluster.run_as(user, ["srun", "--quiet", *argv])
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_node_has_a_host_name_and_an_address_of_its_own(cluster: Trial) -> None:
    said = srun(cluster, ADA, "--nodes=2", "sh", "-c", "echo $(hostname) $(hostname -I)")
    told = dict(line.split() for line in said.splitlines())
    assert told == {node.name: str(node.address) for node in cluster.slurm.cluster.nodes}


def test_a_node_reaches_this_machine_and_not_its_loopback(cluster: Trial) -> None:
    ask = f"import socket; socket.create_connection(('{cluster.slurm.address}', {cluster.slurm.cluster.controller_port}), 5)"
    srun(cluster, ADA, "/usr/bin/python3", "-c", ask)
    refused = cluster.run_as(
        ADA, ["srun", "--quiet", "/usr/bin/python3", "-c", ask.replace(cluster.slurm.address, "127.0.0.1")]
    )
    assert "ConnectionRefusedError" in refused.stderr


@pytest.mark.parametrize("user", [ADA, EMIL])
def test_a_job_runs_as_its_owner_and_finds_the_shared_home(cluster: Trial, user: str) -> None:
    said = srun(cluster, user, "sh", "-c", 'id -un; pwd; echo here > "$HOME/mark"; stat -c %U "$HOME/mark"')
    assert said.split() == [user, str(cluster.homes / user), user]


def test_one_persons_job_cannot_read_anothers_home(cluster: Trial) -> None:
    done = cluster.run_as(EMIL, ["srun", "--quiet", "ls", str(cluster.homes / ADA)])
    assert "Permission denied" in done.stderr


def test_nodes_share_neither_processes_nor_temporary_files(cluster: Trial) -> None:
    cluster.run_on("cn1", ["touch", "/tmp/only-here"])
    assert cluster.run_on("cn1", ["ls", "/tmp"]).split() == ["only-here"]
    assert cluster.run_on("cn2", ["ls", "/tmp"]).split() == []
    assert "slurmctld" not in cluster.run_on("cn1", ["ps", "-e", "-o", "comm="])


def test_the_gpu_partition_gives_devices(cluster: Trial) -> None:
    said = srun(
        cluster, ADA, "--partition=gpu", "--gres=gpu:tesla:1", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES; hostname"
    )
    assert said.split() == ["0", "cn2"]


def test_an_urgent_job_makes_one_of_the_leftover_partition_wait_again(cluster: Trial) -> None:
    script = "#!/bin/sh\nsleep 600\n"
    submit = ["sbatch", "--parsable", "--exclusive", "--nodes=2", "--wrap", script]
    lower = cluster.run_as(ADA, [*submit, "--partition=preempt", "--requeue"]).stdout.strip()
    wait_for("the first job", lambda: state(cluster, lower) == "RUNNING")
    upper = cluster.run_as(EMIL, [*submit, "--partition=normal"]).stdout.strip()
    wait_for("the second job instead", lambda: state(cluster, upper) == "RUNNING")
    assert state(cluster, lower) == "PENDING"
    cluster.slurm.slurm("scancel", lower, upper)
    wait_for("the end of both", lambda: not cluster.slurm.slurm("squeue", "--noheader").strip())


def test_a_job_over_its_memory_is_ended(cluster: Trial) -> None:
    eat = "import time; x = b'1' * 300_000_000; time.sleep(60)"
    done = cluster.run_as(ADA, ["srun", "--mem=100", "/usr/bin/python3", "-c", eat])
    assert done.returncode != 0
    assert "memory" in done.stderr.lower()


def test_a_nodes_end_ends_everything_on_it(cluster: Trial) -> None:
    job = cluster.run_as(ADA, ["sbatch", "--parsable", "--nodelist=cn2", "--wrap", "sleep 987654"]).stdout.strip()
    wait_for("the job", lambda: state(cluster, job) == "RUNNING" and sleepers())
    cluster.slurm.stop_node("cn2")
    assert not sleepers()
    cluster.slurm.slurm("scancel", job)
    cluster.slurm.start_node(cluster.slurm.cluster.nodes[1])
    cluster.slurm.wait_idle()
    assert srun(cluster, ADA, "--nodelist=cn2", "hostname").strip() == "cn2"


def state(cluster: Trial, job: str) -> str:
    return cluster.slurm.slurm("squeue", "--noheader", "--jobs", job, "--format=%T").strip()


def sleepers() -> list[str]:
    done = subprocess.run(["pgrep", "-f", "sleep 987654$"], capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_without_accounting_nobody_tells_of_ended_jobs(cluster: Trial) -> None:
    assert "accounting storage is disabled" in cluster.run_as(ADA, ["sacct"]).stderr
