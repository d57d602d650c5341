"""The kernel provisioner of app kernels: hands out a waiting warm kernel, or starts one cold.

It serves app pages, JupyterLab and notebooks alike, because it sits where jupyter_client starts kernels. Kernels that
are not an app's go straight through to jupyter_client's own provisioner.
"""

from __future__ import annotations

import asyncio
import os
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from simdeck_deck.server_extension import apps
from simdeck_deck.server_extension.pool import WarmKernel, WarmPool

NAME = "simdeck-warm"


class WarmProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Provisions ``simdeck-<app>`` kernels from the pool of the running server."""

    pool: WarmPool | None = None
    folder: Path | None = None
    """Pool and apps folder of this server process; set by :func:`install`."""

    _warm: WarmKernel | None = None
    _launched = False

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        # A restart keeps the connection its clients know, so it starts cold on the same sockets.
        self._warm = None if self._launched or kwargs.get("extra_arguments") else self._take(kwargs)
        self._launched = True
        if self._warm is None:
            return dict(await super().pre_launch(**kwargs))
        kwargs.pop("extra_arguments", None)
        kwargs.pop("transport_encryption", None)
        return dict(await KernelProvisionerBase.pre_launch(self, cmd=[], **kwargs))

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        kernel = self._warm
        if kernel is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.cwd = str(kwargs.get("cwd") or Path.cwd())
        kernel.go(dict(kwargs.get("env") or os.environ), self.cwd)
        assert kernel.process is not None
        self.process = kernel.process
        self.pid = self.pgid = kernel.process.pid
        self.connection_info = {**kernel.connection, "key": kernel.connection["key"].encode()}
        return self.connection_info

    async def cleanup(self, restart: bool = False) -> None:
        await super().cleanup(restart=restart)
        if not restart and self._warm is not None:
            await asyncio.to_thread(self._warm.clean)

    def _take(self, kwargs: dict[str, Any]) -> WarmKernel | None:
        app = apps.app_of_kernel(getattr(self.parent, "kernel_name", "") or "")
        if app is None or self.pool is None or self.folder is None:
            return None
        try:
            return self.pool.take(apps.read(self.folder, app))
        except (apps.NoPageError, OSError) as error:
            self.log.warning("Starting the kernel of %s cold: %s", app, error)
            return None


def install(pool: WarmPool, folder: Path, parent: Any) -> None:
    """Make this provisioner the one of every kernel that names none, in this server process."""
    WarmProvisioner.pool = pool
    WarmProvisioner.folder = folder
    factory = KernelProvisionerFactory.instance(parent=parent)
    factory.provisioners[NAME] = EntryPoint(
        name=NAME, value=f"{__name__}:{WarmProvisioner.__name__}", group=KernelProvisionerFactory.GROUP_NAME
    )
    if factory.default_provisioner_name == "local-provisioner":
        factory.default_provisioner_name = NAME
