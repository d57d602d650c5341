"""A private Slurm, and a backend whose runs are its jobs."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from simdeck_common.layout import user_home

sys.path.insert(0, str(Path(__file__).parents[1] / "workflows" / "fixtures"))

from toy_fixtures import described_fixture, toy_fixture  # noqa: F401
from workflows_slurm.cluster_oven import ClusterOven, install_trouble, missing


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A folder that hub and nodes see alike; the nodes have a /tmp of their own."""
    with tempfile.TemporaryDirectory(prefix="sdws-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def slurm(shared: Path) -> Iterator[object]:
    """Two nodes, without accounting."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    from simdeck_hub.trial import machine
    from simdeck_hub.trial.cluster import PrivateSlurm
    from simdeck_hub.trial.ledger import Ledger

    ledger = Ledger(shared / "trial.json")
    mark = f"wf-{os.getpid()}-{secrets.token_hex(4)}"
    ledger.note("processes", mark=mark)
    with machine.one_at_a_time():
        slurm = PrivateSlurm(shared / "slurm", machine.free_network(), ledger, mark)
        slurm.make_bridge()
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()
        ledger.clear(print)


@pytest.fixture(scope="module")
async def oven(shared: Path, slurm: object, toy: ModuleType, described: bytes) -> AsyncIterator[ClusterOven]:
    home = user_home(shared / "data", "alice")
    toy.install(home.apps, described=described)
    install_trouble(toy, home.apps)
    found = ClusterOven(home, toy, slurm, shared / "tools")
    await found.backend.start()
    yield found
    await found.backend.stop()
    found.clear()
    shutil.rmtree(home.runtime, ignore_errors=True)
