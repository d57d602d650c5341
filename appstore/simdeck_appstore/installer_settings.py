"""What the installer needs to know of the machine and of the site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simdeck_appstore.policy import OPEN, AppPolicy
from simdeck_appstore.registries import RegistrySource


@dataclass(frozen=True)
class InstallerSettings:
    """What the installer needs to know of the machine.

    Parameters
    ----------
    registries
        Built registries, first choice first: folders or http(s) addresses, or with a pinned key.
    uv
        The uv program.
    python
        The Python that apps' environments are made of; default: the one below this process.
    describe_argv
        The command that lists a folder's workflows as JSON; ``--path <folder>`` is appended. None: none are read.
    backend_python
        The Python of the workflow backend, which apps' own needs are added to. None: they are not looked after.
    cache
        uv's cache folder; default: uv's own.
    link_mode
        How uv places files from its cache (``hardlink``: no copy where cache and apps share a file system).
    post_install
        Run the ``post_install`` script of AiiDAlab apps: code of theirs, with the user's rights.
    policy
        What the site offers; groups are asked about by whoever knows the person.
    site_apps
        Where the apps lie that are installed for everybody. None: there are none.
    site_wide
        These installs are for everybody: readable by all, written to by nobody, complete without another's cache.
    """

    registries: Sequence[str | Path | RegistrySource]
    uv: Path
    python: Path | None = None
    describe_argv: list[str] | None = None
    backend_python: Path | None = None
    cache: Path | None = None
    link_mode: str = "hardlink"
    post_install: bool = False
    policy: AppPolicy = OPEN
    site_apps: Path | None = None
    site_wide: bool = False

    @property
    def takes_plugins(self) -> bool:
        """Whether the workflows of an app that is installed here enter the backend."""
        return self.site_wide or self.policy.plugins == "auto"

    def describe(self, python: Path | None) -> list[str] | None:
        """Return the command that lists workflows, with ``python`` in the place of the backend's own Python."""
        argv = self.describe_argv
        if argv is None or python is None or argv[0] != str(self.backend_python):
            return argv
        return [str(python), *argv[1:]]
