"""An agent with a backend and an installer in memory, served on a real Unix socket."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from simdeck_agent.app import AgentApp
from simdeck_agent.settings import AgentSettings
from simdeck_agent.testing import FakeBackend, FakeInstaller, FakeLauncher


@dataclass
class Served:
    """A running agent and a client on its socket."""

    app: AgentApp
    client: httpx.AsyncClient
    backend: FakeBackend
    installer: FakeInstaller


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentSettings:
    monkeypatch.setenv("XDG_RUNTIME_DIR", tempfile.gettempdir())
    return AgentSettings(data=tmp_path, backend_python=Path("/nowhere/python"), uv=Path("/nowhere/uv"))


@pytest.fixture
async def agent(settings: AgentSettings) -> AsyncIterator[Served]:
    launcher = FakeLauncher(settings.data / "agent.json", settings)
    launcher.prepare()
    socket = await launcher.ensure("alice")
    app = launcher.agents["alice"]
    installer = app.app.state.agent.installer
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
        yield Served(app, client, launcher.backend("alice"), installer)
        installer.release.set()
    await launcher.stack.aclose()
