"""Runs from the command line: submit, watch, look at, fetch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from simdeck_common.problems import Problem
from simdeck_workflows.client import Client, Event, Run

from simdeck_hub import cli_inputs, cli_run_sets, cli_show, cli_workflow
from simdeck_hub.cli_client import client
from simdeck_hub.cli_finding import JSON, USER, find

ENDINGS = {"zip": ".zip", "crate": ".crate.zip", "aiida": ".aiida"}


@click.command()
@click.argument("workflow")
@click.option(
    "--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", help="An input; repeatable. A file by its path."
)
@click.option("--title", help="How the run is called in lists.")
@click.option("--wait", is_flag=True, help="Wait until it has ended, showing its progress, and print the result.")
@click.option("--priority", type=click.Choice(["low", "normal", "high"]), default="normal", help="Among your own runs.")
@click.option("--reuse", is_flag=True, help="Take results of identical calculations that were done before.")
@click.option("--webhook", metavar="URL", help="Gets a POST of the ended run.")
@click.option("--email", is_flag=True, help="A mail when it has ended.")
@click.option("--idempotency-key", metavar="KEY", help="Submitting again with the same key returns the same run.")
@JSON
@USER
def run(
    workflow: str,
    inputs: tuple[str, ...],
    title: str | None,
    wait: bool,
    priority: str,
    reuse: bool,
    webhook: str | None,
    email: bool,
    idempotency_key: str | None,
    as_json: bool,
    user: str,
) -> None:
    """Run WORKFLOW, for example: simdeck run molecule.optimize -i structure=water.xyz --wait"""
    with client() as api:
        values = cli_inputs.parse(api.workflow(workflow).input_schema, inputs)
        # The deep check first: a wrong input is refused here, not later in a rejected run.
        api.validate(workflow, values)
        notify = {"webhook": webhook, "email": email} if webhook or email else None
        more = {"priority": priority, "reuse": reuse, "notify": notify}
        made = api.submit(workflow, values, title=title, idempotency_key=idempotency_key, **more)
        if wait:
            made = watch(api, made, quiet=as_json)
        show(api, made, as_json)
        if wait and made.state != "finished":
            sys.exit(1)


def watch(api: Client, made: Run, quiet: bool) -> Run:
    """Wait for the end; show progress on standard error, one live line on a terminal, else plain lines."""
    out = cli_show.console(error=True)
    if quiet:
        return api.wait(made.id)
    out.print(f"Run {made.id} submitted.")
    try:
        if not out.is_terminal:
            return api.wait(made.id, on_event=lambda event: _plain(event))
        with out.status("waiting") as status:

            def show_event(event: Event) -> None:
                text = cli_show.event_text(event)
                if text:
                    status.update(text)

            return api.wait(made.id, on_event=show_event)
    except KeyboardInterrupt:
        out.print(f"\nNot waiting any longer; the run goes on. See: simdeck show {made.id}")
        sys.exit(130)


def _plain(event: Event) -> None:
    text = cli_show.event_text(event)
    if text:
        click.echo(text, err=True)


def show(api: Client, found: Run, as_json: bool) -> None:
    if as_json:
        body: dict[str, Any] = found.model_dump(mode="json", by_alias=True)
        if found.state == "finished":
            body["outputs"] = api.outputs(found.id)
        cli_show.print_json(body)
    else:
        cli_show.print_run(found)
        if found.waiting:
            cli_show.console().print(f"{found.waiting.title}: {found.waiting.detail}", style="yellow")
        if found.reused:
            cli_show.console().print(f"{found.reused} of its calculations were taken from earlier runs.")
        for number, cure in enumerate((found.problem or {}).get("cures", []), start=1):
            cli_show.console().print(f"Cure {number}: {cure['title']} (simdeck retry {found.id[:8]} --cure {number})")


@click.command(name="show")
@click.argument("run_id", metavar="RUN")
@JSON
@USER
def show_run(run_id: str, as_json: bool, user: str) -> None:
    """Show a run: its state and results. RUN is an id or the beginning of one."""
    with client() as api:
        show(api, find(api, run_id), as_json)


@click.command()
@click.option(
    "--limit", "-n", default=20, show_default=True, type=click.IntRange(1, 100), help="How many, newest first."
)
@click.option("--state", help="Only runs in this state.")
@click.option("--workflow", help="Only runs of this workflow.")
@JSON
@USER
def runs(limit: int, state: str | None, workflow: str | None, as_json: bool, user: str) -> None:
    """List runs, newest first."""
    with client() as api:
        items = api.page(limit=limit, state=state, workflow=workflow).items
    if as_json:
        cli_show.print_json([item.model_dump(mode="json", by_alias=True) for item in items])
        return
    rows = [
        (
            item.id[:8],
            f"[{cli_show.STATE_STYLE.get(item.state, '')}]{item.state}[/]",
            cli_show.age(item.created),
            item.workflow,
            item.title,
        )
        for item in items
    ]
    cli_show.console().print(
        cli_show.table(("Run", "State", "Created", "Workflow", "Title"), rows) if rows else "No runs yet."
    )


@click.command()
@click.argument("run_id", metavar="RUN")
@USER
def cancel(run_id: str, user: str) -> None:
    """End a run."""
    with client() as api:
        cli_show.print_run(api.cancel(find(api, run_id).id))


@click.command()
@click.argument("run_id", metavar="RUN")
@JSON
@USER
def outputs(run_id: str, as_json: bool, user: str) -> None:
    """Print the outputs of a run by name, with units."""
    with client() as api:
        found = find(api, run_id)
        values = api.outputs(found.id)
        units = {} if as_json else units_of(api, found)
    if as_json:
        cli_show.print_json(values)
        return
    rows = [(name, cli_show.value_text(value), units.get(name, "")) for name, value in values.items()]
    cli_show.console().print(cli_show.table(("Output", "Value", "Unit"), rows, right=1) if rows else "No outputs yet.")


def units_of(api: Client, found: Run) -> dict[str, str]:
    """Return the units of the workflow's outputs; none when the app is no longer installed."""
    try:
        return {output.name: output.unit or "" for output in api.workflow(found.workflow).outputs}
    except Problem:
        return {}


@click.command()
@click.argument("run_id", metavar="RUN")
@click.argument("path", required=False)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Where to write it; else the present folder.")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["zip", "crate", "aiida"]),
    default="zip",
    help="zip for people, a Workflow Run RO-Crate, or an AiiDA archive.",
)
@USER
def download(run_id: str, path: str | None, output: Path | None, kind: str, user: str) -> None:
    """Fetch a run as a zip (inputs, outputs, files, graph), or its one file PATH."""
    with client() as api:
        found = find(api, run_id)
        if path is None:
            name = f"{found.workflow}-{found.id[:8]}{ENDINGS[kind]}"
            target = output or Path(name)
            if target.is_dir():
                target = target / name
            api.archive(found.id, target, kind=kind)
        else:
            target = output or Path(Path(path).name)
            if target.is_dir():
                target = target / Path(path).name
            target.write_bytes(api.file(found.id, path))
    click.echo(str(target))


@click.command()
@click.argument("name", required=False)
@JSON
@USER
def workflows(name: str | None, as_json: bool, user: str) -> None:
    """List the workflows of the installed apps, or the inputs of one."""
    with client() as api:
        found = [api.workflow(name)] if name else api.workflows()
    if as_json:
        listed = [one.model_dump(mode="json", by_alias=True) for one in found]
        cli_show.print_json(listed[0] if name else listed)
        return
    out = cli_show.console()
    if name is None:
        rows = [(one.name, one.title, f"{one.app} {one.app_version}") for one in found]
        out.print(cli_show.table(("Workflow", "Title", "App"), rows) if rows else "No workflows: install an app first.")
        return
    required = set(found[0].input_schema.get("required", []))
    inputs = []
    for key, schema in found[0].input_schema.get("properties", {}).items():
        kind = str(schema.get("x-simdeck-type") or schema.get("type") or "value")
        default = "required" if key in required else cli_show.value_text(schema.get("default"))
        inputs.append((key, kind, default, str(schema.get("x-simdeck-unit") or ""), str(schema.get("title") or "")))
    out.print(f"{found[0].title}\n{found[0].summary}".strip())
    out.print(cli_show.table(("Input", "Kind", "Default", "Unit", "Meaning"), inputs))


# The same by the name of the group that they belong to.
cli_workflow.workflow.add_command(workflows, "list")
cli_workflow.workflow.add_command(workflows, "show")

COMMANDS = [run, show_run, runs, cancel, outputs, download, workflows, *cli_run_sets.COMMANDS, *cli_workflow.COMMANDS]
