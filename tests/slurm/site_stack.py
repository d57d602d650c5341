"""`make site` for tests: under names, a folder and a network of its own, so that a person's own trial is left alone."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from simdeck_hub.hub_api import message_of
from simdeck_hub.ports import free_ports
from simdeck_hub.trial import machine
from simdeck_hub.trial.trial import Options, Trial
from stack import SIGN_IN, missing, wait_for, xsrf

FOLDER = Path("/var/lib/simdeck-trial-test")
ALICE, BOB = "sdt-alice", "sdt-bob"
OPTIONS = Options(folder=FOLDER, users=(ALICE, BOB), service="sdt-service", group="sdt-people")
CLUSTER_FOLDER = Path("/var/lib/simdeck-trial-cluster")
ADA, EMIL = "sdc-ada", "sdc-emil"
# The cluster alone, beside a site that the same session runs.
CLUSTER_OPTIONS = Options(folder=CLUSTER_FOLDER, users=(ADA, EMIL), service="sdc-service", group="sdc-people")
MAIN, OLD = "main", "old"
TWIN_OPTIONS = Options(
    folder=Path("/var/lib/simdeck-trial-twin"), users=("sdm-alice", "sdm-bob"), service="sdm-service", group="sdm-people",
    clusters=(MAIN, OLD),
)  # fmt: skip
START_SECONDS = 480.0
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
    """One whole site. A context manager; what it printed is in ``output``."""

    def __init__(self, folder: Path, extra: str = "", options: Options = OPTIONS) -> None:
        self.options = replace(options, port=free_ports(1)[0], extra=extra)
        self.output = folder / "site.log"
        self.trial = Trial(self.options, say=self._say)
        self.run, self.data = self.trial.run, self.trial.data
        self.passwords: dict[str, str] = {}
        self.url = ""

    def _say(self, text: str) -> None:
        with self.output.open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")

    def start_up(self) -> None:
        """Start `simdeck up` again, on the same cluster, and wait until each of the people can sign in."""
        begin = len(self.said())
        self.trial.start_up()
        self._wait_ready(begin)

    def stop_up(self) -> None:
        """Stop `simdeck up` in order, and nothing else."""
        self.trial.stop_site()

    def _wait_ready(self, begin: int = 0) -> None:
        def signed() -> list[tuple[str, str]] | None:
            found = SIGN_IN.findall(self.said()[begin:])
            up = self.trial.up
            if len(found) < len(self.options.users) and up is not None and up.poll() is not None:
                raise AssertionError(f"simdeck up ended with {up.returncode}")
            return found if len(found) >= len(self.options.users) else None

        try:
            self.passwords = dict(wait_for("the lines that say how to sign in", signed, START_SECONDS))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()}\n{self.logs()}") from None
        address = READY.search(self.said())
        assert address
        self.url = address.group(1)

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace") if self.output.exists() else ""

    def __enter__(self) -> SiteStack:
        self.trial.output = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, self.trial.output)
            stack.enter_context(self.trial)
            self.trial.start_site()
            self._wait_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            sys.stderr.write(self.logs())
        self._stack.close()

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
        """Sign in as a browser does, with a new password; return the client with the session's cookies."""
        password = self.simdeck("password", user).split()[-1]
        client = httpx.Client(base_url=self.url, follow_redirects=True, trust_env=False, timeout=60.0)
        client.get("/hub/login")
        answer = client.post(
            "/hub/login",
            params={"next": "/hub/token"},
            data={"username": user, "password": password, "_xsrf": xsrf(client)},
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
        return self.trial.slurm.slurm(*argv)

    def on(self, node: str, argv: list[str]) -> str:
        """Run a program as root on a compute node; return what it printed."""
        return self.trial.run_on(node, argv)


def as_user(user: str, argv: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program as an account; it may fail."""
    return subprocess.run(
        ["runuser", "-u", user, "--", *argv], env=machine.system_environment() | (env or {}), cwd="/",
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
