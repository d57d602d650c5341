"""The site file's ``[[codes]]``: the simulation codes that the site offers, and what becomes of them."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Annotated

from pydantic import Field
from simdeck_clusters.quantities import MemoryMib, Minutes
from simdeck_clusters.settings import ContainerEnvironment, ModuleName, SafePath, Slug
from simdeck_common.files import write_atomically
from simdeck_workflows.codes import Line, PluginName, Program, RunCode, Word

from simdeck_hub.site_sections import Section

log = logging.getLogger(__name__)

FOUND_HERE = {"pw.x": "Quantum ESPRESSO"}
"""Programs that are offered on one machine where they are on ``PATH``, and what people call them."""
WRITTEN = "written by simdeck up"


class CodeSection(Section):
    label: Slug = Field(description="Short name; with the cluster it is AiiDA's: `pw@main`.")
    title: str = Field("", max_length=80, description="What people read: `Quantum ESPRESSO 7.3`. Not given: the label.")
    cluster: Slug | None = Field(
        None, description="Name of the cluster it is on. Not given: the first one, or this machine where there is none."
    )
    executable: Program = Field(description="The program's whole path, or its name where modules put it on `PATH`.")
    modules: tuple[ModuleName, ...] = Field((), description="Environment modules that are loaded first, in this order.")
    module_init: SafePath | None = Field(
        None, description="The file that defines `module`. Not given: the usual places, where a job has none yet."
    )
    container: ContainerEnvironment | None = Field(
        None, description="The image it is in, in the place of modules: `runtime`, `image`, `binds`."
    )
    prepend: tuple[Line, ...] = Field(
        (), description="Shell lines of your own before the program, such as `export OMP_NUM_THREADS=1`."
    )
    mpi: tuple[Word, ...] = Field(
        (), description='Words that start the program on several cores: `["srun", "-n", "{cores}"]`; `none`: no MPI.'
    )
    plugin: PluginName | None = Field(None, description="AiiDA's calculation for it: `quantumespresso.pw`.")
    cores: Annotated[int, Field(ge=1)] | None = Field(None, description="Cores where nobody asks for others.")
    memory: MemoryMib | None = Field(None, description="Memory where nobody asks for other: `4 GiB`.")
    walltime: Minutes | None = Field(None, description="Time limit where nobody asks for another: `2:00:00`.")


def run_codes(sections: tuple[CodeSection, ...], clusters: tuple[str, ...]) -> list[RunCode]:
    """Return what users' agents need to know of the codes; ``clusters`` are those that runs may use."""
    found = []
    for section in sections:
        given = section.model_dump(exclude={"memory", "walltime", "cluster"})
        cluster = section.cluster or next(iter(clusters), None)
        if cluster is not None and cluster not in clusters:
            # A cluster that is reached by ssh takes no runs yet.
            continue
        found.append(
            RunCode(**given, cluster=cluster, memory_mb=section.memory, walltime_minutes=section.walltime),
        )
    return found


def fault_of(sections: tuple[CodeSection, ...], clusters: tuple[str, ...]) -> str | None:
    """Return what is wrong with the codes of a site file that has these clusters, as a sentence, or None."""
    seen = set()
    for section in sections:
        cluster = section.cluster or next(iter(clusters), None)
        if section.cluster is not None and section.cluster not in clusters:
            return f'code {section.label}: no cluster is called "{section.cluster}"; name one of [[clusters]]'
        if (section.label, cluster) in seen:
            return f'code {section.label} stands twice on "{cluster or "this machine"}"; give each a label of its own'
        if section.container is not None and section.modules:
            return f"code {section.label} has modules and a container; leave one of them out"
        seen.add((section.label, cluster))
    return None


def write_offered(file: Path, sections: tuple[CodeSection, ...], *, one_machine: bool) -> None:
    """Write down the codes' names for the store's pages; what an administrator has written there by hand stays.

    On one machine without codes in the site file, those that are on ``PATH`` are offered.
    """
    try:
        content = json.loads(file.read_bytes())
        by_hand = not (isinstance(content, dict) and content.get("by") == WRITTEN)
    except FileNotFoundError:
        by_hand = False
    except (OSError, ValueError):
        by_hand = True
    if by_hand:
        if sections:
            log.warning("%s was written by hand and is left as it is; [[codes]] of the site file does not show", file)
        return
    names = list(dict.fromkeys(section.title or section.label for section in sections))
    if not names and one_machine:
        names = [title for program, title in FOUND_HERE.items() if shutil.which(program)]
    write_atomically(file, json.dumps({"codes": names, "by": WRITTEN}) + "\n")
