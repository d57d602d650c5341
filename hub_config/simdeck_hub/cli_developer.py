"""`simdeck app`: a new app project, its lock, and the checks the store runs."""

from __future__ import annotations

from pathlib import Path

import click
from simdeck_appstore.developer.check import Check, CheckSettings, Finding
from simdeck_appstore.developer.lock import make_lock
from simdeck_appstore.developer.new import create, kinds
from simdeck_common.problems import Problem

from simdeck_hub.places import Checkout

MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}


@click.group()
def app() -> None:
    """Write an app: start a project, lock its packages, check it."""


@app.command()
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Where; default: a new folder called NAME here.")
@click.option("--kind", default="notebook", show_default=True, help=f"Template: {', '.join(kinds())}.")
@click.option("--title", default="", help="The app's name on cards and pages.")
@click.option("--lock/--no-lock", default=True, help="Resolve the packages at once (needs the network).")
def new(name: str, folder: Path | None, kind: str, title: str, lock: bool) -> None:
    """Start a project that already runs."""
    from simdeck_hub.agent_settings import uv_program

    made = create(folder or Path(name), name, kind, title)
    click.echo(f"Made {made}.")
    if lock:
        click.echo("Locking its packages …")
        make_lock(made, uv_program())
    click.echo(f"Next: simdeck app dev {made}")


@app.command("lock")
@click.argument("project", type=click.Path(path_type=Path), default=".")
@click.option("--upgrade", is_flag=True, help="Take the newest versions; else earlier pins are kept.")
def lock_command(project: Path, upgrade: bool) -> None:
    """Resolve requirements.in into requirements.lock, with hashes."""
    from simdeck_hub.agent_settings import uv_program

    click.echo(f"Wrote {make_lock(project, uv_program(), upgrade=upgrade)}.")


@app.command()
@click.argument("project", type=click.Path(path_type=Path), default=".")
@click.option("--port", type=click.IntRange(1, 65535), help="Port on this machine; default: a free one.")
@click.option("--runs/--no-runs", default=True, help="Also start a workflow backend, so that runs can be started.")
def dev(project: Path, port: int | None, runs: bool) -> None:
    """Open the app in the browser from its folder; it loads anew on every save. Ctrl-C ends all of it."""
    import signal
    import threading

    from simdeck_appstore.developer.dev.session import DevSession, DevSettings

    from simdeck_hub.agent_settings import real_python, uv_program

    checkout = Checkout.find()
    settings = DevSettings(
        uv=uv_program(),
        app_python=real_python(),
        simdeck=checkout.root if (checkout.root / "pyproject.toml").is_file() else checkout.own_wheel,
        backend_python=checkout.backend_python if runs and checkout.backend_python.exists() else None,
        port=port or 0,
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with DevSession(project, settings, click.echo) as session:
        click.echo(f"Open {session.address}\nSave a file and the page loads anew; Ctrl-C ends all of it.")
        session.run(stop)


@app.command()
@click.argument("project", type=click.Path(path_type=Path), default=".")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.pass_context
def check(context: click.Context, project: Path, as_json: bool) -> None:
    """Run what the store runs: build, install, the app's own checks, its page, its licences."""
    from simdeck_hub.agent_settings import uv_program

    checkout = Checkout.find()
    if not checkout.backend_python.exists():
        raise Problem("environment-missing", what="the workflow backend's environment")
    settings = CheckSettings(
        uv=uv_program(),
        describe_argv=[str(checkout.backend_python), "-m", "simdeck_workflows.engine.describe"],
        simdeck=checkout.root if (checkout.root / "pyproject.toml").is_file() else None,
        categories=checkout.registry if checkout.registry.is_dir() else None,
    )
    record = Check(project, settings, report=lambda sentence: click.echo(sentence, err=True)).run()
    if as_json:
        click.echo(record.model_dump_json(indent=1))
    else:
        for finding in record.findings:
            click.echo(line_of(finding))
    context.exit(0 if record.passed else 1)


def line_of(finding: Finding) -> str:
    """Return one line for people: mark, name, sentence."""
    return f"{MARKS[finding.state]} {finding.name}: {finding.message}"


COMMANDS = [app]
