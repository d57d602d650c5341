"""What a worker believes of its jobs, from the shared file and from its own questions, on a clock of the test's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simdeck_clusters.models import JobState
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.engine.slurm_commands import QueueEntry, SchedulerSilentError
from simdeck_workflows.engine.slurm_watch import ENDED, STARTED, SlurmWatch, leading

NAME = "simdeck-calc-a"


class Scene:
    """A watch with a settable clock, shared file and queue."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.queue: list[QueueEntry] | Exception = []
        self.asked = 0
        self.file = folder / "one.json"
        self.watch = SlurmWatch(RunCluster(name="one", snapshot=self.file), self.ask, clock=lambda: self.now)

    def ask(self) -> list[QueueEntry]:
        self.asked += 1
        if isinstance(self.queue, Exception):
            raise self.queue
        return self.queue

    def share(self, state: str | None, taken: float | None = None, unknown_since: float | None = None) -> None:
        jobs = [{"id": "7", "name": NAME, "state": state, "reason": ""}] if state else []
        content = {"taken": taken or self.now, "unknown_since": unknown_since, "calculations": jobs}
        self.file.write_text(json.dumps(content))

    def look(self) -> JobState | None:
        entry = self.watch.look([NAME])[NAME]
        self.watch.wait()
        return entry.state if entry is not None else None

    def later(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def entry(state: JobState, number: str = "7") -> QueueEntry:
    return QueueEntry(number, NAME, state)


def test_a_fresh_shared_file_needs_no_question(scene: Scene) -> None:
    for _ in range(20):
        scene.later(2)
        scene.share("RUNNING")
        assert scene.look() is JobState.RUNNING
    assert scene.asked == 0


def test_a_file_older_than_the_job_does_not_make_it_gone(scene: Scene) -> None:
    scene.share(None, taken=999.0)
    scene.watch.submitted(NAME)
    assert scene.look() is JobState.PENDING
    assert scene.asked == 0


def test_a_job_missing_in_the_file_is_asked_for_before_it_counts_as_gone(scene: Scene) -> None:
    scene.share("RUNNING")
    scene.look()
    scene.later(6)
    scene.share(None)
    scene.queue = [entry(JobState.TIMEOUT)]
    assert scene.look() is JobState.RUNNING
    assert scene.look() is JobState.TIMEOUT
    assert scene.asked == 1


def test_without_a_file_one_question_in_five_seconds(scene: Scene) -> None:
    scene.queue = [entry(JobState.RUNNING)]
    for _ in range(60):
        scene.later(0.5)
        scene.look()
    assert scene.asked <= 7


@pytest.mark.parametrize("unknown_since", [None, 900.0])
def test_a_stale_file_or_one_of_a_blind_watcher_is_not_believed(scene: Scene, unknown_since: float | None) -> None:
    scene.share("RUNNING", taken=scene.now - (0 if unknown_since else 60), unknown_since=unknown_since)
    scene.queue = [entry(JobState.PENDING)]
    scene.look()
    assert scene.look() is JobState.PENDING


def test_a_silent_scheduler_leaves_a_job_as_it_was_and_is_asked_less_often(scene: Scene) -> None:
    scene.queue = [entry(JobState.RUNNING)]
    scene.look()
    scene.queue = SchedulerSilentError("no answer")
    for _ in range(600):
        scene.later(1)
        assert scene.look() is not None
    assert scene.asked < 25
    with pytest.raises(SchedulerSilentError):
        scene.watch.raise_if_silent()


def test_a_job_that_nobody_remembers_is_gone(scene: Scene) -> None:
    scene.queue = [entry(JobState.RUNNING)]
    scene.look()
    scene.later(6)
    scene.queue = []
    scene.look()
    scene.later(0.1)
    assert scene.look() is None


def test_a_job_says_itself_that_it_runs_and_nobody_is_asked(scene: Scene, tmp_path: Path) -> None:
    scene.watch.submitted(NAME, tmp_path)
    assert scene.look() is JobState.PENDING
    (tmp_path / STARTED).write_text("7")
    assert scene.look() is JobState.RUNNING
    assert scene.asked == 0


@pytest.mark.parametrize("shared", ["RUNNING", None])
def test_a_job_that_says_it_has_ended_is_asked_for_at_once(scene: Scene, tmp_path: Path, shared: str | None) -> None:
    scene.watch.submitted(NAME, tmp_path)
    scene.share(shared, taken=scene.now if shared else scene.now - 3)
    scene.look()
    scene.later(0.5)
    (tmp_path / ENDED).touch()
    scene.queue = [entry(JobState.COMPLETED)]
    scene.look()
    assert scene.look() is JobState.COMPLETED
    assert scene.asked == 1


def test_a_job_is_not_done_on_its_own_word_alone(scene: Scene, tmp_path: Path) -> None:
    scene.watch.submitted(NAME, tmp_path)
    (tmp_path / ENDED).touch()
    scene.queue = [entry(JobState.COMPLETING)]
    for _ in range(8):
        scene.later(0.5)
        assert scene.look() in (JobState.PENDING, JobState.COMPLETING)
    scene.queue = [entry(JobState.TIMEOUT)]
    scene.later(6)
    scene.look()
    assert scene.look() is JobState.TIMEOUT


def test_many_ends_make_no_more_questions_in_the_long_run(scene: Scene, tmp_path: Path) -> None:
    for number in range(100):
        name = f"simdeck-calc-{number}"
        place = tmp_path / str(number)
        place.mkdir()
        (place / ENDED).touch()
        scene.watch.submitted(name, place)
        scene.later(1)
        scene.watch.look([name])
        scene.watch.wait()
    assert scene.asked <= 24


def test_a_silent_scheduler_is_not_asked_at_once(scene: Scene, tmp_path: Path) -> None:
    scene.queue = SchedulerSilentError("no answer")
    scene.watch.submitted(NAME, tmp_path)
    (tmp_path / ENDED).touch()
    scene.look()
    for _ in range(4):
        scene.later(1)
        scene.look()
    assert scene.asked == 1


def test_of_two_jobs_of_one_name_the_running_one_counts() -> None:
    assert leading((entry(JobState.PENDING, "7"), entry(JobState.RUNNING, "8"))).id == "8"


def test_of_two_ended_ones_the_cancelled_one_was_too_many() -> None:
    assert leading((entry(JobState.CANCELLED, "7"), entry(JobState.COMPLETED, "8"))).id == "8"
