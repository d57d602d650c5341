"""A real JupyterHub process with nothing but Simdeck's sign-in, and a browser made of httpx."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from simdeck_hub.places import Checkout, DataFolder
from simdeck_hub.ports import free_ports
from stack import wait_for

CONFIG = Path(__file__).with_name("auth_hub_config.py")
LISTER = "token-of-the-service-that-lists-users"


class Hub:
    """One hub with its proxy; ``auth`` is the site file's ``[auth]`` as a dictionary."""

    def __init__(self, folder: Path) -> None:
        self.data = DataFolder(folder / "data")
        self.data.make()
        self.port, self.api_port, self.hub_port = free_ports(3)
        self.output = folder / "hub.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.user_name: str | None = None
        """The Unix user it runs as, where that is another (needs root)."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, auth: dict[str, Any], **more: Any) -> Hub:
        """Start and wait until it answers; ``more``: users, admins, groups, unix_accounts, unix_group."""
        self.launch(auth, **more)

        def answers() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            try:
                return httpx.get(f"{self.url}/hub/login", trust_env=False).status_code == 200
            except httpx.HTTPError:
                return False

        wait_for("the hub", answers, 300.0)
        return self

    def launch(self, auth: dict[str, Any], **more: Any) -> None:
        """Start and do not wait."""
        settings = {"auth": auth, "ports": [self.port, self.api_port, self.hub_port], **more}
        (self.data.root / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        (self.data.root / "settings.json").chmod(0o644)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTERHUB_", "SIMDECK_"))}
        environment = kept | {"SIMDECK_DATA": str(self.data.root), "NODE": str(Checkout.find().node())}
        argv = [sys.executable, "-m", "jupyterhub", "-f", str(CONFIG)]
        if self.user_name:
            argv = ["setpriv", f"--reuid={self.user_name}", f"--regid={self.user_name}", "--init-groups", *argv]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                argv,
                env=environment, cwd=self.data.root, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None

    def log(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def user(self, name: str) -> dict[str, Any]:
        """Return what the hub knows of a user; empty for none."""
        answer = httpx.get(
            f"{self.url}/hub/api/users/{name}", headers={"Authorization": f"token {LISTER}"}, trust_env=False
        )
        return dict(answer.json()) if answer.status_code == 200 else {}

    def __enter__(self) -> Hub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Browser:
    """One person's browser: cookies, redirects, forms. ``hub`` is whatever has an ``url``."""

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.client = httpx.Client(
            follow_redirects=True, trust_env=False, timeout=30, headers={"Sec-Fetch-Mode": "navigate"}
        )

    def get(self, address: str) -> httpx.Response:
        """Open an address; a path is one of the hub."""
        return self.client.get(address if address.startswith("http") else f"{self.hub.url}{address}")

    def sign_in_as(self, person: str, start: str = "/hub/oauth_login") -> httpx.Response:
        """Go to the provider and click ``person`` there; return the page the hub shows then."""
        page = self.get(start)
        if "Who are you?" not in page.text:
            return page
        found = re.search(rf'href="([^"]+/as/{person})"', page.text)
        assert found, page.text
        return self.carry_on(self.client.get(str(page.url.join(found.group(1)))))

    def carry_on(self, page: httpx.Response) -> httpx.Response:
        """Send the form of a page that sends itself by script (the provider ends an earlier person's session)."""
        form = re.search(r'<form method="post" action="([^"]+)"', page.text)
        if not form or page.url.path.startswith("/hub/"):
            return page
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        return self.client.post(str(page.url.join(unescape(form.group(1)))), data=fields)

    def password(self, name: str, password: str) -> httpx.Response:
        """Fill the hub's form."""
        page = self.get("/hub/login")
        found = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
        assert found, page.text
        return self.client.post(
            f"{self.hub.url}/hub/login", data={"_xsrf": found.group(1), "username": name, "password": password}
        )

    def signed_in(self) -> str | None:
        """Return the hub user this browser is signed in as."""
        page = self.get("/hub/home")
        found = re.search(r'class="simdeck-user"[^>]*>([^<]+)<', page.text)
        return found.group(1) if found else None


def refusal(page: httpx.Response) -> str:
    """Return the refusal a sign-in page shows."""
    found = re.search(r'class="[^"]*login_error[^"]*"[^>]*>([^<]+)<', page.text)
    assert found, page.text
    return " ".join(unescape(found.group(1)).split())
