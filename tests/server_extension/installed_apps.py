"""Makes folders that look like installed apps, whose environment is this test's own Python."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nbformat


def install_app(
    apps: Path,
    name: str,
    cells: list[str],
    *,
    version: str = "1.0",
    title: str | None = None,
    warm: list[str] | None = None,
    pythonpath: str = "",
) -> Path:
    """Install a notebook app with one code cell per text in ``cells``; returns its version folder."""
    folder = apps / name / "versions" / version
    packages = folder / "env" / "lib" / "python3.11" / "site-packages" / f"{name}_app"
    packages.mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "simdeck": {"warm": warm or []},
        },
    )
    nbformat.write(notebook, packages / "app.ipynb")
    finish_install(apps, name, version, f"{name}_app/app.ipynb", title or name.title(), pythonpath)
    return folder


def finish_install(apps: Path, name: str, version: str, entry: str, title: str, pythonpath: str = "") -> None:
    """Write what stands around the notebook: Python, description, ``current``, kernel."""
    folder = apps / name / "versions" / version
    python = folder / "env" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/sh\nexport PYTHONPATH="{pythonpath}"\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    about: dict[str, Any] = {
        "id": name,
        "title": title,
        "version": version,
        "entry": {"kind": "notebook", "path": entry},
    }
    (folder / "app.json").write_text(json.dumps(about))
    current = apps / name / "current"
    fresh = apps / name / ".current"
    fresh.symlink_to(f"versions/{version}")
    fresh.replace(current)
    kernel = apps / ".jupyter" / "kernels" / f"simdeck-{name}"
    kernel.mkdir(parents=True, exist_ok=True)
    argv = [
        str(apps / name / "current" / "env" / "bin" / "python"),
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
    ]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": title, "language": "python"}))
