"""What a calculation on a cluster asks for: the workflow's wish, else the app's manifest, else the cluster's default.

The options are filled in when the engine submits the calculation, so they stand on its node like any other.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiida.engine import CalcJob
from aiida.engine.processes.builder import ProcessBuilder
from simdeck_clusters.quantities import memory_mib, minutes

from simdeck_workflows.clusters import RunCluster

LOG = logging.getLogger(__name__)

EXTRA = "simdeck_resources"
_ONE = {"num_machines": 1, "num_mpiprocs_per_machine": 1}


def of_manifest(record: Path) -> dict[str, int]:
    """``cores``, ``memory_mb`` and ``walltime_minutes`` as far as an installed app's ``app.json`` names them."""
    try:
        resources = json.loads(record.read_bytes()).get("resources") or {}
        found = {"cores": int(resources["cores"])} if "cores" in resources else {}
        if "memory" in resources:
            found["memory_mb"] = memory_mib(resources["memory"])
        if "walltime" in resources:
            found["walltime_minutes"] = minutes(resources["walltime"])
    except (OSError, ValueError, TypeError, AttributeError) as error:
        LOG.warning("the resources in %s cannot be read: %s", record, error)
        return {}
    return found


def fill(process: Any, inputs: Mapping[str, Any], clusters: tuple[RunCluster, ...]) -> dict[str, Any]:
    """The inputs of a calculation with the options its cluster needs; others are returned as they are."""
    code = inputs.get("code")
    metadata = dict(inputs.get("metadata") or {})
    computer = metadata.get("computer") or getattr(code, "computer", None)
    cluster = next((one for one in clusters if computer is not None and one.name == computer.label), None)
    if cluster is None:
        return dict(inputs)
    app: dict[str, int] = code.base.extras.get(EXTRA, {}) if code is not None else {}
    options = dict(metadata.get("options") or {})
    port = process.spec().inputs["metadata"]["options"]

    def default(name: str, value: Any) -> None:
        if value is not None and options.get(name) is None and _declared(port, name) is None:
            options[name] = value

    default("queue_name", cluster.partition)
    default("account", cluster.account)
    default("qos", cluster.qos)
    default("max_memory_kb", 1024 * app.get("memory_mb", cluster.memory_mb))
    default("max_wallclock_seconds", 60 * app.get("walltime_minutes", cluster.walltime_minutes))
    resources = dict(options.get("resources") or _declared(port, "resources") or _ONE)
    options["resources"] = _with_cores(resources, app.get("cores", cluster.cores))
    return {**inputs, "metadata": {**metadata, "options": options}}


def _declared(port: Any, name: str) -> Any:
    """The default that the calculation's own class declares for an option."""
    option = port.get(name)
    if option is None or not option.has_default():
        return None
    return option.default() if callable(option.default) else option.default


def _with_cores(resources: dict[str, Any], cores: int) -> dict[str, Any]:
    """Share the cores out among the processes of one machine, unless that was done."""
    if resources.get("num_cores_per_mpiproc") or resources.get("num_cores_per_machine"):
        return resources
    machines = int(resources.get("num_machines") or 1)
    total = int(resources.get("tot_num_mpiprocs") or 0)
    processes = int(resources.get("num_mpiprocs_per_machine") or (total // machines) or 1)
    return {**resources, "num_cores_per_mpiproc": max(1, cores // processes)}


def install(runner: Any, clusters: tuple[RunCluster, ...]) -> None:
    """Have every calculation that ``runner`` submits, also from within a workflow, filled in."""
    plain = runner.submit

    def submit(process: Any, inputs: Any = None, **more: Any) -> Any:
        given = {**(inputs or {}), **more}
        if isinstance(process, ProcessBuilder):
            given = {**process._inputs(prune=True), **given}
            process = process.process_class
        if isinstance(process, type) and issubclass(process, CalcJob):
            given = fill(process, given, clusters)
        return plain(process, given)

    runner.submit = submit
