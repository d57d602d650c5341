"""Which node an address belongs to, and at which address the hub reaches a node: by Slurm's word."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simdeck_spawners.fleet import SlurmFleet

CONNECT_SECONDS = 3.0


class Nodes:
    """The nodes of the fleet's clusters."""

    def __init__(self, fleet: SlurmFleet) -> None:
        self.fleet = fleet
        self._resolved: dict[str, set[str]] = {}

    async def at(self, cluster: str, address: str) -> str | None:
        """Return the node of ``cluster`` that has this address, by Slurm's NodeAddr; None when none or several have."""
        snapshot = self.fleet.snapshot(cluster)
        found = [
            node.name
            for node in (snapshot.nodes.values() if snapshot is not None and address else ())
            if address == node.address or address in await self._numbers(node.address)
        ]
        return found[0] if len(found) == 1 else None

    async def answers(self, host: str, port: int) -> bool:
        """Return whether something takes connections there."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def address(self, cluster: str, node: str) -> str:
        """Return the address the hub reaches a node at; nothing while Slurm has not told of its nodes.

        The name itself when Slurm tells of nodes, and not of this one.
        """
        snapshot = self.fleet.snapshot(cluster)
        if snapshot is None or not snapshot.nodes:
            # A hub that has just begun sees jobs before nodes. A name is no address: nobody need know it here.
            return ""
        known = snapshot.nodes.get(node)
        return await self.fleet.clusters[cluster].node_address(known) if known is not None else node

    async def _numbers(self, name: str) -> set[str]:
        if name not in self._resolved:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(name, None)
                self._resolved[name] = {str(one[4][0]) for one in found}
            except OSError:
                self._resolved[name] = set()
        return self._resolved[name]
