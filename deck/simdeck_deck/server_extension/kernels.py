"""The kernel provisioner of app kernels: hands out a waiting warm kernel, or starts one cold.

It serves app pages, JupyterLab and notebooks alike, because it sits where jupyter_client starts kernels. Kernels that
are not an app's go straight through to jupyter_client's own provisioner.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from concurrent.futures import Future
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from jupyter_core.utils import ensure_async
from simdeck_common import guests
from tornado.web import HTTPError

from simdeck_deck.server_extension import aiida_profile, apps
from simdeck_deck.server_extension.pool import WarmKernel, WarmPool

NAME = "simdeck-warm"


class WarmProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Provisions ``simdeck-<app>`` kernels from the pool of the running server."""

    pool: WarmPool | None = None
    folder: Path | None = None
    """Pool and apps folder of this server process; set by :func:`install`."""

    _warm: WarmKernel | None = None
    _launched = False
    _held: int | None = None
    """Keeps a guest version of an app where it is while this kernel lives."""

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        app = self._app(kwargs.get("env") or {})
        if app is not None and self._held is None:
            self._held = await asyncio.to_thread(guests.hold, app.env.parent)
        if app is not None and app.beside:
            # What Jupyter found under the kernel's name is the version in use.
            self.kernel_spec = self.parent._kernel_spec = KernelSpec.from_resource_dir(str(app.env.parent / "kernel"))
        if app is not None:
            # JupyterLab's kernels of this app too; what a page said of itself stays.
            given = apps.own_packages_alone(kwargs.get("env") or os.environ)
            kwargs["env"] = given | {k: v for k, v in app.environment.items() if k != "SIMDECK_PAGE" or k not in given}
        if app is not None and app.environment:
            await self._make_profile(app, kwargs["env"])
        # A restart keeps the connection its clients know, so it starts cold on the same sockets.
        self._warm = None if self._launched or kwargs.get("extra_arguments") else self._take(app)
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
        if not restart and self._held is not None:
            os.close(self._held)
            self._held = None
        if not restart and self._warm is not None:
            await asyncio.to_thread(self._warm.clean)

    def _app(self, env: Mapping[str, str]) -> apps.AppPage | None:
        """The app whose kernel this is, in the version that the page in ``env`` is of."""
        if self.folder is None:
            return None
        app = apps.app_of_kernel(self.folder, getattr(self.parent, "kernel_name", "") or "")
        if app is not None and env.get("SIMDECK_APP") == app and env.get("SIMDECK_APP_VERSION"):
            app = f"{app}@{env['SIMDECK_APP_VERSION']}"
        try:
            return apps.read(self.folder, app) if app is not None else None
        except (apps.NoPageError, OSError) as error:
            self.log.warning("The kernel of %s starts cold: %s", app, error)
            return None

    async def _make_profile(self, app: apps.AppPage, env: dict[str, str]) -> None:
        """See that the AiiDA profile is there that the app is told of."""
        assert self.folder is not None
        if folder := env.get("AIIDA_PATH"):
            await asyncio.to_thread(aiida_profile.make_folder, Path(folder))
        profile = await asyncio.to_thread(aiida_profile.profile_of, self.folder)
        if env.get("AIIDA_PATH") == str(profile.folder) and not await aiida_profile.make(app.python, profile):
            self.log.warning("There is no AiiDA profile for %s: it could not be made", app.id)

    def _take(self, app: apps.AppPage | None) -> WarmKernel | None:
        return self.pool.take(app) if app is not None and not app.beside and self.pool is not None else None


async def end_kernel(manager: Any, kernel_id: str, seconds: float = 30.0) -> None:
    """End a kernel of the server's kernel manager, also one that is just being started anew."""
    if kernel_id not in manager:
        return
    ready = getattr(manager.get_kernel(kernel_id), "ready", None)
    if isinstance(ready, Future):
        # The manager cannot end what it is starting: it asks how the start went.
        pending = asyncio.ensure_future(asyncio.wrap_future(ready))
        await asyncio.wait({pending}, timeout=seconds)
    elif isinstance(ready, asyncio.Future):
        await asyncio.wait({ready}, timeout=seconds)
    with contextlib.suppress(KeyError, HTTPError):
        await ensure_async(manager.shutdown_kernel(kernel_id, now=True))


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
