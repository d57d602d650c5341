"""Apps from the command line: what is installed, and installing."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
import httpx
from simdeck_common.problems import Problem
from simdeck_workflows.client.requests import EventParser

from simdeck_hub import cli_show
from simdeck_hub.cli_client import rest
from simdeck_hub.cli_finding import JSON, USER


@click.command()
@JSON
@USER
def apps(as_json: bool, user: str) -> None:
    """List the installed apps."""
    with rest() as api:
        items = api.get("apps").json()["items"]
    if as_json:
        cli_show.print_json(items)
        return
    rows = [(app["id"], str(app["current"]), app["title"], ", ".join(app.get("workflows", []))) for app in items]
    cli_show.console().print(
        cli_show.table(("App", "Version", "Title", "Workflows"), rows)
        if rows
        else "No apps installed yet. See `simdeck store`."
    )


@click.command()
@click.argument("query", required=False, default="")
@JSON
@USER
def store(query: str, as_json: bool, user: str) -> None:
    """Search the store."""
    with rest() as api:
        items = api.get("store", params={"q": query} if query else {}).json()["items"]
    if as_json:
        cli_show.print_json(items)
        return
    rows = [(app["id"], str(app.get("title", "")), str(app.get("summary", ""))) for app in items]
    cli_show.console().print(
        cli_show.table(("App", "Title", "Summary"), rows) if rows else "The store has no such app."
    )


@click.command()
@click.argument("app")
@click.option("--version", help="A version; else the newest.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it is ready, showing its steps.")
@JSON
@USER
def install(app: str, version: str | None, wait: bool, as_json: bool, user: str) -> None:
    """Install or update APP from the store."""
    with rest() as api:
        task = api.post(f"apps/{app}/install", json={"version": version} if version else {}).json()
        if wait:
            task = follow(api, task, quiet=as_json)
    if as_json:
        cli_show.print_json(task)
    elif not wait:
        click.echo(f"Task {task['id']} {task['state']}.")
    if task["state"] in {"failed", "cancelled"}:
        if task.get("problem") and not as_json:
            cli_show.say_refusal(Problem.from_json(task["problem"]))
        sys.exit(1)
    if wait and not as_json:
        click.echo(f"{app} {task.get('version') or ''} is ready.".replace("  ", " "))


def follow(api: httpx.Client, task: dict[str, Any], quiet: bool) -> dict[str, Any]:
    """Follow a task's events until it has ended; return it as it then is."""
    out = cli_show.console(error=True)
    parser = EventParser()
    with api.stream("GET", f"tasks/{task['id']}/events", headers={"Accept": "text/event-stream"}) as stream:
        for text in stream.iter_text():
            for _, kind, data in parser.feed(text):
                if kind == "step" and not quiet:
                    step = json.loads(data)
                    step = step.get("data", step)
                    if step.get("message"):
                        out.print(f"  {step.get('step', '')}: {step['message']}")
    return dict(api.get(f"tasks/{task['id']}").json())


COMMANDS = [apps, store, install]
