"""A real two-node Slurm, alone and with the whole site on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simdeck_hub.trial.trial import Trial
from slurm.site_stack import OPTIONS, SiteStack, missing_for_slurm


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteStack]:
    """The whole of `make site`."""
    reason = missing_for_slurm()
    if reason:
        pytest.skip(reason)
    with SiteStack(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[Trial]:
    """Slurm and the accounts, without a hub."""
    reason = missing_for_slurm()
    if reason:
        pytest.skip(reason)
    with Trial(OPTIONS) as trial:
        trial.make_people()
        trial.start_cluster()
        yield trial
