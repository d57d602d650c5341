"""The record a job's script writes at its end, read with distrust: the file is the user's."""

from __future__ import annotations

import re
from typing import Any

from simdeck_clusters.models import EndRecord, JobEnd, JobState


def end_record(raw: Any) -> EndRecord | None:
    """Return the job script's own record; ``None`` when there is none or it makes no sense."""
    if not isinstance(raw, dict):
        return None
    try:
        return EndRecord(
            job=str(raw["job"]),
            stage=str(raw["stage"]),
            code=int(raw["code"]),
            detail=str(raw.get("detail", ""))[:500],
            signal=str(raw.get("signal", ""))[:16],
            warned=bool(raw.get("warned", False)),
            peak_memory_mb=_positive(raw.get("peak_memory_mb")),
            memory_limit_mb=_positive(raw.get("memory_limit_mb")),
            out_of_memory_kills=_positive(raw.get("out_of_memory_kills")) or 0,
            restarts=_positive(raw.get("restarts")) or 0,
            ended=float(raw["ended"]) if raw.get("ended") else None,
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _positive(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and 0 < value < 2**60 else None


def from_record(record: EndRecord, job_id: str) -> JobEnd | None:
    """Return a job's end as its own record tells it, for where Slurm remembers nothing; of another job: ``None``."""
    if record.job != job_id:
        return None
    state = JobState.COMPLETED if record.code == 0 else JobState.FAILED
    number = re.fullmatch(r"\d+", record.signal)
    return JobEnd(
        id=job_id,
        state=state,
        source="record",
        exit_code=record.code,
        signal=int(number[0]) if number else None,
        ended=record.ended,
        peak_memory_mb=record.peak_memory_mb,
        memory_limit_mb=record.memory_limit_mb,
        restarts=record.restarts,
    )
