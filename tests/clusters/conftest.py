"""Fixtures of the clusters' tests."""

import pytest
from clusters.watched import Site


@pytest.fixture
async def site():
    """A watched simulated cluster that has been asked once."""
    made = Site()
    await made.watcher.start()
    await made.clock.advance(1)
    yield made
    await made.watcher.stop()
