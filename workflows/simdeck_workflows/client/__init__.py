"""The light client of the REST API, for an app's page, a script or the command line. It needs httpx and pydantic alone.

    from simdeck_workflows.client import Client

    with Client() as client:
        run = client.submit("molecule.optimize", {"structure": {"name": "water.xyz", "content": text}})
        print(client.wait(run.id).summary)

In an app's page, address and token come from the environment. ``AsyncClient`` offers the same as coroutines.
"""

from simdeck_workflows.client.aio import AsyncClient
from simdeck_workflows.client.sync import Client
from simdeck_workflows.models import Event, FileEntry, Run, RunPage, RunState, Workflow

__all__ = ["AsyncClient", "Client", "Event", "FileEntry", "Run", "RunPage", "RunState", "Workflow"]
