"""The site file, ``site.toml``: its model, and errors that name file, line and remedy.

Without a file every default holds: one Unix user, local processes, port 8000. The reference in
``docs/administrators.md`` is checked against this model by a test.
"""

from __future__ import annotations

import os
import pwd
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from simdeck_common.problems import Problem

UserName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_][a-z0-9_.-]{0,31}$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteSection(Section):
    name: str = Field("Simdeck", min_length=1, max_length=60, description="The site's name on its pages.")


class HubSection(Section):
    port: Port = Field(8000, description="Port of the address people open, on 127.0.0.1. `PORT=…` wins over it.")
    log_level: str = Field(
        "INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="How much the hub writes: DEBUG, INFO, WARNING or ERROR.",
    )


class UsersSection(Section):
    names: list[UserName] = Field(
        default_factory=list,
        description="Hub users; each has an own password line, agent and data, and all run as the one Unix user that "
        "started Simdeck (they can read each other's files on disk: for trials, tests). Empty: that Unix user alone.",
    )
    admins: list[UserName] | None = Field(
        None, description="Hub users that look after the site. Not given: the first user."
    )

    @model_validator(mode="after")
    def admins_are_users(self) -> UsersSection:
        """Check that each administrator is one of the users."""
        strangers = sorted(set(self.admins or []) - set(self.names or self.admins or []))
        if strangers:
            raise ValueError(f"{', '.join(strangers)} in admins is not in names; add the name there")
        return self


class ServerSection(Section):
    folder: str = Field(
        "~", description="Folder a user's JupyterLab opens in; `~` is the home folder, `{user}` the hub user."
    )
    start_timeout: int = Field(
        60, ge=5, le=3600, description="Seconds a server may take to start before it is given up."
    )


class AgentSection(Section):
    idle_seconds: float | None = Field(None, gt=0, description="Seconds without work after which a user's agent ends.")
    worker_idle_seconds: float | None = Field(
        None, gt=0, description="Seconds without a run after which a worker ends."
    )


class StoreSection(Section):
    registries: list[str] = Field(
        default_factory=list,
        description="Folders or addresses of further built registries; the bundled one is always first.",
    )


class Site(Section):
    """The whole site file."""

    site: SiteSection = Field(default_factory=lambda: SiteSection.model_validate({}))
    hub: HubSection = Field(default_factory=lambda: HubSection.model_validate({}))
    users: UsersSection = Field(default_factory=lambda: UsersSection.model_validate({}))
    server: ServerSection = Field(default_factory=lambda: ServerSection.model_validate({}))
    agent: AgentSection = Field(default_factory=lambda: AgentSection.model_validate({}))
    store: StoreSection = Field(default_factory=lambda: StoreSection.model_validate({}))

    def hub_users(self) -> list[str]:
        """Return the hub users, first the one who is named when nothing else is said."""
        return list(dict.fromkeys(self.users.names or [*(self.users.admins or []), unix_user()]))

    def admins(self) -> list[str]:
        return list(self.users.admins) if self.users.admins is not None else self.hub_users()[:1]


def unix_user() -> str:
    """Return the hub name of the Unix user this runs as (JupyterHub's names are lower case)."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name.lower()
    except KeyError:
        return f"user{os.getuid()}"


def load(path: Path | None) -> Site:
    """Read and check the site file; ``None`` gives the defaults.

    Raises
    ------
    Problem
        ``site-file``: with ``field`` ``<file>:<line>``, the fault in a sentence and what to do.
    """
    if path is None:
        return Site()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Problem(
            "site-file", field=str(path), what=f"{path} cannot be read: {reason}", hint="Name a readable file"
        ) from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found.group(1)) if found else text.count("\n") + 1
        sentence = re.sub(r" \(at .*\)$", "", str(error))
        raise refusal(path, line, f"this is not TOML: {sentence}", "Mend the line") from error
    try:
        return Site.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise explain(path, text, first) from error


def explain(path: Path, text: str, fault: Any) -> Problem:
    """Turn pydantic's first error into a refusal that names the line and what to write instead."""
    where = [str(part) for part in fault["loc"]]
    dotted = ".".join(part for part in where if not part.isdigit())
    line = line_of(text, [part for part in where if not part.isdigit()])
    if fault["type"] == "extra_forbidden":
        known = known_keys(where[:-1])
        kind = "section" if len(where) == 1 else "key"
        return refusal(path, line, f"there is no {kind} {dotted!r}", f"Known here: {', '.join(known)}")
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "string_pattern_mismatch" and where[0] == "users":
        return refusal(
            path,
            line,
            f"{fault['input']!r} is not a hub user's name",
            "Use lower-case letters, digits, '_', '.' and '-', at most 32",
        )
    given = "" if isinstance(fault["input"], dict) else f" (given: {fault['input']!r})"
    field = describe(where)
    return refusal(
        path, line, f"{dotted}: {message}{given}", f"What it means: {field}" if field else "Correct the value"
    )


def refusal(path: Path, line: int, what: str, hint: str) -> Problem:
    return Problem("site-file", field=f"{path}:{line}", what=f"{path}, line {line}: {what}", hint=hint.rstrip("."))


def known_keys(section: list[str]) -> list[str]:
    """Return the keys that may stand in ``section`` (empty: the names of the sections)."""
    model: type[BaseModel] = Site
    for part in section:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return sorted(model.model_fields)


def describe(where: list[str]) -> str:
    """Return the description of the key at ``where`` (section, key), or nothing."""
    section = Site.model_fields.get(where[0])
    annotation = section.annotation if section else None
    if len(where) > 1 and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(where[1])
        return (field.description or "").rstrip(".") if field else ""
    return ""


def line_of(text: str, keys: list[str]) -> int:
    """Return the line (from 1) where the key path ``keys`` stands in ``text``; the section's line where it has none."""
    section: list[str] = []
    best = 1
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$", line)
        if header:
            section = [part.strip().strip("\"'") for part in header.group(1).split(".")]
            if section == keys[: len(section)]:
                best = number
            if section == keys:
                return number
            continue
        entry = re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line)
        if entry:
            full = [*section, *(part.strip("\"'") for part in entry.group(1).split("."))]
            if full == keys:
                return number
            if full == keys[: len(full)]:
                best = number
    return best
