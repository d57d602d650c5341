"""Every refusal's words for people, in one place: what was wrong, and what to do.

Codes are stable: clients and tests match on them. Templates are filled with the parameters given to ``Problem``.
One module a group; a code stands in one of them only.
"""

from __future__ import annotations

from simdeck_common.catalogue import agent, anywhere, clusters, deck, hub, runs, servers, storage, store
from simdeck_common.catalogue.entry import Entry

__all__ = ["CATALOGUE", "Entry"]

GROUPS = (
    anywhere.ENTRIES,
    deck.ENTRIES,
    servers.ENTRIES,
    agent.ENTRIES,
    store.ENTRIES,
    hub.ENTRIES,
    runs.ENTRIES,
    clusters.ENTRIES,
    storage.ENTRIES,
)

CATALOGUE: dict[str, Entry] = {code: entry for group in GROUPS for code, entry in group.items()}
