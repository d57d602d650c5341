"""Which environment a user's worker is started with, and whether a living one should move to another.

The app store makes generations of the backend's environment (:mod:`simdeck_common.generations`). A worker stays on the
one it was started with: while it has runs they end there, unless a run needs what only the next generation has; then
the next worker takes all of them over. No AiiDA here.
"""

from __future__ import annotations

import json
from pathlib import Path

from simdeck_common.generations import Chosen, Need, choose, needs_below
from simdeck_common.layout import UserHome
from simdeck_common.problems import Problem

NOTE = "worker.json"
"""In the user's folder of workflows: what the last worker was started with (``environment``, ``pid``, ``apps``)."""


class Environments:
    """The environments that one user's worker may have.

    Parameters
    ----------
    backend_python
        The Python of the backend's own environment.
    site_apps
        Where the apps lie that are installed for everybody, with generations of their own.
    """

    def __init__(self, home: UserHome, backend_python: Path, site_apps: Path | None = None) -> None:
        self._home = home
        self._backend_python = backend_python
        self._places = [home.apps, *([site_apps] if site_apps is not None else [])]

    def choose(self) -> Chosen:
        """Return what fits the apps that are installed now."""
        return choose(needs_below(self._home.apps), self._places, self._backend_python)

    def python(self) -> Path:
        """Return the Python for the next worker."""
        return self.choose().python

    def check(self, app: str) -> None:
        """Refuse a run of an app whose workflows lack what they need. Raises ``workflow-lacks-packages``."""
        need: Need | None = next((one for one in self.choose().lacking if one.app == app), None)
        if need is not None:
            raise Problem("workflow-lacks-packages", app=need.title, wanted=", ".join(need.requirements))

    def is_other(self) -> bool:
        """Say whether the last worker was started with another environment than the next one will be."""
        try:
            noted = Path(json.loads((self._home.workflows / NOTE).read_bytes())["environment"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        # The environment itself, wherever a link in its path leads; its Python is a link of its own.
        return noted.resolve() != self.python().parents[1].resolve()
