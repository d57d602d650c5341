"""From a failed command's last words to a problem a person can act on."""

from __future__ import annotations

import errno
import re
import signal

from simdeck_common.problems import Problem

from simdeck_appstore.models import Step
from simdeck_appstore.process import Outcome

HASH = re.compile(r"Hash mismatch for `([^`]+)`")
NO_HASH = re.compile(r"require-hashes|missing a hash|no hashes", re.IGNORECASE)
DISK = re.compile(r"No space left on device|Disk quota exceeded|os error (28|122)\b")
OFFLINE = re.compile(
    r"error sending request|dns error|Could not connect|Connection refused|tcp connect error|network was disabled|"
    r"operation timed out|connection (was )?(reset|closed)|Network is unreachable|Temporary failure in name resolution|"
    r"HTTP status server error|50[0234] ",
    re.IGNORECASE,
)
UNRESOLVED = re.compile(
    r"No solution found|not found in the (package|cache)|was not found|has no wheels|no (usable|matching) |"
    r"unsatisfiable|not compatible|404|no version of",
    re.IGNORECASE,
)


def problem_of(outcome: Outcome, *, app: str, version: str, step: Step) -> Problem:
    """Return why the command of ``step`` failed, in plain words, with the log's last lines."""
    text = "\n".join(outcome.tail)
    found = HASH.search(text)
    if found:
        problem = Problem("install-hash", name=found[1])
    elif DISK.search(text):
        problem = Problem("install-disk-full", app=app)
    elif OFFLINE.search(text):
        problem = Problem("install-offline", app=app)
    elif NO_HASH.search(text) or UNRESOLVED.search(text):
        problem = Problem("install-unresolved", app=app, version=version)
    else:
        problem = Problem("install-failed", app=app, version=version, step=step)
        if outcome.code is None:
            problem.detail += " It took too long."
    return with_tail(problem, outcome.tail)


def problem_of_check(outcome: Outcome, *, app: str, version: str, limit: float) -> Problem:
    """Return why an app's own check refused this machine: its last line, or how it ended when it said nothing."""
    if outcome.code is None:
        reason = f"its check did not end within {limit:g} seconds"
    elif outcome.code < 0:
        # A processor that lacks an instruction, or a library that does not fit, leaves no word of its own.
        reason = f"its check was ended by {_signal_name(-outcome.code)}"
    else:
        reason = outcome.tail[-1].strip().rstrip(".") if outcome.tail else f"its check ended with code {outcome.code}"
    problem = Problem("app-does-not-start", app=app, version=version, reason=reason)
    return with_tail(problem, outcome.tail if len(outcome.tail) > 1 or outcome.code is None else [])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def problem_of_error(error: OSError, *, app: str, version: str, step: Step) -> Problem:
    """Return the problem for an error of the file system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem("install-disk-full", app=app)
    problem = Problem("install-failed", app=app, version=version, step=step)
    return with_tail(problem, [f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")])


def with_tail(problem: Problem, tail: list[str]) -> Problem:
    """Append the log's last lines to the problem's detail."""
    if tail:
        problem.detail += "\nThe log's last lines:\n" + "\n".join(tail)
        problem.args = (problem.detail,)
    return problem
