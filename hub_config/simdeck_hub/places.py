"""Where things are: the checkout (code, environments, locks) and the data folder (everything that must be kept).

Environments belong to the checkout, so several data folders (a trial, the tests) share them; nothing in a data folder
depends on where the checkout lies.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem


@dataclass(frozen=True)
class Checkout:
    """The folder that holds the code, ``locks/``, ``registry/`` and the environments made by ``make up``."""

    root: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> Checkout:
        """Return the checkout this package runs from; ``SIMDECK_CHECKOUT`` names another."""
        named = environ.get("SIMDECK_CHECKOUT")
        if named:
            return cls(Path(named).resolve())
        sources = Path(__file__).resolve().parents[2]
        # Installed as a wheel: the environment stands in a prefix that has a checkout's layout.
        return cls(sources if (sources / "pyproject.toml").is_file() else Path(sys.prefix).resolve().parent)

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    @property
    def own_wheel(self) -> Path | None:
        """Simdeck itself as a wheel, in a prefix; a checkout builds its own."""
        return next(iter(sorted((self.root / "wheels").glob("simdeck-*.whl"))), None)

    @property
    def backend_python(self) -> Path:
        """The Python of the workflow backend's environment (AiiDA)."""
        return self.root / ".simdeck" / "envs" / "backend" / "bin" / "python"

    @property
    def proxy_script(self) -> Path:
        return self.root / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"

    def node(self) -> Path:
        """Return the Node.js that ``make up`` chose, else the one on ``PATH``.

        Raises
        ------
        Problem
            ``environment-missing``: there is none.
        """
        noted = self.root / ".simdeck" / "tools" / "node.json"
        candidates: list[str | None] = []
        if noted.is_file():
            candidates.append(json.loads(noted.read_text(encoding="utf-8")).get("node"))
        candidates.append(shutil.which("node"))
        for candidate in candidates:
            if candidate and Path(candidate).is_file():
                return Path(candidate)
        raise Problem("environment-missing", what="Node.js")

    def check(self) -> None:
        """Raise ``environment-missing`` naming the first environment that ``make up`` has not made yet."""
        for what, path in (
            ("the workflow backend's environment", self.backend_python),
            ("the hub's proxy", self.proxy_script),
        ):
            if not path.exists():
                raise Problem("environment-missing", what=what)
        self.node()


@dataclass(frozen=True)
class DataFolder:
    """The folder that holds everything kept: ``SIMDECK_DATA``, by default ``.simdeck`` in the checkout."""

    root: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ, checkout: Checkout | None = None) -> DataFolder:
        named = environ.get("SIMDECK_DATA")
        if named:
            return cls(Path(named).expanduser().resolve())
        return cls((checkout or Checkout.find(environ)).root / ".simdeck")

    def make(self, *, on_site: bool = False) -> None:
        """Make the folder and its parts, each for the owner alone (mode 700).

        On a site users' processes read ``agent.json``, the registry and ``public/``: the folder itself can be passed
        through (711), what is private in it cannot be entered.

        Raises
        ------
        Problem
            ``data-folder``: it cannot be made, or belongs to somebody else.
        """
        try:
            for folder in (self.root, self.hub, self.private, self.logs, self.users, self.agents):
                private_dir(folder)
            if on_site:
                self.public.mkdir(exist_ok=True)
                self.public.chmod(0o755)
                self.root.chmod(0o711)
        except OSError as error:
            raise Problem("data-folder", folder=self.root, reason=error.strerror or str(error)) from error

    @property
    def instance(self) -> str:
        """The id every process of this data folder carries in ``SIMDECK_INSTANCE``."""
        return hashlib.sha256(f"{os.getuid()}:{self.root.resolve()}".encode()).hexdigest()[:16]

    @property
    def hub(self) -> Path:
        return self.root / "hub"

    @property
    def private(self) -> Path:
        return self.root / "private"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def users(self) -> Path:
        return self.root / "users"

    @property
    def agents(self) -> Path:
        """Sockets of users' agents, on a site."""
        return self.root / "agents"

    @property
    def public(self) -> Path:
        """What every user may read, on a site: the clusters' numbers."""
        return self.root / "public"

    @property
    def built_registry(self) -> Path:
        return self.root / "registry"

    @property
    def agent_settings(self) -> Path:
        return self.root / "agent.json"

    @property
    def site_file(self) -> Path:
        return self.root / "site.toml"

    @property
    def runtime(self) -> Path:
        """What `simdeck up` tells the hub's configuration: ports and where to listen. No secrets."""
        return self.hub / "runtime.json"

    @property
    def lock(self) -> Path:
        return self.root / "up.lock"

    @property
    def state(self) -> Path:
        """What the running `simdeck up` tells other commands: pid, address, since when."""
        return self.root / "up.json"

    def cli_token(self, user: str) -> Path:
        return self.private / f"cli-token-{user}"


def hub_python() -> Path:
    """Return the Python of the hub's environment: the one this runs in, not resolved through its symlink."""
    return Path(sys.executable)
