"""The computation: ``python -m simdeck_molecule.engine`` in a directory with ``input.json``, in the app's environment.

Files it writes, all readable with ``cat``: ``progress.jsonl`` (live progress), ``steps.jsonl`` and
``displacements.jsonl`` (what is finished, at full precision; a restart continues from them), ``trajectory.xyz``,
``optimised.xyz``, ``frequencies.csv``, ``spectrum.csv`` and at the end ``result.json`` or ``error.json``.
"""
