"""Apps that are web programs and apps that are files, as an install leaves them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from installed_apps import finish_install

PROGRAM = Path(__file__).with_name("small_program.py")


def install_entry(apps: Path, name: str, entry: dict[str, Any], *, title: str = "", package: str = "") -> Path:
    """Install an app with this entry; returns its version's folder."""
    version = apps / name / "versions" / "1.0"
    version.mkdir(parents=True, exist_ok=True)
    finish_install(apps, name, "1.0", "", title or name.title())
    about: dict[str, Any] = json.loads((version / "app.json").read_text())
    (version / "app.json").write_text(json.dumps({**about, "entry": entry, "package": package}))
    return version


def install_program(apps: Path, name: str, *words: str, absolute: bool = False) -> Path:
    """Install the small program of these tests, called with ``words`` besides its socket."""
    prefix = ["--prefix", "{base_url}"] if absolute else []
    command = [sys.executable, str(PROGRAM), "--socket", "{unix_socket}", *prefix, *words]
    return install_entry(apps, name, {"kind": "command", "command": command}, title=f"{name.title()} <app>")
