"""What the trial has made on this machine, written down before it is made, so that it can always be taken away.

Each thing carries enough to tell it from somebody else's of the same name: an account its comment, a group its number,
a file a line in it. Taking away what is already gone, or was never made, is no error.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from simdeck_common.files import write_atomically
from simdeck_spawners.identity import environment, start_ticks

MARK = "SIMDECK_TRIAL"
GRACE_SECONDS = 5.0
Thing = dict[str, Any]


class Ledger:
    """The file ``trial.json``; ``mark`` is the id this trial's processes carry in ``SIMDECK_TRIAL``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.things: list[Thing] = []
        with contextlib.suppress(FileNotFoundError, ValueError):
            self.things = list(json.loads(path.read_text(encoding="utf-8"))["things"])

    def note(self, kind: str, **thing: Any) -> None:
        """Write down that this is about to be made."""
        self.things.append({"kind": kind, **thing})
        self._write()

    def clear(self, say: Callable[[str], None] = lambda text: None) -> None:
        """Take all away: processes first, then the latest first; what resists is named and stays written down."""
        latest_first = self.things[::-1]
        order = sorted(latest_first, key=lambda thing: thing["kind"] != "processes")
        for thing in order:
            try:
                UNDO[thing["kind"]](thing)
            except (OSError, subprocess.SubprocessError) as error:
                say(f"Could not take away {describe(thing)}: {reason_of(error)}")
                continue
            self.things.remove(thing)
            self._write()

    def _write(self) -> None:
        if self.things:
            write_atomically(self.path, json.dumps({"things": self.things}, indent=1), mode=0o600)
        else:
            self.path.unlink(missing_ok=True)


def describe(thing: Thing) -> str:
    return f"{thing['kind']} {thing.get('name') or thing.get('path') or thing.get('mark')}"


def reason_of(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        return said[-1] if said else f"exit code {error.returncode}"
    return str(error)


# --- how each kind goes away ----------------------------------------------------------------------------------------


def end_processes(pids: Callable[[], Iterable[int]], grace: float = GRACE_SECONDS) -> None:
    """End all processes that ``pids`` finds: TERM, and KILL for what is left after ``grace`` seconds.

    Raises
    ------
    OSError
        Some are still there after SIGKILL.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + grace
        asked: set[int] = set()
        while left := [pid for pid in pids() if start_ticks(pid) is not None]:
            for pid in left:
                if pid not in asked:
                    asked.add(pid)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        else:
            return
    raise OSError(f"processes {', '.join(map(str, pids()))} do not end")


def processes_of_mark(mark: str) -> list[int]:
    """Return the processes that carry ``mark``; never this one."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and environment(pid).get(MARK) == mark]


def processes_of_user(uid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == uid:
                    found.append(int(entry.name))
    return found


def undo_processes(thing: Thing) -> None:
    end_processes(lambda: processes_of_mark(thing["mark"]))


def undo_account(thing: Thing) -> None:
    try:
        account = pwd.getpwnam(thing["name"])
    except KeyError:
        return
    if account.pw_gecos.split(",")[0] != thing["comment"]:
        return
    end_processes(lambda: processes_of_user(account.pw_uid))
    quiet("userdel", "--force", thing["name"])


def undo_group(thing: Thing) -> None:
    with contextlib.suppress(KeyError):
        if grp.getgrnam(thing["name"]).gr_gid == thing["gid"]:
            quiet("groupdel", thing["name"])


def undo_link(thing: Thing) -> None:
    if Path("/sys/class/net", thing["name"]).exists():
        quiet("ip", "link", "del", thing["name"])


def undo_file(thing: Thing) -> None:
    path = Path(thing["path"])
    with contextlib.suppress(FileNotFoundError):
        if thing["line"] in path.read_text(encoding="utf-8").splitlines():
            path.unlink()


def undo_folder(thing: Thing) -> None:
    path = Path(thing["path"])
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        # Homes with apps hold a hundred thousand files, which Python would take its time for.
        subprocess.run(
            ["rm", "-rf", "--one-file-system", "--", str(path)], check=True, stdin=subprocess.DEVNULL,
            capture_output=True,
        )  # fmt: skip


def quiet(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


UNDO: dict[str, Callable[[Thing], None]] = {
    "processes": undo_processes,
    "account": undo_account,
    "group": undo_group,
    "link": undo_link,
    "file": undo_file,
    "folder": undo_folder,
}
