"""`simdeck app` and `simdeck registry`: from a new project to a release in a registry that others install from."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click
from simdeck_appstore.developer.check import Check, CheckRecord, CheckSettings, Finding
from simdeck_appstore.developer.lock import make_lock
from simdeck_appstore.developer.new import create, kinds
from simdeck_common.problems import Problem

from simdeck_hub.places import Checkout
from simdeck_hub.site_publishing import own_simdeck

MARKS = {"passed": "✓", "failed": "✗", "warning": "!", "skipped": "–"}


@click.group()
def app() -> None:
    """Write an app: start a project, open it, lock its packages, check it, publish it."""


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
    # An AiiDAlab app is locked where a registry builds it.
    if lock and (made / "requirements.in").is_file():
        click.echo("Locking its packages …")
        make_lock(made, uv_program())
    click.echo(f"Next: simdeck app dev {made}")


@app.command("import-software")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--project", type=click.Path(path_type=Path), default=".", help="The app's folder; default: here.")
@click.option("--name", default="", help="What the command is called; default: as the file.")
@click.option("--show", is_flag=True, help="Print the table only; write nothing.")
def import_software(file: Path, project: Path, name: str, show: bool) -> None:
    """Add the program that a PyCOMPSs description (the JSON of @software) is of to an app's manifest."""
    from simdeck_appstore.software import add_to_project, as_toml, read_software

    command = read_software(file, name)
    if show:
        click.echo(as_toml(command), nl=False)
        return
    changed = add_to_project(project, command)
    click.echo(f"Added {command.name} to {changed}: look at the types of its inputs, then run `simdeck app check`.")


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
        simdeck=own_simdeck(checkout),
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
@click.option("--advisories", type=click.Path(path_type=Path, exists=True), help="OSV advisories: a file or folder.")
@click.option("--offline", is_flag=True, help="Do not ask osv.dev about known vulnerabilities.")
@click.pass_context
def check(context: click.Context, project: Path, as_json: bool, advisories: Path | None, offline: bool) -> None:
    """Run what the store runs: install with each Python, every page in a browser, its workflow, its packages."""
    record = run_checks(project, None, Checkout.find().registry, advisories, ask_osv=not offline)
    if as_json:
        click.echo(record.model_dump_json(indent=1))
    else:
        for finding in record.findings:
            click.echo(line_of(finding))
    context.exit(0 if record.passed else 1)


def run_checks(
    project: Path, wheel: Path | None, registry: Path, advisories: Path | None = None, *, ask_osv: bool = True
) -> CheckRecord:
    """Check a project, or the release made of it, against the categories of ``registry`` where that is a folder."""
    settings = check_settings(registry, advisories, ask_osv)
    return Check(project, settings, wheel, report=lambda sentence: click.echo(sentence, err=True)).run()


def check_settings(registry: Path, advisories: Path | None, ask_osv: bool) -> CheckSettings:
    """Return what checks need to know of this machine.

    Raises
    ------
    Problem
        ``environment-missing``: there is no workflow backend.
    """
    from simdeck_hub.agent_settings import uv_program

    checkout = Checkout.find()
    if not checkout.backend_python.exists():
        raise Problem("environment-missing", what="the workflow backend's environment")
    return CheckSettings(
        uv=uv_program(),
        describe_argv=[str(checkout.backend_python), "-m", "simdeck_workflows.engine.describe"],
        simdeck=own_simdeck(checkout),
        categories=registry if (registry / "categories.yaml").is_file() else None,
        backend_python=checkout.backend_python,
        chromium=chromium(),
        advisories=advisories,
        ask_osv=ask_osv,
    )


def chromium() -> Path | None:
    """Return the machine's browser for the checks of pages; None where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return Path(found) if found else None


@app.command()
@click.argument("project", type=click.Path(path_type=Path), default=".")
@click.option(
    "--to",
    "registry",
    required=True,
    help="The registry: its name at this site, its folder, or its git repository's address.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Where the release goes; default: dist in the project.")
@click.option("--branch", is_flag=True, help="Push the commit as a branch too, for a pull request.")
@click.option("--checks/--no-checks", default=True, help="Check the release first; what fails is not published.")
def publish(project: Path, registry: str, output: Path | None, branch: bool, checks: bool) -> None:
    """Make a release and offer it: at once in a registry of this site or a folder, for git as a patch to propose."""
    offer(project, registry, output or project / "dist", branch=branch, checks=checks)


def offer(project: Path, registry: str, folder: Path, *, branch: bool, checks: bool) -> None:
    """Make the project's release in ``folder``, check it, and bring it into the registry, or on its way there."""
    from simdeck_appstore.developer.publish import is_git, propose, push
    from simdeck_appstore.developer.release import make_release

    from simdeck_hub.cli_publishing import registry_name, send

    release = make_release(project, folder, Path(sys.executable))
    click.echo(f"Made {release.wheel} (sha256 {release.wheel_sha256}).")
    record = run_checks(project, release.wheel, Path(registry)) if checks else None
    failed = [finding for finding in record.findings if finding.state == "failed"] if record else []
    if failed:
        raise Problem("publish-check", app=release.app, version=release.version, reason=line_of(failed[0])[2:])
    name = registry_name(registry)
    if name is not None:
        send(release, name)
        click.echo(f"{release.title} {release.version} is in the registry {name}.")
        return
    if is_git(registry):
        proposal = propose(release, registry, record, folder, branch=branch)
        click.echo(f"Wrote {proposal.patch}: a commit for the registry's people (git am takes it).")
        if proposal.pushed:
            click.echo(f"Pushed the branch {proposal.branch}: open a pull request from it.")
        return
    report = push(release, Path(registry), record, simdeck=own_simdeck(Checkout.find()))
    click.echo(f"{release.title} {release.version} is in the registry ({len(report.index.apps)} apps).")


@app.command()
@click.option("--table", is_flag=True, help="Of the table [tool.simdeck] alone; default: of a whole pyproject.toml.")
def schema(table: bool) -> None:
    """Print the manifest's JSON Schema; an editor reads it from `#:schema FILE` in pyproject.toml's first line."""
    from simdeck_appstore.manifest import json_schema
    from simdeck_appstore.reference import pyproject_schema

    click.echo(json.dumps(json_schema() if table else pyproject_schema(), indent=1, ensure_ascii=False))


@click.group()
def registry() -> None:
    """Keep a registry: its keys, its build, its web site."""


@registry.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--title", default="App registry", show_default=True, help="The name on the registry's web site.")
def registry_init(folder: Path, title: str) -> None:
    """Start a registry: FOLDER/source with its two lists, FOLDER/keys, and FOLDER/built once it is built."""
    from simdeck_appstore.registry_new import create_registry

    root = create_registry(folder, title)
    click.echo(f"Made {folder}. Sites pin {root}; keep {root.with_name('root.pem')} elsewhere.")
    click.echo(f"Next: simdeck app publish --to {folder / 'source'}")


@registry.command("build")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--output", type=click.Path(path_type=Path), help="Where to; default: as registry.toml says.")
@click.option("--keys", type=click.Path(path_type=Path), help="Keys that sign it; default: as registry.toml says.")
@click.option("--strict", is_flag=True, help="Exit with 1 when an app was left out.")
@click.pass_context
def registry_build(context: click.Context, folder: Path, output: Path | None, keys: Path | None, strict: bool) -> None:
    """Build the registry in FOLDER as static files: what changed, signed, with its web site."""
    from simdeck_appstore.build import build_registry, say_report
    from simdeck_appstore.registry_settings import read_settings

    settings = read_settings(folder)
    target = output or (folder / settings.output if settings.output else None)
    if target is None:
        raise Problem("registry-invalid", file="registry.toml", reason="it does not say where to build (output = …)")
    report = build_registry(
        folder,
        target,
        simdeck=own_simdeck(Checkout.find()),
        base_url=settings.base_url,
        keys=keys or (folder / settings.keys if settings.keys else None),
    )
    say_report(report)
    context.exit(1 if strict and report.problems else 0)


@registry.command("check")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("app_id", required=False)
@click.option("--again", is_flag=True, help="Also what has a record that fits.")
@click.option("--advisories", type=click.Path(path_type=Path, exists=True), help="OSV advisories: a file or folder.")
@click.option("--offline", is_flag=True, help="Do not ask osv.dev about known vulnerabilities.")
@click.pass_context
def registry_check(
    context: click.Context, folder: Path, app_id: str | None, again: bool, advisories: Path | None, offline: bool
) -> None:
    """Check the releases in FOLDER that have no record (of one app: APP_ID); the next build signs and shows them."""
    from simdeck_appstore.developer.registry_check import check_registry
    from simdeck_appstore.registry_settings import read_settings

    output = read_settings(folder).output
    built = folder / output if output else folder / "none"
    failed = False
    settings = check_settings(folder, advisories, not offline)
    for one in check_registry(
        folder, built, settings, only=app_id, again=again, tell=lambda words: click.echo(words, err=True)
    ):
        if one.record is None:
            failed = True
            click.echo(f"✗ {one.app}: {one.problem.detail if one.problem else ''}")
            continue
        failed = failed or not one.record.passed
        click.echo(f"{MARKS['passed' if one.record.passed else 'failed']} {one.app} {one.record.version}")
        for finding in one.record.findings:
            if finding.state in ("failed", "warning"):
                click.echo(f"  {line_of(finding)}")
    context.exit(1 if failed else 0)


def line_of(finding: Finding) -> str:
    """Return one line for people: mark, name, sentence."""
    return f"{MARKS[finding.state]} {finding.name}: {finding.message}"


COMMANDS = [app, registry]
