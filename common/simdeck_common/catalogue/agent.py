"""Words for people: the agent and its launcher. Kept in the order of the path a person takes."""

from __future__ import annotations

from simdeck_common.catalogue.entry import Entry

ENTRIES: dict[str, Entry] = {
    "task-not-found": Entry(404, "No such task", "There is no task {task}.", "List the tasks to see their ids."),
    "task-interrupted": Entry(
        500,
        "The task was interrupted",
        "The {kind} of {app} was cut off when the agent's process ended; nothing half-made was left.",
        "Start it again.",
    ),
    "task-ended": Entry(409, "The task has ended", "The task {task} has already ended.", "Nothing is left to cancel."),
    "version-in-use": Entry(
        409,
        "The version is in use",
        "Runs of {app} {version} have not ended yet.",
        "Wait until they have ended, or cancel them.",
    ),
    "idempotency-conflict": Entry(
        409,
        "This key was used for another request",
        "The Idempotency-Key was used before with a different body.",
        "Use a new key for a new request.",
    ),
}
