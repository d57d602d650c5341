"""`make site`, as ``python -m simdeck_hub.trial``."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import FrameType

import click
from simdeck_common.problems import Problem

from simdeck_hub.cli_show import say_refusal
from simdeck_hub.instance import read_state
from simdeck_hub.places import DataFolder
from simdeck_hub.trial.trial import FOLDER, Options, Trial, say_to_terminal

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_SECONDS = 0.2


def end(number: int, frame: FrameType | None) -> None:
    """Leave, whatever is being done; once, for taking things away must not be broken off."""
    for one in ENDING:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", type=click.IntRange(1, 65535), default=8000, envvar="PORT", help="Port of the address.")
@click.option("--users", default="alice,bob", envvar="USERS", help="Names of the demo accounts; the first is admin.")
@click.option("--service", default="simdeck", envvar="SERVICE_USER", help="Name of the service's account.")
@click.option("--group", default="simdeck-users", envvar="SERVICE_GROUP", help="Name of the people's group.")
@click.option("--subnet", envvar="SUBNET", help="Network of the nodes; else the first free one of a few.")
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, envvar="SITE_FOLDER", help="Where it lies.")
@click.option("--accounting", is_flag=True, envvar="ACCOUNTING", help="With slurmdbd on a private MariaDB.")
@click.option("--clusters", default="simdeck", envvar="CLUSTERS", help="Names of the clusters, each one on its own.")
@click.option("--extra", type=click.Path(exists=True, path_type=Path), help="File of further text for the site file.")
@click.option("--cluster-only", is_flag=True, help="Slurm and accounts alone, for trying things with sbatch.")
@click.option("--packages", is_flag=True, help="Only install the Debian packages that are missing.")
@click.option("--clear", is_flag=True, help="Only take away what a killed trial left.")
def main(
    port: int, users: str, service: str, group: str, subnet: str | None, folder: Path, accounting: bool,
    clusters: str, extra: Path | None, cluster_only: bool, packages: bool, clear: bool,
) -> None:  # fmt: skip
    """Try a whole multi-user site on this machine, as root; Ctrl-C takes everything away again."""
    for number in ENDING:
        signal.signal(number, end)
    options = Options(
        folder=folder.resolve(), users=names_in(users), service=service, group=group, port=port, subnet=subnet,
        accounting=accounting, clusters=names_in(clusters) or ("simdeck",),
        extra=extra.read_text(encoding="utf-8") if extra else "",
    )  # fmt: skip
    code = 0
    try:
        if clear:
            Trial(options, say=say_to_terminal).clear()
            return
        if packages:
            Trial(options, say=say_to_terminal).install_packages()
            return
        with Trial(options, say=say_to_terminal) as trial:
            if cluster_only:
                trial.make_people()
                trial.start_cluster()
                say_to_terminal(f"Slurm runs. In another terminal: export SLURM_CONF={trial.slurm.cluster.config}")
                while True:
                    signal.pause()
            trial.start_site()
            code = watch(trial)
    except Problem as problem:
        say_refusal(problem)
        code = 1
    except KeyboardInterrupt:
        code = 0
    raise SystemExit(code)


def names_in(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def watch(trial: Trial) -> int:
    """Say what there is to look at when the site is up; return the exit code when it has ended by itself."""
    said = False
    assert trial.up is not None
    while trial.up.poll() is None:
        if not said:
            running = read_state(DataFolder(trial.data))
            said = bool(running and running.ready)
            if said:
                # After the lines that say how to sign in.
                time.sleep(LOOK_SECONDS)
                say_hints(trial)
        time.sleep(LOOK_SECONDS)
    return trial.up.returncode or 0


def say_hints(trial: Trial) -> None:
    port, address = trial.options.port, trial.slurm.address
    clusters = "; ".join(
        f"The cluster {name}: SLURM_CONF={one.cluster.config} squeue" for name, one in trial.clusters.items()
    )
    say_to_terminal(
        f"{trial.options.users[0]} looks after the site. From another computer: "
        f"ssh -L {port}:{address}:{port} this-machine, then http://localhost:{port}.\n"
        f"{clusters}. The site file: {trial.site_file}. "
        "Ctrl-C takes everything away again."
    )


if __name__ == "__main__":
    main(prog_name="make site")
