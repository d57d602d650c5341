"""What the hub says of clusters and servers, shaped as the contract says; each function makes one of its kind."""

from __future__ import annotations

from typing import Any

from deck_pages.deck_pages_samples import before

PARTITIONS: list[dict[str, Any]] = [
    {
        "name": "short", "title": "Short jobs", "summary": "Starts soonest; up to 4 hours.", "up": True, "default": True,
        "limits": {"cores": 32, "memory_mb": 128 * 1024, "gpus": 0, "walltime_minutes": 240},
        "gpu_types": {}, "free": {"cores": 41, "memory_mb": 96 * 1024, "gpus": {}},
        "total": {"cores": 128, "nodes": 4}, "waiting": 3,
    },
    {
        "name": "gpu", "title": "GPU nodes", "summary": "", "up": True, "default": False,
        "limits": {"cores": 64, "memory_mb": 512 * 1024, "gpus": 4, "walltime_minutes": 1440},
        "gpu_types": {"a100": 4, "v100": 2}, "free": {"cores": 12, "memory_mb": 64 * 1024, "gpus": {"a100": 0, "v100": 2}},
        "total": {"cores": 256, "nodes": 4}, "waiting": 27,
    },
    {
        "name": "long", "title": "", "summary": "Days, at low priority.", "up": False, "default": False,
        "limits": {"cores": None, "memory_mb": None, "gpus": None, "walltime_minutes": None},
        "gpu_types": {}, "free": {"cores": 0, "memory_mb": 0, "gpus": {}}, "total": {"cores": 512, "nodes": 8},
        "waiting": 140,
    },
]  # fmt: skip


def cluster_view(name: str = "alpha", **changes: Any) -> dict[str, Any]:
    """Return a cluster with accounts, three partitions and presets."""
    return {
        "name": name, "title": "Alpha", "age": 4.2, "unknown_since": None, "accounting": True,
        "defaults": {"partition": "short", "cores": 1, "memory_mb": 2048, "walltime_minutes": 120, "environment": "default"},
        "partitions": PARTITIONS,
        "accounts": [
            {"name": "chem-2026", "default": True, "qos": ["normal", "high"], "core_hours_left": 8423.5, "core_hours_limit": 20000},
            {"name": "teaching", "default": False, "qos": ["normal"], "core_hours_left": None, "core_hours_limit": None},
        ],
        "qos": ["normal", "high"],
        "reservations": [{"name": "school-week", "start": before(hours=1), "end": before(hours=-30), "active": True, "partition": "gpu"}],
        "environments": [
            {"name": "default", "title": "Standard", "summary": ""},
            {"name": "qe-7", "title": "Quantum ESPRESSO 7", "summary": "pw.x and friends, with Intel MPI."},
        ],
        "presets": [
            {"name": "small", "title": "Small", "summary": "Building inputs, looking at results.",
             "options": {"cluster": name, "partition": "short", "cores": 1, "memory_mb": 2048, "walltime_minutes": 120}},
            {"name": "large", "title": "Large", "summary": "Structures of some hundred atoms.",
             "options": {"cluster": name, "partition": "short", "cores": 16, "memory_mb": 65536, "walltime_minutes": 240}},
            {"name": "gpu", "title": "One GPU", "summary": "Machine-learned potentials.",
             "options": {"cluster": name, "partition": "gpu", "cores": 8, "memory_mb": 32768, "gpus": {"type": "a100", "count": 1},
                         "walltime_minutes": 480}},
        ],
        **changes,
    }  # fmt: skip


def beta() -> dict[str, Any]:
    """Return a second cluster, of which little is known: no accounts, and the scheduler does not answer."""
    return cluster_view(
        "beta", title="Beta", age=312.0, unknown_since=before(minutes=5), accounting=False, accounts=[], qos=[],
        reservations=[], presets=[], environments=[{"name": "default", "title": "Standard", "summary": ""}],
        defaults={"partition": "all"},
        partitions=[{"name": "all", "default": True, "limits": {}, "free": {}, "total": {"nodes": 2}, "waiting": None}],
    )  # fmt: skip


OPTIONS: dict[str, Any] = {
    "cluster": "alpha", "partition": "short", "account": "chem-2026", "cores": 4, "memory_mb": 8192,
    "gpus": {"type": "", "count": 0}, "walltime_minutes": 120, "environment": "default", "app": "molecule",
}  # fmt: skip


def job(**changes: Any) -> dict[str, Any]:
    """Return a job that waits."""
    return {
        "cluster": "alpha", "id": "48213", "name": "simdeck-1f2e3d4c-17", "state": "PENDING", "reason": "Priority",
        "reason_text": "Jobs with a higher priority are ahead of this one.",
        "remedy": "It starts by itself; a shorter time limit often lets it slip into a gap earlier.",
        "position": 4, "estimated_start": before(minutes=-25), "nodes": "", "submitted": before(minutes=6),
        "started": None, "ends": None, **changes,
    }  # fmt: skip


def server(name: str = "-", phase: str = "none", **changes: Any) -> dict[str, Any]:
    """Return a server in ``phase``."""
    return {
        "name": name, "phase": phase, "since": before(minutes=6), "elapsed": 360.0, "job": None, "options": {}, "url": None,
        "walltime_left": None, "unknown_since": None, "failure": None, **changes,
    }  # fmt: skip


def queued(name: str = "-", **changes: Any) -> dict[str, Any]:
    """Return a server whose job waits."""
    return server(name, "queued", **{"job": job(), "options": OPTIONS, **changes})


def running_job(name: str = "-", left: float = 5400.0, **changes: Any) -> dict[str, Any]:
    """Return a server that runs as a job, with ``left`` seconds of its time."""
    path = "" if name == "-" else f"{name}/"
    started = job(
        state="RUNNING", reason="", reason_text="", remedy="", position=None, estimated_start=None, nodes="node03",
        started=before(minutes=30), ends=before(seconds=-left),
    )  # fmt: skip
    return server(
        name, "running", **{"job": started, "options": OPTIONS, "url": f"/user/ada/{path}", "walltime_left": left, **changes}
    )  # fmt: skip


def ended(name: str = "-", **changes: Any) -> dict[str, Any]:
    """Return a server whose job was ended for its memory."""
    failure = {
        "code": "server-out-of-memory", "title": "The server ran out of memory",
        "detail": "The job used 8.0 GiB, which is all it had asked for, and was ended by the node.",
        "remedy": "Start it again with more memory; 16 GiB would leave room.",
        "evidence": [
            {"label": "Slurm's state", "text": "OUT_OF_MEMORY"},
            {"label": "Memory", "text": "peak 8.0 GiB of 8.0 GiB"},
            {"label": "Exit", "text": "signal 9 (KILL)"},
            {"label": "Node", "text": "node03"},
        ],
        "log": "[I 2026-11-21 11:02:01] Jupyter Server is running\n[W 2026-11-21 11:31:44] memory is short\nKilled\n",
        "when": before(minutes=3),
    }  # fmt: skip
    over = job(state="OUT_OF_MEMORY", reason="", reason_text="", remedy="", position=None, nodes="node03")
    return server(name, "failed", **{"job": over, "options": OPTIONS, "failure": failure, **changes})


def an_estimate() -> dict[str, Any]:
    """Return a start that is 25 minutes away, and two that are sooner."""
    return {
        "start": before(minutes=-25),
        "cost": {"core_hours": 8.0, "balance": 8423.5},
        "sooner": [
            {
                "change": "1 hour instead of 2",
                "options": OPTIONS | {"walltime_minutes": 60},
                "start": before(seconds=10),
            },
            {"change": "2 cores instead of 4", "options": {**OPTIONS, "cores": 2}, "start": before(minutes=-10)},
        ],
    }
