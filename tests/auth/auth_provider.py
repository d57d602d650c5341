"""Starts the real OpenID provider of ``provider.mjs`` for tests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType

import httpx
from simdeck_common.problems import Problem
from simdeck_hub.places import Checkout
from simdeck_hub.ports import free_ports
from stack import wait_for

SECRET = "the-client-secret-of-the-tests"
SCRIPT = Path(__file__).with_name("provider.mjs")


def missing() -> str | None:
    """Return in one line why the provider cannot run here, or ``None``."""
    checkout = Checkout.find()
    if not (checkout.root / "node_modules" / "oidc-provider" / "package.json").exists():
        return "npm's oidc-provider is missing; `make dev` installs it"
    try:
        node = checkout.node()
    except Problem as problem:
        return problem.detail
    version = subprocess.run([str(node), "--version"], capture_output=True, text=True, check=True).stdout
    return (
        None if int(version.lstrip("v").split(".")[0]) >= 20 else f"oidc-provider needs Node.js 20; here is {version}"
    )


class Provider:
    """One provider process; ``hub`` is the address of the hub it knows as its client."""

    def __init__(self, folder: Path, hub: str, *, method: str = "client_secret_post", pkce: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_ports(1)[0]
        self.log = folder / "requests.log"
        self.output = folder / "provider.log"
        self.settings = folder / "provider.json"
        self.settings.write_text(
            json.dumps({
                "port": self.port, "hub": hub, "secret": SECRET, "method": method, "pkce": pkce, "log": str(self.log),
            }),
            encoding="utf-8",
        )  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Provider:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [str(Checkout.find().node()), str(SCRIPT), str(self.settings)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

        def answers() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.output.read_text(encoding="utf-8")
            try:
                return httpx.get(f"{self.issuer}/.well-known/openid-configuration", trust_env=False).is_success
            except httpx.HTTPError:
                return False

        wait_for("the OpenID provider", answers, 300.0)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def requests(self) -> list[str]:
        """Return what it was asked: ``METHOD /path`` and, for sign-ins, the query."""
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    def break_endpoint(self, name: str) -> None:
        """Have ``/name`` answer 500 from now on; an empty name mends it."""
        httpx.get(f"{self.issuer}/test/break/{name}", trust_env=False).raise_for_status()

    def __enter__(self) -> Provider:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
