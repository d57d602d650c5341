"""What is known of our jobs on a cluster: from the file the hub's watcher shares, else from a ``squeue`` of our own.

The shared file is the word on jobs that live. That one is not in it (any more) proves nothing: it may be older than
the job, or leave jobs out. Then one ``squeue`` of ours decides, which also tells how the job ended; it runs in a
thread, at most every five seconds on average, less often while the scheduler does not answer. Until it has answered,
what was known last holds.

Most jobs say themselves when they start and end: by files in their working directories, which cost the controller
nothing. They are hints: the end is believed when Slurm confirms it, by a question that is put at once.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simdeck_clusters.models import JobState

from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.engine import slurm_commands
from simdeck_workflows.engine.slurm_commands import QueueEntry, SchedulerSilentError

LOG = logging.getLogger(__name__)

FRESH = 15.0
"""Seconds after which the shared file counts as left behind."""

ASK_EVERY = 5.0
ASK_SELDOM = 30.0

ASK_AGAIN = 1.0
"""Least seconds between two questions when a job says that it has ended."""

_BURST = 3
"""So many questions may come that close, in ``_BURST * ASK_EVERY`` seconds: no more in the long run than without."""

STARTED = ".simdeck-slurm-job"
ENDED = ".simdeck-slurm-end"
"""Files of a working directory: the first job to start writes its number, and makes the other when its script ends."""


@dataclass(frozen=True)
class Answer:
    """Our jobs at one moment: ``asked`` is when the question was put (s since the epoch)."""

    asked: float
    jobs: dict[str, tuple[QueueEntry, ...]]

    @classmethod
    def of(cls, asked: float, entries: list[QueueEntry]) -> Answer:
        jobs: dict[str, list[QueueEntry]] = defaultdict(list)
        for entry in entries:
            jobs[entry.name].append(entry)
        return cls(asked, {name: tuple(found) for name, found in jobs.items()})


def read_shared(path: Path | None, now: float) -> Answer | None:
    """What the watcher's file says, or None if it is not there, not fresh, or does not tell of calculations."""
    if path is None:
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        taken = float(found["taken"])
        if found.get("unknown_since") is not None or not now - FRESH <= taken <= now + FRESH:
            return None
        entries = [
            QueueEntry(
                str(job["id"]),
                str(job["name"]),
                slurm_commands.state_of(str(job["state"])),
                str(job.get("reason") or ""),
                str(job.get("partition") or ""),
                str(job.get("nodes") or ""),
            )
            for job in found["calculations"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Answer.of(taken, entries)


def leading(entries: tuple[QueueEntry, ...]) -> QueueEntry:
    """The one that counts among jobs of one name: that with nodes, else the eldest that waits, else the eldest.

    There is more than one only where a submission was repeated because its first outcome was unknown. Among those that
    have ended, the cancelled one is the one that was too many.
    """
    living = [entry for entry in entries if not entry.state.ended]
    if not living:
        return min(entries, key=lambda entry: (entry.state is JobState.CANCELLED, _number(entry)))
    return min(living, key=lambda entry: (entry.state.waiting, _number(entry)))


def _number(entry: QueueEntry) -> int:
    digits = entry.id.partition("_")[0]
    return int(digits) if digits.isdigit() else 0


@dataclass
class SlurmWatch:
    """One cluster, seen by this process.

    Parameters
    ----------
    ask
        Lists our jobs; raises ``SchedulerSilentError``. Called in a thread.
    """

    cluster: RunCluster
    ask: Callable[[], list[QueueEntry]]
    clock: Callable[[], float] = time.time
    silent_since: float | None = None
    reason: str = ""
    questions: int = 0
    _own: Answer | None = None
    _existed: dict[str, float] = field(default_factory=dict)
    """When each job was last known to exist: only a later answer can say that it is gone."""
    _last: dict[str, QueueEntry] = field(default_factory=dict)
    _next: float = 0.0
    _pause: float = ASK_EVERY
    _asking: threading.Thread | None = None
    _asked: deque[float] = field(default_factory=lambda: deque(maxlen=_BURST))
    _places: dict[str, Path] = field(default_factory=dict)
    _said_ended: dict[str, float] = field(default_factory=dict)
    """When this process first saw a job's own word of its end."""

    def submitted(self, name: str, place: Path | None = None) -> None:
        """A job of this name exists from now on; ``place`` is its working directory."""
        self._existed[name] = self.clock()
        self._last[name] = QueueEntry("", name, JobState.PENDING)
        if place is not None:
            self._places[name] = place

    def placeless(self, names: Iterable[str]) -> list[str]:
        """Those jobs whose working directories are not known here."""
        return [name for name in names if name not in self._places]

    def lies_in(self, name: str, place: Path) -> None:
        """Note a job's working directory."""
        self._places[name] = place

    def look(self, names: list[str]) -> dict[str, QueueEntry | None]:
        """The state of jobs by name; None for one that is gone for certain. Returns at once.

        A name of which nothing is known yet has the state ``UNKNOWN``.
        """
        now = self.clock()
        shared = read_shared(self.cluster.snapshot, now)
        own, needed, at_once = self._own, False, False
        found: dict[str, QueueEntry | None] = {}
        for name in names:
            existed = self._existed.setdefault(name, now)
            said = self._ended_by_its_own_word(name, now)
            at_once |= said is not None and (own is None or own.asked < said or _lives(own, name))
            entry = _in(shared, name)
            if entry is not None and shared is not None and not entry.state.ended and not _overtaken(shared, own, name):
                found[name] = self._last[name] = entry
                self._existed[name] = max(existed, shared.asked)
            elif shared is not None and shared.asked < existed:
                # The file is older than the job: its next edition knows.
                found[name] = self._answered_since(existed, name) or self._known(name)
            elif own is not None and (entry := _in(own, name)) is not None:
                found[name] = self._last[name] = entry
                self._existed[name] = max(existed, own.asked)
                needed |= not entry.state.ended and now - own.asked >= ASK_EVERY
            elif own is not None and own.asked > existed:
                known = self._known(name)
                found[name] = known if known.state.ended else None
            else:
                found[name] = self._known(name)
                # One just submitted is in the queue, or says itself how it fares.
                needed |= shared is not None or name not in self._places or now - existed >= ASK_EVERY
        if needed or at_once:
            self._question(now, at_once)
        return found

    def end_of(self, name: str) -> QueueEntry | None:
        """The last that was seen of a job in the queue."""
        last = self._last.get(name)
        return last if last is not None and last.id else None

    def forget(self, name: str) -> None:
        for known in (self._last, self._existed, self._places, self._said_ended):
            known.pop(name, None)

    def raise_if_silent(self) -> None:
        """Refuse at once while the scheduler is known not to answer. Raises ``SchedulerSilentError``."""
        if self.silent_since is not None and self.clock() < self._next:
            raise SchedulerSilentError(self.reason)

    def heard(self, error: SchedulerSilentError | None) -> None:
        """Note whether the scheduler answered a command; a silent one is asked ever less often."""
        now = self.clock()
        if error is None:
            self.silent_since, self.reason, self._pause = None, "", ASK_EVERY
            self._next = max(self._next, now)
            return
        if self.silent_since is None:
            self.silent_since = now
            LOG.warning("the scheduler of %s does not answer: %s", self.cluster.name, error)
        self.reason = str(error)
        self._next = now + self._pause
        self._pause = min(ASK_SELDOM, self._pause * 2)

    def wait(self, seconds: float = 30.0) -> None:
        """Wait for a question that is under way. For tests and for the end of a process."""
        if self._asking is not None:
            self._asking.join(seconds)

    # --- inside

    def _known(self, name: str) -> QueueEntry:
        last = self._last.get(name) or QueueEntry("", name, JobState.UNKNOWN)
        place = self._places.get(name)
        if place is None or not (last.state.waiting or last.state is JobState.UNKNOWN):
            return last
        # A requeued job waits again though the file is there; a number was then seen with it.
        return replace(last, state=JobState.RUNNING) if not last.id and (place / STARTED).exists() else last

    def _answered_since(self, existed: float, name: str) -> QueueEntry | None:
        """What our own answer says of a job that is newer than the shared file."""
        if self._own is None or self._own.asked < existed:
            return None
        entry = _in(self._own, name)
        if entry is not None:
            self._last[name] = entry
        return entry

    def _ended_by_its_own_word(self, name: str, now: float) -> float | None:
        place = self._places.get(name)
        if place is None:
            return None
        if not (place / ENDED).exists():
            self._said_ended.pop(name, None)
            return None
        return self._said_ended.setdefault(name, now)

    def _question(self, now: float, at_once: bool = False) -> None:
        if self._asking is not None and self._asking.is_alive():
            return
        if now < self._next and not (at_once and self._may_hurry(now)):
            return
        self._asked.append(now)
        self._next = now + ASK_EVERY
        self.questions += 1
        self._asking = threading.Thread(target=self._ask, args=(now,), name="squeue", daemon=True)
        self._asking.start()

    def _may_hurry(self, now: float) -> bool:
        if self.silent_since is not None or (self._asked and now - self._asked[-1] < ASK_AGAIN):
            return False
        return len(self._asked) < _BURST or now - self._asked[0] >= _BURST * ASK_EVERY

    def _ask(self, now: float) -> None:
        try:
            entries = self.ask()
        except SchedulerSilentError as error:
            self.heard(error)
            return
        self.heard(None)
        self._own = Answer.of(now, entries)
        for name, found in self._own.jobs.items():
            self._end_surplus(name, found)

    def _end_surplus(self, name: str, entries: tuple[QueueEntry, ...]) -> None:
        """Of several jobs of one name only the first to start computes: those that wait behind it are cancelled.

        Of two that have started one ends by itself; which, only they know.
        """
        living = [entry for entry in entries if not entry.state.ended]
        if len(living) < 2 or name not in self._existed:
            return
        kept = leading(entries)
        for entry in living:
            if entry.id != kept.id and entry.state.waiting:
                LOG.warning("job %s was submitted twice; %s is cancelled", name, entry.id)
                try:
                    slurm_commands.run(self.cluster, "scancel", [entry.id], timeout=15.0)
                except SchedulerSilentError as error:
                    LOG.warning("job %s could not be cancelled: %s", entry.id, error)


def _in(answer: Answer | None, name: str) -> QueueEntry | None:
    entries = answer.jobs.get(name) if answer is not None else None
    return leading(entries) if entries else None


def _overtaken(shared: Answer, own: Answer | None, name: str) -> bool:
    """Whether our own, newer answer knows the end of a job that the shared file still shows living."""
    entry = _in(own, name)
    return own is not None and own.asked > shared.asked and entry is not None and entry.state.ended


def _lives(answer: Answer, name: str) -> bool:
    entry = _in(answer, name)
    return entry is not None and not entry.state.ended


_WATCHES: dict[str, SlurmWatch] = {}


def watch_of(cluster: RunCluster) -> SlurmWatch:
    """This process's one watch of a cluster."""
    found = _WATCHES.get(cluster.name)
    if found is None or found.cluster != cluster:
        found = _WATCHES[cluster.name] = SlurmWatch(cluster, lambda: slurm_commands.ask_queue(cluster))
    return found
