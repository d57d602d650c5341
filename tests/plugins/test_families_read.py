"""Families of pseudopotentials: what a folder and its cutoffs' file make, and which files are named as unfit."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from simdeck_common.layout import UserHome
from simdeck_common.problems import Problem
from simdeck_hub import site_file, site_pseudopotentials
from simdeck_workflows import pseudopotentials
from simdeck_workflows.pseudopotentials import read_family
from simdeck_workflows.upf import BadUpfError, read_header


def upf(element: str = "Si", functional: str = "PBE", **more: str) -> str:
    about = {
        "element": element, "pseudo_type": "NC", "relativistic": "scalar", "functional": functional, "z_valence": "4.0",
        "wfc_cutoff": "30.0", "rho_cutoff": "120.0", **more,
    }  # fmt: skip
    return f'<UPF version="2.0.1">\n<PP_HEADER {" ".join(f"{k}={v!r}" for k, v in about.items())}/>\n</UPF>\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "family"
    made.mkdir()
    (made / "Si.upf").write_text(upf())
    (made / "O.UPF").write_text(upf("O", z_valence="6", pseudo_type="PAW", wfc_cutoff="0"))
    (made / "README.txt").write_text("not a pseudopotential")
    return made


def test_a_folder_of_good_files_is_a_family(folder: Path) -> None:
    family = read_family("ours", "PBE", folder)
    told = [(one.element, one.kind, one.valence, one.cutoff, one.density_cutoff) for one in family.members]
    assert told == [("O", "PAW", 6, 45.0, 360.0), ("Si", "NC", 4, 30.0, 120.0)]
    assert family.left_out == ()


def test_the_cutoffs_file_has_the_last_word(folder: Path) -> None:
    (folder / "cutoffs.json").write_text(
        json.dumps({"Si": {"cutoff_wfc": 33, "cutoff_rho": 264, "pseudopotential": "X"}})
    )
    silicon = read_family("ours", "PBE", folder, folder / "cutoffs.json").members[1]
    assert (silicon.cutoff, silicon.density_cutoff) == (33.0, 264.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<PP_HEADER>old format", "Ge.upf: it is not of the format UPF 2"),
        (upf("Ge", "PBESOL"), "Ge.upf: it is of PBEsol, and the family of PBE"),
        (upf("Ge", "REVPBE"), "Ge.upf: its functional “REVPBE” is none of"),
        (upf("Ge", relativistic="full"), "Ge.upf: it is fully relativistic"),
        (upf("Ge", pseudo_type="1/r"), "Ge.upf: it is neither norm-conserving"),
        (upf("Ge", z_valence="four"), "Ge.upf: its header names no element or no valence"),
        (upf("O"), "O.UPF: Ge.upf is of O too; leave one"),
        ("<UPF>", "Ge.upf: its header names no element"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_named_with_the_reason(folder: Path, content: str, said: str) -> None:
    (folder / "Ge.upf").write_text(content)
    family = read_family("ours", "PBE", folder)
    assert len(family.members) == 2
    (fault,) = family.left_out
    assert said in fault


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"md5": "0" * 32}, "Si.upf: its MD5 sum is not the one of the cutoffs' file"),
        ({"filename": "Si_other.upf"}, "Si.upf: the cutoffs' file names Si_other.upf for Si"),
        ({"cutoff_wfc": "much"}, "Si.upf: the cutoffs' file has no usable cutoffs for Si"),
    ],
)
def test_a_file_that_is_not_the_one_of_the_cutoffs_file_is_left_out(
    folder: Path, about: dict[str, Any], said: str
) -> None:
    (folder / "cutoffs.json").write_text(json.dumps({"Si": {"cutoff_wfc": 30, "cutoff_rho": 240, **about}}))
    family = read_family("ours", "PBE", folder, folder / "cutoffs.json")
    assert [one.element for one in family.members] == ["O"]
    assert said in family.left_out[0]


def test_the_right_md5_sum_is_taken(folder: Path) -> None:
    md5 = hashlib.md5((folder / "Si.upf").read_bytes(), usedforsecurity=False).hexdigest()
    (folder / "cutoffs.json").write_text(json.dumps({"Si": {"cutoff_wfc": 30, "cutoff_rho": 240, "md5": md5}}))
    assert len(read_family("ours", "PBE", folder, folder / "cutoffs.json").members) == 2


def test_a_folder_that_is_not_there_is_said_and_stops_nothing(tmp_path: Path) -> None:
    family = read_family("ours", "PBE", tmp_path / "nowhere", tmp_path / "no.json")
    assert family.members == ()
    assert len(family.left_out) == 2


def test_a_site_file_names_families_and_its_start_names_bad_files(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "Fe.upf").write_text("broken")
    text = f'[[pseudopotentials]]\nfamily = "ours"\nfunctional = "PBE"\nfolder = "{folder}"\n'
    (tmp_path / "site.toml").write_text(text)
    site = site_file.load(tmp_path / "site.toml")
    with caplog.at_level(logging.WARNING):
        (family,) = site_pseudopotentials.run_families(site.pseudopotentials)
    assert [one.element for one in family.members] == ["O", "Si"]
    assert "pseudopotentials of ours: left out: Fe.upf: it is not of the format UPF 2" in caplog.text
    (tmp_path / "site.toml").write_text(text + text)
    with pytest.raises(Problem, match='the family "ours" stands twice'):
        site_file.load(tmp_path / "site.toml")


def test_worker_and_page_find_what_the_agent_left(folder: Path, tmp_path: Path) -> None:
    home = UserHome(tmp_path / "home", tmp_path / "home")
    family = read_family("ours", "PBE", folder)
    assert pseudopotentials.write(home, [family])
    assert not pseudopotentials.write(home, [family])
    for environment in ({"AIIDA_PATH": str(home.workflows / "aiida")}, {"SIMDECK_APPS_DIR": str(home.apps)}):
        assert pseudopotentials.offered(environment) == (family,)
    assert pseudopotentials.offered({}) == ()
    pseudopotentials.file_of(home).write_text("{")
    assert pseudopotentials.offered({"SIMDECK_APPS_DIR": str(home.apps)}) == ()


def test_a_file_that_cannot_be_opened_is_no_header(tmp_path: Path) -> None:
    with pytest.raises(BadUpfError, match="cannot be read"):
        read_header(tmp_path / "nothing.upf")
