"""Reading AiiDAlab apps: metadata, requirements, versions and trees, without running anything of theirs."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest
from aiidalab_fixtures import SETUP_CFG, write_files, write_hello, write_modern, write_notebooks
from simdeck_appstore.aiidalab.metadata import AppFiles, AppMetadata, read_metadata, written_version
from simdeck_appstore.aiidalab.requirements import has_package, read_requirements
from simdeck_appstore.aiidalab.tree import find_logo, is_aiidalab, pack, pages_of
from synthetic import write_app


def metadata(folder: Path, files: dict[str, str]) -> AppMetadata:
    return read_metadata(AppFiles(write_files(folder, files)))


def test_the_section_aiidalab_goes_before_metadata(tmp_path: Path) -> None:
    found = read_metadata(AppFiles(write_hello(tmp_path)))
    assert (found.title, found.description, found.authors) == ("Hello World", "Says hello.", "The Hello Team")
    assert found.external_url == "https://hello.example.org"
    assert found.categories == ["teaching", "solids"]


def test_an_address_in_project_urls_may_hold_an_equals_sign(tmp_path: Path) -> None:
    assert read_metadata(AppFiles(write_hello(tmp_path))).documentation_url == "https://docs.example.org/?a=b"


def test_citations_of_both_forms_are_kept_and_others_dropped(tmp_path: Path) -> None:
    citations = read_metadata(AppFiles(write_hello(tmp_path))).citations
    assert [item.get("text") or item["doi"] for item in citations] == [
        "A. Author, J. Exemplary 1, 1 (2020)",
        "10.1000/2",
    ]


@pytest.mark.parametrize(
    ("trove", "state"),
    [
        ("1 - Planning", "registered"),
        ("2 - Pre-Alpha", "development"),
        ("4 - Beta", "development"),
        ("5 - Production/Stable", "stable"),
        ("7 - Inactive", "registered"),
    ],
)
def test_the_trove_classifier_says_the_state(tmp_path: Path, trove: str, state: str) -> None:
    text = f"[metadata]\nname = a\nclassifiers =\n    Development Status :: {trove}\n"
    assert metadata(tmp_path, {"setup.cfg": text}).state == state


def test_a_lone_percent_sign_is_meant_as_it_stands(tmp_path: Path) -> None:
    assert metadata(tmp_path, {"setup.cfg": "[metadata]\ndescription = 100 % yours\n"}).description == "100 % yours"


def test_setup_cfg_of_the_folder_aiidalab_is_read_first(tmp_path: Path) -> None:
    files = {".aiidalab/setup.cfg": "[aiidalab]\ntitle = First\n", "setup.cfg": "[aiidalab]\ntitle = Second\n"}
    assert metadata(tmp_path, files).title == "First"


def test_an_app_with_pyproject_alone_has_metadata_and_requirements(tmp_path: Path) -> None:
    files = AppFiles(write_modern(tmp_path))
    found = read_metadata(files)
    assert (found.title, found.description, found.authors) == ("Modern", "Has no setup.cfg.", "Ada, Bob")
    assert (found.state, found.categories, found.version) == ("stable", ["teaching"], "2.0.0")
    assert read_requirements(files) == ["six==1.17.0"]


def test_a_broken_setup_cfg_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"its setup\.cfg cannot be read"):
        AppFiles(write_files(tmp_path, {"setup.cfg": "no section\n"}))


def test_comments_behind_a_requirement_are_cut_off_and_markers_kept(tmp_path: Path) -> None:
    listed = read_requirements(AppFiles(write_hello(tmp_path)))
    assert listed == ["six==1.17.0", 'tomli>=2; python_version < "3.8"']


def test_requirements_txt_is_followed_inside_the_tree(tmp_path: Path) -> None:
    write_notebooks(tmp_path, "-r more/base.txt\n--index-url https://x.example\n-e .\n# nothing\nsix  # here\n")
    write_files(tmp_path, {"more/base.txt": "numpy\n"})
    assert read_requirements(AppFiles(tmp_path)) == ["numpy", "six"]


@pytest.mark.parametrize("line", ["-r ../secret.txt", "-r gone.txt", "not a requirement"])
def test_a_requirement_that_cannot_be_read_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "secret.txt").write_text("six\n")
    with pytest.raises(ValueError, match="its "):
        read_requirements(AppFiles(write_notebooks(tmp_path / "app", f"{line}\n")))


def test_a_pyproject_for_tools_alone_is_no_package(tmp_path: Path) -> None:
    assert not has_package(AppFiles(write_files(tmp_path, {"pyproject.toml": "[tool.black]\nline-length = 88\n"})))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1.0", "1.0"),
        ("attr: pack.__version__", "1.2.3"),
        ("attr: pack.about.number", "4.5"),
        ("attr: pack.computed", ""),
        ("attr: gone.__version__", ""),
        ("file: VERSION", "7.0"),
        ("file: ../VERSION", ""),
    ],
)
def test_a_version_written_elsewhere_is_found_without_running_the_app(
    tmp_path: Path, written: str, expected: str
) -> None:
    (tmp_path / "VERSION").write_text("9.9")
    code = '__version__ = "1.2.3"\ncomputed = str(1)\nraise SystemExit\n'
    files = {"src/pack/__init__.py": code, "src/pack/about.py": "number = '4.5'\n", "VERSION": "7.0\n"}
    assert written_version(write_files(tmp_path / "app", files), written) == expected


def test_hidden_notebooks_are_no_pages(tmp_path: Path) -> None:
    assert pages_of(write_hello(tmp_path)) == ["hello.ipynb", "notebooks/more.ipynb"]


def test_the_address_of_a_logo_is_matched_with_the_tree(tmp_path: Path) -> None:
    root = write_hello(tmp_path / "app")
    assert find_logo(root, "https://raw.example.org/hello/main/img/logo.svg") == root / "img/logo.svg"
    assert find_logo(root, "img/logo.svg") == root / "img/logo.svg"
    assert find_logo(root, "https://raw.example.org/gone.svg") is None
    (tmp_path / "logo.svg").write_text("")
    assert find_logo(root, "../logo.svg") != tmp_path / "logo.svg"


def test_projects_of_both_kinds_are_told_apart(tmp_path: Path) -> None:
    assert is_aiidalab(write_hello(tmp_path / "hello"))
    assert is_aiidalab(write_modern(tmp_path / "modern"))
    ours = write_app(tmp_path / "ours")
    (ours / "setup.cfg").write_text(SETUP_CFG)
    assert not is_aiidalab(ours)
    assert not is_aiidalab(write_files(tmp_path / "other", {"pyproject.toml": "[project]\nname = 'x'\n"}))


def test_the_same_tree_gives_the_same_archive_under_one_folder(tmp_path: Path) -> None:
    one, two = write_hello(tmp_path / "one"), write_hello(tmp_path / "two")
    (two / "__pycache__").mkdir()
    archives = [pack(root, tmp_path / f"{root.name}.tar.gz", "hello-1") for root in (one, two)]
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in archives}) == 1
    with tarfile.open(archives[0]) as bundle:
        assert {name.partition("/")[0] for name in bundle.getnames()} == {"hello-1"}


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname"])
def test_a_link_that_leads_outside_is_refused(tmp_path: Path, target: str) -> None:
    root = write_hello(tmp_path / "app")
    (root / "link").symlink_to(target)
    with pytest.raises(ValueError, match="leads outside"):
        pack(root, tmp_path / "app.tar.gz", "app")
