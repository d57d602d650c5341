"""Whether a release fits this machine's Python and the Simdeck that comes with it, and what its environment holds."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import Version
from simdeck_common.problems import Problem

from simdeck_appstore.models import RegistryApp, Release


@dataclass(frozen=True)
class VerifiedEnvironment:
    """What the check found: where ``site-packages`` lies in the version's folder, and if there is a kernel."""

    site: str
    kernel: bool


def check_versions(document: RegistryApp, release: Release, python: str) -> None:
    """Refuse a release that does not run on ``python`` (a version), or wants a newer Simdeck than it brings.

    Raises
    ------
    Problem
        ``app-needs-python`` or ``app-needs-simdeck``.
    """
    title, version = document.title, release.version
    if release.python and not SpecifierSet(release.python).contains(python, prereleases=True):
        raise Problem("app-needs-python", app=title, version=version, needed=release.python, found=python)
    own = release.simdeck.version if release.simdeck else None
    if own and release.minimum_simdeck and Version(own) < Version(release.minimum_simdeck):
        raise Problem("app-needs-simdeck", app=title, version=version, needed=release.minimum_simdeck, found=own)
