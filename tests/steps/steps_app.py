"""Makes a home with an app of workflow functions "installed", as the app store would leave it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from toy_app import BACKEND_PYTHON, describe

__all__ = ["BACKEND_PYTHON", "install"]

METADATA = "Metadata-Version: 2.1\nName: {app}\nVersion: 1.0\n"


def install(apps: Path, app: str, source: str, workflows: dict[str, str], groups: tuple[str, ...] = ()) -> Path:
    """Install an app of one module; ``workflows`` are its entry points. Its Python is the backend's."""
    folder = apps / app / "versions" / "1.0"
    packages = folder / "workflows"
    info = packages / f"{app}-1.0.dist-info"
    info.mkdir(parents=True)
    module = next(iter(workflows.values())).partition(":")[0]
    (packages / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(METADATA.format(app=app))
    points = "".join(f"{name} = {place}\n" for name, place in workflows.items())
    (info / "entry_points.txt").write_text(f"[simdeck.workflows]\n{points}")
    python = folder / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{packages}" exec "{BACKEND_PYTHON}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (folder / "app.json").write_text(json.dumps({"id": app, "version": "1.0", "groups": list(groups)}))
    (folder / "workflows.json").write_bytes(describe(packages))
    (apps / app / "current").symlink_to(Path("versions") / "1.0")
    return folder
