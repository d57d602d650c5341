"""What a worker stands on: its environment, which must stay while it lives, and the apps' versions it began with."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path

from simdeck_common.files import write_atomically
from simdeck_common.generations import RECORD
from simdeck_common.layout import UserHome

from simdeck_workflows.environments import NOTE


class Standing:
    """Made once, at the worker's start."""

    def __init__(self, home: UserHome) -> None:
        self._apps = home.apps
        self._note = home.workflows / NOTE
        self._began = {path.parent.parent.name: version for path in self._links() if (version := _leads_to(path))}
        self._handle = -1

    @property
    def folders(self) -> list[Path]:
        """The folders of workflow packages, by the versions' own names: an app's next version must not come in."""
        return [version / "workflows" for _app, version in sorted(self._began.items())]

    def hold(self) -> bool:
        """Keep the environment from being removed while this process lives; False if it is gone already."""
        record = Path(sys.prefix) / RECORD
        try:
            handle = os.open(record, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            # The backend's own environment has no such file; a generation that has none was removed this moment.
            return Path(sys.executable).exists()
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return record.exists()

    def note(self) -> None:
        """Write down what this worker stands on, for the agent."""
        apps = {app: version.name for app, version in self._began.items()}
        text = json.dumps({"pid": os.getpid(), "environment": sys.prefix, "apps": apps})
        write_atomically(self._note, text + "\n")

    def is_stale(self, app: str) -> bool:
        """Say whether an app has come, or changed its version, since this worker began: the next one knows it."""
        return _leads_to(self._apps / app / "current" / "workflows") != self._began.get(app)

    def _links(self) -> list[Path]:
        return sorted(self._apps.glob("*/current/workflows"))


def _leads_to(workflows: Path) -> Path | None:
    """The folder of the version that an app's ``current`` leads to; None where it brings no workflows."""
    try:
        return workflows.resolve(strict=True).parent
    except OSError:
        return None
