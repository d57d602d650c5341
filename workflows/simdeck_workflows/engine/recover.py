"""What a worker does before it starts: make the database say only what can be carried on.

The engine repeats a step that a crash interrupted. What the interrupted attempt had already stored is then a leftover:

- a process without a checkpoint was stored, but never begun;
- a child that its parent's checkpoint does not know was submitted in a step that will be repeated, and submit another.

Neither has begun to run (see ``checkpoints``). Those that nobody
called are deleted; the others cannot be, without their callers, and are closed as killed.

A process that had ended, but was not closed yet, is closed: an unsealed node cannot be exported.
"""

from __future__ import annotations

import logging
from typing import Any

from aiida import orm

from simdeck_workflows.engine import tree
from simdeck_workflows.engine.checkpoints import called_in

LOG = logging.getLogger(__name__)


def remove_leftovers() -> list[Any]:
    """Put leftovers away; return the processes that are to be carried on, oldest first."""
    found = tree.open_processes()
    for node in found:
        if node.is_terminated:
            _close(node)
    nodes = [node for node in found if not node.is_sealed]
    leftovers = {node.pk for node in nodes if _never_began(node) and (node.checkpoint is None or _forgotten(node))}
    # Before anything is deleted: a deleted node cannot even be asked for its number.
    remaining = [node for node in nodes if node.pk not in leftovers]
    for node in nodes:
        if node.pk in leftovers:
            LOG.warning("process %s was stored in a crash and never began; it is put away", node.pk)
            _put_away(node)
    return remaining


def _put_away(node: Any) -> None:
    if node.caller is None:
        # A heavy package, and mostly there is nothing to be deleted.
        from aiida.tools import delete_nodes

        delete_nodes([node.pk], dry_run=False)
        return
    node.set_process_state("killed")
    node.set_process_status("Submitted in a step that was cut off by a crash and has been repeated")
    _close(node)


def _close(node: Any) -> None:
    # What the engine does when a process has entered its last state.
    if isinstance(node, orm.CalcJobNode):
        node.delete_state()
    node.delete_checkpoint()
    node.seal()


def _never_began(node: Any) -> bool:
    # A process function runs inside its caller's step and cannot be taken up; the step repeats it.
    begun = tree.state_name(node) != "created" and not isinstance(node, orm.CalcFunctionNode | orm.WorkFunctionNode)
    return not begun and not node.base.links.get_outgoing().all()


def _forgotten(node: Any) -> bool:
    parent = node.caller
    if not isinstance(parent, orm.WorkChainNode) or parent.is_terminated:
        return False
    checkpoint = parent.checkpoint or ""
    known = called_in(checkpoint)
    if known is not None:
        return node.pk not in known
    if node.ctime <= parent.mtime:
        # The parent has written something since: it may have let this child go without waiting for it.
        return False
    return node.uuid not in checkpoint and f"pk: {node.pk}\n" not in checkpoint
