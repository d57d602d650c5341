"""AiiDA's codes for the codes that the site offers: made, mended and hidden without a question asked.

A stored code never changes, since results point to it: one that is described otherwise now gives its label to a new
node and steps back. Called with the worker's lock held, once the computers are there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from simdeck_common.layout import UserHome

from simdeck_workflows import codes
from simdeck_workflows.codes import RunCode

EXTRA = "simdeck_code"
"""Extra of a node that we made: the code as the site file describes it."""


def provision(home: UserHome) -> None:
    """Make the profile's codes those of the site; a code of the user's own is left alone."""
    from aiida import orm

    offered = codes.read(codes.file_of(home))
    living = {_provide(code) for code in offered}
    ours = orm.QueryBuilder().append(orm.AbstractCode, filters={"extras": {"has_key": EXTRA}})
    for (node,) in ours.iterall():
        if node.is_hidden == (node.uuid in living):
            node.is_hidden = node.uuid not in living


def site_code(computer: str, program: str) -> RunCode | None:
    """The code that the site offers for a program on a computer, by its label; for apps' workflows.

    ``None``: none is offered there, and the program is looked for on ``PATH``.
    """
    path = Path(os.environ.get("AIIDA_PATH", "")).parent / codes.FILE
    try:
        return codes.find(codes.read(path), computer, program)
    except (OSError, ValueError):
        return None


def _provide(code: RunCode) -> str | None:
    """The UUID of the node for a code; None where its cluster is none of AiiDA's computers."""
    from aiida import orm
    from aiida.common.exceptions import MultipleObjectsError, NotExistent

    from simdeck_workflows.engine import slurm_options

    try:
        computer = orm.Computer.collection.get(label=code.computer)
    except NotExistent:
        return None
    wanted = _node(code, computer)
    try:
        found = orm.load_code(f"{code.label}@{computer.label}")
    except NotExistent:
        found = None
    except MultipleObjectsError:
        # The user has made two of this label: theirs to sort out.
        return None
    if found is not None and EXTRA not in found.base.extras.all:
        # The user's own code of this name comes first.
        return None
    if found is not None and not _same(found, wanted):
        found.label, found.is_hidden = f"{code.label}-{found.pk}", True
        found = None
    node = wanted.store() if found is None else found
    for name, value in ((EXTRA, code.model_dump(mode="json")), (slurm_options.EXTRA, code.resources())):
        if node.base.extras.get(name, None) != value:
            node.base.extras.set(name, value)
    return str(node.uuid)


def _node(code: RunCode, computer: Any) -> Any:
    from aiida import orm

    given: dict[str, Any] = {
        "label": code.label,
        "description": code.title or code.label,
        "computer": computer,
        "filepath_executable": code.executable,
        "prepend_text": code.prepend_text(),
        "default_calc_job_plugin": code.plugin,
    }
    words = code.container_words()
    if code.container is None:
        return orm.InstalledCode(**given)
    # AiiDA splits the command at its spaces and puts each word in double quotes: $PWD is the shell's to fill in, and
    # no other word can hold anything that a shell reads.
    image = code.container.image
    command = " ".join("{image_name}" if word == image else word.replace("{cwd}", "$PWD") for word in words)
    return orm.ContainerizedCode(engine_command=command, image_name=image, use_double_quotes=True, **given)


def _same(found: Any, wanted: Any) -> bool:
    def told(node: Any) -> dict[str, Any]:
        return {name: value for name, value in node.base.attributes.all.items() if name != "source"}

    return type(found) is type(wanted) and told(found) == told(wanted)
