"""Where the system has no OpenMP runtime, the engine takes the one that the app's environment bundles."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from simdeck_molecule.engine.openmp import LIBRARY, bundled_library, link_library

# The engine's own start, told that the loader finds no libgomp; then says which files of that name it has loaded.
PROGRAM = """\
import sys
from simdeck_molecule.engine import openmp
openmp.one_thread()
openmp.provide_openmp(found=lambda: {found})
from simdeck_molecule.engine.check import main
status = main()
print(sys.argv[1:])
print(*{{line.split()[-1] for line in open("/proc/self/maps") if "libgomp" in line}})
sys.exit(status)
"""


@pytest.fixture
def environment(app_python: Path, tmp_path: Path) -> Path:
    """An environment of its own, with the packages of the app's."""
    home = tmp_path / "environment"
    subprocess.run([app_python, "-m", "venv", "--without-pip", home], check=True)
    packages = next(home.glob("lib/python*/site-packages"))
    for path in next(app_python.parents[1].glob("lib/python*/site-packages")).iterdir():
        (packages / path.name).symlink_to(path)
    return home


def started(home: Path, app_env: dict[str, str], folder: Path, *, found: bool = False) -> list[str]:
    """Run the program in ``folder`` and return the lines it printed."""
    folder.mkdir(exist_ok=True)
    (folder / "program.py").write_text(PROGRAM.format(found=found))
    argv = [home / "bin/python", "program.py", "an argument"]
    ended = subprocess.run(argv, cwd=folder, env=app_env, capture_output=True, text=True, timeout=360)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def bundled(app_python: Path) -> str:
    library = bundled_library(next(app_python.parents[1].glob("lib/python*/site-packages")))
    assert library is not None
    return str(library.resolve())


def test_without_the_systems_library_the_engine_computes_with_the_bundled_one(
    environment: Path, app_python: Path, app_env: dict[str, str], tmp_path: Path
) -> None:
    energy, arguments, loaded = started(environment, app_env, tmp_path / "work")
    assert float(energy.split()[-2]) == pytest.approx(-26.72, abs=0.01)  # eV
    assert arguments == "['an argument']"
    assert loaded == bundled(app_python)
    assert os.listdir(environment / "lib/openmp") == [LIBRARY]


def test_with_the_systems_library_nothing_changes(environment: Path, app_env: dict[str, str], tmp_path: Path) -> None:
    _energy, _arguments, loaded = started(environment, app_env, tmp_path / "work", found=True)
    assert "pykdtree" not in loaded
    assert not (environment / "lib/openmp").exists()


def test_an_environment_that_cannot_be_written_leaves_the_link_in_the_working_directory(
    environment: Path, app_python: Path, app_env: dict[str, str], tmp_path: Path
) -> None:
    (environment / "lib/openmp").write_text("in the way, for root too")
    _energy, _arguments, loaded = started(environment, app_env, tmp_path / "work")
    assert loaded == bundled(app_python)
    assert (tmp_path / "work/.openmp").stat().st_mode & 0o777 == 0o700


def test_where_no_wheel_bundles_one_the_program_is_not_started_again(
    environment: Path, app_env: dict[str, str], tmp_path: Path
) -> None:
    next(environment.glob("lib/python*/site-packages/pykdtree.libs")).unlink()
    # So this machine's own library is what the import finds.
    _energy, _arguments, loaded = started(environment, app_env, tmp_path / "work")
    assert "pykdtree" not in loaded


def test_an_environment_that_moved_keeps_its_link(tmp_path: Path) -> None:
    library = tmp_path / "staged/site/some.libs/libgomp-0a.so.1.0.0"
    library.parent.mkdir(parents=True)
    library.write_text("it")
    link_library(tmp_path / "staged/openmp", library)
    (tmp_path / "staged").rename(tmp_path / "ready")
    assert (tmp_path / "ready/openmp" / LIBRARY).read_text() == "it"


def test_a_link_to_what_is_gone_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("it")
    folder = tmp_path / "openmp"
    folder.mkdir()
    (folder / LIBRARY).symlink_to("../gone")
    link_library(folder, tmp_path / "new")
    link_library(folder, tmp_path / "new")
    assert (folder / LIBRARY).read_text() == "it"
    assert os.listdir(folder) == [LIBRARY]


def test_a_check_that_fails_names_what_is_missing_in_its_last_line(app_python: Path, app_env: dict[str, str]) -> None:
    broken = (
        "import sys; sys.modules['tblite.ase'] = None\nfrom simdeck_molecule.engine.check import main; sys.exit(main())"
    )
    ended = subprocess.run([app_python, "-c", broken], env=app_env, capture_output=True, text=True, timeout=360)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("The xTB engine (tblite) cannot compute here: ModuleNotFoundError")
