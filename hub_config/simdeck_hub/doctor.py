"""`simdeck doctor`: looks at everything Simdeck stands on, and says of each thing what is wrong and what to do.

It changes nothing. On a site it runs best as root: it looks at what only root sees, then becomes the service user and
tries the rest as Simdeck itself would.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import click
from simdeck_common.problems import Problem

from simdeck_hub import site_file
from simdeck_hub.places import Checkout, DataFolder
from simdeck_hub.site_file import Site

State = Literal["ok", "warning", "failed", "skipped"]
MARKS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failed": ("✗", "red"),
    "skipped": ("–", "bright_black"),
}


@dataclass(frozen=True)
class Finding:
    """What one check found: a sentence, and what to do where something is wrong."""

    check: str
    """A stable name for machines: `sudo-rule`, `canary`."""
    title: str
    state: State
    message: str
    remedy: str = ""


@dataclass
class Examination:
    """What is looked at."""

    site: Site
    data: DataFolder
    checkout: Checkout
    user: str | None = None
    """The person things are tried as; not given: the first who can be used."""
    canary: bool = True
    patience: float = 120.0
    """Seconds a canary job may wait in the queue."""
    silent: set[str] = field(default_factory=set)
    """Clusters that did not answer: nothing more is asked of them."""


Check = Callable[[Examination], Awaitable[Iterable[Finding]]]


@dataclass(frozen=True)
class Named:
    """A check with the name and title it is reported under when it fails itself."""

    name: str
    title: str
    run: Check


def checks(examination: Examination) -> list[Named]:
    """Return the checks that make sense for this Simdeck, in the order they are reported."""
    from simdeck_hub import doctor_canary, doctor_cluster, doctor_machine, doctor_site

    chosen = [
        Named("environments", "Environments", doctor_machine.environments),
        Named("data-folder", "Data folder", doctor_machine.data_folder),
        Named("sockets", "Sockets", doctor_machine.sockets),
        Named("running", "Simdeck itself", doctor_machine.running),
        Named("ports", "Ports", doctor_machine.ports),
    ]
    if examination.site.on_site:
        chosen += [
            Named("accounts", "Accounts", doctor_site.accounts),
            Named("launcher", "Launcher", doctor_site.launcher),
            Named("readable", "What users read", doctor_site.readable),
            Named("munge", "Munge", doctor_cluster.munge),
            Named("programs", "Slurm's commands", doctor_cluster.programs),
            Named("slurm-answers", "Slurm's answers", doctor_cluster.answers),
            Named("slurm-version", "Slurm's versions", doctor_cluster.versions),
            Named("partitions", "Partitions", doctor_cluster.partitions),
            Named("accounting", "Accounting", doctor_cluster.accounting),
            Named("sudo-rule", "The sudo rule", doctor_site.sudo_rule),
        ]
        if examination.canary:
            chosen.append(Named("canary", "A job", doctor_canary.small_job))
    return chosen


async def examine(
    chosen: Iterable[Named], examination: Examination, report: Callable[[Finding], None]
) -> list[Finding]:
    """Run the checks one after the other; one that fails itself is a finding too, and the others go on."""
    found: list[Finding] = []
    for check in chosen:
        try:
            results = list(await check.run(examination))
        except Problem as problem:
            results = [Finding(check.name, check.title, "failed", problem.detail, problem.remedy)]
        except Exception as error:
            message = f"could not be looked at: {type(error).__name__}: {error}"
            results = [Finding(check.name, check.title, "failed", message, "Run it as root, or as the service user.")]
        for finding in results:
            found.append(finding)
            report(finding)
    return found


def become(name: str) -> None:
    """Become the account ``name`` for good; only root can. Its home is ours from then on."""
    entry = pwd.getpwnam(name)
    os.initgroups(name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ |= {"HOME": entry.pw_dir, "USER": name, "LOGNAME": name}
    for variable in ("XDG_RUNTIME_DIR", "SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND"):
        os.environ.pop(variable, None)
    os.chdir("/")


def diagnose(examination: Examination, report: Callable[[Finding], None]) -> list[Finding]:
    """Look at everything; on a site root looks at root's things first and then becomes the service user."""
    from simdeck_hub import doctor_site

    found: list[Finding] = []
    chosen = checks(examination)
    if examination.site.on_site and os.getuid() == 0:
        root = [Named("sudoers", "The sudo configuration", doctor_site.sudoers)]
        found += asyncio.run(examine(root, examination, report))
        try:
            become(examination.site.service.user)
        except KeyError:
            # Reported by the check of accounts; as root nothing else would mean anything.
            chosen = [check for check in chosen if check.name in ("environments", "accounts", "launcher")]
    return found + asyncio.run(examine(chosen, examination, report))


def own_site_file(data: DataFolder) -> Path | None:
    """Return the site file to look at when none is named: the data folder's, else that of the last start."""
    from simdeck_hub.configure import Runtime

    if data.site_file.is_file():
        return data.site_file
    try:
        last = Runtime.read(data).site_file
    except (OSError, ValueError, TypeError):
        return None
    return Path(last) if last and Path(last).is_file() else None


def say(finding: Finding) -> None:
    """Print one finding for people."""
    mark, colour = MARKS[finding.state]
    click.echo(f"{click.style(mark, fg=colour)} {finding.title}: {finding.message}")
    if finding.remedy and finding.state in ("warning", "failed"):
        click.echo(f"    → {finding.remedy}")


def summary(found: Iterable[Finding]) -> str:
    """Return the last line: how many of each."""
    counts = {state: sum(finding.state == state for finding in found) for state in ("failed", "warning", "ok")}
    if not counts["failed"] and not counts["warning"]:
        return f"All {counts['ok']} checks are well."
    return f"{counts['failed']} failed, {counts['warning']} to look at, {counts['ok']} well."


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; also SIMDECK_DATA=….")
@click.option(
    "--site",
    "site_path",
    type=click.Path(path_type=Path),
    envvar="SIMDECK_SITE",
    help="Site file; else <data>/site.toml.",
)
@click.option("--user", help="Person to try things as, on a site; else the first found.")
@click.option("--canary/--no-canary", default=True, help="Whether to submit a small job, on a site.")
@click.option("--wait", default=120.0, show_default=True, help="Seconds the small job may wait in the queue.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of findings as JSON.")
@click.pass_context
def doctor(
    context: click.Context,
    data: Path | None,
    site_path: Path | None,
    user: str | None,
    canary: bool,
    wait: float,
    as_json: bool,
) -> None:
    """Check everything Simdeck stands on, and say what to mend. Exit code 1 when something failed."""
    if data is not None:
        os.environ["SIMDECK_DATA"] = str(data)
    checkout = Checkout.find()
    folder = DataFolder.find(checkout=checkout)
    chosen = site_path or own_site_file(folder)
    examination = Examination(site_file.load(chosen), folder, checkout, user, canary, wait)
    found = diagnose(examination, (lambda finding: None) if as_json else say)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=1, ensure_ascii=False))
    else:
        click.echo(summary(found))
    context.exit(1 if any(finding.state == "failed" for finding in found) else 0)


COMMANDS = [doctor]
