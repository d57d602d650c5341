"""`make test`: static checks, then every test layer that can run on this machine; one that cannot says why in a line.

Standard library only. ``--install`` fetches Debian packages (as root); ``--only check|mypy|bench|LAYER`` runs one thing.
Layers are pytest marks: ``unit`` (no mark), ``backend``, ``stack``, ``browser``, ``chaos``,
``jobs`` (runs on a real Slurm) and ``slurm`` (that with several Unix accounts): both as root on Debian or Ubuntu.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
MARKED = ("backend", "stack", "browser", "chaos", "jobs", "slurm")
LANES = (("unit",), ("backend",), ("stack", "jobs"), ("browser", "chaos"), ("slurm",))
"""Layers that run one after the other, in lanes beside each other, because all mostly wait. A test of several is in the last."""
ROOMS = (
    "common/simdeck_common",
    "clusters/simdeck_clusters",
    "spawners/simdeck_spawners",
    "hub_config/simdeck_hub",
    "agent/simdeck_agent",
    "deck/simdeck_deck",
    "appstore/simdeck_appstore",
    "workflows/simdeck_workflows",
    "gateway/simdeck_gateway",
    "widgets/simdeck_widgets",
)
DEBIAN_PACKAGES = {
    "chromium": ("chromium", "browser"),
    "ch-run": ("charliecloud", "container"),
    "bwrap": ("bubblewrap", "container"),
    "pg_ctlcluster": ("postgresql", "PostgreSQL"),
    "pw.x": ("quantum-espresso quantum-espresso-data", "Quantum ESPRESSO"),
}
"""Program → packages and the tests they are for; their lack stops no others."""
SLURM_PROGRAMS = ("slurmctld", "slurmd", "munged", "sudo", "ip", "useradd", "slurmdbd", "mariadbd")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def say(text: str) -> None:
    print(text, flush=True)


def environment() -> dict[str, str]:
    env = dict(os.environ)
    # Tests start Simdeck's parts themselves: a running one's variables must not reach them.
    for name in [name for name in env if name.startswith(("JUPYTERHUB_", "SIMDECK_")) and "CHAOS" not in name]:
        del env[name]
    env["PATH"] = os.pathsep.join([str(BIN), env.get("PATH", os.defpath)])
    return env


def install() -> None:
    """Fetch the Debian packages that are missing, where that is possible; say in a line where it is not."""
    for program, (package, what) in DEBIAN_PACKAGES.items():
        if shutil.which(program):
            continue
        if os.getuid() != 0:
            say(f"{package} is not installed and this is not root: `sudo apt-get install {package}` adds its tests.")
        elif not shutil.which("apt-get"):
            say(f"{package} is not installed and there is no apt-get here: install it to add its tests.")
        else:
            env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
            say(f"Installing {package} (for the {what} tests) …")
            for argv in (
                ["apt-get", "update", "-qq"],
                ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *package.split()],
            ):
                done = subprocess.run(
                    argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
                )
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                say(f"{package} could not be installed: {reason}")


def install_slurm() -> None:
    """Fetch Slurm and what its tests need; nothing of it is started (see ``simdeck_hub.trial.machine``)."""
    if os.getuid() == 0 and shutil.which("apt-get") and missing_slurm():
        argv = [sys.executable, "-m", "simdeck_hub.trial", "--packages", "--accounting"]
        done = subprocess.run(argv, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            say("Slurm could not be installed; its tests are left out.")


def missing_slurm() -> list[str]:
    return [program for program in SLURM_PROGRAMS if not shutil.which(program, path=SYSTEM_PATH)]


def why_not(layer: str) -> str | None:
    """Return in a line why a layer cannot run here, or ``None``."""
    backend = ROOT / ".simdeck" / "envs" / "backend" / "bin" / "python"
    proxy = ROOT / "node_modules" / "configurable-http-proxy" / "package.json"
    if layer in {"jobs", "slurm"}:
        if os.getuid() != 0 or not shutil.which("apt-get"):
            return "a real Slurm with several Unix accounts needs root on Debian or Ubuntu"
        if missing_slurm():
            return f"{', '.join(missing_slurm())} not found; `make test` installs them as root"
    if layer in MARKED and not backend.exists():
        return f"{backend.relative_to(ROOT)} is missing; `make environments` makes it"
    if layer in {"stack", "browser", "chaos", "jobs", "slurm"} and not proxy.exists():
        return "the hub's proxy is missing; `make environments` makes it"
    if layer == "browser" and not shutil.which("chromium"):
        return "there is no Chromium on this machine"
    return None


def run(title: str, argv: list[str]) -> bool:
    say(f"── {title}")
    began = time.monotonic()
    code = subprocess.run(argv, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, check=False).returncode
    say(f"── {title}: {'passed' if code == 0 else f'FAILED ({code})'} in {time.monotonic() - began:.0f} s\n")
    return code == 0


def mypy() -> bool:
    rooms = [room for room in ROOMS if (ROOT / room).is_dir()]
    return run(
        "mypy (strict)",
        [str(BIN / "mypy"), *rooms, "bootstrap/environments.py", "bootstrap/prefix.py", "tests/stack.py"],
    )


def check() -> bool:
    """Run every static check, also after one has failed."""
    ruff = str(BIN / "ruff")
    return all(
        [
            run("ruff", [ruff, "check", "--no-cache", "."]),
            run("format", [ruff, "format", "--check", "."]),
            mypy(),
            run("rooms' imports", [str(BIN / "lint-imports")]),
            # A file that cannot be imported ends every lane: better said now than by each of them.
            run("tests found", [sys.executable, "-m", "pytest", "--collect-only", "-qqq"]),
        ]
    )


def tests(layers: list[str], extra: list[str]) -> bool:
    """Run the chosen layers; what the lanes beside the first one say comes when they have ended."""
    chosen = []
    for layer in layers:
        reason = why_not(layer)
        if reason:
            say(f"Layer {layer} left out: {reason}.")
        else:
            chosen.append(layer)
    lanes = [here for lane in LANES if (here := [layer for layer in lane if layer in chosen])]
    if not lanes:
        return True
    # A test of two layers needs both.
    left_out = [mark for mark in MARKED if mark not in chosen]
    with tempfile.TemporaryDirectory(prefix="simdeck-tests-") as folder:
        argvs = []
        for number, lane in enumerate(lanes):
            later = [layer for other in lanes[number + 1 :] for layer in other]
            argvs.append(pytest_argv(expression(lane, [*left_out, *later]), extra, f"{folder}/{lane[0]}"))
        beside = [Beside(lane, argv, folder) for lane, argv in zip(lanes[1:], argvs[1:], strict=True)]
        try:
            good = run(f"tests ({', '.join(lanes[0])})", argvs[0])
            # All of them, whatever the others found.
            return all([good, *[one.passed() for one in beside]])
        finally:
            for one in beside:
                one.end()


def expression(lane: list[str], others: list[str]) -> str:
    """Return what pytest shall choose: tests of the lane's layers and of none of the others."""
    unmarked = " and ".join(f"not {mark}" for mark in MARKED)
    wanted = " or ".join(f"({unmarked})" if layer == "unit" else layer for layer in lane)
    return " and ".join([f"({wanted})", *[f"not {mark}" for mark in others]])


class Beside:
    """A lane that runs beside the first one; its words are kept until it has ended."""

    def __init__(self, lane: list[str], argv: list[str], folder: str) -> None:
        self.title = f"tests ({', '.join(lane)})"
        self.log = Path(folder, f"{lane[0]}.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                argv, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def passed(self) -> bool:
        """Wait for its end, print what it said, and return whether all is well."""
        code = self.process.wait()
        say(f"── {self.title}, run beside the others\n{self.log.read_text(encoding='utf-8', errors='replace')}")
        say(f"── {self.title}: {'passed' if code == 0 else f'FAILED ({code})'}\n")
        return code == 0

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()


def pytest_argv(chosen: str, extra: list[str], folder: str) -> list[str]:
    """Return pytest's command line; ``folder`` is for its temporary files, apart from those of another lane."""
    return [sys.executable, "-m", "pytest", "-q", "--durations=10", "-m", chosen, f"--basetemp={folder}", *extra]


def bench() -> bool:
    scripts = sorted((ROOT / "tests" / "load").glob("bench*.py"))
    results = [run(script.stem, [sys.executable, str(script)]) for script in scripts]
    return all(results)


def main() -> None:
    parser = argparse.ArgumentParser(description="Checks and tests.")
    parser.add_argument("--install", action="store_true", help="install missing Debian packages first (as root)")
    parser.add_argument("--only", choices=["check", "mypy", "bench", "unit", *MARKED], help="run this alone")
    chosen, extra = parser.parse_known_args()
    if chosen.install:
        install()
        install_slurm()
    if chosen.only == "check":
        good = check()
    elif chosen.only == "mypy":
        good = mypy()
    elif chosen.only == "bench":
        good = bench()
    elif chosen.only:
        good = tests([chosen.only], extra)
    else:
        good = all([check(), tests(["unit", *MARKED], extra)])
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
