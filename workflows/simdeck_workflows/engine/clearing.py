"""Ending what is left of a cancelled run's calculations, here and on clusters, whatever the engine knew of them."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any

from simdeck_workflows.engine import scheduler_slurm, tree
from simdeck_workflows.engine.scheduler import job_in, kill, processes_of
from simdeck_workflows.engine.slurm_commands import SchedulerSilentError

LOG = logging.getLogger(__name__)

_KILL_PATIENCE = 5.0


async def clear_jobs(node: Any) -> None:
    """End the jobs on this machine of a run's process and its descendants."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        jobs = [job for calc in tree.calculations(node) if (path := tree.work_directory(calc)) if (job := job_in(path))]
        left = [job for job in jobs if kill(job, number)]
        patience = asyncio.get_running_loop().time() + _KILL_PATIENCE
        # Nobody tells when a process is gone.
        while any(processes_of(job) for job in left) and asyncio.get_running_loop().time() < patience:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def clear_cluster_jobs(node: Any) -> bool:
    """End the jobs on clusters; False while that is not certain."""
    folders = [path for job in tree.calculations(node) if (path := tree.work_directory(job))]
    patience = asyncio.get_running_loop().time() + _KILL_PATIENCE
    try:
        while not all([await asyncio.to_thread(scheduler_slurm.clear, folder) for folder in folders]):
            if asyncio.get_running_loop().time() > patience:
                return False
            await asyncio.sleep(0.5)
    except SchedulerSilentError as error:
        LOG.warning("run %s is not cancelled yet: %s", node.label, error)
        return False
    return True
