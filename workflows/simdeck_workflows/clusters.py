"""The clusters that a site's runs may use, and how a caller chooses one: by the input ``cluster``.

Where no cluster is configured, calculations are processes of this machine and nothing here shows. No AiiDA here.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from simdeck_common.files import write_atomically
from simdeck_common.layout import UserHome, private_dir

from simdeck_workflows.models import Workflow

INPUT = "cluster"
"""The input that names the cluster. A workflow with an input of its own of this name keeps it, and runs on the default
cluster."""

_FILE = "clusters.json"
SlurmName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$")]


class RunCluster(BaseModel):
    """A Slurm cluster for calculations. Defaults hold where neither the workflow nor the app asks for something."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,31}$", description="Name in addresses, files and inputs.")
    title: str = Field(default="", description="What people read; the name where it is empty.")
    slurm_conf: Path | None = Field(default=None, description="SLURM_CONF for the commands; null: the system's own.")
    commands: Path | None = Field(default=None, description="Folder of sbatch, squeue …; null: found on PATH.")
    partition: SlurmName | None = None
    account: SlurmName | None = None
    qos: SlurmName | None = None
    cores: int = Field(default=1, ge=1, description="Cores of a calculation.")
    memory_mb: int = Field(default=1024, ge=1, description="Memory of a calculation, in MiB.")
    walltime_minutes: int = Field(default=60, ge=1, description="Time limit of a calculation, in minutes.")
    scratch: str = Field(
        default="{workflows}/scratch",
        description="Folder of the working directories, seen by hub and nodes alike. {user}: the Unix user, "
        "{home}: their home, {workflows}: their folder of runs.",
    )
    submissions_per_minute: int | None = Field(
        default=None, ge=1, description="Jobs that one user may submit in a minute; null: no limit."
    )
    snapshot: Path | None = Field(
        default=None, description="The file in which the hub's watcher writes down the cluster's jobs."
    )

    def scratch_folder(self, home: UserHome) -> Path:
        """The folder of the working directories of this process's user."""
        places = {"{user}": getpass.getuser(), "{home}": str(Path.home()), "{workflows}": str(home.workflows)}
        text = self.scratch
        for place, value in places.items():
            text = text.replace(place, value)
        return Path(text)


_List = TypeAdapter(tuple[RunCluster, ...])


def file_of(home: UserHome) -> Path:
    """Where the agent leaves the clusters for the worker and for plain ``verdi``."""
    return home.workflows / _FILE


def write(home: UserHome, clusters: Iterable[RunCluster]) -> bool:
    """Write the clusters down; return whether they are others than before."""
    path = file_of(home)
    found = tuple(clusters)
    if found == read(path):
        return False
    private_dir(home.workflows)
    write_atomically(path, json.dumps(_List.dump_python(found, mode="json"), indent=1) + "\n")
    return True


def read(path: Path) -> tuple[RunCluster, ...]:
    """The clusters that were written down; none where there is no file. Raises ``ValueError`` for a broken one."""
    try:
        return _List.validate_json(path.read_bytes())
    except FileNotFoundError:
        return ()


def offer(workflow: Workflow, clusters: tuple[RunCluster, ...]) -> Workflow:
    """The workflow with the choice of the cluster among its inputs."""
    properties = workflow.input_schema.get("properties", {})
    if not clusters or INPUT in properties:
        return workflow
    choice = {
        "title": "Cluster",
        "description": "Where the calculations run: "
        + ", ".join(f"{cluster.name} ({cluster.title or cluster.name})" for cluster in clusters)
        + ".",
        "type": "string",
        "enum": [cluster.name for cluster in clusters],
        "default": clusters[0].name,
        "x-simdeck-advanced": True,
    }
    schema = {**workflow.input_schema, "properties": {**properties, INPUT: choice}}
    return workflow.model_copy(update={"input_schema": schema})


def choose(
    inputs: dict[str, Any], own: Iterable[str], clusters: tuple[RunCluster, ...]
) -> tuple[RunCluster | None, dict[str, Any]]:
    """The cluster that a run's inputs choose, and the inputs that are the workflow's.

    Parameters
    ----------
    own
        Names of the workflow's own inputs.

    Raises
    ------
    KeyError
        There is no such cluster any more.
    """
    if not clusters or INPUT in set(own):
        return (clusters[0] if clusters else None), inputs
    rest = {name: value for name, value in inputs.items() if name != INPUT}
    wanted = inputs.get(INPUT)
    if wanted is None:
        return clusters[0], rest
    for cluster in clusters:
        if cluster.name == wanted:
            return cluster, rest
    raise KeyError(wanted)
