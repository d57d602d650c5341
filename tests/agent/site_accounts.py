"""Real Unix accounts, an installed launcher and its sudo rule, for as long as a test file runs; needs root.

``with Site() as site`` makes two people, one account outside the group and a service user, all with names nobody has,
and takes everything away again: processes, rule, accounts, folders. What the service does runs in a process of the
service's own (``site.service``), with a Python every account can execute.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import secrets
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import psutil
from simdeck_agent.settings import AgentSettings, SiteAgents
from simdeck_clusters.launcher.install import ClusterCommands, LaunchConfig, Places, install, remove
from stack import wait_for

PYTHON = Path("/usr/bin/python3")
ENTRY = (
    "import site, runpy, sys; site.addsitedir({packages!r}); runpy.run_module('simdeck_agent', run_name='__main__')\n"
)
SERVICE = """
import asyncio, json, site, sys, pathlib
site.addsitedir({packages!r})
from simdeck_agent.launcher import make_launcher
from simdeck_agent.settings import AgentSettings
from simdeck_common.problems import Problem
import httpx
file = pathlib.Path(sys.argv[1])
launcher = make_launcher(file, AgentSettings.read(file))
async def status(user):
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(launcher.socket(user))), timeout=30) as c:
        return (await c.get("http://agent/status")).json()
async def main():
{body}
try:
    print(json.dumps(asyncio.run(main())))
except Problem as problem:
    print(json.dumps(problem.to_json()))
"""
# As the launcher's own limits: a test that hangs must say so.
PATIENCE = 300


def packages() -> str:
    return sysconfig.get_paths()["purelib"]


def missing() -> str | None:
    """Return in one line why these tests cannot run here, or ``None``."""
    if os.getuid() != 0:
        return "needs root, to make Unix accounts"
    for program in ("sudo", "visudo", "useradd"):
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None:
            return f"{program} is missing (apt-get install sudo passwd)"
    words = ["-I", "-c", f"import site; site.addsitedir({packages()!r}); import simdeck_agent.__main__, httpx, fastapi"]
    nobody = pwd.getpwnam("nobody")
    try:
        done = subprocess.run(
            [PYTHON, *words], capture_output=True, timeout=180, check=False, cwd="/", user=nobody.pw_uid,
            group=nobody.pw_gid, extra_groups=[], env={"PATH": "/usr/bin"},
        )  # fmt: skip
    except OSError as error:
        return f"{PYTHON}: {error.strerror}"
    return None if done.returncode == 0 else f"{PYTHON} cannot run the checkout's agent as another user"


class Site:
    """Accounts, launcher and settings of one small site."""

    def __init__(self) -> None:
        tag = secrets.token_hex(3)
        self.alice, self.bob, self.outsider, self.service_user = (f"sd{who}{tag}" for who in ("a", "b", "o", "s"))
        self.group = f"sdg{tag}"
        # Below /tmp and not pytest's folder: every account must be able to reach it, and sockets need short paths.
        self.root = Path(tempfile.mkdtemp(prefix="sdsite-"))
        self.data = self.root / "data"
        self.places = Places(self.root / "prefix", sudoers=Path(f"/etc/sudoers.d/simdeck-test-{tag}"))
        self.settings_file = self.root / "etc" / "agent.json"

    # --- making and taking away ----------------------------------------------------------------------------------

    def __enter__(self) -> Site:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self) -> None:
        self.root.chmod(0o755)
        homes = self.root / "home"
        homes.mkdir(mode=0o755)
        run("groupadd", self.group)
        for name, groups in ((self.alice, self.group), (self.bob, self.group), (self.outsider, "")):
            run("useradd", "--create-home", "--home-dir", str(homes / name), "--groups", groups, name)
            (homes / name).chmod(0o700)
        run("useradd", "--system", "--no-create-home", "--home-dir", str(self.data), self.service_user)
        self.data.mkdir(mode=0o700)
        os.chown(self.data, self.uid(self.service_user), -1)
        (self.root / "etc").mkdir(mode=0o755)
        entry = self.root / "etc" / "simdeck_agent_entry.py"
        entry.write_text(ENTRY.format(packages=packages()))
        commands = self.root / "bin"
        commands.mkdir(mode=0o755)
        for name in ("sbatch", "scancel"):
            (commands / name).write_text('#!/bin/sh\ncat >/dev/null\necho "$0" "$@"\n')
            (commands / name).chmod(0o755)
        for path in (entry, homes, commands, self.root / "etc"):
            path.chmod(0o755)
        self.configure()
        config = LaunchConfig(
            self.service_user,
            [str(PYTHON), "-I", str(entry), "--settings", str(self.settings_file)],
            clusters={"main": ClusterCommands(str(commands))},
            seconds=60,
        )
        install(self.places, config, self.group)

    def configure(self, **changed: Any) -> None:
        """Write ``agent.json``, with some settings changed."""
        settings = AgentSettings(
            data=self.data,
            backend_python=PYTHON,
            uv=Path("/nowhere/uv"),
            start_timeout=180.0,
            site=SiteAgents(
                program=self.places.program,
                status_seconds=0.1,
                accounts={"gone": "sdnosuchaccount", "chief": "root", "daemon": "daemon", "stranger": self.outsider},
            ),
        )
        settings.model_copy(update=changed).write(self.settings_file)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            remove(self.places)
        for name in (self.alice, self.bob, self.outsider, self.service_user):
            with contextlib.suppress(KeyError):
                uid = self.uid(name)
                for process in processes_of(uid):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()
                        process.wait(10)
                run("userdel", name)
                for left in Path(tempfile.gettempdir()).glob(f"simdeck-{uid}-*"):
                    shutil.rmtree(left)
        with contextlib.suppress(KeyError):
            grp.getgrnam(self.group)
            run("groupdel", self.group)
        shutil.rmtree(self.root)

    # --- acting --------------------------------------------------------------------------------------------------

    def uid(self, name: str) -> int:
        return pwd.getpwnam(name).pw_uid

    def socket(self, user: str) -> Path:
        return self.data / "agents" / f"{user}.sock"

    def home(self, name: str) -> Path:
        return Path(pwd.getpwnam(name).pw_dir)

    def start(self, name: str, *argv: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start a command as the account ``name``, with a clean environment."""
        entry = pwd.getpwnam(name)
        groups = os.getgrouplist(name, entry.pw_gid)
        return subprocess.Popen(
            [str(word) for word in argv], text=True, user=entry.pw_uid, group=entry.pw_gid, extra_groups=groups, cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": entry.pw_dir} | options.pop("env", {}),
            stdin=options.pop("stdin", subprocess.PIPE), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, **options,
        )  # fmt: skip

    def run(self, name: str, *argv: str | Path, given: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command as the account ``name`` to its end."""
        process = self.start(name, *argv, **options)
        out, err = process.communicate(given, timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def launch(self, account: str, *verb: str, by: str = "", given: str = "") -> subprocess.CompletedProcess[str]:
        """Have the service (or ``by``) call the launcher as ``account``."""
        words = ["sudo", "-n", "-u", account, "--", str(self.places.program), *verb]
        return self.run(by or self.service_user, *words, given=given)

    def deck(self, body: str) -> subprocess.Popen[str]:
        """Start a process of the service that runs ``body``, the lines of a coroutine that returns something."""
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        code = SERVICE.format(packages=packages(), body=lines)
        return self.start(self.service_user, PYTHON, "-I", "-c", code, self.settings_file)

    def service(self, body: str) -> Any:
        """Run ``body`` as the service and return what it returns; a problem is returned as its JSON."""
        return answer(self.deck(body))

    def ensure(self, user: str) -> Any:
        """Have the service see to the agent of ``user``; return its status."""
        return self.service(f"await launcher.ensure({user!r})\nreturn await status({user!r})")

    def agents_of(self, name: str) -> list[int]:
        """Return the process ids of the agents that run as ``name``."""
        found = []
        for process in processes_of(self.uid(name)):
            with contextlib.suppress(psutil.Error):
                if any("simdeck_agent_entry" in word for word in process.cmdline()):
                    found.append(process.pid)
        return found

    def kill_agents(self, name: str) -> None:
        """Kill the agents of ``name`` and wait for their end."""
        for pid in self.agents_of(name):
            os.kill(pid, 9)
        wait_for("the agents' end", lambda: not self.agents_of(name))


def answer(process: subprocess.Popen[str]) -> Any:
    """Return what a process of ``Site.deck`` answers."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return json.loads(out)


def processes_of(uid: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == uid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def run(*argv: str) -> None:
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=dict(os.environ) | {"PATH": os.environ["PATH"] + ":/usr/sbin"},
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
