"""What the simulated cluster prints, in Slurm's own forms."""

from __future__ import annotations

from typing import Any

from simdeck_clusters.simulation import Machine, SimulatedJob, SimulatedNode
from simdeck_clusters.slurm.argv import QUEUE_FIELDS


def record(job: SimulatedJob, mark: str) -> str:
    """Return a job's record of `squeue`."""
    values = {
        "i": job.id,
        "u": job.user,
        "T": job.state.value,
        "P": job.partition,
        "r": job.reason,
        "a": job.account or "(null)",
        "q": job.qos or "normal",
        "N": job.node,
        "B": job.node or "n/a",
        "V": str(int(job.submitted)),
        "S": seconds(job.started),
        "e": seconds(job.ended or job.ends),
        "l": f"{job.walltime_minutes}:00",
        "Q": str(job.priority),
        "C": str(job.cores),
        "m": f"{job.memory_mb}M",
        "b": gres(job) or "N/A",
        "v": job.reservation or "(null)",
        "D": "1",
        "j": job.name,
        "k": job.comment or "(null)",
    }
    return f"<{mark}>" + f"|{mark}|".join(values[letter] for letter in QUEUE_FIELDS) + f"</{mark}>\n"


def job(job: SimulatedJob) -> str:
    """Return a job of `scontrol show job`."""
    shown: dict[str, Any] = {
        "UserId": f"{job.user}(1000)",
        "Priority": job.priority,
        "Account": job.account or "(null)",
        "QOS": job.qos or "normal",
        "JobState": job.state.value,
        "Reason": job.reason,
        "Restarts": job.restarts,
        "ExitCode": f"{job.exit_code}:{job.signal}",
        "TimeLimit": f"{job.walltime_minutes}:00",
        "SubmitTime": int(job.submitted),
        "StartTime": seconds(job.started),
        "EndTime": seconds(job.ended or job.ends),
        "Partition": job.partition,
        "NodeList": job.node,
        "BatchHost": job.node,
        "NumNodes": 1,
        "NumCPUs": job.cores,
        "TRES": f"cpu={job.cores},mem={job.memory_mb}M,node=1",
        "Comment": job.comment,
    }
    lines = "".join(f"   {key}={value}\n" for key, value in shown.items())
    return f"JobId={job.id} JobName={job.name}\n{lines}\n"


def node(node: SimulatedNode) -> str:
    """Return a node's line of `scontrol show node`."""
    cores, memory, gpus = node.free()
    state = "DOWN" if node.down else "IDLE" if not node.jobs else "ALLOCATED" if cores <= 0 else "MIXED"
    kind = f"gpu:{node.gpu_type}" if node.gpu_type else "gpu"
    gres = f"{kind}:{node.gpus}" if node.gpus else "(null)"
    return (
        f"NodeName={node.name} CPUAlloc={node.cores - cores} CPUEfctv={node.cores} CPUTot={node.cores} Gres={gres} "
        f"GresUsed={kind}:{node.gpus - gpus} NodeAddr={node.name} NodeHostName={node.name} Version=24.05.3 "
        f"RealMemory={node.memory_mb} AllocMem={node.memory_mb - memory} State={state} "
        f"Partitions={','.join(node.partitions)}\n"
    )


def partition(name: str, machine: Machine) -> str:
    """Return a partition's line of `scontrol show partition`."""
    most = machine.max_minutes.get(name)
    nodes = [node for node in machine.nodes.values() if name in node.partitions]
    return (
        f"PartitionName={name} AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL "
        f"Default={'YES' if name == machine.partitions[0] else 'NO'} DefaultTime=NONE Hidden=NO "
        f"MaxTime={f'{most}:00' if most else 'UNLIMITED'} Nodes={','.join(node.name for node in nodes)} State=UP "
        f"TotalCPUs={sum(node.cores for node in nodes)} TotalNodes={len(nodes)}\n"
    )


def seconds(value: float | None) -> str:
    """Return a time as `SLURM_TIME_FORMAT=%s` prints it."""
    return "Unknown" if value is None else str(int(value))


def gres(job: SimulatedJob) -> str:
    """Return the GPUs a job holds on its node."""
    if not job.gpus:
        return ""
    return f"gres:gpu:{job.gpu_type}:{job.gpus}" if job.gpu_type else f"gres:gpu:{job.gpus}"
