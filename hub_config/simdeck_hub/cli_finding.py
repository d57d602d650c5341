"""What the commands about runs share: their common options, and finding a run by the beginning of its id."""

from __future__ import annotations

import click
from simdeck_workflows.client import Client, Run

USER = click.option("--user", hidden=True, help="Hub user to act as, where several run as this Unix user.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def find(api: Client, run_id: str) -> Run:
    """Return the run with this id, or the one whose id begins with it."""
    if len(run_id) < 36:
        matching = [one for one in api.runs() if one.id.startswith(run_id)]
        if len(matching) == 1:
            return matching[0]
    return api.run(run_id)
