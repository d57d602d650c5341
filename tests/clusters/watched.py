"""A simulated cluster with its watcher."""

import random

from simdeck_clusters.cluster import Cluster
from simdeck_clusters.request import ResourceRequest
from simdeck_clusters.settings import ClusterSettings, Environment
from simdeck_clusters.simulated import SimulatedSlurm
from simdeck_clusters.slurm.script import JobSpec, job_script
from simdeck_clusters.watcher import Watcher

SETTINGS = ClusterSettings(name="hpc", poll_seconds=2, idle_poll_seconds=30, command_timeout=10)


class Site:
    """A watched simulated cluster."""

    def __init__(self, nodes=2, settings=SETTINGS, public=None, busy=None, **slurm):
        self.slurm = SimulatedSlurm(nodes, **slurm)
        self.cluster = Cluster(settings, self.slurm)
        self.clock = self.slurm.clock
        self.watcher = Watcher(self.cluster, clock=self.clock, rng=random.Random(1), public=public, busy=busy)

    async def submit(self, user="alice", server="s1", cores=1, minutes=60, track=True, **changes):
        request = ResourceRequest(
            cluster="hpc",
            partition="normal",
            environment="default",
            cores=cores,
            walltime_minutes=minutes,
            memory_mb=100,
            **changes,
        )
        name = f"simdeck-abcd1234-{server}"
        script = job_script(request, JobSpec(name, server, "abcd1234", ("/bin/server",)), Environment(name="default"))
        if track:
            self.watcher.track(name, user)
        job = await self.cluster.submit(user, server, script)
        if track:
            self.watcher.track(name, user, job)
        return name, job
