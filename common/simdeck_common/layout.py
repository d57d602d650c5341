"""Where things lie on disk: one user's data, and the sockets beside it.

Everything a user owns is below one folder (``UserHome.root``); sockets live in a runtime folder of their own because a
Unix socket's path may hold at most 107 bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class UserHome:
    """The folders of one user. ``root`` is ``<data>/users/<name>`` on the embedded default, ``~/.simdeck`` at sites."""

    root: Path
    runtime: Path

    @property
    def apps(self) -> Path:
        """Installed apps: ``<app>/versions/<version>/`` and ``<app>/current``."""
        return self.root / "apps"

    @property
    def jupyter_path(self) -> Path:
        """An entry for ``JUPYTER_PATH``: holds ``kernels/<name>/kernel.json`` of each installed app."""
        return self.apps / ".jupyter"

    @property
    def workflows(self) -> Path:
        """The workflow backend's folder: run store, AiiDA configuration and profile, scratch."""
        return self.root / "workflows"

    @property
    def agent(self) -> Path:
        """The agent's own folder: task store, log, lock."""
        return self.root / "agent"

    @property
    def agent_socket(self) -> Path:
        return self.runtime / "agent.sock"

    @property
    def worker_socket(self) -> Path:
        return self.runtime / "worker.sock"


def runtime_dir(data: Path) -> Path:
    """Return (and make, mode 700) the short folder for sockets that belongs to the data folder ``data``.

    Raises
    ------
    PermissionError
        The folder exists and is not ours alone: somebody else made it.
    """
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    tag = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:10]
    return private_dir(base / f"simdeck-{os.getuid()}-{tag}")


def user_home(data: Path, name: str) -> UserHome:
    """Return the folders of hub user ``name`` below the data folder ``data``, making the top ones (mode 700)."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"not a user name: {name!r}")
    root = private_dir(data / "users" / name)
    short = hashlib.sha256(name.encode()).hexdigest()[:8]
    return UserHome(root=root, runtime=private_dir(runtime_dir(data) / short))


def site_root(home: Path) -> Path:
    """Return where the things of the Unix user with this home folder lie on a site. Touches nothing."""
    return home / ".simdeck"


def account_home() -> UserHome:
    """Return the folders of the Unix user this process runs as, on a site, making the top ones (mode 700).

    Only the user's own processes may ask: what belongs to somebody else is never touched.

    Raises
    ------
    KeyError
        The user has no account.
    PermissionError
        A folder is there already and is not the user's own.
    """
    root = private_dir(site_root(Path(pwd.getpwuid(os.getuid()).pw_dir)))
    return UserHome(root=root, runtime=_noted_runtime(root))


def _noted_runtime(root: Path) -> Path:
    """Return the folder for sockets on this machine that a link in ``root`` notes, or make one and note it.

    Its name cannot be foretold: on a machine with other people, one of them could take a name that can, and keep the
    user's agent from starting.
    """
    note = root / f"run-{socket.gethostname()}"
    with contextlib.suppress(OSError):
        noted = Path(os.readlink(note))
        info = noted.lstat()
        if stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not stat.S_IMODE(info.st_mode) & 0o077:
            return noted
    made = tempfile.mkdtemp(prefix=f"simdeck-{os.getuid()}-")
    temporary = root / f".run-{os.path.basename(made)}"
    os.symlink(made, temporary)
    os.replace(temporary, note)
    return Path(made)


def private_dir(path: Path) -> Path:
    """Make ``path`` with mode 700, or check that it is a real folder of ours that no one else can enter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        info = path.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
            raise PermissionError(f"{path} is not a folder of ours") from None
        if stat.S_IMODE(info.st_mode) & 0o077:
            path.chmod(0o700)
    return path
