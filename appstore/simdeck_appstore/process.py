"""Runs the commands of an install: their output is told line by line, a cancelled install ends them at once."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

GUARD = Path(__file__).with_name("guard.py")
TAIL = 12
# What a command of an install may know of our environment: site mirrors and certificates, yes; tokens, no.
PASSED = re.compile(
    r"^(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_.*|TZ|TMPDIR|XDG_.*|UV_.*|PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|"
    r"CURL_CA_BUNDLE|NETRC|(HTTPS?|ALL|NO|FTP)_PROXY|LD_LIBRARY_PATH|SOURCE_DATE_EPOCH|SIMDECK_INSTANCE)$",
    re.IGNORECASE,
)
# Addresses of package indexes may be a site's secret and may hold a password; local paths are noise.
INDEX_ADDRESS = re.compile(r"https?://[^/\s`'\")]+")
LOCAL_ADDRESS = re.compile(r"file://[^\s)]*/")


class CancelledError(Exception):
    """The install was cancelled while a command ran; the command has ended."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code (None: it took too long) and the last lines of its output."""

    code: int | None
    tail: list[str]

    @property
    def ok(self) -> bool:
        return self.code == 0


def passed_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the part of our environment that commands of an install get."""
    source = os.environ if environ is None else environ
    return {name: value for name, value in source.items() if PASSED.match(name)}


def run(
    argv: list[str],
    *,
    cwd: Path,
    line: Callable[[str], None],
    cancelled: threading.Event,
    environment: Mapping[str, str] | None = None,
    stdout: Path | None = None,
    limit: float = 3600.0,
) -> Outcome:
    """Run ``argv`` (first: an absolute path) and wait for it.

    Each line of its output goes to ``line``, without addresses of indexes. With ``stdout``, standard output goes into
    that file instead.
    After ``limit`` seconds it is killed.

    Raises
    ------
    CancelledError
        ``cancelled`` was set; the command's whole process group is gone.
    """
    if cancelled.is_set():
        raise CancelledError
    guarded = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *argv]
    tail: deque[str] = deque(maxlen=TAIL)
    with contextlib.ExitStack() as stack:
        sink: IO[bytes] | int = stack.enter_context(stdout.open("wb")) if stdout else subprocess.PIPE
        process = subprocess.Popen(
            guarded,
            cwd=cwd,
            env={**passed_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.PIPE if stdout else subprocess.STDOUT,
            start_new_session=True,
        )
        stream = process.stderr if stdout else process.stdout
        assert stream is not None
        stack.enter_context(stream)
        try:
            for text in _lines(stream, cancelled, time.monotonic() + limit):
                clean = LOCAL_ADDRESS.sub("", INDEX_ADDRESS.sub("<package index>", text.rstrip()))
                if clean:
                    tail.append(clean)
                    line(clean)
            if cancelled.is_set():
                raise CancelledError
            return Outcome(process.wait(timeout=10), list(tail))
        except (TimeoutError, subprocess.TimeoutExpired):
            return Outcome(None, list(tail))
        finally:
            _end(process)


def _lines(stream: IO[bytes], cancelled: threading.Event, deadline: float) -> Iterator[str]:
    """Yield lines until the stream ends or the install is cancelled; ``TimeoutError`` after the deadline."""
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not cancelled.is_set():
            if time.monotonic() > deadline:
                raise TimeoutError
            # An Event cannot be selected on; a look ten times a second is prompt enough and costs nothing.
            if not selector.select(timeout=0.1):
                continue
            data = os.read(stream.fileno(), 65536)
            if not data:
                break
            *complete, pending = (pending + data).split(b"\n")
            for part in complete:
                yield part.decode("utf-8", "replace")
    if pending:
        yield pending.decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the command's process group and reap it, unless it has ended by itself (its number may be another's now)."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
