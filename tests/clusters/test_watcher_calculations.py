"""What the shared file tells users' workers of their calculations."""

from __future__ import annotations

from simdeck_clusters.models import Job, JobState, Snapshot
from simdeck_clusters.settings import ClusterSettings
from simdeck_clusters.views import calculations, public_view


def job(name: str, number: int) -> Job:
    return Job(id=str(number), name=name, user="alice", state=JobState.PENDING, reason="Resources", partition="normal")


def test_only_workers_jobs_are_told_and_without_their_owner() -> None:
    snapshot = Snapshot(cluster="main", taken=1.0, jobs=(job("simdeck-calc-0a1b", 7), job("my-thesis", 8)))
    told = [{"id": "7", "name": "simdeck-calc-0a1b", "state": "PENDING", "reason": "Resources"}]
    assert calculations(snapshot) == told
    view = public_view(snapshot, ClusterSettings(name="main"))
    assert view["calculations"] == told
    assert "my-thesis" not in str(view)
    assert "alice" not in str(view)
