"""A child begins only when its parent's checkpoint knows it.

The engine submits a child in the middle of a parent's step and saves the parent afterwards. A crash between the
two leaves a child that already computes and a parent that will submit another one. Here the message that starts
the child is held back until the parent is saved, and each checkpoint says which children it knows; what a crash
then leaves has never begun.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from aiida import orm
from aiida.engine.persistence import AiiDAPersister, get_object_loader
from aiida.engine.processes.workchains.workchain import WorkChain
from aiida.orm.utils import serialize
from plumpy.persistence import Bundle, LoadSaveContext

_KEY = "simdeck_called"
_CALLED = re.compile(rf"^{_KEY}: '?(,(?:\d+,)*)'?$", re.MULTILINE)


def called_in(checkpoint: str) -> set[int] | None:
    """The children (pk) that a work chain's checkpoint knows; None for a checkpoint that was not written here."""
    found = _CALLED.search(checkpoint)
    return {int(pk) for pk in found[1].split(",") if pk} if found else None


class Checkpoints(AiiDAPersister):  # type: ignore[misc]
    """Saves as AiiDA does, with the children known, and lets held children begin once their parent is saved."""

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[int, list[Callable[[], Any]]] = defaultdict(list)

    def hold(self, parent: int, begin: Callable[[], Any]) -> None:
        """Call ``begin`` when the process ``parent`` has been saved, or has ended."""
        self._held[parent].append(begin)

    def save_checkpoint(self, process: Any, tag: str | None = None) -> Any:
        """Save ``process``. Raises ``PersistenceError``."""
        if not isinstance(process, WorkChain):
            return super().save_checkpoint(process, tag)
        bundle = Bundle(process, LoadSaveContext(loader=get_object_loader()))
        bundle[_KEY] = "".join([",", *(f"{child.pk}," for child in process.node.called)])
        process.node.set_checkpoint(serialize.serialize(bundle))
        self._begin_held(process.pid)
        return bundle

    def delete_checkpoint(self, pid: Any, tag: str | None = None) -> None:
        """Forget the checkpoint of a process that has ended."""
        super().delete_checkpoint(pid, tag)
        self._begin_held(pid)

    def _begin_held(self, pid: int) -> None:
        for begin in self._held.pop(pid, []):
            begin()


class PatientController:
    """The runner's controller, but for children of work chains: they are continued when their parent has been saved."""

    def __init__(self, controller: Any, checkpoints: Checkpoints) -> None:
        self._controller = controller
        self._checkpoints = checkpoints

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)

    def now(self, pid: int) -> None:
        """Have a process carried on at once."""
        self._controller.continue_process(pid, nowait=False, no_reply=True)

    def continue_process(self, pid: int, **options: Any) -> Any:
        """As the controller's own; None where the message is held."""
        caller = orm.load_node(pk=pid).caller
        if not isinstance(caller, orm.WorkChainNode) or caller.is_terminated:
            return self._controller.continue_process(pid, **options)
        self._checkpoints.hold(caller.pk, lambda: self._controller.continue_process(pid, **options))
        return None


def install(manager: Any, runner_of: Callable[[], Any]) -> Any:
    """Make the runner (by ``runner_of``) with these checkpoints and this controller; return it."""
    checkpoints = Checkpoints()
    # AiiDA offers no way to choose these two.
    manager._persister = checkpoints
    runner = runner_of()
    runner._controller = PatientController(runner.controller, checkpoints)
    return runner
