"""One process per user, with that user's uid: runs, apps, tasks and files behind one Unix socket."""
