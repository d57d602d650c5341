"""A user's home, a launcher's configuration and a Slurm that writes down what it was asked."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from simdeck_clusters.launcher import simdeck_launch as launch

COMMAND = """#!{python}
import json, os, sys
said = {{"argv": sys.argv[1:], "input": sys.stdin.read(), "environment": dict(os.environ), "folder": os.getcwd()}}
open({record!r}, "w").write(json.dumps(said))
print({answer!r})
sys.exit({status})
"""


@dataclass
class Side:
    """One user's side: ``run("read", "a")`` does what the program does after its checks of who runs it."""

    account: launch.Account
    config: launch.Config
    record: Path
    give: Callable[[bytes], None]

    @property
    def servers(self) -> Path:
        return Path(self.account.home) / ".simdeck" / "servers"

    def run(self, *argv: str, given: bytes | str = b"") -> int:
        self.give(given.encode() if isinstance(given, str) else given)
        verb, arguments = launch.checked(list(argv))
        return launch.perform(verb, arguments, self.account, self.config)

    def asked(self) -> dict[str, Any]:
        """Return what the last Slurm command was started with."""
        said: dict[str, Any] = json.loads(self.record.read_text())
        return said


def command(path: Path, record: Path, answer: str = "4711", status: int = 0) -> None:
    path.write_text(COMMAND.format(python=sys.executable, record=str(record), answer=answer, status=status))
    path.chmod(0o755)


@pytest.fixture
def side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    home, commands, record = tmp_path / "home", tmp_path / "bin", tmp_path / "asked.json"
    home.mkdir()
    commands.mkdir()
    for name in ("sbatch", "scancel"):
        command(commands / name, record)
    config = launch.Config(
        service_uid=1,
        minimum_uid=1000,
        path="/usr/bin:/bin",
        environment={"SITE": "here"},
        agent=[sys.executable, "-I", "-m", "simdeck_agent"],
        clusters={
            "main": {"bin": str(commands), "conf": ""},
            "other": {"bin": str(commands), "conf": "/etc/slurm-other/slurm.conf"},
        },
        seconds=30,
    )

    def give(text: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))

    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "of-the-service")
    return Side(launch.Account("alice", os.getuid(), str(home)), config, record, give)
