"""Talking to a cluster: executors, Slurm commands and parsers, the shared scheduler watcher."""
