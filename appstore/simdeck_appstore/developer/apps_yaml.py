"""Adding a release to ``apps.yaml`` as a person would: one or three lines, everything else untouched."""

from __future__ import annotations

import re
from typing import Any

import yaml
from simdeck_common.problems import Problem

FILE = "apps.yaml"


def with_release(text: str, app: str, address: str) -> str:
    """Return the file's text with ``address`` as the newest release of ``app``.

    Comments and order stay; where the file is written in a way that lines cannot be added to, it is written anew.

    Raises
    ------
    Problem
        ``registry-invalid``: it cannot be read; ``version-published``: the address is there already.
    """
    before = _read(text)
    wanted = _expected(before, app, address)
    new = _insert(text, app, address) if app in before else _append(text, app, address)
    if new is not None and _read(new) == wanted:
        return new
    return yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)


def releases(text: str, app: str) -> list[str]:
    """Return the addresses of an app's releases."""
    listed = (_read(text).get(app) or {}).get("releases") or []
    return [str(one.get("url") if isinstance(one, dict) else one) for one in listed]


def _expected(before: dict[str, Any], app: str, address: str) -> dict[str, Any]:
    entry = dict(before.get(app) or {})
    entry["releases"] = [address, *(entry.get("releases") or [])]
    return {**before, app: entry}


def _append(text: str, app: str, address: str) -> str:
    body = text.rstrip("\n")
    return f"{body}\n{app}:\n  releases:\n    - {address}\n".lstrip("\n")


def _insert(text: str, app: str, address: str) -> str | None:
    lines = text.split("\n")
    state = "outside"
    for number, line in enumerate(lines):
        if re.match(rf"^{re.escape(app)}:\s*(#.*)?$", line):
            state = "app"
        elif state != "outside" and re.match(r"^\S", line) and not line.startswith("#"):
            return None
        elif state == "app" and re.match(r"^\s+releases:\s*(#.*)?$", line):
            state = "releases"
        elif state == "releases" and (found := re.match(r"^(\s*)- ", line)):
            return "\n".join([*lines[:number], f"{found[1]}- {address}", *lines[number:]])
    return None


def _read(text: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        reason = f"not valid YAML ({' '.join(str(error).split())})"
        raise Problem("registry-invalid", file=FILE, reason=reason) from None
    if not isinstance(data, dict):
        raise Problem("registry-invalid", file=FILE, reason="the top level must be a mapping of ids")
    return data
