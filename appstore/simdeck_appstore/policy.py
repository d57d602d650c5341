"""What a site lets its people have from the store: which apps, for which groups, in which versions. Pure.

The section ``[apps]`` of the site file. The store's lists, its pages, the agent and the installer all ask the functions
here. What a person has installed stays theirs: a policy decides about what is offered and newly installed.
"""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from simdeck_common.problems import Problem

from simdeck_appstore.models import IndexEntry, RegistryApp

EVERYBODY = "*"
OPERATORS = "<>=!~"


def _pattern(value: str) -> str:
    if not value or not all(char.isalnum() or char in "-_.*?[]" for char in value):
        raise ValueError("this is not an app's name or a pattern of names such as aiidalab-*")
    return value


def _versions(value: str) -> str:
    if value[:1] in OPERATORS:
        try:
            SpecifierSet(value)
        except InvalidSpecifier:
            raise ValueError("this is not a version or a range of versions such as <2") from None
    elif not value.strip():
        raise ValueError("write a version, or a range of versions such as <2")
    return value


AppPattern = Annotated[str, AfterValidator(_pattern)]
Versions = Annotated[str, AfterValidator(_versions)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AppRule(_Part):
    """What holds for one app, or for those that a pattern names. Of several rules for an app all count."""

    app: AppPattern = Field(description="The app's name, or a pattern of names: `aiidalab-*`.")
    groups: tuple[str, ...] = Field((EVERYBODY,), description="Groups that see the app; `*` is everybody.")
    pinned: Versions | None = Field(
        None, description="The only version that is offered, or a range: `1.4.0`, `~=1.4`. Not given: all."
    )
    retired: tuple[Versions, ...] = Field(
        (), description="Versions that are not offered any more, one by one or as ranges: `<1.2`."
    )


class AppPolicy(_Part):
    """The section ``[apps]``."""

    allow: tuple[AppPattern, ...] = Field(
        (), description="The only apps that are offered; names or patterns. Empty: all."
    )
    deny: tuple[AppPattern, ...] = Field((), description="Apps that are not offered; it wins over `allow`.")
    post_install: bool = Field(
        False, description="Run the `post_install` script of AiiDAlab apps, with the person's rights."
    )
    plugins: Literal["auto", "admin"] = Field(
        "auto",
        description="Who brings an app's workflows into the backend: `auto`, everybody with the app; `admin`, "
        "site-wide installs alone.",
    )
    folder: Path | None = Field(
        None,
        description="Folder of the site-wide installs, which every user on every node can read. Not given: `apps` in "
        "the prefix of a site, else in the data folder.",
    )
    rules: tuple[AppRule, ...] = Field((), description="What holds for some apps only.")


OPEN = AppPolicy.model_validate({})
"""No restriction at all."""


def relevant(policy: AppPolicy, groups: Collection[str]) -> frozenset[str]:
    """Return those of ``groups`` that make a difference."""
    named = {group for rule in policy.rules for group in rule.groups}
    return frozenset(named.intersection(groups))


def is_offered(policy: AppPolicy, app: str, groups: Collection[str] | None) -> bool:
    """Say whether the site offers ``app`` to members of ``groups`` (None: groups were asked about before)."""
    if any(fnmatchcase(app, pattern) for pattern in policy.deny):
        return False
    if policy.allow and not any(fnmatchcase(app, pattern) for pattern in policy.allow):
        return False
    if groups is None:
        return True
    return all(EVERYBODY in rule.groups or not set(rule.groups).isdisjoint(groups) for rule in _rules(policy, app))


def is_version_offered(policy: AppPolicy, app: str, version: str) -> bool:
    """Say whether the site offers this version of ``app``: it is what is pinned, and not retired."""
    for rule in _rules(policy, app):
        if rule.pinned is not None and not covers(rule.pinned, version):
            return False
        if any(covers(retired, version) for retired in rule.retired):
            return False
    return True


def is_for(restricted: Collection[str], groups: Collection[str] | None) -> bool:
    """Say whether what is ``restricted`` to groups (empty: not at all) is for members of ``groups``; None: anybody."""
    return groups is None or not restricted or not set(restricted).isdisjoint(groups)


def offered(policy: AppPolicy, document: RegistryApp, groups: Collection[str] | None) -> RegistryApp | None:
    """Return ``document`` with the releases that the site offers to members of ``groups``; None for none."""
    if not is_offered(policy, document.id, groups):
        return None
    kept = [
        release
        for release in document.releases
        if is_version_offered(policy, document.id, release.version) and is_for(release.groups, groups)
    ]
    if len(kept) == len(document.releases):
        return document
    if not kept:
        return None
    latest = document.latest if any(release.version == document.latest for release in kept) else kept[0].version
    return document.model_copy(update={"releases": kept, "latest": latest})


def version_for(policy: AppPolicy, document: RegistryApp, version: str | None, groups: Collection[str]) -> str | None:
    """Return what members of ``groups`` install for ``version``: it, or of None the newest that is for them.

    None: the newest there is.

    Raises
    ------
    Problem
        404 ``app-not-found``: no release of it is for them, or not this one.
    """
    if not any(release.groups for release in document.releases):
        return version
    seen = offered(policy, document, groups)
    if seen is None or seen.release(version) is None:
        raise Problem("app-not-found", field="app", app=document.id)
    return version or seen.latest


def offered_entry(policy: AppPolicy, entry: IndexEntry, groups: Collection[str] | None) -> IndexEntry | None:
    """Return the store's card of an app as :func:`offered` returns its document."""
    if not is_offered(policy, entry.id, groups):
        return None
    kept = [
        version
        for version in entry.versions
        if is_version_offered(policy, entry.id, version) and is_for(entry.groups.get(version, ()), groups)
    ]
    if len(kept) == len(entry.versions):
        return entry
    if not kept:
        return None
    latest = entry.latest if entry.latest in kept else kept[0]
    return entry.model_copy(update={"versions": kept, "latest": latest})


def check(policy: AppPolicy, app: str, version: str | None, groups: Collection[str] | None) -> None:
    """Refuse what the site does not offer to members of ``groups``; without a version, the app alone is judged.

    Raises
    ------
    Problem
        404 ``app-not-found``, as if no registry had it; 403 ``version-not-offered``.
    """
    if not is_offered(policy, app, groups):
        raise Problem("app-not-found", field="app", app=app)
    if version is not None and not is_version_offered(policy, app, version):
        raise Problem("version-not-offered", field="version", app=app, version=version)


def covers(versions: str, version: str) -> bool:
    """Say whether ``version`` is the one named, or lies in the range, by ``versions``."""
    if versions[:1] in OPERATORS:
        try:
            return SpecifierSet(versions).contains(Version(version), prereleases=True)
        except InvalidVersion:
            return False
    try:
        return Version(versions) == Version(version)
    except InvalidVersion:
        return versions == version


def is_about(rule: AppRule, app: str) -> bool:
    """Say whether the rule holds for ``app``."""
    return fnmatchcase(app, rule.app)


def _rules(policy: AppPolicy, app: str) -> list[AppRule]:
    return [rule for rule in policy.rules if is_about(rule, app)]
