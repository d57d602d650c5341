"""Slurm as pure functions: what to call (``argv``), what came back (``parse``), the job to submit (``script``)."""
