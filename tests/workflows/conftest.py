"""Homes with the toy app installed, and backends with a real worker."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from simdeck_common.layout import user_home

# Tests are imported by path; their helpers are found here.
sys.path.insert(0, str(Path(__file__).parent / "fixtures"))

import toy_app
from toy_oven import Oven


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    if not toy_app.BACKEND_PYTHON.exists():
        pytest.skip("the workflow backend's environment is missing: make up makes it")
    return toy_app


@pytest.fixture(scope="session")
def described(toy: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = toy.install(tmp_path_factory.mktemp("describe"))
    return (folder / "workflows.json").read_bytes()


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    # Not pytest's own folder: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="sdwf-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
async def oven(data: Path, toy: ModuleType, described: bytes) -> AsyncIterator[Oven]:
    """A started backend on a fresh home; its worker and calculations are killed afterwards."""
    home = user_home(data, "alice")
    toy.install(home.apps, described=described)
    found = Oven(home, toy)
    await found.backend.start()
    yield found
    await found.backend.stop()
    found.clear()
    shutil.rmtree(home.runtime, ignore_errors=True)
