"""Small wheels made on the spot, a package index of them, and a small workflow backend to stand on."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

UV = Path(sys.executable).with_name("uv")


def write_wheel(
    folder: Path, name: str, version: str, *, requires: Sequence[str] = (), files: Mapping[str, str] | None = None
) -> Path:
    """Write the wheel of a package whose only module says its version."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}",
        *(f"Requires-Dist: {one}" for one in requires),
    ]
    content = {
        f"{name.replace('-', '_')}.py": f'VERSION = "{version}"\n',
        **(files or {}),
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in content.items()]
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as bundle:
        for inside, text in {**content, f"{info}/RECORD": "\n".join([*record, f"{info}/RECORD,,"]) + "\n"}.items():
            bundle.writestr(inside, text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def make_backend(folder: Path, *packages: str) -> Path:
    """Make an environment with some packages of the index that uv knows, and return its Python."""
    subprocess.run([UV, "venv", "--quiet", "--no-python-downloads", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([UV, "pip", "install", "--quiet", "--python", python, *packages], check=True)
    return python


def says(python: Path, module: str) -> str:
    """What a module says its version is, in the environment of ``python``."""
    argv = [python, "-I", "-c", f"import {module}; print({module}.VERSION)"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
