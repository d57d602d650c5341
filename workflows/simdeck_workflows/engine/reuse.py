"""Taking the results of identical calculations that were done before, where a run asks for it, and saying so.

AiiDA compares a calculation's inputs, code and plug-in by a hash; a copy of the earlier one then stands in its place.
Here only those that have succeeded count, and only runs that want it look for them.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.engine import CalcJob, Process
from aiida.manage.caching import enable_caching

EXTRA = "simdeck_reuse"


def install() -> None:
    """Have calculations of runs that want it look for earlier ones. For this process, once."""
    store = orm.CalcJobNode.store
    valid = Process.is_valid_cache.__func__

    def store_or_reuse(node: Any) -> Any:
        if node.is_stored or not wanted(node):
            return store(node)
        with enable_caching():
            return store(node)

    def is_valid_cache(cls: Any, node: Any) -> bool:
        # A failure is no result: whoever runs it again wants to see whether it fails again.
        return bool(node.is_finished_ok and valid(cls, node))

    orm.CalcJobNode.store = store_or_reuse
    Process.is_valid_cache = classmethod(is_valid_cache)


def want(node: Any) -> None:
    """Note that the run of this process wants earlier results."""
    node.base.extras.set(EXTRA, True)


def wanted(node: Any) -> bool:
    """Whether the run that this calculation belongs to wants earlier results."""
    root = node
    while (caller := root.caller) is not None:
        root = caller
    return root.is_stored and bool(root.base.extras.get(EXTRA, False))


def source(node: Any) -> str | None:
    """The run (or process) that a calculation was taken from; None for one that was computed."""
    if not isinstance(node, orm.CalcJobNode) or not node.base.caching.is_created_from_cache:
        return None
    uuid = str(node.base.caching.get_cache_source())
    try:
        root = orm.load_node(uuid=uuid)
    except NotExistent:
        return uuid
    while root.caller is not None:
        root = root.caller
    return str(root.label or root.uuid)


def whole(process: Any) -> Any:
    """A context in which a calculation that is a run of its own is looked for; for others nothing changes."""
    return enable_caching() if isinstance(process, type) and issubclass(process, CalcJob) else nullcontext()
