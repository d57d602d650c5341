"""The real `simdeck up` for tests: its own data folder and port, the checkout's environments.

``Stack`` is what every test that needs the whole product uses::

    with Stack(tmp_path, users=["alice", "bob"]) as stack:
        stack.client("alice").get("/me")
        stack.kill("deck")
        stack.stop()          # asserts that no process is left
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
from simdeck_hub.hub_api import message_of
from simdeck_hub.places import Checkout, DataFolder
from simdeck_hub.ports import free_ports
from simdeck_hub.processes import Found, find, parent_of

T = TypeVar("T")
SIMDECK = Path(sys.executable).parent / "simdeck"
SIGN_IN = re.compile(r"sign in as (\S+) with the one-time password (\S+)")
START_SECONDS = 240.0


def wait_for(what: str, ask: Callable[[], T | None], seconds: float = 180.0) -> T:
    """Ask until the answer is true and return it; fail with ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.05)


def missing() -> str | None:
    """Return in one line why the stack cannot run here, or ``None``."""
    checkout = Checkout.find()
    for what, path in (
        ("the backend's environment", checkout.backend_python),
        ("the hub's proxy", checkout.proxy_script),
    ):
        if not path.exists():
            return f"{what} is missing; run `make up` or `make test` once"
    return None


class Stack:
    """One running Simdeck below ``folder``. A context manager: leaves no process behind, whatever the test did."""

    def __init__(self, folder: Path, users: list[str] | None = None, site: str = "", home: Path | None = None) -> None:
        self.data = DataFolder(folder / "data")
        self.users = users or []
        self.passwords: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.port = free_ports(1)[0]
        self.home = home or folder / "home"
        self.output = folder / "up.log"
        self._site = site
        # Sockets need short paths: pytest's own temporary folders may be long.
        self._short = Path(tempfile.mkdtemp(prefix="sd-"))

    # --- starting and stopping ----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.url}/services/deck/api/v1"

    @property
    def environment(self) -> dict[str, str]:
        """What commands that mean this instance are run with (also fit for `simdeck …`)."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTERHUB_", "SIMDECK_"))}
        return kept | {
            "SIMDECK_DATA": str(self.data.root),
            "PORT": str(self.port),
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_RUNTIME_DIR": str(self._short),
            # Packages stay cached over the tests although HOME is their own.
            "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv"),
        }

    def start(self) -> Stack:
        """Start and wait for the line that says how to sign in."""
        reason = missing()
        if reason:
            raise RuntimeError(reason)
        self.home.mkdir(parents=True, exist_ok=True)
        self.data.make()
        names = f"[users]\nnames = {json.dumps(self.users)}\n" if self.users else ""
        if names or self._site:
            self.data.site_file.write_text(names + self._site, encoding="utf-8")
        log = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            self.process = subprocess.Popen(
                [str(SIMDECK), "up"], env=self.environment, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)
        wanted = max(1, len(self.users))

        def signed() -> list[tuple[str, str]] | None:
            text = self.output.read_text(encoding="utf-8", errors="replace")
            assert self.process is not None
            found = SIGN_IN.findall(text)
            if len(found) >= wanted:
                return found
            if self.process.poll() is not None:
                raise AssertionError(f"simdeck up ended with {self.process.returncode}:\n{text}\n{self.logs()}")
            return None

        try:
            found = wait_for("the line that says how to sign in", signed, START_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
        self.passwords = dict(found)
        self.users = self.users or [found[0][0]]
        return self

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 120.0) -> int:
        """Stop as Ctrl-C does; return the exit code. Asserts that no process is left."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=seconds)
        left = self.processes()
        assert not left, f"left behind: {left}"
        return code

    def kill_supervisor(self) -> None:
        """`kill -9` of `simdeck up` itself; what it started lives on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Stack:
        return self.start() if self.process is None else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=180)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        left = self.processes()
        for found in left:
            found.send(signal.SIGKILL)
        shutil.rmtree(self._short, ignore_errors=True)
        if kind is None:
            assert not left, f"left behind: {left}"

    def logs(self) -> str:
        """Return the last lines of every log, for a failed test's message."""
        parts = []
        for log in sorted([*self.data.logs.glob("*.log"), *self.data.users.glob("*/*/*.log")]):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            parts.append(f"--- {log.name}\n" + "\n".join(lines))
        return "\n".join(parts)

    # --- processes ----------------------------------------------------------------------------------------------

    def processes(self, part: str = "") -> list[Found]:
        """Return this instance's living processes whose command line contains ``part`` (see ``PARTS``)."""
        supervisor = self.process.pid if self.process is not None else -1
        pattern = PARTS.get(part, part)
        own = [found for found in find(self.data.instance) if found.pid != supervisor]
        # Descendants of the test itself that are not of this instance (a browser, another stack) do not count.
        own = [found for found in own if _carries(found.pid, self.data.instance)]
        return [found for found in own if re.search(pattern, found.command)]

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL, seconds: float = 90.0) -> Found:
        """Kill the part (``proxy``, ``hub``, ``deck``, ``agent``, ``worker``, ``server``); return what was killed."""

        def first() -> Found | None:
            # A process that has just been forked still shows its parent's command line.
            found = [
                one for one in self.processes(part) if parent_of(one.pid) not in {o.pid for o in self.processes(part)}
            ]
            return found[0] if found else None

        victim = wait_for(f"a process of {part}", first, seconds)
        victim.send(number)
        if number == signal.SIGKILL:
            wait_for(f"the end of {part}", lambda: not victim.alive(), seconds)
        return victim

    def wait_answering(self, seconds: float = 180.0) -> None:
        """Wait until hub and deck answer through the proxy."""

        def answers() -> bool:
            try:
                return all(
                    httpx.get(self.url + path, timeout=5, trust_env=False).status_code == 200
                    for path in ("/hub/api/", "/services/deck/api/v1/openapi.json")
                )
            except httpx.HTTPError:
                return False

        wait_for("hub and deck to answer", answers, seconds)

    # --- people and tokens --------------------------------------------------------------------------------------

    def cli_token(self, user: str | None = None) -> str:
        """Return the token of the simdeck command: everything a user may do through the API."""
        return self.data.cli_token(user or self.users[0]).read_text(encoding="utf-8").strip()

    def token(self, user: str | None = None, *scopes: str) -> str:
        """Make a token as `simdeck token` does; without scopes it may do all the user may."""
        argv = [str(SIMDECK), "token", "--user", user or self.users[0]]
        for scope in scopes:
            argv += ["--scope", scope]
        return self.run(*argv[1:]).stdout.strip()

    def client(self, user: str | None = None, token: str | None = None, **options: Any) -> httpx.Client:
        """Return a client of the REST API; the base URL is ``…/services/deck/api/v1``."""
        return httpx.Client(
            base_url=self.api,
            headers={"Authorization": f"Bearer {token or self.cli_token(user)}"},
            trust_env=False,
            **{"timeout": 60.0, **options},
        )

    def sign_in(self, user: str | None = None, password: str | None = None) -> httpx.Client:
        """Sign in as a browser does; return the client with the session's cookies, or fail with the page's words."""
        name = user or self.users[0]
        client = httpx.Client(base_url=self.url, follow_redirects=True, trust_env=False, timeout=60.0)
        client.get("/hub/login")
        answer = client.post(
            "/hub/login",
            params={"next": "/hub/token"},
            data={"username": name, "password": password or self.passwords[name], "_xsrf": xsrf(client)},
        )
        if answer.status_code != 200:
            raise PermissionError(f"{answer.status_code}: {message_of(answer)}")
        return client

    def run(self, *arguments: str, check: bool = True, seconds: float = 360.0) -> subprocess.CompletedProcess[str]:
        """Run ``simdeck <arguments>`` against this instance, from a folder that is not the checkout."""
        done = subprocess.run(
            [str(SIMDECK), *arguments], env=self.environment, cwd=self.home, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


PARTS = {
    "proxy": r"configurable-http-proxy",
    "hub": r" -m jupyterhub ",
    "deck": r" -m simdeck_deck",
    "agent": r"simdeck_agent|simdeck-agent",
    "worker": r"simdeck_workflows\S*worker",
    "server": r"jupyterhub-singleuser",
}


def xsrf(client: httpx.Client) -> str:
    """Return the hub's XSRF cookie of this client."""
    return next(
        cookie.value or "" for cookie in client.cookies.jar if cookie.name == "_xsrf" and cookie.path == "/hub/"
    )


def _carries(pid: int, instance: str) -> bool:
    try:
        return f"SIMDECK_INSTANCE={instance}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
