"""Installs, updates, rolls back and removes a user's apps. Blocking: run it in a thread.

Everything is made in ``<apps>/.staging/<app>.<id>/`` and becomes visible by one rename and one switch of ``current``
(:mod:`simdeck_appstore.versions`); whatever a kill leaves in staging is thrown away by :meth:`Installer.clean`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from simdeck_common.generations import covering, need_of
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

from simdeck_appstore import guest_versions
from simdeck_appstore import policy as rules
from simdeck_appstore.aiidalab.install import AiidalabInstallation
from simdeck_appstore.generations import Generations
from simdeck_appstore.guest_versions import GuestVersion
from simdeck_appstore.installation import Installation
from simdeck_appstore.installer_settings import InstallerSettings
from simdeck_appstore.mending import mend
from simdeck_appstore.models import InstalledApp, Progress, RegistryApp, Release
from simdeck_appstore.process import CancelledError
from simdeck_appstore.registries import UNTRUSTED, RegistrySource
from simdeck_appstore.registry import Registry
from simdeck_appstore.site_wide import follow_site, groups_for, make_open
from simdeck_appstore.sources import APP_ID
from simdeck_appstore.usage import AppUsage, GenerationUsage, Usage
from simdeck_appstore.versions import RECORD, AppFolder

__all__ = ["Installer", "InstallerSettings"]

LOG = logging.getLogger(__name__)

NOT_NEEDED = frozenset({"registry-unreachable", "version-not-offered", "app-not-found", *UNTRUSTED})
Report = Callable[[Progress], None]


def _quiet(progress: Progress) -> None:
    """Drop a report."""


class Installer:
    """The apps below ``apps`` (``UserHome.apps``)."""

    def __init__(self, apps: Path, settings: InstallerSettings) -> None:
        self.apps = apps.absolute()
        self.settings = settings
        self._usage = Usage()
        self.generations = Generations(self.apps, settings)
        self.sources = [RegistrySource.of(source) for source in settings.registries]
        self.registries = [source.open(self.apps / ".trust") for source in self.sources]

    def installed(self) -> list[InstalledApp]:
        """Return the installed apps by title."""
        if not self.apps.is_dir():
            return []
        found = [
            self._describe(AppFolder(self.apps, path.name)) for path in self.apps.iterdir() if APP_ID.match(path.name)
        ]
        return sorted((app for app in found if app is not None), key=lambda app: app.title.lower())

    def get(self, app: str) -> InstalledApp:
        """Return one installed app.

        Raises
        ------
        Problem
            ``app-not-installed``.
        """
        found = self._describe(AppFolder(self.apps, app))
        if found is None:
            raise Problem("app-not-installed", field="app", app=app)
        return found

    def version_for(self, app: str, version: str | None, groups: frozenset[str]) -> str | None:
        """Return the version to install for members of ``groups``, as ``policy.version_for`` does; 404 for none."""
        try:
            _, document, _ = self._resolve(app, version)
        except Problem:
            return version  # the install says why, and takes what lies here
        return rules.version_for(self.settings.policy, document, version, groups)

    def is_for(self, app: str, groups: frozenset[str]) -> bool:
        """Say whether what is installed for everybody under this name is for members of ``groups``."""
        return self.settings.site_apps is None or rules.is_for(groups_for(self.settings.site_apps, app), groups)

    def install(
        self,
        app: str,
        version: str | None = None,
        *,
        report: Report = _quiet,
        cancelled: threading.Event | None = None,
        beside: bool = False,
    ) -> InstalledApp:
        """Install ``app`` (default: its latest version) and make it current; the version before is kept.

        With ``beside`` the version that is current stays so.

        A version that is installed already with the same content is only switched to; a guest version becomes the
        person's own.

        Raises
        ------
        Problem
            ``app-busy``, ``app-not-found``, ``version-not-found``, ``version-not-offered``, ``registry-…``,
            ``app-needs-…``, ``file-changed``, ``install-…``, ``app-broken``. Nothing is changed then.
        """
        with self._held(app) as folder:
            report(Progress(step="resolve", message=f"Looking up {app}"))
            try:
                found = self._resolve(app, version)
            except Problem as problem:
                # Going back to a version that lies here needs no registry, and nobody's leave.
                own = set(folder.versions()) - set(folder.guests())
                if problem.code not in NOT_NEEDED or version not in own:
                    raise
                return self.get(app) if beside else self._switch(folder, str(version), report, cancelled)
            release = found[2]
            beside = beside and folder.current() not in folder.guests()
            # From here on it is the person's own, whatever brought it.
            folder.unmark_guest(release.version)
            if self._is_installed(folder, release):
                return self.get(app) if beside else self._switch(folder, release.version, report, cancelled)
            self._install(folder, *found, report, cancelled, beside=beside)
            return self.get(app)

    def install_guest(
        self, app: str, version: str, *, report: Report = _quiet, cancelled: threading.Event | None = None
    ) -> None:
        """Have ``version`` of ``app`` here without it being the person's: it can be opened, and is on no list.

        Raises
        ------
        Problem
            As ``install`` does.
        """
        with self._held(app) as folder:
            if version in folder.versions():
                return
            report(Progress(step="resolve", message=f"Looking up {app}"))
            found = self._resolve(app, version)
            folder.mark_guest(version)
            try:
                self._install(folder, *found, report, cancelled, beside=True)
            except Problem:
                folder.unmark_guest(version)
                folder.recover()
                raise

    @contextlib.contextmanager
    def _held(self, app: str) -> Iterator[AppFolder]:
        """Hold the app for an install, mended from what was cut short before."""
        folder = AppFolder(self.apps, app)
        if self.settings.site_wide:
            make_open(self.apps)
        else:
            private_dir(self.apps)
        with folder.lock():
            folder.recover()
            yield folder

    def _install(
        self,
        folder: AppFolder,
        registry: Registry,
        document: RegistryApp,
        release: Release,
        report: Report,
        cancelled: threading.Event | None,
        *,
        beside: bool,
    ) -> None:
        if release.workflows and not self.settings.takes_plugins:
            raise Problem("app-needs-admin", field="app", app=document.title, id=folder.app)
        kind = AiidalabInstallation if release.tree is not None else Installation
        installation = kind(
            folder=folder,
            settings=self.settings,
            registry=registry,
            document=document,
            release=release,
            report=report,
            cancelled=cancelled or threading.Event(),
        )
        installation.beside = beside
        installation.run()
        self.generations.clean()

    def rollback(self, app: str, *, report: Report = _quiet, cancelled: threading.Event | None = None) -> InstalledApp:
        """Make the version before the current one current.

        Raises
        ------
        Problem
            ``app-busy``, ``app-not-installed`` or ``no-previous-version``.
        """
        folder = AppFolder(self.apps, app)
        self.get(app)
        with folder.lock():
            folder.recover()
            with self._fitted(folder, folder.previous(), report, cancelled):
                version = folder.rollback()
            report(Progress(step="ready", message=f"Back to version {version}"))
            return self.get(app)

    def remove(
        self, app: str, version: str | None = None, *, report: Report = _quiet, cancelled: threading.Event | None = None
    ) -> None:
        """Remove one version of ``app``, or all of it.

        Raises
        ------
        Problem
            ``app-busy``, ``app-not-installed`` or ``version-not-found``.
        """
        folder = AppFolder(self.apps, app)
        self.get(app)
        with folder.lock():
            folder.recover()
            site = folder.site_versions()
            guests = folder.guests()
            own = [one for one in folder.versions() if one not in site and one not in guests]
            if version in site or (version is None and not own):
                raise Problem("app-site-wide", field="version" if version else "app", app=app)
            if version is None:
                for one in own if site or guests else ():
                    folder.remove_version(one)
                if not site and not guests:
                    folder.remove()
                report(Progress(step="ready", message="Removed"))
                return
            if version not in own:
                raise Problem("version-not-found", field="version", app=app, version=version)
            folder.remove_version(version)
            # Another version of the app may be the current one now.
            self._try_to_renew()
            report(Progress(step="ready", message=f"Removed version {version}"))

    def follow_site(self, offered: Callable[[str], bool], stays: Callable[[str], bool] = lambda app: False) -> bool:
        """Have the apps that are installed for everybody among these; return whether anything changed.

        ``offered`` says of an app whether this person may have it, ``stays`` whether its version must not change.
        """
        if self.settings.site_apps is None:
            return False
        private_dir(self.apps)
        changed = follow_site(self.apps, self.settings.site_apps, offered, stays)
        if changed:
            self._try_to_renew()
        return changed

    def renew_backend(self, cancelled: threading.Event | None = None) -> bool:
        """Make the generation of the workflow backend that the installed apps need, where there is none.

        That is so after an update of the backend itself, or where an app for everybody came beside own ones. Return
        whether one was made.

        Raises
        ------
        Problem
            As ``install`` does; runs of the apps that the present one lacks are refused until it can be made.
        """
        needs, base = self.generations.needs(), self.settings.backend_python
        if not needs or base is None or covering(needs, self.generations.places, base) is not None:
            return False
        with _uncancelled(cancelled) as event, self.generations.lock(event):
            if covering(needs, self.generations.places, base) is not None:
                return False
            self.generations.ensure(needs, cancelled=event)
        return True

    def _try_to_renew(self) -> None:
        """Renew the backend; where that cannot be done, the next submission of a run says why it is refused."""
        try:
            self.renew_backend()
        except (Problem, OSError) as error:
            LOG.warning("the workflow backend lacks what apps need: %s", error)

    def guests(self) -> list[GuestVersion]:
        """Return the versions that are here because others share them."""
        return guest_versions.listed(self.apps)

    def remove_guest(self, app: str, version: str) -> bool:
        """Take a guest version away; return False where it stays, because a page of it is open or it is no guest."""
        gone = guest_versions.remove(AppFolder(self.apps, app), version)
        if gone:
            self._try_to_renew()
        return gone

    def usage(self) -> list[AppUsage]:
        """Return how much disk the installed apps take, largest first."""
        return self._usage.of(self.apps)

    def backend_usage(self) -> list[GenerationUsage]:
        """Return the generations of the workflow backend that these apps may use, and what they take."""
        return self._usage.all_generations(self.generations)

    def clean(self) -> None:
        """Mend what killed installs left: at the agent's start. Apps that another process changes are left to it."""
        if self.apps.is_dir():
            mend(self.apps)
            self.generations.clean()

    def _resolve(self, app: str, version: str | None) -> tuple[Registry, RegistryApp, Release]:
        """Return the first registry that has the app, with the release wanted.

        A registry that cannot be trusted, or is away and not optional, might have it: those after it are not asked.
        """
        policy = self.settings.policy
        rules.check(policy, app, None, None)
        refusal = Problem("app-not-found", field="app", app=app)
        for source, registry in zip(self.sources, self.registries, strict=True):
            try:
                document = registry.app(app)
            except Problem as problem:
                if problem.code in UNTRUSTED or (problem.code == "registry-unreachable" and not source.optional):
                    raise
                if problem.code == "registry-unreachable" or refusal.code != "registry-unreachable":
                    refusal = problem
                continue
            seen = rules.offered(policy, document, None)
            release = seen.release(version) if seen is not None else None
            if release is not None:
                return registry, document, release
            gone = version if version is not None and document.release(version) is None else None
            refusal = Problem("version-not-found", field="version", app=app, version=gone)
            if gone is None:
                refusal = Problem("version-not-offered", field="version", app=app, version=version or document.latest)
        raise refusal

    def _is_installed(self, folder: AppFolder, release: Release) -> bool:
        record = folder.record(release.version)
        if record is None:
            return False
        refs = (release.wheel, release.tree, release.lock, release.simdeck.wheel if release.simdeck else None)
        found = (record.wheel_sha256, record.tree_sha256, record.lock_sha256, record.simdeck_sha256)
        same = found == tuple(ref.sha256 if ref else None for ref in refs)
        return same and record.post_install != "pending"

    @contextlib.contextmanager
    def _fitted(
        self, folder: AppFolder, version: str | None, report: Report, cancelled: threading.Event | None
    ) -> Iterator[None]:
        """Have a workflow backend with what an installed version needs, before that version becomes current."""
        need = need_of(folder.home(version) / RECORD) if version is not None else None
        if need is None:
            yield
            return
        with _uncancelled(cancelled) as event, self.generations.lock(event):
            self.generations.ensure(
                self.generations.needs(need, folder.app),
                say=lambda text: report(Progress(step="resolve", message=text)),
                tell=lambda line: report(Progress(kind="log", step="resolve", message=line)),
                cancelled=event,
            )
            yield

    def _switch(
        self, folder: AppFolder, version: str, report: Report, cancelled: threading.Event | None
    ) -> InstalledApp:
        with self._fitted(folder, version, report, cancelled):
            folder.switch(version)
        report(Progress(step="ready", message=f"Version {version} is ready"))
        return self.get(folder.app)

    def _describe(self, folder: AppFolder) -> InstalledApp | None:
        current, guests = folder.current(), folder.guests()
        record = folder.record(current) if current else None
        if current is None or record is None or current in guests:
            return None
        return InstalledApp(
            id=folder.app,
            title=record.title,
            summary=record.summary,
            current=current,
            versions=[version for version in folder.versions() if version not in guests],
            site_versions=folder.site_versions(),
            previous=folder.previous(),
            entry=record.entry,
            logo=record.logo,
            workflows=record.workflows,
            installed=record.installed,
        )


@contextlib.contextmanager
def _uncancelled(cancelled: threading.Event | None) -> Iterator[threading.Event]:
    """Give an event to look at, and say in the words of people that it was set."""
    try:
        yield cancelled or threading.Event()
    except CancelledError:
        raise Problem("install-cancelled", app="the app") from None
