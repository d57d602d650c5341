"""What the extension is told at start: the apps folder, and how many kernels to keep warm."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Settings of one Jupyter server.

    Attributes
    ----------
    apps
        The user's installed apps (``SIMDECK_APPS_DIR``).
    deck_url
        Where the deck's pages are.
    warm_apps, warm_spare
        Keep ``warm_spare`` kernels waiting for each of at most ``warm_apps`` apps (``SIMDECK_WARM_APPS``,
        ``SIMDECK_WARM_SPARE``; 0 turns it off).
    server
        This server's name at the hub (``JUPYTERHUB_SERVER_NAME``); ``-`` is the default server.
    job_ends
        When the job of this server ends, in seconds since the epoch (``SIMDECK_JOB_ENDS``); None if nothing ends it.
    warn_seconds
        How many seconds before that to warn (``SIMDECK_WALLTIME_WARNING``).
    reattach
        How many seconds a page that was left keeps its kernel for a reload (``SIMDECK_REATTACH_SECONDS``; 0: none).
    absent
        How many seconds a page keeps it whose browser went away without a word (``SIMDECK_ABSENT_SECONDS``).
    command_idle
        How many seconds nobody uses an app's web program before it ends (``SIMDECK_COMMAND_IDLE``).
    command_start
        How many seconds such a program may take to answer (``SIMDECK_COMMAND_START``).
    late
        Server extensions to load once the server answers (``SIMDECK_LATE_EXTENSIONS``, with commas).
    """

    apps: Path
    deck_url: str = "/services/deck/"
    warm_apps: int = 3
    warm_spare: int = 1
    server: str = "-"
    job_ends: float | None = None
    warn_seconds: float = 600.0
    reattach: float = 60.0
    absent: float = 900.0
    command_idle: float = 1800.0
    command_start: float = 90.0
    late: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, env: dict[str, str] | None = None) -> Settings:
        """Read the settings from the variables the spawner sets."""
        env = dict(os.environ) if env is None else env
        default = cls(Path("unset"))
        return cls(
            apps=Path(env.get("SIMDECK_APPS_DIR") or Path.home() / ".simdeck-apps"),
            deck_url=f"{env.get('JUPYTERHUB_BASE_URL', '/').rstrip('/')}/services/deck/",
            warm_apps=_number(env.get("SIMDECK_WARM_APPS"), default.warm_apps),
            warm_spare=_number(env.get("SIMDECK_WARM_SPARE"), default.warm_spare),
            server=env.get("JUPYTERHUB_SERVER_NAME") or default.server,
            job_ends=float(_number(env.get("SIMDECK_JOB_ENDS"), 0)) or None,
            reattach=float(_number(env.get("SIMDECK_REATTACH_SECONDS"), int(default.reattach))),
            absent=float(_number(env.get("SIMDECK_ABSENT_SECONDS"), int(default.absent))),
            command_idle=float(_number(env.get("SIMDECK_COMMAND_IDLE"), int(default.command_idle))),
            command_start=float(_number(env.get("SIMDECK_COMMAND_START"), int(default.command_start))),
            late=tuple(filter(None, env.get("SIMDECK_LATE_EXTENSIONS", "").split(","))),
            warn_seconds=float(_number(env.get("SIMDECK_WALLTIME_WARNING"), int(default.warn_seconds))),
        )


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdigit() else otherwise
