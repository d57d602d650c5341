"""The site file's ``[[pseudopotentials]]``: families of pseudopotentials that every user's runs may take."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import Field
from simdeck_workflows.pseudopotentials import FamilyName, Functional, RunFamily, read_family

from simdeck_hub.site_sections import Section

log = logging.getLogger(__name__)


class PseudopotentialSection(Section):
    family: FamilyName = Field(
        description="The name people choose it by, and the label of AiiDA's group: `SSSP-1.3-PBE-efficiency`."
    )
    title: str = Field("", max_length=120, description="What people read. Not given: the name.")
    functional: Functional = Field(description="`PBE`, `PBEsol` or `LDA`; all files of the folder are of it.")
    folder: Path = Field(
        description="The folder of UPF files, one an element, on the machine where runs are looked after. Everybody "
        "must be able to read it."
    )
    cutoffs: Path | None = Field(
        None,
        description='JSON with the cutoffs in Ry by element, as SSSP has it: `{"Si": {"cutoff_wfc": 30, '
        '"cutoff_rho": 240}}`; `filename` and `md5` are compared. Relative to `folder`. Not given: what the files say.',
    )


def fault_of(sections: tuple[PseudopotentialSection, ...]) -> str | None:
    """Return what is wrong with the families as a sentence, or None."""
    names = [section.family for section in sections]
    twice = next((name for name in names if names.count(name) > 1), None)
    return f'pseudopotentials: the family "{twice}" stands twice; give each a name of its own' if twice else None


def run_families(sections: tuple[PseudopotentialSection, ...]) -> list[RunFamily]:
    """Read the folders; every file that cannot be used is named in the log."""
    found = []
    for section in sections:
        cutoffs = section.folder / section.cutoffs if section.cutoffs is not None else None
        family = read_family(section.family, section.functional, section.folder, cutoffs, section.title)
        for fault in family.left_out:
            log.warning("pseudopotentials of %s: left out: %s", family.family, fault)
        found.append(family)
    return found
