"""Leaves out what libraries load and no agent uses. Imported before anything else of an agent's process."""

import sys

_UNUSED = (
    # jsonschema compiles a grammar for IRI formats where it finds this package: half of an agent's start, for nothing
    # that a workflow's inputs use.
    "rfc3987_syntax",
    # httpx's command line, with its colours: megabytes in every agent.
    "httpx._main",
)

for _name in _UNUSED:
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
