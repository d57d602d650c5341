"""Questions to AiiDA's database whose answer is known, asked cheaply or not at all.

AiiDA builds a joined query anew each time it looks for a node's links: for a process's caller, for what it called, for
outputs that are there already. For a short process that is half of the engine's time, and most of these looks find
nothing. Here one prepared statement asks first whether there is any such link. A node that is not stored yet is not
asked whether its new input is its own descendant: nobody's descendant is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from aiida.common.links import LinkType
from aiida.orm.nodes.links import NodeLinks
from aiida.orm.utils.links import validate_link

_LINK = sa.table("db_dblink", *(sa.column(name) for name in ("input_id", "output_id", "type")))
_ENDS = {"incoming": _LINK.c.output_id, "outgoing": _LINK.c.input_id}
_ANY = {
    direction: sa.select(sa.literal(1)).where(end == sa.bindparam("pk")).limit(1) for direction, end in _ENDS.items()
}
_ANY_OF = {
    direction: statement.where(_LINK.c.type.in_(sa.bindparam("types", expanding=True)))
    for direction, statement in _ANY.items()
}


def exists(node: Any, direction: str, types: Sequence[LinkType] = ()) -> bool:
    """Whether a stored node has any ``incoming`` or ``outgoing`` link (of ``types``, if some are named)."""
    session = node.backend.get_session()
    # The session writes by itself before its own queries only, not before a plain statement.
    session.flush()
    if not types:
        return session.execute(_ANY[direction], {"pk": node.pk}).first() is not None
    values = [one.value for one in types]
    return session.execute(_ANY_OF[direction], {"pk": node.pk, "types": values}).first() is not None


def install() -> None:
    """Have AiiDA ask this first. For this process, once."""
    plain, validate = NodeLinks.get_stored_link_triples, NodeLinks.validate_incoming

    def get_stored_link_triples(
        self: Any,
        node_class: Any = None,
        link_type: Any = (),
        link_label_filter: str | None = None,
        link_direction: str = "incoming",
        only_uuid: bool = False,
    ) -> list[Any]:
        types = link_type if isinstance(link_type, tuple | list) else (link_type,)
        known = link_direction in _ENDS and all(isinstance(one, LinkType) for one in types)
        if known and (self._node.pk is None or not exists(self._node, link_direction, types)):
            return []
        found: list[Any] = plain(self, node_class, link_type, link_label_filter, link_direction, only_uuid)
        return found

    def validate_incoming(self: Any, source: Any, link_type: Any, link_label: str) -> None:
        if self._node.is_stored:
            validate(self, source, link_type, link_label)
        else:
            validate_link(source, self._node, link_type, link_label, backend=self._node.backend)

    NodeLinks.get_stored_link_triples = get_stored_link_triples
    NodeLinks.validate_incoming = validate_incoming


def keep_loaded(storage: Any) -> None:
    """Do not forget all that is loaded at each commit: what can change is read anew at each use anyway."""
    storage.get_session().expire_on_commit = False
