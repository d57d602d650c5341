"""Talking to a cluster: executors, Slurm commands and parsers, the shared scheduler watcher.

Pure: ``slurm/argv.py`` (what to call), ``slurm/parse.py`` (what came back), ``slurm/script.py`` (the job),
``request.py`` (what may be asked for), ``reasons.py`` and ``ends.py`` (what it means to a person). Doing:
``executor.py`` runs commands, ``cluster.py`` combines the two, ``watcher.py`` asks for everybody at once.
"""
