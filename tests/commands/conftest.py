"""A home with the app of described programs, and a backend with a real worker on it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest
from simdeck_common.layout import user_home

# Tests are imported by path; their helpers are found here.
sys.path.insert(0, str(Path(__file__).parents[1] / "workflows" / "fixtures"))

from commands import command_app
from simdeck_clusters.settings import ContainerEnvironment
from simdeck_workflows.codes import RunCode
from toy_fixtures import toy_fixture  # noqa: F401
from toy_oven import Oven


@pytest.fixture(scope="module")
async def bench(toy: ModuleType) -> AsyncIterator[Oven]:
    """A started backend on a fresh home; its worker and calculations are killed afterwards."""
    # Not pytest's own folder: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="sdcmd-") as folder:
        home = user_home(Path(folder), "alice")
        command_app.install(home.apps, toy)
        box = ContainerEnvironment(runtime="bwrap", image="/usr/..")
        told = RunCode(label="teller", executable="/bin/sh", prepend=("export GREETING='it works'",))
        boxed = RunCode(label="printer", executable="/usr/bin/printf", container=box)
        found = Oven(home, toy, codes=(told, boxed))
        await found.backend.start()
        yield found
        await found.backend.stop()
        found.clear()
        shutil.rmtree(home.runtime, ignore_errors=True)
