"""The private cluster's configuration files, as text: pure functions of where things are."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

CPUS_PER_NODE = 4
MEMORY_MB_PER_NODE = 8000
GPUS = 2


@dataclass(frozen=True)
class Node:
    name: str
    address: IPv4Address
    gpus: int = 0


@dataclass(frozen=True)
class Cluster:
    """A cluster below ``folder``; ``host`` and ``address`` are the controller's, and what nodes reach the hub at."""

    name: str
    folder: Path
    host: str
    address: IPv4Address
    controller_port: int
    nodes: list[Node] = field(default_factory=list)
    database_port: int | None = None

    @property
    def config(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        return self.folder / "munge" / "socket"

    @property
    def munge_key(self) -> Path:
        return self.folder / "munge-key" / "key"

    @property
    def database_socket(self) -> Path:
        return self.folder / "database.sock"

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"


def slurm_conf(cluster: Cluster) -> str:
    """Return ``slurm.conf``. Two nodes share this machine's processors, so they claim what they like."""
    names = ",".join(node.name for node in cluster.nodes)
    first, last = cluster.nodes[0].name, cluster.nodes[-1].name
    lines = [
        "# Written by the Simdeck trial; goes away with it.",
        f"ClusterName={cluster.name}",
        f"SlurmctldHost={cluster.host}({cluster.address})",
        f"SlurmctldPort={cluster.controller_port}",
        "SlurmUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={cluster.munge_socket}",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "MpiDefault=none",
        "ReturnToService=2",
        f"StateSaveLocation={cluster.folder / 'state'}",
        f"SlurmdSpoolDir={cluster.folder}/spool-%n",
        f"SlurmctldPidFile={cluster.folder / 'controller.pid'}",
        f"SlurmdPidFile={cluster.folder}/node-%n.pid",
        "SlurmctldTimeout=30",
        "SlurmdTimeout=30",
        "KillWait=5",
        "MinJobAge=600",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=bf_interval=2,batch_sched_delay=0,sched_min_interval=200000",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "DefMemPerCPU=500",
        "SlurmdParameters=config_overrides",
        "JobAcctGatherType=jobacct_gather/linux",
        "JobAcctGatherFrequency=task=2",
        "JobAcctGatherParams=OverMemoryKill",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        "GresTypes=gpu",
        *accounting(cluster),
    ]
    for node in cluster.nodes:
        gpus = f" Gres=gpu:tesla:{node.gpus}" if node.gpus else ""
        lines.append(
            f"NodeName={node.name} NodeAddr={node.address} CPUs={CPUS_PER_NODE} RealMemory={MEMORY_MB_PER_NODE}{gpus}"
        )
    for partition in (
        f"normal Nodes={names} Default=YES MaxTime=1-00:00:00 DefaultTime=60 PriorityTier=10 PreemptMode=OFF",
        f"debug Nodes={first} MaxTime=30 DefaultTime=10 PriorityTier=20 PreemptMode=OFF",
        f"gpu Nodes={last} MaxTime=12:00:00 DefaultTime=60 PriorityTier=10 PreemptMode=OFF",
        f"preempt Nodes={names} MaxTime=1-00:00:00 DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE",
    ):
        lines.append(f"PartitionName={partition} State=UP")
    return "\n".join(lines) + "\n"


def accounting(cluster: Cluster) -> list[str]:
    if cluster.database_port is None:
        return ["AccountingStorageType=accounting_storage/none", "JobCompType=jobcomp/none"]
    return [
        "AccountingStorageType=accounting_storage/slurmdbd",
        f"AccountingStorageHost={cluster.address}",
        f"AccountingStoragePort={cluster.database_port}",
        # Towards slurmdbd this one names munge's socket.
        f"AccountingStoragePass={cluster.munge_socket}",
        "AccountingStorageEnforce=associations,limits,qos,safe",
        "AccountingStorageTRES=gres/gpu",
        "PriorityType=priority/multifactor",
        "PriorityWeightFairshare=1000",
        "PriorityWeightAge=100",
        "JobCompType=jobcomp/none",
    ]


def slurmdbd_conf(cluster: Cluster) -> str:
    """Return ``slurmdbd.conf`` (mode 600). The database listens on a socket of ours alone, so it needs no password."""
    return "\n".join(
        [
            "AuthType=auth/munge",
            f"AuthInfo=socket={cluster.munge_socket}",
            f"DbdHost={cluster.host}",
            f"DbdAddr={cluster.address}",
            f"DbdPort={cluster.database_port}",
            "SlurmUser=root",
            f"PidFile={cluster.folder / 'accounting.pid'}",
            "StorageType=accounting_storage/mysql",
            "StorageHost=localhost",
            "StorageUser=root",
            "StorageLoc=slurm_acct_db",
            "",
        ]
    )


def gres_conf(cluster: Cluster) -> str:
    """Return ``gres.conf``: devices every machine has stand for GPUs, so that scheduling can be tried."""
    stand_ins = ["/dev/null", "/dev/zero"][:GPUS]
    return "".join(
        f"NodeName={node.name} Name=gpu Type=tesla File={device}\n"
        for node in cluster.nodes
        if node.gpus
        for device in stand_ins
    )


def hosts(cluster: Cluster) -> str:
    """Return the nodes' hosts file: the cluster knows its names, the rest of the world does not."""
    lines = ["127.0.0.1 localhost", f"{cluster.address} {cluster.host}"]
    return "\n".join([*lines, *(f"{node.address} {node.name}" for node in cluster.nodes), ""])
