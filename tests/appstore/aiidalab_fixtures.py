"""AiiDAlab apps as their authors write them, each for a clause of AiiDAlab's contract."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from synthetic import LOGO, NOTEBOOK

SETUP_CFG = """\
[aiidalab]
title = Hello World
description = Says hello.
authors = The Hello Team
state = development
categories =
    teaching
    solids
logo = https://raw.example.org/hello/main/img/logo.svg
citations = [
    {"text": "A. Author, J. Exemplary 1, 1 (2020)", "link": "https://doi.org/10.1000/1"},
    {"authors": ["B. Author", "C. Author"], "journal": "Exemplary", "year": "2021", "doi": "10.1000/2"},
    {"nonsense": 1}]

[metadata]
name = aiidalab-hello
version = attr: aiidalab_hello.__version__
description = Another sentence.
author = Another Author
url = https://hello.example.org
project_urls =
    Documentation = https://docs.example.org/?a=b
classifiers =
    Development Status :: 5 - Production/Stable

[options]
packages = find:
python_requires = >=3.9
install_requires =
    six==1.17.0  # the newest that works
    tomli>=2; python_version < "3.8"

[options.entry_points]
aiida.workflows =
    hello.world = aiidalab_hello:World
"""
PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "aiidalab-modern"
version = "2.0.0"
description = "Has no setup.cfg."
authors = [{name = "Ada"}, {name = "Bob"}]
classifiers = ["Development Status :: 5 - Production/Stable"]
dependencies = ["six==1.17.0"]
urls = {Documentation = "https://docs.example.org"}

[tool.aiidalab]
title = "Modern"
categories = ["teaching"]
"""
START_PY = """\
import ipywidgets as ipw

def get_start_widget(appbase, jupbase, notebase):
    return ipw.HTML(appbase)
"""


def git(folder: Path, *arguments: str) -> str:
    env = dict(os.environ, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "Ada", f"GIT_{who}_EMAIL": "ada@example.org"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def write_files(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def write_hello(folder: Path, *, setup_cfg: str = SETUP_CFG, post_install: str | None = None) -> Path:
    """A full app: banner, pages in two folders, a package with an entry point, a logo; ``post_install`` when given."""
    write_files(
        folder,
        {
            "setup.cfg": setup_cfg,
            "setup.py": "from setuptools import setup\nsetup()\n",
            "start.md": "[Hello](./hello.ipynb)\n",
            "README.md": "# Hello\n",
            "hello.ipynb": json.dumps(NOTEBOOK),
            "notebooks/more.ipynb": json.dumps(NOTEBOOK),
            ".hidden/old.ipynb": json.dumps(NOTEBOOK),
            "img/logo.svg": LOGO.format(color="00aa00"),
            "aiidalab_hello/__init__.py": '__version__ = "1.2.3"\n\n\nclass World:\n    """Nothing."""\n',
        },
    )
    if post_install is not None:
        write_files(folder, {"post_install": post_install})
        (folder / "post_install").chmod(0o755)
    return folder


def write_notebooks(folder: Path, requirements: str = "six==1.17.0\n", version: str = "0.1.0") -> Path:
    """A small app without a package: a notebook, ``start.py``, ``setup.cfg`` and ``requirements.txt``."""
    return write_files(
        folder,
        {
            "setup.cfg": f"[metadata]\nname = plain\ndescription = Plain.\nversion = {version}\n",
            "requirements.txt": requirements,
            "start.py": START_PY,
            "page.ipynb": json.dumps(NOTEBOOK),
        },
    )


def write_modern(folder: Path) -> Path:
    """An app whose only description is ``pyproject.toml``, as AiiDAlab's own parser cannot read it."""
    files = {
        "pyproject.toml": PYPROJECT,
        "aiidalab_modern/__init__.py": "",
        "start.md": "[Page](page.ipynb)\n",
        "page.ipynb": json.dumps(NOTEBOOK),
    }
    return write_files(folder, files)


def tagged(folder: Path, *tags: str) -> Path:
    """Make ``folder`` a repository whose commits carry ``tags``, one each."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    for tag in tags:
        (folder / "CHANGES.txt").write_text(tag)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", tag)
        git(folder, "tag", tag)
    return folder
