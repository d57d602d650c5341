"""Makes app projects and whole registry sources for tests and benchmarks: real projects, small wheels, real locks.

``python tests/appstore/synthetic.py --apps 500 --output DIR`` writes a registry source (and the projects it names).
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import yaml

SIX = """\
six==1.17.0 \\
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274 \\
    --hash=sha256:ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81
"""
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="3" fill="#{color}"/></svg>\n'
CATEGORIES = {
    "quantum-chemistry": {"title": "Quantum chemistry", "description": "Molecules and their electrons."},
    "solids": {"title": "Solids and surfaces", "description": "Crystals and surfaces."},
    "spectroscopy": {"title": "Spectroscopy", "description": "Spectra computed and compared."},
    "teaching": {"title": "Teaching", "description": "Made for courses."},
}
NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None, "source": ["1 + 1"]}
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
NOUNS = [
    "band",
    "phonon",
    "spectrum",
    "defect",
    "surface",
    "adsorption",
    "molecule",
    "crystal",
    "plasmon",
    "polymer",
    "liquid",
    "catalyst",
    "barrier",
    "charge",
]
VERBS = ["compute", "compare", "fit", "optimise", "plot", "sample", "scan", "screen", "explain", "teach"]


def toml_value(value: Any) -> str:
    """Return ``value`` as TOML (JSON's strings, numbers and arrays are TOML's; tables become inline tables)."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def write_app(
    folder: Path,
    name: str = "demo",
    version: str = "1.0.0",
    *,
    manifest: dict[str, Any] | None = None,
    project: dict[str, Any] | None = None,
    lock: str = SIX,
    source: str = "import six\n",
    notebook: bool = False,
    dependencies: tuple[str, ...] = ("six",),
    entry_points: dict[str, dict[str, str]] | None = None,
    check: str | None = None,
) -> Path:
    """Write an app project called ``simdeck-app-<name>`` into ``folder`` and return it.

    ``manifest`` and ``project`` change keys of the two tables; the value None removes a key. ``check`` is the source
    of a module that the install runs.
    """
    package = f"simdeck_{name.replace('-', '_')}"
    entry: dict[str, Any] = {"kind": "command", "command": ["python", "-m", package, "--socket", "{unix_socket}"]}
    if notebook:
        entry = {"kind": "notebook", "path": f"{package}/app.ipynb"}
    table: dict[str, Any] = {
        "title": name.replace("-", " ").capitalize(),
        "summary": f"An app called {name}.",
        "categories": ["teaching"],
        "logo": f"{package}/logo.svg",
        "entry": entry,
        **({"checks": [f"{package}.check"]} if check is not None else {}),
        **(manifest or {}),
    }
    head: dict[str, Any] = {
        "name": f"simdeck-app-{name}",
        "version": version,
        "requires-python": ">=3.11",
        "dependencies": list(dependencies),
        **(project or {}),
    }
    lines = ["[build-system]", 'requires = ["hatchling"]', 'build-backend = "hatchling.build"', "", "[project]"]
    lines += [f"{key} = {toml_value(value)}" for key, value in head.items() if value is not None]
    for group, points in (entry_points or {}).items():
        lines += ["", f'[project.entry-points."{group}"]', *(f'"{key}" = "{value}"' for key, value in points.items())]
    lines += ["", "[tool.hatch.build.targets.wheel]", f'packages = ["{package}"]', "", "[tool.simdeck]"]
    lines += [f"{key} = {toml_value(value)}" for key, value in table.items() if value is not None]
    (folder / package).mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "requirements.lock").write_text(lock, "utf-8")
    (folder / package / "__init__.py").write_text(f'"""{name}."""\n\nVERSION = "{version}"\n{source}', "utf-8")
    (folder / package / "logo.svg").write_text(
        LOGO.format(color=f"{random.Random(name).randrange(2**24):06x}"), "utf-8"
    )
    if check is not None:
        (folder / package / "check.py").write_text(check, "utf-8")
    if notebook:
        (folder / package / "app.ipynb").write_text(json.dumps(NOTEBOOK), "utf-8")
    return folder


def write_stand_in(folder: Path) -> Path:
    """Write a project called ``simdeck`` with nothing in it: installs of it need no other package."""
    (folder / "simdeck_stand_in").mkdir(parents=True, exist_ok=True)
    (folder / "simdeck_stand_in" / "__init__.py").write_text('"""Nothing."""\n')
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
        '[project]\nname = "simdeck"\nversion = "0.1.0"\n\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["simdeck_stand_in"]\n'
    )
    return folder


def write_source(folder: Path, apps: dict[str, list[Any]], categories: dict[str, Any] | None = None) -> Path:
    """Write ``apps.yaml`` (app id → releases) and ``categories.yaml`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "apps.yaml").write_text(yaml.safe_dump({app: {"releases": releases} for app, releases in apps.items()}))
    (folder / "categories.yaml").write_text(yaml.safe_dump(categories if categories is not None else CATEGORIES))
    return folder


def write_many(folder: Path, count: int, seed: int = 1) -> Path:
    """Write the source of a registry of ``count`` different apps below ``folder`` and return it."""
    chance = random.Random(seed)
    apps: dict[str, list[Any]] = {}
    for number in range(count):
        verb, noun, other = chance.choice(VERBS), chance.choice(NOUNS), chance.choice(NOUNS)
        name = f"{noun}-{verb}-{number:03d}"
        write_app(
            folder / "projects" / name,
            name,
            f"{chance.randrange(1, 4)}.{chance.randrange(10)}.0",
            manifest={
                "title": f"{verb.capitalize()} {noun} {number}",
                "summary": f"{verb.capitalize()} the {noun} of a {other} and see what it means.",
                "categories": chance.sample(sorted(CATEGORIES), 2),
                "citations": [
                    {"text": f"A. Author, On the {noun}, J. Exemplary 1, {number} (2020).", "doi": f"10.1000/{number}"}
                ],
            },
            project={"authors": [{"name": f"Author {number % 37}"}], "keywords": [noun, other]},
        )
        apps[name] = [f"file:../projects/{name}"]
    return write_source(folder / "registry", apps)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the source of a registry of many apps.")
    parser.add_argument("--apps", type=int, default=500)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    print(write_many(arguments.output, arguments.apps))


if __name__ == "__main__":
    main()
