"""Families of pseudopotentials that an administrator offers: which file, and which cutoffs, an element gets. No AiiDA.

``simdeck up`` reads the folders once (:func:`read_family`); what is in them goes through ``agent.json`` to every user's
agent, which leaves it for worker and pages in ``workflows/pseudopotentials.json``. The worker makes AiiDA's groups of
it (:mod:`simdeck_workflows.engine.pseudopotentials`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from simdeck_common.files import write_atomically
from simdeck_common.layout import UserHome, private_dir

from simdeck_workflows.upf import BadUpfError, read_header

FILE = "pseudopotentials.json"
MOST_FILES = 500
MOST_CUTOFF = 500.0  # Ry

FamilyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$")]
Functional = Literal["PBE", "PBEsol", "LDA"]


class RunPseudopotential(BaseModel):
    """The file of one element; cutoffs in Ry, ``valence`` in electrons."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    element: str
    path: Path
    md5: str
    kind: str
    valence: int
    cutoff: float
    density_cutoff: float


class RunFamily(BaseModel):
    """A family: one file an element, one functional."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: FamilyName = Field(description="The name people choose it by, and the label of AiiDA's group.")
    title: str = Field(default="", description="What people read.")
    functional: Functional
    members: tuple[RunPseudopotential, ...] = ()
    left_out: tuple[str, ...] = Field(default=(), description="Files that cannot be used, each with the reason.")

    @property
    def digest(self) -> str:
        """Changes when a file or a cutoff does."""
        told = sorted((one.element, one.path.name, one.md5, one.cutoff, one.density_cutoff) for one in self.members)
        return hashlib.sha256(json.dumps([self.functional, told]).encode()).hexdigest()


_List = TypeAdapter(tuple[RunFamily, ...])


def read_family(family: str, functional: str, folder: Path, cutoffs: Path | None = None, title: str = "") -> RunFamily:
    """Read a folder of UPF files; what cannot be used is named in ``left_out``.

    Parameters
    ----------
    cutoffs
        JSON as the SSSP library comes with: ``{"Si": {"cutoff_wfc": 30, "cutoff_rho": 240}}`` in Ry, optionally with
        ``filename`` and ``md5``. Elements that it lacks get what their file's header suggests.
    """
    left: list[str] = []
    said = _cutoffs_file(cutoffs, left)
    found: dict[str, RunPseudopotential] = {}
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".upf" and path.is_file())
    except OSError as error:
        files = []
        left.append(f"{folder}: {error.strerror or error}")
    if not files and not left:
        left.append(f"{folder}: there is no UPF file in it")
    for path in files[:MOST_FILES]:
        try:
            one = _member(path, functional, said)
            if one.element in found:
                raise BadUpfError(f"{found[one.element].path.name} is of {one.element} too; leave one in the folder")
            found[one.element] = one
        except BadUpfError as error:
            left.append(f"{path.name}: {error}")
    for element, about in sorted(said.items()):
        if element not in found and about.get("filename"):
            left.append(f"{about['filename']}: the cutoffs' file names it for {element}, and it is not there")
    members = tuple(one for _, one in sorted(found.items()))
    return RunFamily.model_validate(
        {"family": family, "title": title, "functional": functional, "members": members, "left_out": tuple(left)}
    )


def _cutoffs_file(path: Path | None, left: list[str]) -> dict[str, dict[str, Any]]:
    if path is None:
        return {}
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        left.append(f"{path.name}: {getattr(error, 'strerror', None) or 'it is not JSON'}")
        return {}
    if not isinstance(content, dict):
        left.append(f"{path.name}: it has no entries by element")
        return {}
    return {str(name): about for name, about in content.items() if isinstance(about, dict)}


def _member(path: Path, functional: str, said: Mapping[str, Mapping[str, Any]]) -> RunPseudopotential:
    header = read_header(path)
    about = said.get(header.element, {})
    if about.get("filename") and about["filename"] != path.name:
        raise BadUpfError(f"the cutoffs' file names {about['filename']} for {header.element}")
    if header.functional != functional:
        raise BadUpfError(f"it is of {header.functional}, and the family of {functional}")
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if about.get("md5") and about["md5"] != md5:
        raise BadUpfError("its MD5 sum is not the one of the cutoffs' file; it was changed or broken")
    given = [about.get("cutoff_wfc", header.cutoff), about.get("cutoff_rho", header.density_cutoff)]
    if not all(isinstance(x, int | float) and not isinstance(x, bool) and 1 <= x <= 20 * MOST_CUTOFF for x in given):
        raise BadUpfError(f"the cutoffs' file has no usable cutoffs for {header.element}")
    return RunPseudopotential(
        element=header.element, path=path.absolute(), md5=md5, kind=header.kind, valence=header.valence,
        cutoff=float(given[0]), density_cutoff=float(given[1]),
    )  # fmt: skip


def file_of(home: UserHome) -> Path:
    """Where the agent leaves the families for worker and pages."""
    return home.workflows / FILE


def write(home: UserHome, families: Iterable[RunFamily]) -> bool:
    """Write the families down; return whether they are others than before."""
    found = tuple(families)
    try:
        if found == read(file_of(home)):
            return False
    except ValueError:
        # A file that somebody broke is written anew.
        pass
    private_dir(home.workflows)
    write_atomically(file_of(home), json.dumps(_List.dump_python(found, mode="json"), indent=1) + "\n")
    return True


def read(path: Path) -> tuple[RunFamily, ...]:
    """The families that were written down; none where there is no file. Raises ``ValueError`` for a broken one."""
    try:
        return _List.validate_json(path.read_bytes())
    except FileNotFoundError:
        return ()


def offered(environment: Mapping[str, str] = os.environ) -> tuple[RunFamily, ...]:
    """The families of the user whose worker (``AIIDA_PATH``) or page (``SIMDECK_APPS_DIR``) this process is."""
    for name in ("AIIDA_PATH", "SIMDECK_APPS_DIR"):
        if not environment.get(name):
            continue
        parent = Path(environment[name]).parent
        try:
            return read((parent if name == "AIIDA_PATH" else parent / "workflows") / FILE)
        except (OSError, ValueError):
            return ()
    return ()
