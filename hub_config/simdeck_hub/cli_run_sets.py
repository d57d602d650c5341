"""Runs from the command line, seen together: retry with changes, compare, sweep, delete."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from simdeck_hub import cli_inputs, cli_show
from simdeck_hub.cli_client import client
from simdeck_hub.cli_finding import JSON, USER, find

INPUT = click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", help="An input; repeatable.")


@click.command()
@click.argument("run_id", metavar="RUN")
@INPUT
@click.option("--cure", type=int, metavar="NUMBER", help="Take the changes of a cure that `simdeck show` lists.")
@USER
def retry(run_id: str, inputs: tuple[str, ...], cure: int | None, user: str) -> None:
    """Run an ended RUN again, with other values for the inputs given."""
    with client() as api:
        found = find(api, run_id)
        changes: dict[str, Any] = {}
        if cure is not None:
            cures = (found.problem or {}).get("cures", [])
            if not 1 <= cure <= len(cures):
                raise click.BadParameter(f"this run has {len(cures)} cures", param_hint="--cure")
            changes |= cures[cure - 1]["inputs"]
        if inputs:
            changes |= cli_inputs.parse(api.workflow(found.workflow).input_schema, inputs)
        cli_show.print_run(api.retry(found.id, changes or None))


@click.command()
@click.argument("left")
@click.argument("right")
@JSON
@USER
def diff(left: str, right: str, as_json: bool, user: str) -> None:
    """Show what differs between the runs LEFT and RIGHT: inputs, and what came of them."""
    with client() as api:
        found = api.diff(find(api, left).id, find(api, right).id)
    if as_json:
        cli_show.print_json(found)
        return
    rows = []
    for part in ("run", "inputs", "outputs"):
        for one in found[part]:
            change = "" if one["change"] is None else f"{one['change']:+.6g}"
            rows.append((part, one["path"], _side(one, "left"), _side(one, "right"), change))
    heads = ("", "What", left[:8], right[:8], "Change")
    cli_show.console().print(cli_show.table(heads, rows, right=4) if rows else "They do not differ.")


def _side(one: dict[str, Any], side: str) -> str:
    return "" if one["only"] not in (None, side) else cli_show.value_text(one[side])


@click.command()
@click.argument("workflow")
@INPUT
@click.option(
    "--vary", "-v", multiple=True, required=True, metavar="NAME=A,B,C", help="Values of an input; repeatable."
)
@click.option("--together", is_flag=True, help="The first values, then the second ones, …; else every combination.")
@click.option("--title", help="How the sweep is called.")
@click.option("--wait", is_flag=True, help="Wait until all runs have ended.")
@JSON
@USER
def sweep(
    workflow: str,
    inputs: tuple[str, ...],
    vary: tuple[str, ...],
    together: bool,
    title: str | None,
    wait: bool,
    as_json: bool,
    user: str,
) -> None:
    """Run WORKFLOW over many values: simdeck sweep molecule.optimize -i structure=water.xyz -v charge=0,1,2 --wait"""
    with client() as api:
        schema = api.workflow(workflow).input_schema
        values = {}
        for text in vary:
            name, _, several = text.partition("=")
            values[name] = [_leaf(cli_inputs.parse(schema, (f"{name}={one}",)), name) for one in several.split(",")]
        more: dict[str, Any] = {"mode": "together" if together else "grid"} | ({"title": title} if title else {})
        made = api.sweep(workflow, cli_inputs.parse(schema, inputs), values, **more)
        table = api.sweep_table(made["id"])
        while wait and not table["ended"]:
            time.sleep(1.0)
            table = api.sweep_table(made["id"])
    if as_json:
        cli_show.print_json(table)
    else:
        print_table(table)
    if wait and any(row["state"] != "finished" for row in table["rows"]):
        sys.exit(1)


def _leaf(inputs: dict[str, Any], name: str) -> Any:
    value: Any = inputs
    for part in name.split("."):
        value = value[part]
    return value


def print_table(table: dict[str, Any]) -> None:
    """Print a sweep's results, a run a line."""
    columns = table["columns"]
    heads = [f"{one['title']} ({one['unit']})" if one["unit"] else one["title"] for one in columns]
    rows = [
        (
            row["run"][:8],
            *(cli_show.value_text(row["values"].get(name)) for name in table["varied"]),
            row["state"],
            *(cli_show.value_text(row["results"].get(one["name"])) for one in columns),
        )
        for row in table["rows"]
    ]
    out = cli_show.console()
    out.print(f"{table['title']}  [dim]{table['id']}[/]")
    out.print(cli_show.table(("Run", *table["varied"], "State", *heads), rows))


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--yes", is_flag=True, help="Do not ask.")
@USER
def delete(run_id: str, yes: bool, user: str) -> None:
    """Delete an ended RUN with everything it made; says first what goes."""
    with client() as api:
        found = find(api, run_id)
        plan = api.deletion(found.id)
        click.echo(
            f"{found.title} ({found.id[:8]}): {plan['nodes']} nodes, {plan['files']} files ({_size(plan['size'])}), "
            f"{plan['folders']} working directories ({_size(plan['scratch'])})"
        )
        if yes or click.confirm("Delete all this?"):
            api.delete(found.id)
            click.echo("Deleted.")


@click.command()
@click.argument("run_id", metavar="RUN")
@JSON
@USER
def cite(run_id: str, as_json: bool, user: str) -> None:
    """Say what to cite for a RUN: methods, codes, pseudopotentials, the engine."""
    with client() as api:
        found = api.citations(find(api, run_id).id)
    if as_json:
        cli_show.print_json(found)
        return
    for one in found:
        more = ", ".join(filter(None, [one.get("version"), f"doi:{one['doi']}" if one.get("doi") else None]))
        click.echo(f"{one['kind']}: {one['text']}" + (f" ({more})" if more else ""))


@click.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@USER
def import_file(file: Path, user: str) -> None:
    """Take in somebody's AiiDA archive FILE; what was run in it is among your runs then."""
    with client() as api:
        for run in api.import_archive(file):
            cli_show.print_run(run)


@click.command()
@click.option("--clean", is_flag=True, help="Remove the working directories of ended runs; results stay.")
@click.option(
    "--older-than", "days", type=click.FloatRange(0), default=0.0, help="Only of runs ended so many days ago."
)
@USER
def scratch(clean: bool, days: float, user: str) -> None:
    """Say what the working directories of runs take, and give back what nothing needs any more."""
    with client() as api:
        if clean:
            gone = api.clean_scratch(days)
            click.echo(f"{gone['folders']} working directories removed: {_size(gone['size'])}")
            return
        found = api.scratch()
    click.echo(f"{found['folders']} working directories: {_size(found['size'])}")
    click.echo(f"of ended runs: {found['ended_folders']} ({_size(found['ended_size'])}); simdeck scratch --clean")
    if found["stray_folders"]:
        click.echo(f"of no known run: {found['stray_folders']} ({_size(found['stray_size'])})")


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


COMMANDS = [retry, diff, sweep, delete, cite, import_file, scratch]
