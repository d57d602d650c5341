"""A real sshd on the loopback with keys of its own, for the account that runs the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from simdeck_clusters.settings import SshSettings

ME = pwd.getpwuid(os.getuid()).pw_name
# Debian's sshd as root wants this folder, which its service makes.
SEPARATION = Path("/run/sshd")


def find_sshd() -> str | None:
    return shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")


def make_key(path: Path) -> str:
    """Make a key pair; return the public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path.with_name(f"{path.name}.pub").read_text(encoding="ascii").strip()


class SshServer:
    """A context manager; signs in ``ME`` with ``identity`` alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.identity = folder / "identity"
        self.known_hosts = folder / "known_hosts"
        self.log = folder / "sshd.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])

    def __enter__(self) -> SshServer:
        self.host_key = make_key(self.folder / "host_key")
        authorized = self.folder / "authorized_keys"
        authorized.write_text(make_key(self.identity) + "\n", encoding="ascii")
        config = self.folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder / 'host_key'}\nPidFile none\n"
            f"AuthorizedKeysFile {authorized}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
            "PermitRootLogin prohibit-password\nStrictModes no\nAllowTcpForwarding no\nX11Forwarding no\n",
            encoding="ascii",
        )
        self.made = os.getuid() == 0 and not SEPARATION.exists()
        if self.made:
            SEPARATION.mkdir(mode=0o755)
        self.process = subprocess.Popen(
            [str(find_sshd()), "-D", "-E", str(self.log), "-f", str(config)], stdin=subprocess.DEVNULL
        )
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.know(self.host_key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(20)
        if self.made:
            SEPARATION.rmdir()

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def know(self, key: str) -> None:
        """Have the client know ``key`` for this server; "": none."""
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {key}\n" if key else "", encoding="ascii")

    def settings(self, **changes: object) -> SshSettings:
        values = {
            "host": "127.0.0.1", "port": self.port, "user": ME, "identity": self.identity,
            "known_hosts": self.known_hosts,
        }  # fmt: skip
        return SshSettings.model_validate(values | changes)
