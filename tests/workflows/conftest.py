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

from toy_fixtures import described_fixture, toy_fixture  # noqa: F401
from toy_oven import Oven


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
