"""Makes generations of the workflow backend's environment: see :mod:`simdeck_common.generations`.

What the backend has is fixed; uv adds to it what the installed apps' workflows need, resolved for all of them together.
A generation is an environment of its own that holds these packages, hard-linked from uv's cache, and stands on the
backend's. It is made under another name and gets its own at the end; a killed build leaves only a folder that the next
one removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import canonicalize_name
from simdeck_common.files import write_atomically
from simdeck_common.generations import (
    FOLDER,
    LOCK,
    RECORD,
    Generation,
    Need,
    all_in,
    base_of,
    covering,
    needs_below,
    packages_of,
    site_packages,
)
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

from simdeck_appstore import contradictions
from simdeck_appstore.failures import problem_of
from simdeck_appstore.installer_settings import InstallerSettings
from simdeck_appstore.process import CancelledError, Outcome, run
from simdeck_appstore.rubbish import remove_tree
from simdeck_appstore.site_wide import freeze_below, make_open, open_to_all

KEPT_SECONDS = 24 * 3600.0
"""How long a generation stays that a newer one has replaced: a roll back wants it soon or not at all."""
_RESOLVE_SECONDS = 300.0
_HALF = ".being-made-"
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^ ;\\]+)", re.MULTILINE)
Say = Callable[[str], None]


def _silent(line: str) -> None:
    """Drop a line."""


class Generations:
    """The generations of the apps below ``apps``, a person's or those for everybody."""

    def __init__(self, apps: Path, settings: InstallerSettings) -> None:
        self.apps = apps
        self.folder = apps / FOLDER
        self.settings = settings

    @property
    def places(self) -> list[Path]:
        """Return the folders of apps whose generations may be used: these apps' own, and those for everybody."""
        site = self.settings.site_apps
        return [self.apps, site] if site is not None and site != self.apps else [self.apps]

    def needs(self, changed: Need | None = None, app: str = "") -> list[Need]:
        """Return what the current versions need, with ``changed`` in the place of what ``app`` needs now."""
        others = [need for need in needs_below(self.apps) if need.app != app]
        return [*others, changed] if changed is not None else others

    @contextlib.contextmanager
    def lock(self, cancelled: threading.Event) -> Iterator[None]:
        """Hold off other builds, until what was built for is in its place. Raises ``CancelledError``."""
        self._make_folder()
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            while not _taken(handle):
                if cancelled.wait(0.1):
                    raise CancelledError
            yield
        finally:
            os.close(handle)

    def ensure(
        self, needs: Sequence[Need], *, say: Say = _silent, tell: Say = _silent, cancelled: threading.Event
    ) -> Path | None:
        """Return the Python of an environment that holds all of ``needs``, making it where there is none.

        The caller holds the lock. None: the backend's own environment is enough, or nobody knows where it is.

        Parameters
        ----------
        say
            Is called with what is being done, in a sentence.
        tell
            Is called with each line that uv writes.

        Raises
        ------
        CancelledError
            ``cancelled`` was set.
        Problem
            ``backend-contradiction``, ``backend-unresolved``; ``install-…`` for a network, disk or hash that fails.
        """
        base = self.settings.backend_python
        if not needs or base is None:
            return None
        found = covering(needs, self.places, base)
        if found is not None:
            return found.python
        self._remove_halves()
        half = Path(tempfile.mkdtemp(dir=self.folder, prefix=_HALF))
        try:
            made = _Build(self, half, needs, base, tell=tell, cancelled=cancelled).make(say)
        finally:
            remove_tree(half)
        return made.python

    def clean(self, now: float | None = None) -> None:
        """Remove halves of killed builds, and generations that were replaced a while ago and that no worker uses."""
        if not self.folder.is_dir():
            return
        with contextlib.suppress(CancelledError), self.lock(_ONCE):
            self._remove_halves()
            needs, base = self.needs(), self.settings.backend_python
            kept = covering(needs, self.places, base) if needs and base is not None else None
            if needs and kept is None:
                # The next one is not made yet; until then runs may need what is there.
                return
            replaced = None
            for generation in all_in(self.apps):
                old = _age(replaced or generation, now) > KEPT_SECONDS
                if old and (kept is None or generation.folder != kept.folder):
                    self._remove(generation)
                replaced = generation

    def _remove(self, generation: Generation) -> None:
        """Remove it, unless a worker of anybody's uses it: they hold a shared lock on its record."""
        try:
            handle = os.open(generation.folder / RECORD, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            if not _taken(handle):
                return
            half = self.folder / f"{_HALF}{generation.folder.name}.old"
            # A frozen folder lets its owner move it; a worker that begins now finds the name gone and ends at once.
            os.replace(generation.folder, half)
            remove_tree(half)
        except OSError:
            return
        finally:
            os.close(handle)

    def _remove_halves(self) -> None:
        for half in self.folder.glob(f"{_HALF}*"):
            remove_tree(half)

    def _make_folder(self) -> None:
        if self.settings.site_wide:
            make_open(self.folder)
        else:
            private_dir(self.folder)


class _Build:
    """One build, in the folder ``half``."""

    def __init__(
        self,
        owner: Generations,
        half: Path,
        needs: Sequence[Need],
        base: Path,
        *,
        tell: Say,
        cancelled: threading.Event,
    ) -> None:
        self.owner = owner
        self.settings = owner.settings
        self.half = half
        self.needs = list(needs)
        self.base = base
        self.tell = tell
        self.cancelled = cancelled
        self.base_site = site_packages(base)
        self.pins = packages_of(self.base_site)
        self.constraints = half / "backend.txt"
        self.constraints.write_text("".join(f"{name}=={version}\n" for name, version in self.pins.items()), "utf-8")

    def make(self, say: Say) -> Generation:
        say("Fitting what its workflows need to the workflow backend and the other apps")
        lock = self.half / "all.lock"
        outcome = self.resolve([word for need in self.needs for word in need.requirements], into=lock)
        if not outcome.ok:
            raise self._refusal(outcome)
        extra = self._extra(lock.read_text("utf-8"))
        say(f"Making the next generation of the workflow backend ({_count(extra)})")
        tree = self.half / "tree"
        options = ("--relocatable", "--no-project", "--no-python-downloads")
        self._must("venv", *options, "--python", str(self.base), str(tree))
        (tree / LOCK).write_text("".join(extra.values()), "utf-8")
        if extra:
            self._must(
                *("pip", "install", "--no-deps", "--require-hashes", "--link-mode", self._link_mode()),
                *(("--compile-bytecode",) if self.settings.site_wide else ()),
                *("--python", str(tree), "-r", str(tree / LOCK)),
            )
        # The backend's packages come after these, with what its own .pth files name.
        chain = f"import site; site.addsitedir({str(self.base_site)!r})\n"
        (site_packages(tree / "bin" / "python") / "simdeck-backend.pth").write_text(chain, "utf-8")
        _bring_programs(self.base.parent, tree / "bin")
        return self._adopt(tree)

    def resolve(self, requirements: Sequence[str], *, pinned: bool = True, into: Path | None = None) -> Outcome:
        """Have uv resolve ``requirements``, with the backend's packages as they are if ``pinned``."""
        asked = self.half / "asked.in"
        asked.write_text("".join(f"{word}\n" for word in requirements), "utf-8")
        if into is not None:
            self._prefer(into)
        argv = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "--python"]
        argv += [str(self.base), *(("--constraints", str(self.constraints)) if pinned else ()), str(asked)]
        argv += ["--output-file", str(into or self.half / "tried.lock")]
        return self._run(*argv, limit=_RESOLVE_SECONDS)

    def _prefer(self, lock: Path) -> None:
        """Put the packages of the newest generation where uv looks for versions to keep."""
        newest = next(iter(all_in(self.owner.apps)), None)
        if newest is not None:
            with contextlib.suppress(OSError):
                shutil.copyfile(newest.folder / LOCK, lock)

    def _extra(self, lock: str) -> dict[str, str]:
        """Return the lock's entries by name, without what the backend has."""
        starts = [(found.start(), str(canonicalize_name(found[1]))) for found in _PINNED.finditer(lock)]
        ends = [*(start for start, _ in starts[1:]), len(lock)]
        return {
            name: lock[start:end].rstrip() + "\n"
            for (start, name), end in zip(starts, ends, strict=True)
            if name not in {str(canonicalize_name(known)) for known in self.pins} and name != "simdeck"
        }

    def _adopt(self, tree: Path) -> Generation:
        base = base_of(self.base)
        asked = sorted(word for need in self.needs for word in need.requirements)
        content = "\n".join([base, (tree / LOCK).read_text("utf-8"), *asked])
        target = self.owner.folder / f"backend-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        record = {
            "base": base,
            "python": str(self.base),
            "made": datetime.now(UTC).isoformat(timespec="microseconds"),
            "apps": [need.to_json() for need in self.needs],
            "packages": packages_of(site_packages(tree / "bin" / "python")),
        }
        write_atomically(tree / RECORD, json.dumps(record, indent=1) + "\n", mode=0o644)
        if self.settings.site_wide:
            open_to_all(tree)
            freeze_below(tree)
        if target.exists():
            # The same packages for the same apps, but not whole: nobody can have used it.
            remove_tree(target)
        os.replace(tree, target)
        found = next((one for one in all_in(self.owner.apps) if one.folder == target), None)
        if found is None:
            raise OSError(f"{target} cannot be read")
        return found

    def _refusal(self, outcome: Outcome) -> Problem:
        new = self.needs[-1]
        found = problem_of(outcome, app=new.title, version=new.version, step="resolve")
        if outcome.code is None or found.code in {"install-offline", "install-disk-full"}:
            return found
        return contradictions.explain(self.needs, outcome, self.resolve, self.pins)

    def _link_mode(self) -> str:
        return "copy" if self.settings.site_wide else self.settings.link_mode

    def _must(self, *arguments: str) -> None:
        outcome = self._run(*arguments)
        if not outcome.ok:
            new = self.needs[-1]
            raise problem_of(outcome, app=new.title, version=new.version, step="build")

    def _run(self, *arguments: str, limit: float = 3600.0) -> Outcome:
        cache = ["--cache-dir", str(self.settings.cache)] if self.settings.cache else []
        argv = [str(self.settings.uv), *arguments, *cache]
        return run(argv, cwd=self.half, line=self.tell, cancelled=self.cancelled, limit=limit)


def _bring_programs(source: Path, target: Path) -> None:
    """Have AiiDA's command line beside the Python that sees these packages."""
    if (source / "verdi").is_file():
        program = target / "verdi"
        program.write_text('#!/bin/sh\nexec "$(dirname -- "$(readlink -f -- "$0")")/python" -m aiida "$@"\n', "utf-8")
        program.chmod(0o755)


def _count(extra: dict[str, str]) -> str:
    if not extra:
        return "nothing to add"
    return f"{len(extra)} packages to add" if len(extra) > 1 else "one package to add"


def _age(generation: Generation, now: float | None) -> float:
    return (time.time() if now is None else now) - datetime.fromisoformat(generation.made).timestamp()


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_ONCE = threading.Event()
_ONCE.set()
