"""What the app store says to other rooms: a registry's apps, an installed app, the progress of an install."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from simdeck_appstore.lockfile import check_requirement

Step = Literal["resolve", "download", "build", "verify", "ready"]
PostInstall = Literal["none", "not run", "pending", "ran"]
STEPS: tuple[Step, ...] = ("resolve", "download", "build", "verify", "ready")


class Model(BaseModel):
    """Read leniently (a newer registry may know more keys), write all fields."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Progress(Model):
    """One report of an install: a new step's sentence, or (``kind == "log"``) one line of output within a step."""

    kind: Literal["step", "log"] = "step"
    step: Step
    message: str


class PageEntry(Model):
    """One of several pages of a notebook app; ``path`` as in :class:`NotebookEntry`."""

    path: str
    title: str


class NotebookEntry(Model):
    """An app page made of a notebook that Voilà renders; ``pages`` are all of an app that has several.

    ``path`` is relative to the environment's ``site-packages`` (as the manifest says it); ``file``, known once
    installed, is relative to the version's folder.
    """

    kind: Literal["notebook"] = "notebook"
    path: str
    file: str | None = None
    pages: list[PageEntry] = []


class CommandEntry(Model):
    """An app page served by a web program of its own, which listens on the Unix socket ``{unix_socket}``.

    ``{unix_socket}``, ``{base_url}`` (the app's address, with slashes around it) and ``{package}`` (the folder of the
    app's import package) are filled in at start.
    """

    kind: Literal["command"] = "command"
    command: list[str]


class StaticEntry(Model):
    """An app of files alone: ``path`` is their folder, relative to the environment's ``site-packages``."""

    kind: Literal["static"] = "static"
    path: str


class WorkflowEntry(Model):
    """An app without a page: its workflows alone."""

    kind: Literal["workflow"] = "workflow"


class AiidalabEntry(Model):
    """The pages of an AiiDAlab app: a tree of notebooks as its author wrote it, with a banner that leads to them.

    ``tree`` is the app's folder relative to the version's folder, and the folder above it what the app takes for
    ``AIIDALAB_APPS``; ``start`` (``start.md`` or ``start.py``) and ``pages`` (notebooks) are relative to ``tree``.
    """

    kind: Literal["aiidalab"] = "aiidalab"
    tree: str
    start: str | None = None
    pages: list[str] = []
    post_install: bool = False


Entry = Annotated[
    NotebookEntry | CommandEntry | StaticEntry | WorkflowEntry | AiidalabEntry, Field(discriminator="kind")
]


class Resources(Model):
    """What one page of the app wants of the Jupyter server."""

    cores: int = 1
    memory: str = "1 GiB"


class Citation(Model):
    """How to cite the app or what it stands on."""

    text: str
    doi: str | None = None
    url: str | None = None


def _version_range(value: str) -> str:
    try:
        SpecifierSet(value)
    except InvalidSpecifier as error:
        raise ValueError(str(error)) from None
    return value


def _requirement(value: str) -> str:
    fault = check_requirement(value)
    if fault:
        raise ValueError(fault)
    return value


def _version(value: str) -> str:
    if value:
        try:
            Version(value)
        except InvalidVersion as error:
            raise ValueError(str(error)) from None
    return value


class FileRef(Model):
    """A file of a registry by content: ``path`` is relative to the registry's root, ``size`` in bytes."""

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+!-]*$")
    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int


class SimdeckWheel(Model):
    """The simdeck wheel that goes into every app's environment."""

    version: str
    wheel: FileRef


class CheckItem(Model):
    """One thing that was tried; ``state`` is ``passed``, ``failed``, ``warning`` or ``skipped``."""

    name: str
    state: str
    detail: str = ""


class CheckRecord(Model):
    """What the check of a release found; ``when`` is ISO 8601 UTC.

    ``python`` and ``simdeck`` are the versions of the Python and the Simdeck that checked.
    """

    passed: bool
    when: str
    python: str = ""
    simdeck: str = ""
    items: list[CheckItem] = []


class Release(Model):
    """One installable version of an app.

    ``tree`` is the archive of an AiiDAlab app; its ``wheel`` is that of the package it may bring, and ``package`` is
    empty. Any other app is its ``wheel`` alone. ``check`` is the record of its check (``checks`` are modules that an
    install runs), ``changelog`` what changed in it, in Markdown. ``commands`` are the described programs among its
    workflows (:mod:`simdeck_appstore.commands`), read when they are installed. ``groups``: who may have it; empty:
    everybody.
    """

    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+!-]*$")
    wheel: FileRef | None = None
    tree: FileRef | None = None
    lock: FileRef
    simdeck: SimdeckWheel | None = None
    package: str
    python: Annotated[str, AfterValidator(_version_range)] = ""
    minimum_simdeck: Annotated[str, AfterValidator(_version)] = ""
    entry: Entry
    resources: Resources = Resources()
    workflows: list[str] = []
    commands: list[dict[str, Any]] = []
    backend: list[Annotated[str, AfterValidator(_requirement)]] = []
    codes: list[str] = []
    checks: list[str] = []
    needs: list[str] = []
    parameters: list[str] = []
    source: str | None = None
    changelog: str = ""
    released: str | None = None
    groups: list[str] = []
    check: CheckRecord | None = None

    @model_validator(mode="after")
    def _has_content(self) -> Release:
        if self.tree is None and (self.wheel is None or self.entry.kind == "aiidalab"):
            raise ValueError("the release has neither a wheel nor the tree of an AiiDAlab app")
        return self

    def files(self) -> list[FileRef]:
        """Return the files that an install fetches."""
        return [ref for ref in (self.wheel, self.tree, self.lock) if ref is not None]


class Category(Model):
    title: str
    description: str = ""


class Links(Model):
    """Where the app's people keep its page, documentation and source (``https`` addresses)."""

    homepage: str | None = None
    documentation: str | None = None
    source: str | None = None


class RegistryApp(Model):
    """All a registry knows of one app (``api/v2/apps/<id>.json``); ``releases`` newest first."""

    id: str
    title: str
    summary: str
    description: str = ""
    categories: list[str] = []
    keywords: list[str] = []
    methods: list[str] = []
    authors: str = ""
    license: str = ""
    links: Links = Links()
    logo: FileRef | None = None
    screenshots: list[FileRef] = []
    citations: list[Citation] = []
    latest: str
    releases: list[Release]

    def release(self, version: str | None = None) -> Release | None:
        """Return the release ``version`` (default: the latest), or None."""
        wanted = version or self.latest
        return next((release for release in self.releases if release.version == wanted), None)


class IndexEntry(Model):
    """One app in the store's list.

    ``codes``, ``healthy`` (the check's outcome, None: not checked) are those of the latest release; ``text`` holds the
    description's words for the search. ``groups``: for each restricted version, who may have it.
    """

    id: str
    title: str
    summary: str
    categories: list[str] = []
    keywords: list[str] = []
    methods: list[str] = []
    codes: list[str] = []
    text: str = ""
    authors: str = ""
    healthy: bool | None = None
    logo: str | None = None
    latest: str
    versions: list[str]
    groups: dict[str, list[str]] = {}


class BuildProblem(Model):
    """An app that a build left out, and why (problem+json)."""

    app: str
    source: str | None = None
    problem: dict[str, Any]


class RegistryIndex(Model):
    """A registry's table of contents (``api/v2/index.json``). ``revision`` changes exactly when any content does."""

    schema_version: int = 2
    revision: str
    simdeck: SimdeckWheel | None = None
    categories: dict[str, Category] = {}
    apps: list[IndexEntry] = []
    problems: list[BuildProblem] = []


class InstalledApp(Model):
    """One installed app of a user; ``site_versions`` are those of its versions that are installed for everybody.

    ``logo`` is a path within its registry; ``installed`` is ISO 8601 UTC.

    A ``pinned`` app stays at that version: it is offered no updates.
    """

    id: str
    title: str
    summary: str
    current: str
    versions: list[str]
    previous: str | None = None
    site_versions: list[str] = []
    entry: Entry
    logo: str | None = None
    workflows: list[str] = []
    installed: str
    pinned: str | None = None


class VersionRecord(Model):
    """``app.json`` of one installed version: everything needed to show and open it without a registry.

    Paths (``python``, ``entry.file``, ``entry.tree``, ``logo_file``) are relative to the version's folder.
    ``backend`` is what its workflows need beside what every workflow backend has; ``groups``, where there are any, are
    who may run them.
    ``post_install`` says what became of an AiiDAlab app's script; ``pending``: the install was cut short in it.
    """

    id: str
    title: str
    summary: str
    version: str
    package: str
    entry: Entry
    resources: Resources = Resources()
    workflows: list[str] = []
    backend: list[str] = []
    groups: list[str] = []
    codes: list[str] = []
    citations: list[Citation] = []
    python: str = "env/bin/python"
    kernel: str
    logo: str | None = None
    logo_file: str | None = None
    wheel_sha256: str | None = None
    tree_sha256: str | None = None
    post_install: PostInstall = "none"
    lock_sha256: str
    simdeck_version: str | None = None
    simdeck_sha256: str | None = None
    installed: str
