"""What whoever looks after the site sees of its apps: registries, policy, installs for everybody, the audit log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field
from simdeck_agent.settings import AgentSettings
from simdeck_appstore import policy as rules
from simdeck_appstore.audit import Audit, AuditEntry
from simdeck_appstore.installer import Installer
from simdeck_appstore.models import InstalledApp
from simdeck_appstore.policy import EVERYBODY
from simdeck_appstore.registries import Registries, RegistryState
from simdeck_common.problems import Problem

Reason = Literal["", "denied", "not-allowed", "no-version"]


class PolicedApp(BaseModel):
    """One app of the registries, and what the site's policy makes of it."""

    id: str
    title: str
    registry: str = Field(description="The name of the registry it comes from.")
    offered: bool
    reason: Reason = Field(default="", description="Why nobody is offered it: denied, not-allowed or no-version.")
    groups: list[str] = Field(description="Sets of groups that see it, joined by `or`; empty: everybody.")
    latest: str | None = Field(description="The newest version that is offered.")
    versions: list[str] = Field(description="Versions that are offered.")
    withheld: list[str] = Field(description="Versions that are retired, or not the pinned one.")


class PolicedApps(BaseModel):
    """All apps of all registries, by title."""

    items: list[PolicedApp]
    plugins: str
    post_install: bool


class RegistryStates(BaseModel):
    """The registries in their order."""

    items: list[RegistryState]


class SiteApps(BaseModel):
    """What is installed for everybody. ``folder``: where."""

    folder: str | None
    items: list[InstalledApp]


class AuditPage(BaseModel):
    """The newest entries of the audit log."""

    items: list[AuditEntry]


class Office:
    """Blocking; call it in a thread."""

    def __init__(self, registries: Registries, audit: Audit, settings: AgentSettings) -> None:
        self._registries = registries
        self._audit = audit
        self._settings = settings

    def registries(self) -> RegistryStates:
        """Return how each registry stands now."""
        return RegistryStates(items=self._registries.states())

    def apps(self) -> PolicedApps:
        """Return every app with what the policy makes of it; none where no registry can be read."""
        policy = self._registries.policy
        try:
            found = self._registries.every_app()
        except Problem:
            # Why it is so stands with the registries.
            found = []
        items = []
        for entry, registry in found:
            kept = [version for version in entry.versions if rules.is_version_offered(policy, entry.id, version)]
            reason = self._reason(entry.id, kept or not entry.versions)
            named = [rule.groups for rule in policy.rules if rules.is_about(rule, entry.id)]
            items.append(
                PolicedApp(
                    id=entry.id,
                    title=entry.title,
                    registry=registry,
                    offered=not reason,
                    reason=reason,
                    groups=list(dict.fromkeys(" or ".join(groups) for groups in named if EVERYBODY not in groups)),
                    latest=entry.latest if entry.latest in kept else next(iter(kept), None),
                    versions=kept,
                    withheld=[version for version in entry.versions if version not in kept],
                )
            )
        return PolicedApps(items=items, plugins=policy.plugins, post_install=policy.post_install)

    def _reason(self, app: str, any_version: object) -> Reason:
        policy = self._registries.policy
        if rules.is_offered(policy.model_copy(update={"rules": ()}), app, ()):
            return "" if any_version else "no-version"
        return (
            "not-allowed"
            if rules.is_offered(policy.model_copy(update={"allow": (), "rules": ()}), app, ())
            else "denied"
        )

    def site_apps(self) -> SiteApps:
        """Return what is installed for everybody."""
        folder: Path | None = self._settings.site_apps
        if folder is None:
            return SiteApps(folder=None, items=[])
        settings = replace(self._settings.installer(), registries=[], site_apps=None)
        return SiteApps(folder=str(folder), items=Installer(folder, settings).installed())

    def audit(self, who: str | None = None, app: str | None = None, limit: int = 100) -> AuditPage:
        """Return the newest entries of the audit log."""
        return AuditPage(items=self._audit.read(who=who or None, app=app or None, limit=limit))
