"""A child begins only when its parent's checkpoint knows it.

The engine submits a child in the middle of a parent's step and saves the parent afterwards. A crash between the
two leaves a child that already computes and a parent that will submit another one. Here the message that starts
the child is held back until the parent is saved, and each checkpoint says which children it knows; what a crash
then leaves has never begun.

A work chain that this worker submits is not sent to itself by message, but begun where it was made.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import yaml
from aiida import orm
from aiida.engine.persistence import AiiDAPersister, get_object_loader
from aiida.engine.processes.workchains.workchain import WorkChain
from aiida.engine.utils import prepare_inputs
from aiida.orm.utils import serialize
from plumpy.persistence import Bundle, LoadSaveContext
from yaml._yaml import CEmitter

LOG = logging.getLogger(__name__)

_KEY = "simdeck_called"
_CALLED = re.compile(rf"^{_KEY}: '?(,(?:\d+,)*)'?$", re.MULTILINE)


class _Dumper(CEmitter, serialize.AiiDADumper):  # type: ignore[misc]
    """AiiDA's dumper, with the text written by the C library: a checkpoint is written at every state."""

    def __init__(self, stream: Any, sort_keys: bool = True, **options: Any) -> None:
        style = {name: options.pop(name, None) for name in ("default_style", "default_flow_style")}
        CEmitter.__init__(self, stream, **options)
        yaml.representer.Representer.__init__(
            self, style["default_style"], bool(style["default_flow_style"]), sort_keys=sort_keys
        )
        yaml.resolver.Resolver.__init__(self)


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
        process.node.set_checkpoint(yaml.dump(bundle, Dumper=_Dumper))
        self._begin_held(process.pid)
        return bundle

    def delete_checkpoint(self, pid: Any, tag: str | None = None) -> None:
        """Forget the checkpoint of a process that has ended."""
        super().delete_checkpoint(pid, tag)
        self._begin_held(pid)

    def _begin_held(self, pid: int) -> None:
        for begin in self._held.pop(pid, []):
            begin()


class Starter:
    """Begins work chains right here.

    AiiDA writes a submitted process down, throws it away, sends itself a message, and when that arrives reads the
    process back. A work chain that this worker submits is carried on as it is: its checkpoint is in the database, as
    ever, and only after a crash anybody has to read it.
    """

    def __init__(self, runner: Any, checkpoints: Checkpoints) -> None:
        self._runner = runner
        self._checkpoints = checkpoints
        self._plain = runner.submit
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, process: Any, inputs: dict[str, Any] | None = None, **more: Any) -> Any:
        """As the runner's own."""
        values = prepare_inputs(inputs, **more)
        wishes = values.get("metadata", {})
        if (
            not (isinstance(process, type) and issubclass(process, WorkChain))
            or wishes.get("dry_run", False)
            or not wishes.get("store_provenance", True)
        ):
            return self._plain(process, values)
        made = self._runner.instantiate_process(process, **values)
        parent = orm.load_node(pk=made._parent_pid) if made._parent_pid is not None else None
        if isinstance(parent, orm.WorkChainNode) and not parent.is_terminated:
            self._checkpoints.hold(parent.pk, lambda: self._begin(made))
        else:
            self._begin(made)
        return made.node

    def _begin(self, made: Any) -> None:
        # In a context of its own: the submitter's says which process is at work.
        task = self._runner.loop.create_task(self._carry_on(made), context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_on(self, made: Any) -> None:
        try:
            await made.step_until_terminated()
            # Its failure, if it has failed, stands in the database; this says that it was not overlooked.
            made.future().exception()
        except Exception:
            LOG.exception("process %s could not be carried on", made.pid)


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
    runner.submit = Starter(runner, checkpoints).submit
    return runner
