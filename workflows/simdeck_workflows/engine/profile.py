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

from simdeck_common.files import write_atomically
from simdeck_common.layout import UserHome, private_dir
from simdeck_common.problems import Problem

from simdeck_workflows import clusters, storage
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.storage import PROFILE

COMPUTER = "localhost"
SCHEDULER = "simdeck.local"
CLUSTER_SCHEDULER = "simdeck.slurm"
EMAIL = "user@localhost"

POLL_EVERY = 0.2
CLUSTER_POLL_EVERY = 1.0
"""Seconds between two looks at a computer's jobs. On a cluster a look reads files; questions have their own pace."""

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
    """Make what is missing and load the profile; returns AiiDA's ``Profile``.

    A profile is made where the agent says (``simdeck_workflows.storage``) and stays where it is until it is moved.
    Raises ``StorageError`` where its PostgreSQL cannot be used.
    """
    import aiida
    from aiida.manage import get_manager
    from aiida.manage.configuration import create_default_user, get_config

    config = get_config(create=True)
    if PROFILE not in config.profile_names:
        _make_profile(home, config)
    changed = config.default_profile_name != PROFILE
    config.set_default_profile(PROFILE, overwrite=True)
    for name, value in OPTIONS.items():
        if config.get_option(name, scope=PROFILE, default=False) != value:
            config.set_option(name, value, scope=PROFILE)
            changed = True
    if changed:
        config.store()

    profile = aiida.load_profile(PROFILE, allow_switch=True)
    used = storage.StorageInUse.of(profile.dictionary["storage"])
    if used.postgresql is None:
        _set_write_ahead_log(used.repository / "database.sqlite")
    else:
        from simdeck_workflows.engine import postgres

        postgres.wait_for(used.postgresql)
        opened = get_manager().get_profile_storage()
        postgres.end_when_lost(opened.get_session().get_bind())
        write_atomically(home.workflows / storage.SCHEMA_FILE, opened.version_head())
    if not profile.default_user_email:
        from aiida.orm import User

        known = User.collection.query().first(flat=True)
        if known is None:
            create_default_user(profile, EMAIL)
        else:
            get_manager().set_default_user_email(profile, known.email)
    computer_for(home)
    for cluster in clusters.read(clusters.file_of(home)):
        computer_for(home, cluster)
    from simdeck_workflows.engine import codes, pseudopotentials

    codes.provision(home)
    pseudopotentials.provision(home)
    return profile


def _make_profile(home: UserHome, config: Any) -> None:
    from aiida.plugins import BrokerFactory

    broker, broker_config = "core.zeromq", BrokerFactory("core.zeromq").get_default_config()
    database = storage.read(home)
    if database is None:
        config.create_profile(
            name=PROFILE,
            storage_backend="core.sqlite_dos",
            storage_config={},
            broker_backend=broker,
            broker_config=broker_config,
            is_test_profile=False,
        )
        return
    from simdeck_workflows.engine import postgres

    repository = aiida_path(home) / ".aiida" / "repository" / PROFILE
    postgres.make_profile(config, PROFILE, database, repository, {"backend": broker, "config": broker_config})


def _set_write_ahead_log(database: Path) -> None:
    # The mode stays with the file. With it, readers (plain verdi) and the worker's writes do not lock each other out.
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def computer_for(home: UserHome, cluster: RunCluster | None = None) -> Any:
    """The computer node of a cluster, or of this machine: made where it is missing, mended where it differs."""
    from aiida.common.exceptions import NotExistent
    from aiida.orm import Computer

    label = cluster.name if cluster is not None else COMPUTER
    scratch = cluster.scratch_folder(home) if cluster is not None else home.workflows / "scratch"
    try:
        computer = Computer.collection.get(label=label)
    except NotExistent:
        computer = Computer(
            label=label,
            # Not an address: commands run here. The scheduler plugin knows its cluster by this name.
            hostname=label,
            description=(cluster.title or label) if cluster is not None else "This machine",
            transport_type="core.local",
            scheduler_type=CLUSTER_SCHEDULER if cluster is not None else SCHEDULER,
            workdir=str(_made(scratch)),
        ).store()
    # Another one after the data folder was moved, or restored from a backup at another place.
    if computer.get_workdir() != str(scratch):
        computer.set_workdir(str(_made(scratch)))
        computer.store()
    pace = POLL_EVERY if cluster is None else CLUSTER_POLL_EVERY
    if computer.get_minimum_job_poll_interval() != pace:
        computer.set_minimum_job_poll_interval(pace)
        computer.store()
    if not computer.get_use_double_quotes():
        # For words before a program, as a container's: the shell fills in $PWD there.
        computer.set_use_double_quotes(True)
        computer.store()
    if not computer.is_configured:
        computer.set_default_mpiprocs_per_machine(1)
        # Reading a login shell's start files doubles the cost of a small local job and changes nothing for it.
        computer.configure(safe_interval=0.0, use_login_shell=False)
    return computer


def _made(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return private_dir(folder)


def code_for(home: UserHome, app: str, version: str, cluster: RunCluster | None = None) -> Any:
    """The code node ``<app>-<version>@<cluster or localhost>``: the Python of that version's own environment.

    Raises
    ------
    Problem
        ``app-version-gone``: that version is not installed any more.
    """
    from simdeck_workflows.engine import slurm_options

    python = home.apps / app / "versions" / version / "env" / "bin" / "python"
    if not python.exists():
        raise Problem("app-version-gone", app=app, version=version)
    computer = computer_for(home, cluster)
    code = _code(computer, f"{app}-{version}", python, f"Python of the app {app} {version}")
    if cluster is not None:
        wants = slurm_options.of_manifest(python.parents[2] / "app.json")
        if code.base.extras.get(slurm_options.EXTRA, None) != wants:
            code.base.extras.set(slurm_options.EXTRA, wants)
    return code


def _code(computer: Any, label: str, python: Path, description: str) -> Any:
    from aiida.common.exceptions import NotExistent
    from aiida.orm import InstalledCode, load_code

    try:
        code = load_code(f"{label}@{computer.label}")
        if code.filepath_executable == python:
            return code
        # The data folder was moved: keep the old node for the provenance of old runs, out of the way.
        code.label = f"{label}-{code.pk}"
    except NotExistent:
        pass
    return InstalledCode(
        label=label, description=description, computer=computer, filepath_executable=str(python)
    ).store()
