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


def install_files(apps: Path, name: str, files: dict[str, str]) -> Path:
    """Install an app of files; returns their folder."""
    version = install_entry(apps, name, {"kind": "static", "path": f"{name}_app/site"})
    folder = version / "env" / "lib" / "python3.11" / "site-packages" / f"{name}_app" / "site"
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    return folder


def install_pages(apps: Path, name: str, pages: dict[str, tuple[str, str]]) -> Path:
    """Install a notebook app with several pages: notebook → (title, code); the first is its entry."""
    from aiidalab_apps import notebook

    first = next(iter(pages))
    listed = [{"path": f"{name}_app/{file}", "title": title} for file, (title, _) in pages.items()]
    version = install_entry(apps, name, {"kind": "notebook", "path": f"{name}_app/{first}", "pages": listed})
    folder = version / "env" / "lib" / "python3.11" / "site-packages" / f"{name}_app"
    for file, (_, code) in pages.items():
        notebook(folder / file, code)
    return folder
