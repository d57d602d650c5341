"""The simulation codes that an administrator offers: where each is, and how a job gets at it. No AiiDA here.

They come from the site file's ``[[codes]]`` through ``agent.json``; the worker makes AiiDA's codes of them
(:mod:`simdeck_workflows.engine.codes`), apps ask for one by the program they want to start. Every value is bound to a
pattern, and what goes into a script of a job is quoted as a word, or is a line of the administrator's own.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator
from simdeck_clusters.settings import ContainerEnvironment, ModuleName, SafePath, Slug
from simdeck_common.files import write_atomically
from simdeck_common.layout import UserHome, private_dir

FILE = "codes.json"
HERE = "localhost"
"""What AiiDA calls the computer that is this machine."""
MODULE_MISSING = "simdeck: this module cannot be loaded:"
"""What a job's script writes to standard error, with the module's name behind it."""

Program = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9_./+@%=:\-]*/)?[A-Za-z0-9_][A-Za-z0-9_.+\-]{0,127}$")]
Word = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_./+@%=:,\-]|\{cores\}){1,200}$")]
# Behind a script's head; a line that begins with # could be taken for one of its directives.
Line = Annotated[
    str, StringConstraints(pattern=r"^[ \t]*[^\s#\x00-\x1f\x7f][^\x00-\x08\x0a-\x1f\x7f]*$", max_length=1000)
]
PluginName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$")]


class RunCode(BaseModel):
    """One code on one cluster, or on this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: Slug = Field(description="AiiDA's label; `pw` on the cluster `main` is the code `pw@main`.")
    title: str = Field(default="", description="What people read, and what apps' needs are compared with.")
    cluster: Slug | None = Field(default=None, description="Null: this machine.")
    executable: Program = Field(description="A whole path, or a name that the modules put on PATH.")
    modules: tuple[ModuleName, ...] = ()
    module_init: SafePath | None = None
    container: ContainerEnvironment | None = None
    prepend: tuple[Line, ...] = ()
    mpi: tuple[Word, ...] = ()
    plugin: PluginName | None = None
    cores: int | None = Field(default=None, ge=1)
    memory_mb: int | None = Field(default=None, ge=1)
    walltime_minutes: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.container is not None and self.modules:
            raise ValueError("a code has modules or a container, not both")
        return self

    @property
    def computer(self) -> str:
        """The label of AiiDA's computer."""
        return self.cluster or HERE

    @property
    def program(self) -> str:
        """The executable's name without its folder: ``pw.x``."""
        return PurePosixPath(self.executable).name

    @property
    def folder(self) -> str | None:
        """The executable's folder, where it has one: programs beside it are of the same installation."""
        return str(PurePosixPath(self.executable).parent) if self.executable.startswith("/") else None

    def prepend_text(self) -> str:
        """The lines of a job's script that come before the program."""
        lines = []
        if self.modules:
            # A file that was named counts also where a login shell has brought a module command of its own.
            asked = "true" if self.module_init else "! type module >/dev/null 2>&1"
            places = [self.module_init] if self.module_init else _INITS
            lines = [
                f"if {asked}; then",
                f"  for simdeck_try in {' '.join(shlex.quote(place) for place in places)}; do",
                '    if [ -r "$simdeck_try" ]; then . "$simdeck_try"; break; fi',
                "  done",
                "fi",
                f"for simdeck_try in {' '.join(shlex.quote(name) for name in self.modules)}; do",
                f'  module load "$simdeck_try" || {{ echo \'{MODULE_MISSING}\' "$simdeck_try" >&2; exit 72; }}',
                "done",
            ]
        return "\n".join([*lines, *self.prepend])

    def container_words(self) -> tuple[str, ...]:
        """The words before a program that is inside the container; ``{cwd}`` is the job's working directory."""
        if self.container is None:
            return ()
        image, pairs = self.container.image, [_pair(bind) for bind in ("{cwd}", *self.container.binds)]
        if self.container.runtime == "bwrap":
            binds = [word for outside, inside in pairs for word in ("--bind", outside, inside)]
            fixed = ("bwrap", "--ro-bind", image, "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc", "--tmpfs", _TMP)
            return (*fixed, *binds, "--chdir", "{cwd}", "--")
        if self.container.runtime == "apptainer":
            binds = [word for outside, inside in pairs for word in ("--bind", f"{outside}:{inside}")]
            return ("apptainer", "exec", *binds, "--pwd", "{cwd}", image)
        binds = [word for outside, inside in pairs for word in ("-b", f"{outside}:{inside}")]
        return ("ch-run", *binds, "-c", "{cwd}", image, "--")

    def resources(self) -> dict[str, int]:
        """What a job of this code gets where nobody asks for something else."""
        given = {"cores": self.cores, "memory_mb": self.memory_mb, "walltime_minutes": self.walltime_minutes}
        return {name: value for name, value in given.items() if value is not None}


_TMP = "/tmp"  # noqa: S108 - a fresh one inside the container
_INITS = (
    "/etc/profile.d/z00_lmod.sh",
    "/etc/profile.d/lmod.sh",
    "/etc/profile.d/modules.sh",
    "/usr/share/lmod/lmod/init/bash",
    "/usr/share/modules/init/bash",
)
_List = TypeAdapter(tuple[RunCode, ...])


def _pair(bind: str) -> tuple[str, str]:
    outside, _, inside = bind.partition(":")
    return outside, inside or outside


def file_of(home: UserHome) -> Path:
    """Where the agent leaves the codes for the worker."""
    return home.workflows / FILE


def write(home: UserHome, codes: Iterable[RunCode]) -> bool:
    """Write the codes down; return whether they are others than before."""
    found = tuple(codes)
    if found == read(file_of(home)):
        return False
    private_dir(home.workflows)
    write_atomically(file_of(home), json.dumps(_List.dump_python(found, mode="json"), indent=1) + "\n")
    return True


def read(path: Path) -> tuple[RunCode, ...]:
    """The codes that were written down; none where there is no file. Raises ``ValueError`` for a broken one."""
    try:
        return _List.validate_json(path.read_bytes())
    except FileNotFoundError:
        return ()


def find(codes: Iterable[RunCode], computer: str, program: str) -> RunCode | None:
    """The first code on a computer whose executable is called ``program``."""
    return next((code for code in codes if code.computer == computer and code.program == program), None)
