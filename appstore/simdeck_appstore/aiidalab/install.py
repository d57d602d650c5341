"""Installing an AiiDAlab app: its own environment from its lock, its tree beside it, a kernel for its pages.

The tree lies in ``versions/<version>/apps/<app>``, read-only: the folder ``apps`` is what the app takes for AiiDAlab's
(``AIIDALAB_APPS``), so that ``../<app>/`` in its links means itself. Its plug-ins do not enter the shared backend.
"""

from __future__ import annotations

import os
from pathlib import Path

from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

from simdeck_appstore.aiidalab.tree import LARGEST, POST_INSTALL, STARTS
from simdeck_appstore.failures import with_tail
from simdeck_appstore.installation import Installation
from simdeck_appstore.models import AiidalabEntry, FileRef, PostInstall, VersionRecord
from simdeck_appstore.process import CancelledError, passed_environment, run
from simdeck_appstore.swap import swap
from simdeck_appstore.unpacking import unpack
from simdeck_appstore.versions import RECORD

SCRIPT_SECONDS = 600.0
NOT_RUN = (
    "Its own script, post_install, is not run: this site does not allow it. What it sets up must be set up by hand"
)


class AiidalabInstallation(Installation):
    """One run for an AiiDAlab app."""

    record: VersionRecord | None = None
    before: str | None = None

    def _steps(self) -> None:
        title, entry = self.document.title, self.release.entry
        assert isinstance(entry, AiidalabEntry)
        assert self.release.tree is not None
        self.before = self.folder.current()
        self._step("resolve", f"{title} {self.release.version}")
        self._check_versions()
        self._step("download", f"Fetching {title} {self.release.version}")
        wheels = self._download()
        self._unpack(self.release.tree, entry)
        self._step("build", "Making the environment")
        self._build(wheels)
        self._step("verify", "Checking that it works")
        if not self._verify().kernel:
            raise self._refuse("its environment has no kernel (ipykernel)")
        state: PostInstall = "none"
        if entry.post_install:
            state = "pending" if self.settings.post_install else "not run"
        if state == "not run":
            self._step("verify", NOT_RUN)
        self.record = self._write_record(entry, kernel=True, post_install=state)
        if state != "pending":
            _freeze(self.tree / entry.tree)

    def _unpack(self, ref: FileRef, entry: AiidalabEntry) -> None:
        """Put the app's tree in its place in the version's folder."""
        archive = self._fetch(ref, self.stage / ref.name)
        unpacked = self.stage / "unpacked"
        unpack(ref.name, archive, unpacked, refuse=self._refuse, largest=LARGEST)
        tops = list(unpacked.iterdir())
        place = (self.tree / entry.tree).resolve()
        if len(tops) != 1 or not tops[0].is_dir() or not place.is_relative_to(self.tree.resolve() / "apps"):
            raise self._refuse("its tree is not packed as an app's")
        place.parent.mkdir(parents=True, exist_ok=True)
        tops[0].rename(place)
        for page in [*entry.pages, *([entry.start] if entry.start else [])]:
            if not (place / page).resolve().is_relative_to(place) or not (place / page).is_file():
                raise self._refuse(f"{page} is not in its tree")
        if entry.start not in (None, *STARTS):
            raise self._refuse(f"{entry.start} is not the name of a start page")

    def _refuse(self, reason: str) -> Problem:
        return Problem("app-broken", app=self.document.title, version=self.release.version, reason=reason)

    def _adopted(self) -> None:
        """Run the app's ``post_install`` where the site allows it; it must lie in its place for that."""
        record = self.record
        if record is None or record.post_install != "pending" or not isinstance(record.entry, AiidalabEntry):
            return
        home = self.folder.home(record.version)
        tree = home / record.entry.tree
        try:
            with (home / "install.log").open("a", encoding="utf-8") as self.log:
                self._step("verify", "Running its own script, post_install")
                self._run_script(home, tree)
        except (CancelledError, Problem, OSError):
            self._take_back(home, record.version)
            raise
        _freeze(tree)
        done = record.model_copy(update={"post_install": "ran"})
        (home / RECORD).write_text(done.model_dump_json(indent=1) + "\n", "utf-8")

    def _take_back(self, home: Path, version: str) -> None:
        """Make it as if this version had never been there; what was current before is so again."""
        log = (home / "install.log").read_bytes()
        if (self.tree / RECORD).is_file():
            # The same version lay there with other content: adopting ours moved it here.
            swap(self.tree, home)
            self.folder.switch(self.before or version)
        else:
            self.folder.remove_version(version)
        (private_dir(self.tree) / "install.log").write_bytes(log)

    def _run_script(self, home: Path, tree: Path) -> None:
        script = tree / POST_INSTALL
        script.chmod(0o755)
        path = f"{home / 'env' / 'bin'}{os.pathsep}{passed_environment().get('PATH', os.defpath)}"
        outcome = run(
            [str(script)],
            cwd=tree,
            line=self._told,
            cancelled=self.cancelled,
            environment={"PATH": path, "AIIDALAB_APPS": str(tree.parent)},
            limit=SCRIPT_SECONDS,
        )
        if outcome.ok:
            return
        reason = "it did not end in time" if outcome.code is None else f"it ended with code {outcome.code}"
        problem = Problem("post-install-failed", app=self.document.title, version=self.release.version, reason=reason)
        raise with_tail(problem, outcome.tail)


def _freeze(tree: Path) -> None:
    """Make the tree read-only: every page of every user of this version sees what its author released."""
    for here, _, names in os.walk(tree):
        for name in names:
            path = Path(here, name)
            if not path.is_symlink():
                path.chmod(0o555 if path.stat().st_mode & 0o100 else 0o444)
        os.chmod(here, 0o555)  # noqa: S103 - others may read what the folders above let them see, nobody may write
