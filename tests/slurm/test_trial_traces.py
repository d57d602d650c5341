"""A trial leaves nothing behind: not after Ctrl-C, not after a failed start, not after `kill -9` and the next start."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator, Set
from pathlib import Path

import pytest
from simdeck_common.problems import Problem
from simdeck_hub.trial import machine
from simdeck_hub.trial.ledger import Ledger
from simdeck_hub.trial.trial import Options, Trial
from slurm.site_stack import missing_for_slurm
from slurm.traces import devices, mounts_below, processes_below, traces
from stack import wait_for

pytestmark = pytest.mark.slurm

FOLDER = Path("/var/lib/simdeck-trial-traces")
NAMES = ("sdx-ada", "sdx-emil", "sdx-service", "sdx-people")
ARGUMENTS = [
    "--folder", str(FOLDER), "--users", "sdx-ada,sdx-emil", "--service", "sdx-service", "--group", "sdx-people",
    "--cluster-only",
]  # fmt: skip


@pytest.fixture(autouse=True)
def before() -> Iterator[dict[str, object]]:
    reason = missing_for_slurm()
    if reason:
        pytest.skip(reason)
    found = traces(NAMES)
    assert not found["accounts"]
    yield found
    subprocess.run([sys.executable, "-m", "simdeck_hub.trial", *ARGUMENTS, "--clear"], check=True)
    FOLDER.joinpath("trial.lock").unlink(missing_ok=True)
    FOLDER.rmdir()


def start(output: Path) -> subprocess.Popen[bytes]:
    """Start a trial and wait until its cluster takes jobs and runs one."""
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "simdeck_hub.trial", *ARGUMENTS], stdin=subprocess.DEVNULL, stdout=stream,
            stderr=stream, start_new_session=True,
        )  # fmt: skip

    def runs() -> bool:
        text = output.read_text(encoding="utf-8")
        assert process.poll() is None, text
        return "Slurm runs" in text

    wait_for("the cluster", runs)
    account = pwd.getpwnam("sdx-ada")
    env = machine.system_environment() | {"SLURM_CONF": str(FOLDER / "run" / "slurm" / "slurm.conf")}
    subprocess.run(
        ["sbatch", "--quiet", "--wrap", "exec sleep 876543"], user=account.pw_uid, group=account.pw_gid,
        cwd=account.pw_dir, env=env, check=True,
    )  # fmt: skip
    wait_for("a job", lambda: job_processes())
    return process


def job_processes() -> list[str]:
    done = subprocess.run(["pgrep", "-fx", "sleep 876543"], capture_output=True, text=True, check=False)
    return done.stdout.split()


def links() -> set[str]:
    """Return the network devices that the running trial has written down."""
    return {thing["name"] for thing in Ledger(FOLDER / "trial.json").things if thing["kind"] == "link"}


def assert_nothing_left(before: dict[str, object], made: Set[str] = frozenset()) -> None:
    assert traces(NAMES) == before
    assert not made & set(devices())
    assert not job_processes()
    assert not processes_below(FOLDER)
    assert not mounts_below(FOLDER)
    assert sorted(os.listdir(FOLDER)) == ["trial.lock"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_everything_away(before: dict[str, object], tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path / "out")
    assert traces(NAMES) != before
    made = links()
    assert made <= set(devices())
    process.send_signal(number)
    assert process.wait(timeout=180) == 0
    assert_nothing_left(before, made)


def test_after_a_kill_the_next_one_clears_the_rest_and_starts(before: dict[str, object], tmp_path: Path) -> None:
    process = start(tmp_path / "out")
    made = links()
    process.kill()
    process.wait()
    assert traces(NAMES) != before
    second = start(tmp_path / "again")
    assert "what a killed trial left" in (tmp_path / "again").read_text(encoding="utf-8")
    made |= links()
    second.send_signal(signal.SIGINT)
    assert second.wait(timeout=180) == 0
    assert_nothing_left(before, made)


def test_a_start_that_fails_half_way_leaves_nothing(before: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(folder=FOLDER, users=NAMES[:2], service=NAMES[2], group=NAMES[3])
    monkeypatch.setattr("simdeck_hub.trial.slurm_files.slurm_conf", lambda cluster: "Nonsense=1\n")
    with Trial(options) as trial:
        trial.make_people()
        with pytest.raises(Problem, match="did not start"):
            trial.start_cluster()
    assert_nothing_left(before)


def test_one_trial_runs_in_a_folder_at_a_time(tmp_path: Path) -> None:
    process = start(tmp_path / "out")
    second = subprocess.run(
        [sys.executable, "-m", "simdeck_hub.trial", *ARGUMENTS], capture_output=True, text=True, check=False
    )
    process.send_signal(signal.SIGINT)
    process.wait(timeout=180)
    assert second.returncode == 1
    assert "runs in" in second.stderr


def test_accounts_that_exist_are_refused_and_not_touched() -> None:
    entry = pwd.getpwnam("nobody")
    with pytest.raises(Problem, match="account 'nobody'"), Trial(Options(folder=FOLDER, users=("nobody",))):
        pass
    assert pwd.getpwnam("nobody") == entry


def test_an_account_of_somebody_else_with_a_noted_name_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "trial.json")
    ledger.note("account", name="nobody", comment="Simdeck trial 0123")
    ledger.note("group", name="nogroup", gid=1)
    ledger.clear()
    assert not Ledger(tmp_path / "trial.json").things
    assert pwd.getpwnam("nobody")


def test_a_network_in_use_is_refused() -> None:
    with (
        pytest.raises(Problem, match=r"127\.0\.0\.0/24 is in use"),
        Trial(Options(folder=FOLDER, users=NAMES[:2], service=NAMES[2], group=NAMES[3], subnet="127.0.0.0/24")),
    ):
        pass
