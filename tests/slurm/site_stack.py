"""`make site` for tests: under names, a folder and a network of its own, so that a person's own trial is left alone."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from simdeck_hub.hub_api import message_of
from simdeck_hub.ports import free_ports
from simdeck_hub.trial import machine
from simdeck_hub.trial.trial import Options
from stack import SIGN_IN, missing, wait_for, xsrf

FOLDER = Path("/var/lib/simdeck-trial-test")
ALICE, BOB = "sdt-alice", "sdt-bob"
OPTIONS = Options(folder=FOLDER, users=(ALICE, BOB), service="sdt-service", group="sdt-people")
START_SECONDS = 240.0
READY = re.compile(r"is ready: (http://\S+)")


@functools.cache
def missing_for_slurm() -> str | None:
    """Return in one line why no trial cluster can be made here, or ``None``."""
    if os.getuid() != 0:
        return "a real Slurm with several accounts needs root"
    if not shutil.which("apt-get"):
        return "this is not Debian or Ubuntu"
    packages = machine.missing_packages(accounting=False)
    if packages:
        return f"`apt-get install {' '.join(packages)}` adds them"
    try:
        machine.check_namespaces()
    except Exception as error:
        return str(error)
    return missing()


class SiteStack:
    """One running `make site`. A context manager; what it printed is in ``output``."""

    def __init__(self, folder: Path, extra: str = "", options: Options = OPTIONS) -> None:
        self.options = options
        self.output = folder / "site.log"
        self.extra = folder / "extra.toml"
        self.extra.write_text(extra, encoding="utf-8")
        self.port = free_ports(1)[0]
        self.run = options.folder / "run"
        self.data = self.run / "data"
        self.process: subprocess.Popen[bytes] | None = None
        self.passwords: dict[str, str] = {}
        self.url = ""

    def start(self) -> SiteStack:
        """Start and wait until each of the people can sign in."""
        options = self.options
        log = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        argv = [
            sys.executable, "-m", "simdeck_hub.trial", "--folder", str(options.folder), "--port", str(self.port),
            "--users", ",".join(options.users), "--service", options.service, "--group", options.group,
            "--extra", str(self.extra),
        ]  # fmt: skip
        try:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        finally:
            os.close(log)

        def signed() -> list[tuple[str, str]] | None:
            text = self.said()
            found = SIGN_IN.findall(text)
            assert self.process is not None
            if len(found) < len(options.users) and self.process.poll() is not None:
                raise AssertionError(f"make site ended with {self.process.returncode}:\n{text}")
            return found if len(found) >= len(options.users) else None

        try:
            self.passwords = dict(wait_for("the lines that say how to sign in", signed, START_SECONDS))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()}\n{self.logs()}") from None
        address = READY.search(self.said())
        assert address
        self.url = address.group(1)
        return self

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 90.0) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=seconds)

    def kill(self) -> None:
        """`kill -9` of the trial itself."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> SiteStack:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            sys.stderr.write(self.logs())
        self.stop()

    def logs(self) -> str:
        """Return the last lines of every log, for a failed test's message."""
        parts = []
        for log in sorted([*self.run.glob("data/logs/*.log"), *self.run.glob("home/*/.simdeck/**/*.log")]):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:]
            parts.append(f"--- {log}\n" + "\n".join(lines))
        return "\n".join(parts)

    # --- people -------------------------------------------------------------------------------------------------

    def simdeck(self, *arguments: str) -> str:
        """Run the simdeck command as the service does; return what it printed."""
        program = str(self.options.folder / "prefix" / "env" / "bin" / "simdeck")
        argv = ["runuser", "-u", self.options.service, "--", program, *arguments]
        env = {"PATH": machine.SYSTEM_PATH, "LANG": "C.UTF-8", "SIMDECK_DATA": str(self.data)}
        done = subprocess.run(
            argv, env=env, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def token(self, user: str, *scopes: str) -> str:
        argv = ["token", "--user", user]
        for scope in scopes:
            argv += ["--scope", scope]
        return self.simdeck(*argv).strip()

    def sign_in(self, user: str) -> httpx.Client:
        """Sign in as a browser does; return the client with the session's cookies."""
        client = httpx.Client(base_url=self.url, follow_redirects=True, trust_env=False, timeout=60.0)
        client.get("/hub/login")
        answer = client.post(
            "/hub/login",
            params={"next": "/hub/token"},
            data={"username": user, "password": self.passwords[user], "_xsrf": xsrf(client)},
        )
        if answer.status_code != 200:
            raise PermissionError(f"{answer.status_code}: {message_of(answer)}")
        return client

    def client(self, user: str, **options: Any) -> httpx.Client:
        """Return a client of the REST API with a token of all the user may do."""
        return httpx.Client(
            base_url=f"{self.url}/services/deck/api/v1",
            headers={"Authorization": f"Bearer {self.token(user)}"},
            trust_env=False,
            **{"timeout": 60.0, **options},
        )

    def slurm(self, *argv: str) -> str:
        """Run one of Slurm's commands as root."""
        env = machine.system_environment() | {"SLURM_CONF": str(self.run / "slurm" / "slurm.conf")}
        return machine.run(argv, env=env)

    def on(self, node: str, argv: list[str]) -> str:
        """Run a program as root on a compute node; return what it printed."""
        told = json.loads((self.run / "slurm" / "nodes.json").read_text(encoding="utf-8"))
        return machine.run(["nsenter", "--target", str(told[node]), "--all", "--", *argv])


def as_user(user: str, argv: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program as an account; it may fail."""
    return subprocess.run(
        ["runuser", "-u", user, "--", *argv], env=machine.system_environment() | (env or {}), cwd="/",
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
