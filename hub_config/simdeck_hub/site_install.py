"""Installs and removes apps for everybody, in a process of its own: as root's command it runs as the folder's owner.

``python -m simdeck_hub.site_install install|remove --settings agent.json --app APP [--version V]`` prints one JSON
object a line: ``{"step", "message"}``, ``{"line"}``, and at the end ``{"app"}`` or ``{"problem"}``.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from simdeck_agent.settings import AgentSettings
from simdeck_appstore.installer import Installer
from simdeck_appstore.models import Progress
from simdeck_common.problems import Problem


def site_installer(settings: AgentSettings) -> Installer:
    """Return the installer of the apps for everybody.

    Raises
    ------
    Problem
        ``site-apps-folder``: the settings name no folder for them.
    """
    folder = settings.site_apps
    if folder is None:
        raise Problem(
            "site-apps-folder", folder="for everybody's apps", reason="is not known", hint="Start Simdeck once"
        )
    # On a site the account that owns them may have no home; on one's own machine the usual cache is warm already.
    cache = folder / ".cache" if settings.site is not None else None
    return Installer(folder, replace(settings.installer(), site_apps=None, site_wide=True, cache=cache))


def change(settings_file: Path, action: str, app: str, version: str | None) -> Iterator[dict[str, Any]]:
    """Run this module for one change and yield what it says.

    Raises
    ------
    Problem
        ``site-apps-folder``: the folder is not there, or is not this account's; ``install-failed``: no word at the end.
    """
    settings = AgentSettings.read(settings_file)
    owner = acting_account(settings)
    argv = [sys.executable, "-m", "simdeck_hub.site_install", action, "--settings", str(settings_file), "--app", app]
    argv += ["--version", version] if version else []
    become: dict[str, Any] = {}
    environment = dict(os.environ)
    if owner is not None:
        become = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        environment |= {"HOME": owner.pw_dir, "USER": owner.pw_name, "LOGNAME": owner.pw_name}
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        umask=0o022,
        cwd="/",
        **become,
    )
    assert process.stdout is not None
    said: dict[str, Any] = {}
    with process.stdout:
        for line in process.stdout:
            said = json.loads(line)
            yield said
    process.wait()
    if not {"app", "problem"} & set(said):
        raise Problem("install-failed", app=app, version=version or "", step=said.get("step", "resolve"))


def acting_account(settings: AgentSettings) -> pwd.struct_passwd | None:
    """Return the account that changes the apps for everybody: None for this one.

    An install runs code of the app's. On a site that is neither root's nor the service's, who may act for everybody.

    Raises
    ------
    Problem
        ``site-apps-folder``.
    """
    folder = settings.site_apps
    if folder is None or settings.site is None:
        return None
    hint = f"As root: install -d -o ACCOUNT -m 755 {folder}, with an account that does nothing else"
    try:
        uid = folder.stat().st_uid
    except OSError as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise Problem("site-apps-folder", folder=folder, reason=reason, hint=hint) from None
    if uid == 0:
        reason = "belongs to root, and an install runs code of the app's"
        raise Problem("site-apps-folder", folder=folder, reason=reason, hint=hint)
    if uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        who = pwd.getpwuid(uid).pw_name
        raise Problem(
            "site-apps-folder", folder=folder, reason=f"belongs to {who}", hint=f"Run this as root, or as {who}"
        )
    return pwd.getpwuid(uid)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="simdeck_hub.site_install", description=__doc__)
    parser.add_argument("action", choices=["install", "remove"])
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--app", required=True)
    parser.add_argument("--version")
    chosen = parser.parse_args(argv)

    def say(**words: Any) -> None:
        print(json.dumps(words, ensure_ascii=False), flush=True)

    def report(progress: Progress) -> None:
        if progress.kind == "log":
            say(line=progress.message)
        else:
            say(step=progress.step, message=progress.message)

    try:
        installer = site_installer(AgentSettings.read(chosen.settings))
        installer.clean()
        if chosen.action == "install":
            say(app=installer.install(chosen.app, chosen.version, report=report).model_dump())
        else:
            installer.remove(chosen.app, chosen.version, report=report)
            say(app={"id": chosen.app, "current": chosen.version})
    except Problem as problem:
        say(problem=problem.to_json())
        return 1
    except OSError as error:
        failed = Problem("install-failed", app=chosen.app, version=chosen.version or "", step="resolve")
        failed.detail += f" {error.strerror or error}: {error.filename or ''}"
        say(problem=failed.to_json())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
