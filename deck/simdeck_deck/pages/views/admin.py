"""What the administrator's page shows of registries, apps and the audit log. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from simdeck_appstore.audit import AuditEntry
from simdeck_appstore.models import InstalledApp
from simdeck_appstore.registries import RegistryState

from simdeck_deck.office import PolicedApp
from simdeck_deck.pages.views.states import StateView
from simdeck_deck.pages.views.text import ago, date, full_time, plural

IN_ORDER = StateView("ok", "In order", "check", "good", False)
UNSIGNED = StateView("unsigned", "Unsigned", "alert", "wait", False)
AWAY = StateView("away", "Away", "alert", "wait", False)
REFUSED = StateView("refused", "Refused", "alert", "bad", False)
OFFERED = StateView("offered", "Offered", "check", "good", False)
LIMITED = StateView("limited", "Some groups", "user", "wait", False)
HIDDEN = StateView("hidden", "Not offered", "stop", "neutral", False)

OUTCOMES = {
    "asked": StateView("asked", "Asked", "clock", "wait", True),
    "begun": StateView("begun", "Under way", "running", "busy", True),
    "done": StateView("done", "Done", "check", "good", False),
    "failed": StateView("failed", "Failed", "alert", "bad", False),
    "cancelled": StateView("cancelled", "Cancelled", "stop", "neutral", False),
    "refused": StateView("refused", "Refused", "stop", "bad", False),
    "unknown": StateView("unknown", "Not known", "alert", "neutral", False),
}
WHAT = {
    "install": "Install or update",
    "rollback": "Go back",
    "remove": "Remove",
    "publish": "Publish",
    "pin": "Pin",
    "unpin": "Unpin",
    "site-install": "Install for everybody",
    "site-remove": "Remove for everybody",
}
REASONS = {
    "denied": "on the list of denied apps",
    "not-allowed": "not on the list of allowed apps",
    "no-version": "no version is left",
}


@dataclass(frozen=True)
class RegistryCard:
    name: str
    url: str
    state: StateView
    key: str
    expires: str
    apps: str
    left_out: str
    says: str


def registry_card(state: RegistryState) -> RegistryCard:
    """Return a registry as a card: refused before away, and unsigned only where nothing else is to be said."""
    problem = state.problem or {}
    if problem.get("code") == "registry-unreachable":
        view = AWAY if state.optional else REFUSED
    elif problem:
        view = REFUSED
    else:
        view = IN_ORDER if state.signed or not state.url.startswith("http") else UNSIGNED
    return RegistryCard(
        name=state.name,
        url=state.url,
        state=view,
        key=state.key or "",
        expires=date(state.expires) if state.expires else "",
        apps=plural(state.apps, "app"),
        left_out=plural(state.left_out, "broken app") if state.left_out else "",
        says=str(problem.get("detail") or ""),
    )


@dataclass(frozen=True)
class AppRow:
    id: str
    title: str
    registry: str
    state: StateView
    latest: str
    seen_by: str
    withheld: str


def app_row(app: PolicedApp) -> AppRow:
    """Return an app with what the policy makes of it."""
    state = HIDDEN if not app.offered else LIMITED if app.groups else OFFERED
    return AppRow(
        id=app.id,
        title=app.title,
        registry=app.registry,
        state=state,
        latest=app.latest or "–",
        seen_by=REASONS.get(app.reason) or " and ".join(app.groups) or "everybody",
        withheld=", ".join(app.withheld),
    )


@dataclass(frozen=True)
class SiteAppRow:
    id: str
    title: str
    current: str
    versions: str
    installed: str
    installed_full: str


def site_app_row(app: InstalledApp, now: datetime) -> SiteAppRow:
    """Return an app that is installed for everybody."""
    others = [version for version in app.versions if version != app.current]
    return SiteAppRow(
        app.id, app.title, app.current, ", ".join(others), ago(app.installed, now), full_time(app.installed)
    )


@dataclass(frozen=True)
class AuditRow:
    when: str
    when_full: str
    who: str
    what: str
    app: str
    version: str
    outcome: StateView
    detail: str


def audit_row(entry: AuditEntry, now: datetime) -> AuditRow:
    """Return one entry of the audit log."""
    return AuditRow(
        when=ago(entry.time, now),
        when_full=full_time(entry.time),
        who=entry.who,
        what=WHAT.get(entry.what, entry.what),
        app=entry.app,
        version=entry.version or "",
        outcome=OUTCOMES[entry.outcome],
        detail=entry.detail or "",
    )
