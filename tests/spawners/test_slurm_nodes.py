"""Where the hub looks for a server: at the address that Slurm gives its node, and nowhere while that is not known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from simdeck_spawners.nodes import Nodes

pytestmark = pytest.mark.asyncio(loop_scope="function")


class Cluster:
    async def node_address(self, node: Any) -> str:
        return str(node.address)


def nodes_of(**known: str) -> Nodes:
    snapshot = SimpleNamespace(nodes={name: SimpleNamespace(name=name, address=at) for name, at in known.items()})
    fleet: Any = SimpleNamespace(snapshot=lambda cluster: snapshot, clusters={"main": Cluster()})
    return Nodes(fleet)


async def test_a_nodes_name_is_no_address_while_slurm_has_not_told_of_its_nodes() -> None:
    assert await nodes_of().address("main", "cn1") == ""
    assert await nodes_of(cn1="10.0.0.5").address("main", "cn1") == "10.0.0.5"
    assert await nodes_of(cn2="10.0.0.6").address("main", "cn1") == "cn1"
