"""A real two-node Slurm, alone and with the whole site on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simdeck_hub.trial import machine
from simdeck_hub.trial.trial import Options, Trial
from slurm.site_images import environments
from slurm.site_stack import CLUSTER_OPTIONS, OPTIONS, TWIN_OPTIONS, SiteStack, missing_for_slurm
from slurm.traces import devices, processes_below, traces


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteStack]:
    """The whole of `make site`."""
    reason = missing_for_slurm()
    if reason:
        pytest.skip(reason)
    before = traces((*OPTIONS.users, OPTIONS.service, OPTIONS.group))
    with SiteStack(tmp_path_factory.mktemp("site")) as running:
        made = {thing["name"] for thing in running.trial.ledger.things if thing["kind"] == "link"}
        yield running
    assert traces((*OPTIONS.users, OPTIONS.service, OPTIONS.group)) == before
    assert not made & set(devices())
    assert not processes_below(running.run)
    assert not running.run.exists()


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteStack]:
    """A site of two clusters that offers container images as environments."""
    reason = missing_for_slurm()
    if reason:
        pytest.skip(reason)
    with SiteStack(tmp_path_factory.mktemp("twin"), environments(TWIN_OPTIONS), TWIN_OPTIONS) as running:
        yield running
    names = (*TWIN_OPTIONS.users, TWIN_OPTIONS.service, TWIN_OPTIONS.group)
    assert not traces(names)["accounts"]
    assert not processes_below(running.run)
    assert not running.run.exists()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Trial]:
    """Slurm and the accounts, without a hub and without accounting."""
    yield from make_cluster(CLUSTER_OPTIONS)


@pytest.fixture(scope="module")
def accounted() -> Iterator[Trial]:
    """The same with slurmdbd on MariaDB."""
    packages = machine.missing_packages(accounting=True)
    if packages:
        pytest.skip(f"`apt-get install {' '.join(packages)}` adds them")
    yield from make_cluster(replace(CLUSTER_OPTIONS, accounting=True))


def make_cluster(options: Options) -> Iterator[Trial]:
    reason = missing_for_slurm()
    if reason:
        pytest.skip(reason)
    with Trial(options) as trial:
        trial.make_people()
        trial.start_cluster()
        yield trial
    options.folder.joinpath("trial.lock").unlink()
    options.folder.rmdir()
