"""AiiDA archives: a run's whole provenance as one file, and taking in somebody else's.

An archive from elsewhere is data, never work: what has not ended in it is refused, because its checkpoints would be
carried out here, and so is one that unpacks to more than it should.
"""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from aiida import orm
from aiida.common.exceptions import AiidaException
from aiida.tools.archive import create_archive, import_archive
from aiida.tools.archive.implementations.sqlite_zip.main import ArchiveFormatSqlZip
from simdeck_common.problems import Problem

from simdeck_workflows.engine import outputs, tree
from simdeck_workflows.engine.values import to_json
from simdeck_workflows.models import RunState

MOST_BYTES = 8 * 2**30
MOST_RATIO = 200


def write_aiida(target: Path, node: Any) -> None:
    """Write the archive ``target`` of a process: it, all it called, their data, codes, logs and comments."""
    create_archive(
        [node],
        filename=target,
        overwrite=True,
        include_logs=True,
        include_comments=True,
        call_calc_backward=False,
        call_work_backward=False,
        create_backward=True,
    )


def read_aiida(source: Path) -> list[Any]:
    """Take in an archive; return the processes that nobody called, oldest first, whether new or known.

    Raises
    ------
    Problem
        ``archive-refused``: it is none, holds what has not ended, or is too large.
    """
    try:
        with zipfile.ZipFile(source) as packed:
            whole = sum(entry.file_size for entry in packed.infolist())
        if whole > MOST_BYTES or whole > MOST_RATIO * max(source.stat().st_size, 2**20):
            raise Problem("archive-refused", reason="it unpacks to more than is taken here")
        roots = _top_processes(_up_to_date(source))
        # Without their extras: among these is what calculations are found again by, and somebody else wrote it.
        import_archive(source, import_new_extras=False, include_authinfos=False)
    except (zipfile.BadZipFile, AiidaException, sa.exc.SQLAlchemyError, OSError, KeyError, ValueError) as error:
        raise Problem("archive-refused", reason=f"AiiDA cannot read it ({error})") from error
    builder = orm.QueryBuilder().append(orm.ProcessNode, filters={"uuid": {"in": roots}}, project="*")
    return sorted(builder.all(flat=True), key=lambda node: node.ctime) if roots else []


def _up_to_date(source: Path) -> Path:
    """The archive in the form that this AiiDA reads; one of an earlier form is rewritten in its place."""
    form = ArchiveFormatSqlZip()
    if form.read_version(source) != form.latest_version:
        newer = source.with_name(f"{source.name}.new")
        form.migrate(source, newer, form.latest_version, force=True)
        newer.replace(source)
    return source


def _top_processes(source: Path) -> list[str]:
    """UUIDs of the processes that nobody called. Raises ``archive-refused`` where one has not ended."""
    sealed, checkpoint = orm.ProcessNode.SEALED_KEY, orm.ProcessNode.CHECKPOINT_KEY
    with ArchiveFormatSqlZip().open(source, mode="r") as archive:

        def found(**filters: Any) -> orm.QueryBuilder:
            builder = orm.QueryBuilder(backend=archive.get_backend())
            return builder.append(orm.ProcessNode, tag="process", project="uuid", **filters)

        unended = {"or": [{"attributes": {"!has_key": sealed}}, {"attributes": {"has_key": checkpoint}}]}
        if found(filters=unended).count():
            raise Problem("archive-refused", reason="it holds processes that have not ended")
        called = found().append(orm.ProcessNode, with_incoming="process", project="uuid")
        children = {child for _caller, child in called.all()}
        return [uuid for uuid in found().all(flat=True) if uuid not in children]


def record_of(node: Any) -> dict[str, Any]:
    """A process that was taken in, as the record of a run that has ended."""
    state, problem = outputs.ending(node)
    values = outputs.outputs(node)
    inputs = {
        link.link_label: to_json(link.node)
        for link in node.base.links.get_incoming(node_class=orm.Data).all()
        if not isinstance(link.node, orm.AbstractCode)
    }
    return {
        "process": node.uuid,
        "workflow": (node.process_type or "").rpartition(":")[2] or node.process_label or "unknown",
        "title": (node.description or tree.title(node))[:200],
        "state": state.value,
        "problem": problem,
        "summary": outputs.summary(values, _process_class(node)) if state is RunState.FINISHED else None,
        "created": node.ctime.isoformat(),
        "ended": node.mtime.isoformat(),
        "inputs": inputs,
        "outputs": values,
    }


def _process_class(node: Any) -> Any:
    """The class of a process if it is one of an entry point that is installed here; else none that says anything."""
    if ":" in (node.process_type or ""):
        with contextlib.suppress(ValueError):
            return node.process_class
    return type("Unknown", (), {})
