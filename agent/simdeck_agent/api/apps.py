"""Installed apps: list, install, roll back, remove. Changes are tasks (202); follow them at ``/tasks/{id}/events``."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel
from simdeck_appstore import policy
from simdeck_appstore.models import InstalledApp
from simdeck_appstore.usage import AppUsage, GenerationUsage
from simdeck_common.problems import Problem

from simdeck_agent.api.parts import Agent, agent_of, declare, groups_of, in_thread, refusals
from simdeck_agent.models import InstallRequest, PinRequest, Task, TaskKind
from simdeck_agent.tasks import check_unused

router = APIRouter(tags=["apps"])


class InstalledApps(BaseModel):
    """The caller's installed apps, by title."""

    items: list[InstalledApp]


class AppsUsage(BaseModel):
    """What the caller's apps take on disk, largest first; ``own`` is what removing them would give back at once.

    ``generations``: the workflow backend's environments with what the apps' workflows need, newest first.
    """

    items: list[AppUsage]
    generations: list[GenerationUsage] = []
    size: int
    own: int


@router.get("/apps", **declare("apps:read"))
async def list_apps(agent: Agent = Depends(agent_of)) -> InstalledApps:
    """List the installed apps."""
    found = await in_thread(agent.installer.installed)
    return InstalledApps(items=[await in_thread(agent.pins.shown, app) for app in found])


@router.get("/usage/apps", **declare("apps:read"))
async def apps_usage(agent: Agent = Depends(agent_of)) -> AppsUsage:
    """Tell how much disk each installed app takes, in bytes. What is installed for everybody counts for nobody."""
    items = await in_thread(agent.installer.usage)
    generations = await in_thread(agent.installer.backend_usage)
    return AppsUsage(
        items=items, generations=generations, size=sum(item.size for item in items), own=sum(item.own for item in items)
    )


@router.get("/apps/{app}", responses=refusals(404), **declare("apps:read"))
async def get_app(app: str, agent: Agent = Depends(agent_of)) -> InstalledApp:
    """Show one installed app."""
    return await in_thread(agent.pins.shown, await in_thread(agent.installer.get, app))


@router.post("/apps/{app}/install", status_code=202, responses=refusals(403, 404, 409, 422), **declare("apps:install"))
async def install_app(
    app: str,
    response: Response,
    wanted: InstallRequest | None = None,
    agent: Agent = Depends(agent_of),
    groups: frozenset[str] = Depends(groups_of),
) -> Task:
    """Install an app, or update it, in the newest or the named version. Only what the site offers the caller.

    `beside` leaves the version in use as it is. A pinned app (409) takes another version only so.
    """
    version = wanted.version if wanted else None
    beside = wanted is not None and wanted.beside
    if not beside:
        await in_thread(agent.pins.check, app, version)
    mine = version is not None and await in_thread(_has, agent, app, version)
    if not mine:
        policy.check(agent.policy, app, version, groups)
        version = await in_thread(agent.installer.version_for, app, version, groups)
    return await _begin(agent, response, "add" if beside else "install", app, version)


@router.post("/apps/{app}/rollback", status_code=202, responses=refusals(404, 409), **declare("apps:install"))
async def roll_back_app(app: str, response: Response, agent: Agent = Depends(agent_of)) -> Task:
    """Go back to the version that was current before."""
    await in_thread(agent.installer.get, app)
    await in_thread(agent.pins.check, app)
    return await _begin(agent, response, "rollback", app)


@router.delete("/apps/{app}", status_code=202, responses=refusals(404, 409), **declare("apps:install"))
async def remove_app(
    app: str, response: Response, version: str | None = None, agent: Agent = Depends(agent_of)
) -> Task:
    """Remove an app, or one version of it. Refused (409) while runs of it have not ended, or if it is for everybody."""
    found = await in_thread(agent.installer.get, app)
    if version in found.site_versions or (version is None and set(found.versions) == set(found.site_versions)):
        raise Problem("app-site-wide", field="version" if version else "app", app=app)
    await in_thread(check_unused, agent.backend, app, version)
    await in_thread(agent.pins.forget, app, version)
    return await _begin(agent, response, "remove", app, version)


@router.put("/apps/{app}/pin", responses=refusals(404, 422), **declare("apps:install"))
async def pin_app(app: str, wanted: PinRequest, agent: Agent = Depends(agent_of)) -> InstalledApp:
    """Keep an app at the version in use: no updates are offered, and no other takes its place."""
    found = await in_thread(agent.installer.get, app)
    if wanted.version != found.current:
        raise Problem("pin-not-current", field="version", app=app, version=wanted.version, current=found.current)
    await in_thread(agent.pins.set, app, wanted.version)
    return await in_thread(agent.pins.shown, found)


@router.delete("/apps/{app}/pin", responses=refusals(404), **declare("apps:install"))
async def unpin_app(app: str, agent: Agent = Depends(agent_of)) -> InstalledApp:
    """Let the app follow the store again."""
    found = await in_thread(agent.installer.get, app)
    await in_thread(agent.pins.set, app, None)
    return found


def _has(agent: Agent, app: str, version: str) -> bool:
    """Say whether the caller has this version: switching to it needs nobody's leave."""
    return any(one.id == app and version in one.versions for one in agent.installer.installed())


async def _begin(agent: Agent, response: Response, kind: TaskKind, app: str, version: str | None = None) -> Task:
    await in_thread(agent.mark)
    task = await in_thread(agent.tasks.submit, kind, app, version)
    response.headers["Location"] = f"/tasks/{task.id}"
    return task
