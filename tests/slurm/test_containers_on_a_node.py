"""Servers in a container image on a real node, with Debian's `ch-run` and `bwrap`, as the person they belong to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from simdeck_clusters.ends import Cause
from simdeck_clusters.settings import ContainerEnvironment, Environment
from simdeck_hub.trial.trial import Trial
from slurm.job_runs import CONTAINERS, Job, cluster_of, needs
from stack import wait_for

pytestmark = pytest.mark.slurm
RUNTIMES = ("ch-run", "bwrap")
PACKAGES = {"ch-run": "charliecloud", "bwrap": "bubblewrap"}
ALICE = CONTAINERS.users[0]
# What a server inside sees, as one line of JSON into its own folder; then it waits for its end.
SERVER = """\
import json, os, signal, socket, subprocess, sys
server = os.path.expanduser("~/.simdeck/servers/" + os.environ["SIMDECK_SERVER"])
def refused(path):
    try:
        open(path, "w").close()
    except OSError:
        return True
    return False
def ask(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip()
found = {
    "mark": open("/mark-of-the-image").read().strip(),
    "home": os.environ["HOME"],
    "cwd": os.getcwd(),
    "user": ask("id", "-un"),
    "host": socket.gethostname(),
    "controller": socket.gethostbyname(sys.argv[2]),
    "job": os.environ["SLURM_JOB_ID"],
    "server": sorted(os.listdir(server)),
    "prefix": open(sys.argv[1] + "/version").read(),
    "image_is_closed": refused("/new"),
    "own_devices": os.path.exists("/dev/null"),
    "outside": os.path.exists("/var/lib/dpkg"),
    "queue": ask("squeue", "--me", "--noheader", "--format=%i"),
}
def stop(number, frame):
    print("ended by", number, flush=True)
    sys.exit(5)
signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"warned\\n"))
signal.signal(signal.SIGTERM, stop)
with open(server + "/found.new", "w") as stream:
    json.dump(found, stream)
os.rename(server + "/found.new", server + "/found.json")
while True:
    signal.pause()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Trial]:
    yield from cluster_of(CONTAINERS)


@pytest.fixture(scope="module")
def image(cluster: Trial) -> Path:
    """A root file system with a mark: folders to bind this machine's programs on, and nothing else."""
    root = cluster.run / "image"
    homes = str(cluster.homes).lstrip("/")
    slurm = str(cluster.slurm.folder).lstrip("/")
    for folder in ("usr", "etc", "dev", "proc", "sys", "tmp", "home", "prefix", homes, slurm):
        (root / folder).mkdir(parents=True)
    for link in ("bin", "lib", "lib64", "sbin"):
        (root / link).symlink_to(f"usr/{link}")
    for file in ("etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf"):
        (root / file).touch()
    (root / "mark-of-the-image").write_text("inside\n")
    prefix = cluster.run / "prefix-of-the-site"
    prefix.mkdir()
    (prefix / "version").write_text("1")
    (prefix / "server.py").write_text(SERVER)
    return root


def environment(cluster: Trial, image: Path, runtime: str, *binds: str) -> Environment:
    binds = ("/usr", f"{cluster.run / 'prefix-of-the-site'}:/prefix", str(cluster.slurm.folder), *binds)
    return Environment(name="image", source=ContainerEnvironment(runtime=runtime, image=str(image), binds=binds))


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    needs(request.param, PACKAGES[request.param])
    return str(request.param)


def server(cluster: Trial, chosen: Environment, name: str, **options: object) -> Job:
    command = ("/usr/bin/python3", "/prefix/server.py", "/prefix", cluster.slurm.cluster.host)
    return Job.submit(cluster, ALICE, name, command, chosen, **options)


@pytest.mark.parametrize("whole", [False, True], ids=["the home alone", "the homes as a bind of the site"])
def test_a_server_in_an_image_finds_its_home_its_folder_and_the_cluster(
    cluster: Trial, image: Path, runtime: str, whole: bool
) -> None:
    # The image has no folder for each person; a site binds what holds all the homes.
    own = image / str(cluster.homes / ALICE).lstrip("/")
    if not whole:
        own.mkdir()
    try:
        job = server(cluster, environment(cluster, image, runtime, *([str(cluster.homes)] if whole else [])), "seen")
        found = json.loads(wait_for("what the server found", lambda: job.file("found.json")))
        job.cancel()
    finally:
        if not whole:
            own.rmdir()
    assert found["mark"] == "inside"
    assert (found["home"], found["user"]) == (str(cluster.homes / ALICE), ALICE)
    assert found["cwd"] == found["home"]
    assert found["host"] == "cn1"
    assert found["controller"] == cluster.slurm.address
    assert found["job"] == found["queue"] == job.id
    assert "job.log" in found["server"]
    assert found["prefix"] == "1"
    assert found["image_is_closed"]
    assert found["own_devices"]
    assert not found["outside"]


def test_a_home_below_home_needs_no_place_in_the_image(cluster: Trial, image: Path, runtime: str) -> None:
    # Mounts of the node's own: this machine's /home stays as it is.
    usual = f"/home/{ALICE}"
    cluster.run_on("cn1", ["mount", "-t", "tmpfs", "tmpfs", "/home"])
    cluster.run_on("cn1", ["mkdir", usual])
    cluster.run_on("cn1", ["mount", "--bind", str(cluster.homes / ALICE), usual])
    chosen = environment(cluster, image, runtime).model_copy(update={"setup": (f"HOME={usual}", f"cd {usual}")})
    job = server(cluster, chosen, "usual")
    found = json.loads(wait_for("what the server found", lambda: job.file("found.json")))
    job.cancel()
    cluster.run_on("cn1", ["umount", "--lazy", usual, "/home"])
    assert (found["mark"], found["home"], found["cwd"]) == ("inside", usual, usual)


def test_the_warning_and_the_end_reach_a_server_in_an_image(cluster: Trial, image: Path, runtime: str) -> None:
    job = server(cluster, environment(cluster, image, runtime, str(cluster.homes)), "told")
    wait_for("the server", lambda: job.file("found.json"))
    job.signal("USR1")
    wait_for("the warning", lambda: "warned" in job.log())
    job.signal("TERM")
    verdict = job.verdict()
    assert "ended by 15" in job.log()
    record = json.loads(job.file("end.json"))
    assert (record["code"], record["signal"], record["warned"], record["stage"]) == (5, "15", True, "server")
    assert verdict.cause is Cause.CRASHED


def test_cancelling_ends_a_server_in_an_image(cluster: Trial, image: Path, runtime: str) -> None:
    job = server(cluster, environment(cluster, image, runtime, str(cluster.homes)), "over")
    wait_for("the server", lambda: job.file("found.json"))
    job.cancel()
    assert job.verdict().cause is Cause.CANCELLED_BY_USER
    assert not cluster.run_as(ALICE, ["pgrep", "-u", ALICE, "-f", "/prefix/server.py"]).stdout


def test_a_home_the_image_has_no_place_for_is_told(cluster: Trial, image: Path, runtime: str) -> None:
    verdict = server(cluster, environment(cluster, image, runtime), "homeless").verdict(ready=False)
    assert verdict.cause is Cause.ENVIRONMENT_MISSING
    assert str(cluster.homes / ALICE) in verdict.problem.detail


def test_a_program_that_is_not_in_the_image_is_told(cluster: Trial, image: Path, runtime: str) -> None:
    chosen = environment(cluster, image, runtime, str(cluster.homes))
    verdict = Job.submit(cluster, ALICE, "lost", ("/opt/not-in-the-image",), chosen).verdict(ready=False)
    assert verdict.cause is Cause.COMMAND_NOT_FOUND
    assert "/opt/not-in-the-image" in verdict.problem.detail


def test_an_image_that_is_not_there_is_told(cluster: Trial, image: Path, runtime: str) -> None:
    gone = image.with_name("no-image")
    shutil.rmtree(gone, ignore_errors=True)
    verdict = server(cluster, environment(cluster, gone, runtime), "gone").verdict(ready=False)
    assert verdict.cause is Cause.ENVIRONMENT_MISSING
    assert str(gone) in verdict.problem.detail
