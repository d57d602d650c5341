"""Homes with the toy app and a real worker, as in the workflows' tests; a private PostgreSQL for those that need one."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from simdeck_common.layout import user_home
from simdeck_hub import site_file
from simdeck_hub.places import DataFolder
from simdeck_hub.site_file import Site
from simdeck_workflows import storage
from simdeck_workflows.storage import Server
from storage.pg_server import PostgresServer, missing

sys.path.insert(0, str(Path(__file__).parents[1] / "workflows" / "fixtures"))

from toy_fixtures import described_fixture, toy_fixture  # noqa: F401
from toy_oven import Oven


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    # Not pytest's own folder: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="sdst-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
async def open_oven(toy: ModuleType, described: bytes) -> AsyncIterator[Callable[..., Any]]:
    """``await open_oven(data, name)``: a started backend on that user's home; all are cleared away afterwards."""
    async with AsyncExitStack() as stack:

        async def close(oven: Oven) -> None:
            await oven.backend.stop()
            oven.clear()
            shutil.rmtree(oven.home.runtime, ignore_errors=True)

        async def make(data: Path, name: str, server: Server | None = None, **settings: Any) -> Oven:
            home = user_home(data, name)
            storage.write(home, name, server)
            if not (home.apps / "toy").exists():
                toy.install(home.apps, described=described)
            oven = Oven(home, toy, user=name, **settings)
            await oven.backend.start()
            stack.push_async_callback(close, oven)
            return oven

        yield make


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A real PostgreSQL of the tests' own."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    found = PostgresServer()
    yield found
    found.clear()


@pytest.fixture(scope="module")
def pg_data(place: Path, server: PostgresServer) -> tuple[DataFolder, Site]:
    """A data folder whose site file names that PostgreSQL; nobody has a database yet."""
    data = DataFolder(place / "data")
    data.make()
    data.site_file.write_text(server.site(data.private))
    return data, site_file.load(data.site_file)
