"""What the watcher tells others: limits and free resources, the public file, Prometheus."""

import json

from clusters.watched import Site
from simdeck_clusters.simulated import SimulatedNode


async def test_limits_and_free_resources_come_with_the_snapshot():
    site = Site(
        nodes=[SimulatedNode("cn1"), SimulatedNode("gn1", gpu_type="a100", gpus=4, partitions=("gpu",))],
        max_minutes={"gpu": 60},
    )
    await site.watcher.start()
    await site.clock.advance(3)
    await site.submit(cores=8)
    await site.clock.advance(200)
    snapshot = site.watcher.snapshot
    await site.watcher.stop()
    assert snapshot.nodes["cn1"].cores_free == 24
    assert snapshot.partitions["gpu"].max_walltime_minutes == 60
    assert snapshot.gpu_types("gpu") == {"a100": 4}
    assert snapshot.associations is None


async def test_facts_that_cannot_be_had_leave_what_was_known(site):
    await site.clock.advance(10)
    nodes = dict(site.watcher.snapshot.nodes)
    site.slurm.fault("scontrol", "garbage")
    await site.clock.advance(1000)
    assert dict(site.watcher.snapshot.nodes) == nodes
    assert site.watcher.unknown_since is None


async def test_other_rooms_read_the_public_file_and_no_names_in_it(tmp_path):
    site = Site(public=tmp_path)
    await site.watcher.start()
    await site.clock.advance(3)
    await site.submit(user="alice", server="private")
    await site.clock.advance(60)
    path = tmp_path / "clusters" / "hpc.json"
    view = json.loads(path.read_text())
    await site.watcher.stop()
    assert (view["unknown_since"], view["jobs"], view["partitions"][0]["cores"]) == (None, {"RUNNING": 1}, 64)
    assert "alice" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644


async def test_the_public_file_says_since_when_nothing_is_known(tmp_path):
    site = Site(public=tmp_path)
    await site.watcher.start()
    await site.clock.advance(3)
    site.slurm.fault("*", "hang")
    await site.clock.advance(60)
    view = json.loads((tmp_path / "clusters" / "hpc.json").read_text())
    await site.watcher.stop()
    assert view["unknown_since"] == view["taken"]


async def test_prometheus_reads_calls_time_and_silence(site):
    from prometheus_client import CollectorRegistry, generate_latest
    from simdeck_clusters.metrics import WatcherCollector

    registry = CollectorRegistry()
    registry.register(WatcherCollector([site.watcher]))
    await site.submit()
    await site.clock.advance(5)
    text = generate_latest(registry).decode()
    assert 'simdeck_scheduler_calls_total{cluster="hpc",command="squeue",outcome="ok"}' in text
    assert 'simdeck_scheduler_seconds_bucket{cluster="hpc",command="squeue",le="+Inf"}' in text
    assert 'simdeck_scheduler_jobs{cluster="hpc",state="RUNNING"} 1.0' in text
    assert 'simdeck_scheduler_unknown_seconds{cluster="hpc"} 0.0' in text
    site.slurm.fault("squeue", "error")
    await site.clock.advance(100)
    assert 'simdeck_scheduler_unknown_seconds{cluster="hpc"} 0.0' not in generate_latest(registry).decode()
