"""The Jupyter kernel of an installed app.

The spec lies in the version's own folder and names that version's Python; ``.jupyter/kernels/simdeck-<app>`` is a link
through ``current`` to it. So one atomic switch of ``current`` moves page, kernel and workflows together, and a kernel
that runs goes on in the version it was started from.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from simdeck_appstore.models import AiidalabEntry, VersionRecord

FOLDER = "kernel"
LAUNCHER = "page_kernel.py"


def kernel_name(app: str) -> str:
    """Return the kernel's name; Jupyter wants lower case."""
    return f"simdeck-{app.lower()}"


def kernel_spec(record: VersionRecord, home: Path) -> dict[str, object]:
    """Return ``kernel.json`` for the version that lies (or will lie) in ``home``."""
    start = ["-m", "ipykernel_launcher"]
    env = {"SIMDECK_APP": record.id, "SIMDECK_APP_VERSION": record.version}
    metadata = {"app": record.id, "version": record.version}
    if isinstance(record.entry, AiidalabEntry):
        tree = home / record.entry.tree
        start = [str(home / FOLDER / LAUNCHER), str(tree)]
        env["AIIDALAB_APPS"] = str(tree.parent)
        metadata["tree"] = str(tree)
    return {
        "argv": [str(home / record.python), *start, "-f", "{connection_file}"],
        "display_name": record.title,
        "language": "python",
        "interrupt_mode": "signal",
        "env": env,
        "metadata": {"debugger": True, "simdeck": metadata},
    }


def write_kernel(record: VersionRecord, tree: Path, home: Path) -> None:
    """Write the kernel spec into the version's ``tree``, which will lie in ``home``."""
    folder = tree / FOLDER
    folder.mkdir(exist_ok=True)
    (folder / "kernel.json").write_text(
        json.dumps(kernel_spec(record, home), ensure_ascii=False, indent=1) + "\n", "utf-8"
    )
    if isinstance(record.entry, AiidalabEntry):
        shutil.copyfile(Path(__file__).with_name("aiidalab") / LAUNCHER, folder / LAUNCHER)
    if record.logo_file and record.logo_file.endswith(".svg"):
        shutil.copyfile(tree / record.logo_file, folder / "logo-svg.svg")


def link_kernel(apps: Path, app: str) -> None:
    """Let Jupyter find the kernel of ``app``'s current version, or stop finding it where there is none."""
    link = apps / ".jupyter" / "kernels" / kernel_name(app)
    wanted = Path("..", "..", app, "current", FOLDER)
    if not (apps / app / "current" / FOLDER / "kernel.json").is_file():
        link.unlink(missing_ok=True)
        return
    if link.is_symlink() and os.readlink(link) == str(wanted):
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    beside = link.with_name(f".{link.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(wanted)
    os.replace(beside, link)
