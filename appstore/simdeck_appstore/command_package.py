"""Makes the package that the workflow backend finds an app's described programs in: one module and its entry points.

It is written by an install beside the app's own modules, as if the app's wheel had brought it. The module holds the
descriptions as plain data; what they mean is the backend's (``simdeck_workflows.engine.commands``).
"""

from __future__ import annotations

import pprint
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from simdeck_common.commands import class_names, package_name

from simdeck_appstore.commands import Command

_APP = re.compile(r"^[A-Za-z][A-Za-z0-9_-]*\Z")
_MODULE = '''"""The programs of the app {app} {version}, as its manifest describes them; written at its install."""

from simdeck_workflows.engine.commands.chain import classes

APP = {app!r}
COMMANDS = {commands}

for _command in COMMANDS:
    for _made in classes(APP, _command, __name__):
        globals()[_made.__name__] = _made
'''


def write(folder: Path, version: str, workflows: Sequence[str], commands: Sequence[dict[str, Any]]) -> None:
    """Write the package of an app's commands into ``folder``, the app's part of the backend's path.

    Parameters
    ----------
    workflows
        The app's workflows; those of the commands begin with the name that the app has in its own description.
    commands
        The commands as the release says them.

    Raises
    ------
    ValueError
        A command is none that this Simdeck knows; the text is a clause.
    """
    if not commands:
        return
    for data in commands:
        try:
            Command.model_validate(data)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise ValueError(f"its command {data.get('name', '?')} cannot be understood here ({where})") from None
    names = [str(data["name"]) for data in commands]
    app = next((full.rpartition(".")[0] for full in workflows if full.rpartition(".")[2] == names[0]), "")
    if not _APP.match(app) or not set(workflows) >= {f"{app}.{name}" for name in names}:
        raise ValueError("its commands are not among its workflows")
    package = package_name(app)
    text = _MODULE.format(
        app=app, version=version, commands=pprint.pformat(list(commands), width=110, sort_dicts=False)
    )
    # Not a word of a release is code: what was written must read back as the data it came from.
    (folder / package).mkdir(parents=True, exist_ok=True)
    (folder / package / "__init__.py").write_text(text, "utf-8")
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", "utf-8")
    (info / "entry_points.txt").write_text(_entry_points(app, package, names), "utf-8")


def _entry_points(app: str, package: str, names: Sequence[str]) -> str:
    groups: dict[str, list[str]] = {"aiida.workflows": [], "aiida.calculations": [], "aiida.parsers": []}
    for name in names:
        made = class_names(name)
        for group, cls in zip(groups, (made.workflow, made.calculation, made.parser), strict=True):
            groups[group].append(f"{app}.{name} = {package}:{cls}")
    return "\n".join(line for group, lines in groups.items() for line in (f"[{group}]", *lines, ""))
