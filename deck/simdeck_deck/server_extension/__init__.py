"""The Jupyter server extension that opens apps: ``/user/<name>/deck/<app>/`` is that app's page.

Enabled in jupyterhub-singleuser with ``--ServerApp.jpserver_extensions="{'simdeck_deck.server_extension': True}"``. The
files, in the order a page takes: :mod:`.apps` (what is installed), :mod:`.page` (the handler), :mod:`.execute` (running
the notebook), :mod:`.frontend` (Voilà's scripts and what the page loads of them), :mod:`.kernels` and :mod:`.pool` with
:mod:`.forkserver` (kernels that are warm before the page asks), :mod:`.walltime` (the end of the server's job),
:mod:`.late` (what is loaded when the server answers already).
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "simdeck_deck.server_extension"}]


def _load_jupyter_server_extension(server_app: Any) -> None:
    # Imported late: the deck service imports this package's parent without Jupyter.
    from simdeck_deck.server_extension.extension import load

    load(server_app)


async def _start_jupyter_server_extension(server_app: Any) -> None:
    from simdeck_deck.server_extension.extension import start

    await start(server_app)
