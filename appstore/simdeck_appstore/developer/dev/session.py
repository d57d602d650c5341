"""One session of `simdeck app dev`: a Jupyter server and a user's agent in a temporary folder, until Ctrl-C."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from simdeck_common.layout import user_home
from simdeck_common.problems import Problem

from simdeck_appstore.developer.check import app_id
from simdeck_appstore.developer.dev import processes, watch
from simdeck_appstore.developer.dev.environment import cache_folder, environment_for
from simdeck_appstore.developer.dev.generations import Generations
from simdeck_appstore.manifest import Project, load_project

LOOK_SECONDS = 0.5
AGENT_SECONDS = 5.0
START_SECONDS = 60.0
USER = "developer"
EXTENSIONS = ("simdeck_deck.server_extension", "simdeck_appstore.developer.dev.extension")


@dataclass
class DevSettings:
    """What a session needs to know of the machine.

    ``backend_python`` runs workflows (None: the page opens, runs cannot be started); ``simdeck`` is the checkout or
    wheel; ``app_python`` is what the app's environment is made of.
    """

    uv: Path
    app_python: Path
    simdeck: Path | None = None
    backend_python: Path | None = None
    port: int = 0
    cache: Path = field(default_factory=cache_folder)

    @property
    def describe_argv(self) -> list[str] | None:
        return [str(self.backend_python), "-m", "simdeck_workflows.engine.describe"] if self.backend_python else None


class DevSession:
    """A context manager: what it started and wrote is gone at its end, but for the cached environment."""

    def __init__(self, folder: Path, settings: DevSettings, tell: Callable[[str], None]) -> None:
        self.folder = folder.resolve()
        self.settings = settings
        self.tell = tell
        self.token = secrets.token_urlsafe(24)
        self.instance = f"dev-{secrets.token_hex(8)}"
        # Sockets need short paths.
        self.base = Path(tempfile.mkdtemp(prefix="sd-dev-"))
        self.home = user_home(self.base, USER)
        self.generations = Generations(self.home.apps, settings.describe_argv)
        self.server: subprocess.Popen[bytes] | None = None
        self.agent: subprocess.Popen[bytes] | None = None
        self.port = settings.port or _free_port()
        self.seen: watch.Seen = {}

    def __enter__(self) -> DevSession:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def address(self) -> str:
        """Where the browser goes; the token in it becomes a cookie at the first visit."""
        return f"{self.root}dev/?token={self.token}"

    def run(self, stop: threading.Event) -> None:
        """Look for saves until ``stop`` is set or the server ends."""
        while not stop.wait(LOOK_SECONDS):
            if self.server is not None and self.server.poll() is not None:
                raise Problem("dev-ended", reason=self._last_line("server.log"))
            if self.agent is not None and self.agent.poll() is not None:
                self.tell(f"The workflow backend ended ({self._last_line('agent.log')}); starting it again.")
                self._start_agent()
                stop.wait(AGENT_SECONDS)
            self.look()

    def look(self) -> bool:
        """Take up what was saved since the last look; tell whether there was anything."""
        now = watch.look(self.folder)
        changed = watch.differing(self.seen, now)
        if not changed:
            return False
        self.seen = now
        try:
            project = load_project(self.folder)
            version = self._generation(project, same_workflows=not watch.touches_workflows(changed))
            if watch.touches_workflows(changed) and self.agent is not None:
                # The worker holds the modules it has imported; the agent starts a new one.
                processes.end(self.instance, "simdeck_workflows.engine")
        except Problem as problem:
            words = f"{problem.detail} {problem.remedy}".strip()
            self.tell(words)
            self._say({"version": self._version, "problem": words})
        else:
            self.tell(f"{', '.join(sorted(changed)[:3])}: loaded anew as {version}")
            self._say({"version": version, "title": project.manifest.title})
        return True

    def close(self) -> None:
        """End every process of the session and remove its folder."""
        processes.end(self.instance)
        for process in (self.server, self.agent):
            if process is not None:
                process.wait()
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.rmtree(self.home.runtime.parent, ignore_errors=True)

    # --- start ------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.seen = watch.look(self.folder)
        project = load_project(self.folder)
        self._generation(project)
        if self.settings.backend_python is not None and project.manifest.workflows:
            self._start_agent()
        self._start_server(project)

    def _generation(self, project: Project, *, same_workflows: bool = False) -> str:
        settings = self.settings
        environment = environment_for(
            project, uv=settings.uv, python=settings.app_python, simdeck=settings.simdeck, cache=settings.cache,
            tell=self.tell,
        )  # fmt: skip
        self._version = self.generations.add(project, environment, same_workflows=same_workflows)
        return self._version

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTERHUB_", "SIMDECK_", "JUPYTER_")) or name == "SIMDECK_CHECKOUT"
        }
        return kept | {processes.MARK: self.instance}

    def _start_agent(self) -> None:
        settings = self.base / "agent.json"
        given = {
            "data": str(self.base),
            "backend_python": str(self.settings.backend_python),
            "uv": str(self.settings.uv),
            "idle_seconds": 30 * 24 * 3600.0,
        }
        settings.write_text(json.dumps(given), "utf-8")
        argv = [sys.executable, "-m", "simdeck_agent", "--settings", str(settings), "--user", USER]
        self.agent = processes.start(argv, self._environment(), self.base / "agent.log", self.base)

    def _start_server(self, project: Project) -> None:
        told = {"app": app_id(project), "title": project.manifest.title, "version": self._version}
        if self.agent is not None:
            told["socket"] = str(self.home.agent_socket)
        folders = {f"JUPYTER_{name}_DIR": str(self.base / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        environment = self._environment() | folders | {
            "JUPYTER_TOKEN": self.token,
            "JUPYTER_PATH": str(self.home.jupyter_path),
            "JUPYTERHUB_API_TOKEN": self.token,
            "SIMDECK_API": f"{self.root}dev/api/v1",
            "SIMDECK_APPS_DIR": str(self.home.apps),
            # A kernel that was made ready before a save would show the page of before it.
            "SIMDECK_WARM_APPS": "0",
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
                raise Problem("dev-ended", reason=self._last_line("server.log"))
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.root}dev/", headers=self._headers(), timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def _say(self, said: dict[str, str]) -> None:
        try:
            httpx.post(f"{self.root}dev/changed", headers=self._headers(), json=said, timeout=10).raise_for_status()
        except httpx.HTTPError as error:
            self.tell(f"The page could not be told ({type(error).__name__}); load it again by hand.")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}

    def _last_line(self, log: str) -> str:
        try:
            lines = (self.base / log).read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return (lines or ["it said nothing"])[-1][:300].rstrip(".")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
