"""Words for people: where provenance is kept, moving it, backup and restore."""

from __future__ import annotations

from simdeck_common.catalogue.entry import Entry

ENTRIES: dict[str, Entry] = {
    "storage-needs-root": Entry(
        403,
        "As root",
        "On a site everybody's files belong to their own account, and this is not root.",
        "Run the command as root: it reads each user's files with that user's rights.",
    ),
    "backup-folder": Entry(
        409,
        "The backup's folder cannot be used",
        "{folder} cannot be used: {reason}.",
        "Name a new or an empty folder.",
    ),
    "backup-exists": Entry(
        409,
        "There is a backup already",
        "{folder} holds a whole backup, made {ended}.",
        "Name another folder; nothing is written over.",
    ),
    "backup-failed": Entry(
        500,
        "The backup did not succeed",
        "{what} could not be copied: {reason}.",
        "Mend that and run the same command again: it goes on where it stopped.",
    ),
    "backup-unfinished": Entry(
        409,
        "The backup is not whole",
        "{folder} is a backup that was stopped half-way.",
        "Run `simdeck backup {folder}` again, which finishes it, or use another one.",
    ),
    "backup-unreadable": Entry(
        422, "No backup that can be used", "{folder} cannot be restored: {reason}.", "Use another backup."
    ),
    "restore-running": Entry(
        409, "Simdeck is running", "Simdeck runs on {folder}.", "Stop it first, or restore into another data folder."
    ),
    "restore-kind": Entry(
        409,
        "Another kind of installation",
        "This backup is of a site with Unix accounts and this is not one, or the other way round.",
        "Restore it with a site file whose [servers] kind is the one it was made with.",
    ),
    "restore-in-the-way": Entry(
        409,
        "There are data already",
        "{what} was not restored, and nothing was written over: {reason}.",
        "Restore into an empty data folder, or move what is there out of the way.",
    ),
    "restore-failed": Entry(
        500,
        "The restore did not succeed",
        "{what} could not be restored: {reason}.",
        "Mend that and run the same command again: it goes on where it stopped.",
    ),
    "storage-not-postgresql": Entry(
        409,
        "Storage is SQLite here",
        "The site file does not say where a PostgreSQL is.",
        'Add `[storage]` with `kind = "postgresql"` to the site file, and start Simdeck again.',
    ),
    "storage-server": Entry(
        503,
        "PostgreSQL cannot be used",
        "PostgreSQL at {host} cannot be used: {reason}.",
        "See that it runs and that [storage] of the site file is right, then run the same command again.",
    ),
    "storage-databases-open": Entry(
        409,
        "Databases that everybody can enter",
        "On this PostgreSQL every role may connect to {databases}; users' roles would reach more than their own database.",
        "Close them as PostgreSQL's superuser (REVOKE CONNECT ON DATABASE … FROM PUBLIC), or give Simdeck a PostgreSQL cluster of its own.",
    ),
    "storage-role-powerful": Entry(
        409,
        "A role with too many rights",
        "The role {role} exists in PostgreSQL and may do more than use its own database.",
        "Take these rights from it, or choose another user.",
    ),
    "storage-owner": Entry(
        409,
        "Somebody else's database",
        "The database {database} exists and belongs to {owner}.",
        "Choose another prefix in [storage] of the site file, or have that database renamed.",
    ),
    "storage-unfinished": Entry(
        409,
        "Not moved yet",
        "Something of {users} is unfinished, and nothing of theirs was changed.",
        "Run the same command again when it has ended; users that are moved already are left alone.",
    ),
    "storage-move-failed": Entry(
        500,
        "The move did not succeed",
        "The profile of {user} was not moved, and is where it was: {reason}.",
        "Mend that and run the same command again: it goes on, or starts again with nothing lost.",
    ),
}
