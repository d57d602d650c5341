"""The app's own description: ``[tool.simdeck]`` in its ``pyproject.toml``, checked before anything is built.

Every refusal is a ``manifest-invalid`` problem that names the file, the line and what to write instead.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, Field, ValidationError, model_validator
from simdeck_common.commands import class_names
from simdeck_common.problems import Problem

from simdeck_appstore import command_files
from simdeck_appstore.commands import Command, names_of, spoken
from simdeck_appstore.entries import (
    KINDS,
    CommandEntry,
    InsidePath,
    NotebookEntry,
    Page,
    StaticEntry,
    Strict,
    WorkflowEntry,
    fault_of_pages,
)
from simdeck_appstore.images import check_image
from simdeck_appstore.lockfile import check_lock
from simdeck_appstore.manifest_parts import (
    MODULE,
    WORKFLOW,
    Citation,
    Resources,
    Sentence,
    Smoke,
    VersionText,
    requirement,
)
from simdeck_appstore.toml_lines import line_of

__all__ = ["LOCK_NAME", "Citation", "Manifest", "Project", "Resources", "Smoke", "json_schema", "load_project"]

LOGO_BYTES = 100 * 1024
SCREENSHOT_BYTES = 1024 * 1024
LOCK_NAME = "requirements.lock"
PREFIX = "simdeck-app-"
"""What the names of app projects begin with; without it they are the app's own."""


class Manifest(Strict):
    """The table ``[tool.simdeck]``."""

    title: Sentence = Field(max_length=60, description="The app's name on cards and pages.")
    summary: Sentence = Field(max_length=200, description="One sentence of what it does.")
    entry: NotebookEntry | CommandEntry | StaticEntry | WorkflowEntry = Field(
        discriminator="kind",
        description="What opens: kind “notebook” (a Voilà page), “command” (a web program), “static” (files alone) or "
        "“workflow” (no page: its workflows have their forms).",
    )
    pages: list[Page] = Field(
        [], max_length=12, description="Pages of a notebook app that has several; the entry's may be among them."
    )
    parameters: list[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]] = Field(
        [],
        max_length=16,
        description="Names that links into the app may give values to, such as “structure”; kept while it is "
        "being installed.",
    )
    categories: list[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]] = Field(
        [], max_length=8, description="Ids from the registry's categories.yaml."
    )
    logo: InsidePath | None = Field(None, description="SVG, PNG or JPEG of at most 100 KiB.")
    screenshots: list[InsidePath] = Field([], max_length=8, description="PNG, JPEG or SVG of at most 1 MiB each.")
    resources: Resources = Field(
        Resources(cores=1, memory="1 GiB"), description="What one page wants: cores and memory."
    )
    workflows: list[Annotated[str, Field(pattern=WORKFLOW)]] = Field(
        [], description="AiiDA entry points (group aiida.workflows) that the app brings."
    )
    commands: list[Command] = Field(
        [], max_length=40, description="Programs that become workflows without a line of Python; see below."
    )
    backend: list[Annotated[str, AfterValidator(requirement)]] = Field(
        [],
        max_length=20,
        description="Packages that the workflow modules import beside AiiDA, ASE and NumPy, such as "
        "“aiida-shell~=0.8”. An install fits them to the workflow backend and to what other apps want there.",
    )
    codes: list[Sentence] = Field(
        [], description="Simulation codes the site must offer; empty when the app brings all."
    )
    methods: list[Sentence] = Field(
        [], max_length=12, description="Methods it computes with, such as “DFT” or “GFN2-xTB”; people search for them."
    )
    checks: list[Annotated[str, Field(pattern=MODULE)]] = Field(
        [],
        max_length=8,
        description="Modules of the import package that an install runs to see that the app starts on this machine.",
    )
    smoke: Smoke | None = Field(None, description="A run of a workflow that shows that the app computes.")
    needs: list[Sentence] = Field([], description="What a person should know before installing, one sentence each.")
    citations: list[Citation] = Field([], description="What to cite in a publication.")
    groups: list[Annotated[str, Field(pattern=r"^[^\x00-\x20,][^\x00-\x1f,]{0,99}$")]] = Field(
        [], max_length=20, description="Groups of the site that may have it and run its workflows; empty: everybody."
    )
    minimum_simdeck: VersionText = Field("0.1", description="Oldest Simdeck that it works with.")

    @model_validator(mode="after")
    def _no_twice(self) -> Manifest:
        for name in ("categories", "methods", "workflows", "backend", "checks", "screenshots", "groups"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} names something twice")
        if len({class_names(command.name) for command in self.commands}) != len(self.commands):
            raise ValueError("commands names something twice")
        if self.backend and not self.workflows and not self.commands:
            raise ValueError("backend names packages, but there are no workflows that could use them")
        known = {*self.workflows, *(command.name for command in self.commands)}
        if self.smoke is not None and not known & {self.smoke.workflow, self.smoke.workflow.rpartition(".")[2]}:
            raise ValueError(f"smoke.workflow {self.smoke.workflow} is not among the workflows")
        if self.entry.kind == "workflow" and not self.workflows and not self.commands:
            raise ValueError("entry has no page, and there are no workflows that could be run")
        fault = fault_of_pages(self.entry.kind, getattr(self.entry, "path", ""), self.pages)
        if fault:
            raise ValueError(fault)
        return self


@dataclass(frozen=True)
class Project:
    """An app project whose description has been checked. Paths are absolute."""

    folder: Path
    name: str
    version: str
    requires_python: str
    package: str
    manifest: Manifest
    entry_points: dict[str, dict[str, str]]
    lock: Path

    def path(self, inside: str) -> Path:
        return self.folder / inside

    def commands(self) -> list[dict[str, Any]]:
        """Return the app's described programs as a release says them."""
        return command_files.described(self.folder, self.manifest.commands)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``[tool.simdeck]``, for editors and documentation."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tool.simdeck",
        **Manifest.model_json_schema(),
    }


def load_project(folder: Path) -> Project:
    """Read and check the app project in ``folder``.

    Raises
    ------
    Problem
        ``manifest-invalid``; ``field`` is the dotted key.
    """
    reader = _Reader(folder)
    manifest = reader.manifest()
    name, version, requires_python = reader.project_table()
    reader.check_files(manifest)
    package = reader.package(manifest, name)
    reader.check_workflows(manifest)
    manifest = reader.with_commands(manifest, name, package)
    reader.check_checks(manifest, package)
    return Project(
        folder=folder.resolve(),
        name=name,
        version=version,
        requires_python=requires_python,
        package=package,
        manifest=manifest,
        entry_points=reader.entry_points(),
        lock=folder.resolve() / LOCK_NAME,
    )


class _Reader:
    """One reading of one ``pyproject.toml``: keeps the text so that a refusal can name its line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.file = self.folder / "pyproject.toml"
        try:
            self.text = self.file.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            self.text = ""
            raise self.refuse(
                (), "there is no readable pyproject.toml", "an app is a project with a pyproject.toml"
            ) from None
        try:
            self.data: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"at line (\d+)", str(error))
            raise self.refuse(
                (), f"not valid TOML ({error})", "mend the syntax", line=int(found[1]) if found else None
            ) from None

    def refuse(self, key: tuple[str | int, ...], reason: str, hint: str, line: int | None = None) -> Problem:
        return Problem(
            "manifest-invalid",
            field=".".join(str(part) for part in key) or None,
            file=f"{self.folder.name}/pyproject.toml",
            line=line or line_of(self.text, key),
            reason=reason,
            hint=hint,
        )

    def manifest(self) -> Manifest:
        table = self.data.get("tool", {}).get("simdeck")
        if not isinstance(table, dict):
            raise self.refuse(
                ("tool", "simdeck"),
                "there is no [tool.simdeck] table",
                "add [tool.simdeck] with title, summary and entry",
            )
        try:
            return Manifest.model_validate(table)
        except ValidationError as error:
            raise self._from_validation(error, table) from None

    def _from_validation(self, error: ValidationError, table: dict[str, Any]) -> Problem:
        first = error.errors()[0]
        # A discriminated union puts the chosen kind into the location; it is no key of the file.
        where = first["loc"]
        if where[:1] == ("entry",) and where[1:2] and where[1] in KINDS:
            where = ("entry", *where[2:])
        if first["type"] == "missing":
            reason, hint = f"{where[-1]} is missing", f"write a value for {where[-1]}"
        elif first["type"] == "extra_forbidden":
            reason, hint = f"{where[-1]} is not a known key", f"remove {where[-1]}, or correct its spelling"
        elif first["type"] == "union_tag_invalid" or first["type"] == "union_tag_not_found":
            reason, hint = "entry needs a kind", 'write entry = {kind = "notebook", path = "my_app/app.ipynb"}'
        else:
            words = first["msg"].removeprefix("Value error, ")
            name = spoken(where, table) or "the table"
            reason, hint = f"{name}: {words[:1].lower() + words[1:]}", f"change {name}"
        return self.refuse(("tool", "simdeck", *where), reason, hint)

    def project_table(self) -> tuple[str, str, str]:
        """Return name, version and ``requires-python`` of ``[project]``."""
        project = self.data.get("project")
        if not isinstance(project, dict) or not isinstance(project.get("name"), str):
            raise self.refuse(
                ("project",), "there is no [project] table with a name", "add [project] with name and version"
            )
        version = project.get("version")
        if not isinstance(version, str):
            raise self.refuse(
                ("project", "version"),
                "version is missing",
                'write the version in [project], such as version = "1.0.0"',
            )
        try:
            normal = str(Version(version))
        except InvalidVersion:
            raise self.refuse(
                ("project", "version"),
                f"{version!r} is not a version number",
                'write a version such as "1.0.0" (PEP 440)',
            ) from None
        python = str(project.get("requires-python", ""))
        try:
            SpecifierSet(python)
        except InvalidSpecifier:
            raise self.refuse(
                ("project", "requires-python"), f"{python!r} is not a version range", 'write a range such as ">=3.11"'
            ) from None
        backend = self.data.get("build-system", {}).get("build-backend")
        if backend != "hatchling.build":
            raise self.refuse(
                ("build-system", "build-backend"),
                "the build backend is not hatchling",
                'write build-backend = "hatchling.build"',
            )
        return str(canonicalize_name(project["name"])), normal, python

    def entry_points(self) -> dict[str, dict[str, str]]:
        groups = self.data.get("project", {}).get("entry-points", {})
        return {group: dict(points) for group, points in groups.items() if isinstance(points, dict)}

    def check_files(self, manifest: Manifest) -> None:
        """Check that every file the manifest names exists inside the project and is what it should be."""
        if manifest.entry.kind == "notebook":
            self._file(("tool", "simdeck", "entry", "path"), manifest.entry.path)
        elif manifest.entry.kind == "static":
            self._file(("tool", "simdeck", "entry", "path"), f"{manifest.entry.path}/index.html")
        for number, page in enumerate(manifest.pages):
            self._file(("tool", "simdeck", "pages", number, "path"), page.path)
        if manifest.logo:
            key: tuple[str | int, ...] = ("tool", "simdeck", "logo")
            self._image(key, manifest.logo, LOGO_BYTES)
        for number, shot in enumerate(manifest.screenshots):
            self._image(("tool", "simdeck", "screenshots", number), shot, SCREENSHOT_BYTES)
        if not (self.folder / LOCK_NAME).is_file():
            raise self.refuse(
                ("project", "dependencies"),
                f"there is no {LOCK_NAME}",
                f"lock the dependencies with hashes into {LOCK_NAME}",
            )

        fault = check_lock(self.folder / LOCK_NAME)
        if fault:
            raise Problem(
                "manifest-invalid",
                field=LOCK_NAME,
                file=f"{self.folder.name}/{LOCK_NAME}",
                line=fault[0],
                reason=fault[1],
                hint="make the lock with “uv pip compile --universal --generate-hashes --no-emit-index-url”",
            )

    def _file(self, key: tuple[str | int, ...], inside: str) -> Path:
        path = (self.folder / inside).resolve()
        # resolve() follows links: one that leads out of the project is refused like a written "..".
        if not path.is_relative_to(self.folder):
            raise self.refuse(key, f"{inside} leads outside the project", "name a file inside the project's folder")
        if not path.is_file():
            raise self.refuse(key, f"there is no file {inside}", "name a file that is in the project")
        return path

    def _image(self, key: tuple[str | int, ...], inside: str, limit: int) -> None:
        fault = check_image(self._file(key, inside), limit)
        if fault:
            raise self.refuse(key, f"{inside} {fault}", f"use an SVG, PNG or JPEG of at most {limit // 1024} KiB")

    def package(self, manifest: Manifest, name: str) -> str:
        """Return the import package: the notebook's first folder, else the wheel's first package or the project's."""
        if manifest.entry.kind in ("notebook", "static"):
            package = PurePosixPath(manifest.entry.path).parts[0]
            key: tuple[str | int, ...] = ("tool", "simdeck", "entry", "path")
        else:
            target = self.data.get("tool", {}).get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
            package, key = str([*target.get("packages", []), name.replace("-", "_")][0]), ("project", "name")
        if not package.isidentifier() or not (self.folder / package / "__init__.py").is_file():
            raise self.refuse(
                key,
                f"{package} is not an import package",
                f"put the page into the import package, with {package}/__init__.py",
            )
        return package

    def check_workflows(self, manifest: Manifest) -> None:
        points = self.entry_points()
        declared = {**points.get("aiida.workflows", {}), **points.get("simdeck.workflows", {})}
        for number, workflow in enumerate(manifest.workflows):
            if workflow not in declared:
                raise self.refuse(
                    ("tool", "simdeck", "workflows", number),
                    f"{workflow} is not an entry point of this project",
                    'add it to [project.entry-points."aiida.workflows"], a function to "simdeck.workflows"',
                )

    def with_commands(self, manifest: Manifest, project: str, package: str) -> Manifest:
        """Return the manifest with the workflows that its described programs become, once their files are checked."""
        if not manifest.commands:
            return manifest
        declared = self.entry_points()
        names = names_of(project.removeprefix(PREFIX), manifest.commands)
        for number, (command, name) in enumerate(zip(manifest.commands, names, strict=True)):
            key: tuple[str | int, ...] = ("tool", "simdeck", "commands", number)
            if any(name in declared.get(group, {}) for group in ("aiida.workflows", "aiida.calculations")):
                reason = f"{name} is an entry point of this project too"
                raise self.refuse((*key, "name"), reason, "give the command another name")
            fault = command_files.fault_of(self.folder, package, command)
            if fault is not None:
                raise self.refuse((*key, *fault.where), fault.reason, fault.hint)
        smoke = manifest.smoke
        if smoke is not None and smoke.workflow not in {*manifest.workflows, *names}:
            key = ("tool", "simdeck", "smoke")
            raise self.refuse(key, f"smoke.workflow {smoke.workflow} is not among the workflows", f"write {names[0]}")
        return manifest.model_copy(update={"workflows": [*manifest.workflows, *names]})

    def check_checks(self, manifest: Manifest, package: str) -> None:
        """Check that ``python -m`` can run each module of ``checks``, and that it is the app's own."""
        for number, module in enumerate(manifest.checks):
            path = self.folder.joinpath(*module.split("."))
            own = module.partition(".")[0] == package
            if not (own and (path.with_name(path.name + ".py").is_file() or (path / "__main__.py").is_file())):
                raise self.refuse(
                    ("tool", "simdeck", "checks", number),
                    f"{module} is not a module that this project can run",
                    f"name a module of {package}, such as {package}.check for {package}/check.py",
                )
