"""Later versions of Slurm, by their documentation: other fields, the same facts."""

from clusters.recorded import recorded
from simdeck_clusters.models import JobState
from simdeck_clusters.slurm import facts

LATER = "24.05-documented"


def test_cores_and_memory_kept_for_the_system_are_not_offered():
    node = facts.nodes(recorded("nodes", LATER))["gn01"]
    assert (node.cores, node.memory_mb, node.cores_free) == (62, 500000, 14)
    assert [(gpu.type, gpu.total, gpu.used) for gpu in node.gpus] == [("a100", 4, 3)]
    assert node.usable


def test_a_node_that_does_not_respond_gives_nothing():
    node = facts.nodes(recorded("nodes", LATER))["cn02"]
    assert (node.usable, node.slurm_version) == (False, "24.05.3")


def test_a_cloud_node_that_is_off_is_switched_on_for_a_job():
    node = facts.nodes(recorded("nodes", LATER))["cn01"]
    assert (node.usable, node.address, node.cores_free) == (True, "10.1.0.1", 64)


def test_a_partitions_accounts_qos_and_sizes_are_read():
    partitions = facts.partitions(recorded("partitions", LATER))
    gpu, everything = partitions["gpu"], partitions["all"]
    assert (gpu.allow_accounts, gpu.allow_qos) == ({"chem", "phys"}, {"normal", "long"})
    assert (gpu.max_cores_per_node, gpu.max_memory_per_node_mb, gpu.max_nodes) == (48, 400000, 2)
    assert (everything.up, everything.deny_accounts, everything.deny_qos) == (False, {"guests"}, {"long"})


def test_out_of_memory_is_a_state_of_its_own():
    job, end = facts.job(recorded("job_oom", LATER))
    assert (end.state, end.reason, end.memory_limit_mb, end.restarts) == (
        JobState.OUT_OF_MEMORY,
        "OutOfMemory",
        4096,
        2,
    )
    assert (job.name, job.comment, job.batch_host) == ("simdeck-abcd1234-x", "simdeck:abcd1234", "cn02")
