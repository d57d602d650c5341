"""Puts the extension's parts into a Jupyter server: routes, provisioner, warm pool."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
from typing import Any

from jupyter_server.utils import url_path_join

from simdeck_deck.server_extension import aiidalab, apps, kernels, late
from simdeck_deck.server_extension.assets import AssetHandler, LabextensionHandler
from simdeck_deck.server_extension.command_pages import CommandHandler, ProgramHandler
from simdeck_deck.server_extension.commands import Programs
from simdeck_deck.server_extension.config import Settings
from simdeck_deck.server_extension.frontend import Frontend
from simdeck_deck.server_extension.open_pages import OpenPages, connections_of, hear_connections
from simdeck_deck.server_extension.page import CloseHandler, PageHandler, StayHandler
from simdeck_deck.server_extension.pool import WarmPool
from simdeck_deck.server_extension.routing import OfKind
from simdeck_deck.server_extension.static_pages import StaticHandler
from simdeck_deck.server_extension.walltime import HOOKS, Walltime

SETTING = "simdeck_deck"


def load(server_app: Any) -> None:
    """Add the routes below ``deck/`` and the provisioner of app kernels."""
    settings = Settings.from_environment()
    pool = WarmPool(limit=settings.warm_apps, spare=settings.warm_spare, log=server_app.log)
    frontend = Frontend()
    pages = OpenPages(settings.reattach, settings.absent)
    hear_connections(server_app.kernel_manager, pages)
    kernels.install(pool, settings.apps, server_app.kernel_manager)
    walltime = Walltime(settings.job_ends, settings.warn_seconds)
    server_app.web_app.settings[SETTING] = {
        "settings": settings, "pool": pool, "frontend": frontend, "pages": pages, "walltime": walltime,
    }  # fmt: skip
    # Called by whoever hears the scheduler's warning (simdeck_spawners.server).
    server_app.web_app.settings.setdefault(HOOKS, []).append(
        lambda ends: walltime.warn(server_app.kernel_manager, server_app.log, ends)
    )
    base = url_path_join(server_app.web_app.settings["base_url"], "deck")
    programs = Programs(
        pool.make_folder,
        settings.apps / ".logs",
        idle_seconds=settings.command_idle,
        start_seconds=settings.command_start,
        log=server_app.log,
    )
    server_app.web_app.settings[SETTING]["programs"] = programs
    common = {"settings": settings, "frontend": frontend}
    page = {**common, "pages": pages, "walltime": walltime}
    server_app.web_app.add_handlers(
        ".*$",
        [
            (f"{base}/static/([0-9a-f]+)/(.+)", AssetHandler, {"frontend": frontend}),
            (f"{base}/labextensions/([^/]+)/[0-9a-f]+/(.+)", LabextensionHandler, common),
            (f"{base}/api/close/([0-9a-f-]+)", CloseHandler, {"pages": pages}),
            (f"{server_app.web_app.settings['base_url']}voila/api/shutdown/.*", StayHandler),
            (f"{base}/api/program/([^/]+)", ProgramHandler, {"programs": programs}),
            (OfKind(f"{base}/([^/]+)/(.*)$", settings, "command"), CommandHandler, {**page, "programs": programs}),
            (OfKind(f"{base}/([^/]+)/(.*)$", settings, "aiidalab"), aiidalab.ElsewhereHandler, page),
            (OfKind(f"{base}/([^/]+)/(.*)$", settings, "static"), StaticHandler, common),
            (f"{base}/([^/]+)", PageHandler, {**page, "redirect": True}),
            (f"{base}/([^/]+)/", PageHandler, page),
            (f"{base}/([^/]+)/([^/]+)", PageHandler, page),
            *aiidalab.routes(server_app.web_app.settings["base_url"], settings, page),
        ],
    )
    mine = server_app.web_app.settings[SETTING]
    mine["held"] = late.hold(server_app) if settings.late else None
    atexit.register(_end_parents, pool)
    atexit.register(programs.kill_all)


async def start(server_app: Any) -> None:
    """Once the server listens: warm the apps most recently installed."""
    mine = server_app.web_app.settings.get(SETTING)
    if mine is None:
        return
    settings: Settings = mine["settings"]
    # Looks at many files, on a shared file system slowly: beside the first requests, not before them.
    mine["looking"] = asyncio.ensure_future(asyncio.to_thread(lambda: mine["frontend"].hash))
    if settings.late:
        mine["late"] = asyncio.ensure_future(late.load(server_app, settings.late, mine["held"]))
    mine["clock"] = asyncio.ensure_future(mine["walltime"].watch(server_app.kernel_manager, server_app.log))
    mine["watch"] = asyncio.ensure_future(watch_pages(server_app.kernel_manager, mine["pages"]))
    mine["programs_watch"] = asyncio.ensure_future(mine["programs"].watch())
    for name in reversed(apps.installed(settings.apps)[: settings.warm_apps]):
        with contextlib.suppress(apps.NoPageError):
            mine["pool"].warm(apps.read(settings.apps, name))


async def watch_pages(kernel_manager: Any, pages: OpenPages) -> None:
    """End kernels of pages that were left, or went away without saying so, and that nobody came back to."""
    while True:
        await asyncio.sleep(min(15.0, max(0.2, min(pages.reattach, pages.absent) / 4)))
        for kernel_id in pages.ended(connections_of(kernel_manager)):
            with contextlib.suppress(Exception):
                await kernels.end_kernel(kernel_manager, kernel_id)


def _end_parents(pool: WarmPool) -> None:
    """At exit: the loop is gone, so end the warm parents by signal; their kernels go with them."""
    for pid in pool.pids():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    pool.remove_folder()
