"""A real Jupyter server with the extension, serving installed apps that this test makes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))
TOKEN = "test-token"


@dataclass
class Server:
    """A running server; ``address`` ends in the user's prefix."""

    address: str
    apps: Path
    process: subprocess.Popen[bytes]

    def get(self, path: str, **more: object) -> httpx.Response:
        headers = {"Authorization": f"token {TOKEN}"}
        return httpx.get(self.address + path, headers=headers, timeout=60, **more)  # type: ignore[arg-type]

    def kernels(self) -> list[str]:
        return [kernel["id"] for kernel in self.get("api/kernels").json()]

    def until(self, condition: Callable[[], bool], seconds: float = 90) -> None:
        """Wait, bounded, for something to become true."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("it did not happen in time")
            time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server, with warm kernels for the apps installed before it starts; a site's modules gave it packages of theirs."""
    root = tmp_path_factory.mktemp("jupyter")
    with running(root, _install(root / "apps"), PYTHONPATH="/nowhere/python-of-the-server") as found:
        yield found


@pytest.fixture(scope="module")
def ending_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in a job that ends in two hours; ``POST test/warn?ends=`` stands for the scheduler's signal."""
    from installed_apps import install_app

    root = tmp_path_factory.mktemp("job")
    apps = _install(root / "apps")
    saver = (
        "import anywidget, traitlets, ipywidgets\n"
        "from simdeck_widgets.layout import Text, card\n"
        "from simdeck_widgets.walltime import on_walltime_warning\n"
        "text = Text(heading='A calculation', text='nothing saved', button='Run')\n"
        "on_walltime_warning(lambda left: setattr(text, 'text', f'saved with {left:.0f} s left'))\n"
        "ipywidgets.VBox([card(text), *[card(Text(heading=f'Part {n}', text='More of the page. ' * 20)) for n in range(6)]])"
    )
    install_app(apps, "saver", [saver], title="Molecule")
    more = {
        "SIMDECK_JOB_ENDS": str(int(time.time()) + 7200),
        "SIMDECK_LATE_EXTENSIONS": "jupyterlab",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    with running(root, apps, "warn_by_request", **more) as found:
        yield found


def _install(apps: Path) -> Path:
    from installed_apps import install_app

    shown = (
        "import os, anywidget, traitlets, ipywidgets\n"
        "class Hello(anywidget.AnyWidget):\n"
        '    _esm = \'export default { render({ model, el }) { const draw = () => { el.textContent = model.get("text"); };'
        ' model.on("change:text", draw); el.onclick = () => model.send({ type: "click" }); el.className = "hello"; draw(); } }\'\n'
        "    text = traitlets.Unicode().tag(sync=True)\n"
        "hello = Hello(text=' '.join(os.environ.get(n, '-') for n in"
        " ('QUERY_STRING', 'SIMDECK_APP', 'SIMDECK_APP_VERSION', 'SIMDECK_API', 'JUPYTERHUB_API_TOKEN')))\n"
        "hello.on_msg(lambda w, m, b: setattr(w, 'text', 'clicked'))\n"
        "ipywidgets.VBox([hello])"
    )
    install_app(apps, "hello", [shown], warm=["ipywidgets", "anywidget"], title="Hello <you>")
    install_app(apps, "slider", ["import ipywidgets\nipywidgets.IntSlider(description='n')"])
    install_app(apps, "broken", ["1 / 0"])
    install_app(apps, "dies", ["import os\nos._exit(3)"])
    # The app installed last is the one kept warm.
    (apps / "hello" / ".current").symlink_to("versions/1.0")
    (apps / "hello" / ".current").replace(apps / "hello" / "current")
    return apps


@contextmanager
def running(root: Path, apps: Path, *extensions: str, **more: str) -> Iterator[Server]:
    """A Jupyter server with our extension and ``extensions``, and ``more`` in its environment."""
    port = _free_port()
    env = {
        **os.environ,
        "SIMDECK_APPS_DIR": str(apps),
        "SIMDECK_API": "http://127.0.0.1:1/api/v1",
        "SIMDECK_WARM_APPS": "1",
        "SIMDECK_REATTACH_SECONDS": "0",
        "JUPYTERHUB_API_TOKEN": "secret-of-the-server",
        "JUPYTER_PATH": str(apps / ".jupyter"),
        **{f"JUPYTER_{name}_DIR": str(root / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")},
    }
    env.pop("JUPYTERHUB_BASE_URL", None)
    env.pop("SIMDECK_JOB_ENDS", None)
    env |= more
    argv = [
        sys.executable, "-m", "jupyter_server", "--allow-root", f"--port={port}", "--port-retries=0", "--no-browser",
        f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={root}", "--ServerApp.base_url=/user/ada/",
        *[f"--ServerApp.jpserver_extensions={name}=True" for name in ("simdeck_deck.server_extension", *extensions)],
        # Pages need nothing of Voilà's own extension, which costs a server an eighth of its start.
        "--ServerApp.jpserver_extensions=voila.server_extension=False",
        *["--ServerApp.jpserver_extensions=jupyterlab=False"] * ("SIMDECK_LATE_EXTENSIONS" in more),
    ]  # fmt: skip
    with (root / "server.log").open("wb") as log:
        process = subprocess.Popen(argv, env=env, stdout=log, stderr=log, cwd=root)
    found = Server(f"http://127.0.0.1:{port}/user/ada/", apps, process)
    try:
        found.until(lambda: _answers(found), 120)
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _answers(server: Server) -> bool:
    try:
        return server.get("api/status").status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
