"""As much of Simdeck as one app needs, for one person on one machine: its pages' server and a workflow backend.

Everything lies below one temporary folder and carries one mark, so that the end leaves neither file nor process.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from simdeck_common.layout import user_home
from simdeck_common.problems import Problem

from simdeck_appstore.developer import processes
from simdeck_appstore.rubbish import remove_tree

START_SECONDS = 60.0
USER = "developer"
EXTENSIONS = ("simdeck_deck.server_extension", "simdeck_appstore.developer.dev.extension")


class LocalDeck:
    """The processes around the apps in ``home.apps``; ``close`` ends them and removes the folder."""

    def __init__(self, prefix: str, port: int = 0) -> None:
        self.token = secrets.token_urlsafe(24)
        self.instance = f"{prefix}-{secrets.token_hex(8)}"
        # Sockets need short paths.
        self.base = Path(tempfile.mkdtemp(prefix=f"sd-{prefix}-"))
        self.home = user_home(self.base, USER)
        self.port = port or _free_port()
        self.server: subprocess.Popen[bytes] | None = None
        self.agent: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def api(self) -> str:
        return f"{self.root}dev/api/v1"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}

    def start_agent(self, backend_python: Path, uv: Path) -> None:
        """Start the person's agent, which runs workflows; it answers a moment later."""
        settings = self.base / "agent.json"
        given = {
            "data": str(self.base),
            "backend_python": str(backend_python),
            "uv": str(uv),
            "idle_seconds": 30 * 24 * 3600.0,
        }
        settings.write_text(json.dumps(given), "utf-8")
        argv = [sys.executable, "-m", "simdeck_agent", "--settings", str(settings), "--user", USER]
        self.agent = processes.start(argv, self._environment(), self.base / "agent.log", self.base)

    def start_server(self, told: dict[str, str]) -> None:
        """Start the Jupyter server that shows pages; ``told`` is what the page around them is told.

        Raises
        ------
        Problem
            ``dev-ended`` with the last line it wrote.
        """
        told = {**told, **({"socket": str(self.home.agent_socket)} if self.agent is not None else {})}
        folders = {f"JUPYTER_{name}_DIR": str(self.base / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        environment = self._environment() | folders | {
            "JUPYTER_TOKEN": self.token,
            "JUPYTER_PATH": str(self.home.jupyter_path),
            "JUPYTERHUB_API_TOKEN": self.token,
            "SIMDECK_API": self.api,
            "SIMDECK_APPS_DIR": str(self.home.apps),
            # A kernel that was made ready before a save would show the page of before it.
            "SIMDECK_WARM_APPS": "0",
            # A page that loads anew shows what was saved, not what it showed before.
            "SIMDECK_REATTACH_SECONDS": "0",
            "SIMDECK_DEV": json.dumps(told),
        }  # fmt: skip
        argv = [
            sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", "--ServerApp.ip=127.0.0.1",
            f"--port={self.port}", "--port-retries=0", f"--ServerApp.root_dir={self.base}",
            *(f"--ServerApp.jpserver_extensions={name}=True" for name in EXTENSIONS),
            *(f"--ServerApp.jpserver_extensions={name}=False" for name in ("jupyterlab", "voila.server_extension")),
        ]  # fmt: skip
        self.server = processes.start(argv, environment, self.base / "server.log", self.base)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.server.poll() is not None or time.monotonic() > deadline:
                raise Problem("dev-ended", reason=self.last_line("server.log"))
            time.sleep(0.1)

    def close(self) -> None:
        """End every process and remove the folder."""
        processes.end(self.instance)
        for process in (self.server, self.agent):
            if process is not None:
                process.wait()
        # What is installed may be read-only (an AiiDAlab app's tree).
        remove_tree(self.base)
        shutil.rmtree(self.home.runtime.parent, ignore_errors=True)

    def last_line(self, log: str) -> str:
        """Return what a process wrote last, for people."""
        try:
            lines = (self.base / log).read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return (lines or ["it said nothing"])[-1][:300].rstrip(".")

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTERHUB_", "SIMDECK_", "JUPYTER_")) or name == "SIMDECK_CHECKOUT"
        }
        return kept | {processes.MARK: self.instance}

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.root}dev/", headers=self.headers, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
