"""`make test`: static checks, then every test layer that can run on this machine; one that cannot says why in a line.

Standard library only. ``--install`` fetches Debian packages (as root); ``--only check|mypy|bench|LAYER`` runs one thing.
Layers are pytest marks: ``unit`` (no mark), ``backend``, ``stack``, ``browser``, ``chaos``,
``slurm`` (a real Slurm with several Unix accounts: as root on Debian or Ubuntu).
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
MARKED = ("backend", "stack", "browser", "chaos", "slurm")
SECOND_LANE = ("slurm", "chaos", "browser")
"""Layers that run beside the others. Together they take about as long as those."""
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
    if layer == "slurm":
        if os.getuid() != 0 or not shutil.which("apt-get"):
            return "a real Slurm with several Unix accounts needs root on Debian or Ubuntu"
        if missing_slurm():
            return f"{', '.join(missing_slurm())} not found; `make test` installs them as root"
    if layer in MARKED and not backend.exists():
        return f"{backend.relative_to(ROOT)} is missing; `make environments` makes it"
    if layer in {"stack", "browser", "chaos", "slurm"} and not proxy.exists():
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
            run("ruff", [ruff, "check", "."]),
            run("format", [ruff, "format", "--check", "."]),
            mypy(),
            run("rooms' imports", [str(BIN / "lint-imports")]),
        ]
    )


def tests(layers: list[str], extra: list[str]) -> bool:
    """Run the chosen layers in two lanes beside each other, because both mostly wait."""
    chosen = []
    for layer in layers:
        reason = why_not(layer)
        if reason:
            say(f"Layer {layer} left out: {reason}.")
        else:
            chosen.append(layer)
    if not chosen:
        return True
    unmarked = " and ".join(f"not {mark}" for mark in MARKED)
    left_out = [mark for mark in MARKED if mark not in chosen]
    expression = " or ".join(f"({unmarked})" if layer == "unit" else layer for layer in chosen)
    if left_out:
        # A test of two layers needs both.
        expression = f"({expression}) and " + " and ".join(f"not {mark}" for mark in left_out)
    second = [layer for layer in SECOND_LANE if layer in chosen]
    first = [layer for layer in chosen if layer not in second]
    if not second or not first:
        return run(f"tests ({', '.join(chosen)})", pytest_argv(expression, extra))
    title, theirs = f"tests ({', '.join(second)})", " or ".join(second)
    with tempfile.TemporaryDirectory(prefix="simdeck-tests-") as folder, open(f"{folder}/second.log", "w+") as log:
        began = time.monotonic()
        beside = subprocess.Popen(
            pytest_argv(f"({expression}) and ({theirs})", extra, f"{folder}/second"),
            cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            rest = f"({expression}) and not ({theirs})"
            good = run(f"tests ({', '.join(first)})", pytest_argv(rest, extra, f"{folder}/first"))
            code = beside.wait()
        finally:
            if beside.poll() is None:
                beside.send_signal(signal.SIGINT)
                beside.wait()
        log.seek(0)
        say(f"── {title}, run beside the others\n{log.read()}")
        say(f"── {title}: {'passed' if code == 0 else f'FAILED ({code})'} in {time.monotonic() - began:.0f} s\n")
    return good and code == 0


def pytest_argv(expression: str, extra: list[str], folder: str | None = None) -> list[str]:
    """Return pytest's command line; ``folder`` is for its temporary files, apart from those of another run."""
    apart = [f"--basetemp={folder}"] if folder else []
    return [sys.executable, "-m", "pytest", "-q", "--durations=10", "-m", expression, *apart, *extra]


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
