"""The user's AiiDA profile: made on first use without a question, found again ever after.

``AIIDA_PATH`` is ``<home.workflows>/aiida``; plain ``verdi`` with that variable works on the same profile. Every step
looks first whether it was done, so a start that was killed half-way is finished by the next one. Whoever calls this
must hold the worker's lock: nobody else makes or changes the profile.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

from simdeck_common.layout import UserHome, private_dir
from simdeck_common.problems import Problem

PROFILE = "simdeck"
COMPUTER = "localhost"
SCHEDULER = "simdeck.local"
EMAIL = "user@localhost"

OPTIONS: dict[str, Any] = {
    # Parents hear of their children's ends by broadcast; this polling is only the net below.
    "runner.poll.interval": 5,
    # A parent that waits holds a slot. Too few slots, and parents wait for children that wait for slots.
    "daemon.worker_process_slots": 100_000,
    "transport.task_retry_initial_interval": 2,
    "warnings.development_version": False,
}


def aiida_path(home: UserHome) -> Path:
    return home.workflows / "aiida"


def set_environment(home: UserHome) -> None:
    """Point this process at the user's AiiDA folder. Call it before ``aiida`` is imported: importing makes folders."""
    os.environ["AIIDA_PATH"] = str(private_dir(aiida_path(home)))


def load(home: UserHome) -> Any:
    """Make what is missing and load the profile; returns AiiDA's ``Profile``."""
    import aiida
    from aiida.manage import get_manager
    from aiida.manage.configuration import create_default_user, get_config
    from aiida.plugins import BrokerFactory

    config = get_config(create=True)
    if PROFILE not in config.profile_names:
        config.create_profile(
            name=PROFILE,
            storage_backend="core.sqlite_dos",
            storage_config={},
            broker_backend="core.zeromq",
            broker_config=BrokerFactory("core.zeromq").get_default_config(),
            is_test_profile=False,
        )
    changed = config.default_profile_name != PROFILE
    config.set_default_profile(PROFILE, overwrite=True)
    for name, value in OPTIONS.items():
        if config.get_option(name, scope=PROFILE, default=False) != value:
            config.set_option(name, value, scope=PROFILE)
            changed = True
    if changed:
        config.store()

    profile = aiida.load_profile(PROFILE, allow_switch=True)
    _set_write_ahead_log(Path(profile.storage_config["filepath"]) / "database.sqlite")
    if not profile.default_user_email:
        from aiida.orm import User

        known = User.collection.query().first(flat=True)
        if known is None:
            create_default_user(profile, EMAIL)
        else:
            get_manager().set_default_user_email(profile, known.email)
    _computer(home)
    return profile


def _set_write_ahead_log(database: Path) -> None:
    # The mode stays with the file. With it, readers (plain verdi) and the worker's writes do not lock each other out.
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _computer(home: UserHome) -> Any:
    from aiida.common.exceptions import NotExistent
    from aiida.orm import Computer

    try:
        computer = Computer.collection.get(label=COMPUTER)
    except NotExistent:
        computer = Computer(
            label=COMPUTER,
            hostname="localhost",
            description="This machine",
            transport_type="core.local",
            scheduler_type=SCHEDULER,
            workdir=str(private_dir(home.workflows / "scratch")),
        ).store()
    if not computer.is_configured:
        computer.set_minimum_job_poll_interval(0.2)
        computer.set_default_mpiprocs_per_machine(1)
        # Reading a login shell's start files doubles the cost of a small local job and changes nothing for it.
        computer.configure(safe_interval=0.0, use_login_shell=False)
    return computer


def code_for(home: UserHome, app: str, version: str) -> Any:
    """The code node ``<app>-<version>@localhost``: the Python of that version's own environment.

    Raises
    ------
    Problem
        ``app-version-gone``: that version is not installed any more.
    """
    from aiida.common.exceptions import NotExistent
    from aiida.orm import InstalledCode, load_code

    python = home.apps / app / "versions" / version / "env" / "bin" / "python"
    if not python.exists():
        raise Problem("app-version-gone", app=app, version=version)
    label = f"{app}-{version}"
    try:
        code = load_code(f"{label}@{COMPUTER}")
        if code.filepath_executable == python:
            return code
        # The data folder was moved: keep the old node for the provenance of old runs, out of the way.
        code.label = f"{label}-{code.pk}"
    except NotExistent:
        pass
    return InstalledCode(
        label=label,
        description=f"Python of the app {app} {version}",
        computer=_computer(home),
        filepath_executable=str(python),
    ).store()
