"""A private Slurm with a network of its own: two nodes, each with its own address, host name, processes and /tmp."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO

from simdeck_hub.ports import free_ports
from simdeck_hub.trial import machine, slurm_files
from simdeck_hub.trial.ledger import MARK, Ledger, end_processes
from simdeck_hub.trial.slurm_files import GPUS, Cluster, Node

START_SECONDS = 60.0
NODE_PROGRAM = Path(__file__).with_name("node.py")


@dataclass
class RunningNode:
    """A node's namespaces: ``pid`` is ``unshare``'s, whose child is process 1 on the node."""

    node: Node
    process: subprocess.Popen[str]
    link: str

    @property
    def init(self) -> int:
        """The pid, as this machine counts, of process 1 on the node."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return int(children.split()[0])

    def argv(self, argv: Sequence[str]) -> list[str]:
        """Return how ``argv`` is run on the node, as root."""
        return ["nsenter", "--target", str(self.init), "--all", "--", *argv]


@dataclass
class PrivateSlurm:
    """The cluster's processes and network. :meth:`start` makes it, :meth:`stop` ends it; the ledger knows the rest."""

    folder: Path
    network: IPv4Network
    ledger: Ledger
    mark: str
    accounting: bool = False
    name: str = "simdeck"
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    nodes: dict[str, RunningNode] = field(default_factory=dict)
    bridge: str = ""

    def __post_init__(self) -> None:
        hosts = self.network.hosts()
        first = next(hosts)
        ports = free_ports(2)
        self.cluster = Cluster(
            name=self.name, folder=self.folder, host=machine.host_name(), address=first, controller_port=ports[0],
            nodes=[Node("cn1", first + 10), Node("cn2", first + 11, gpus=GPUS)],
            database_port=ports[1] if self.accounting else None,
        )  # fmt: skip

    @property
    def address(self) -> str:
        """The hub machine's address as nodes see it."""
        return str(self.cluster.address)

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands need to find this cluster."""
        return {"SLURM_CONF": str(self.cluster.config)}

    # --- starting ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the daemons and the nodes on the network that has been made, wait until every node is idle.

        Raises
        ------
        Problem
            ``trial``: a daemon ended, or the nodes did not come up; names the log.
        """
        self._write_files()
        self.start_munge()
        if self.accounting:
            self.start_accounting()
        self.start_controller()
        for node in self.cluster.nodes:
            self.start_node(node)
        self.wait_idle()

    def _write_files(self) -> None:
        folder = self.folder
        for name, mode in (("", 0o755), ("logs", 0o755), ("state", 0o700), ("munge", 0o755), ("munge-key", 0o700)):
            (folder / name).mkdir(mode=mode, parents=True, exist_ok=True)
            (folder / name).chmod(mode)
        self._write(self.cluster.config, slurm_files.slurm_conf(self.cluster), 0o644)
        self._write(folder / "gres.conf", slurm_files.gres_conf(self.cluster), 0o644)
        self._write(folder / "cgroup.conf", "CgroupAutomount=no\n", 0o644)
        self._write(folder / "hosts", slurm_files.hosts(self.cluster), 0o644)
        if self.accounting:
            self._write(folder / "slurmdbd.conf", slurm_files.slurmdbd_conf(self.cluster), 0o600)
        with open(os.open(self.cluster.munge_key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400), "wb") as stream:
            stream.write(secrets.token_bytes(128))

    @staticmethod
    def _write(path: Path, text: str, mode: int) -> None:
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def make_bridge(self) -> None:
        """Take the network: make the device that joins the nodes and this machine."""
        self.bridge = machine.free_link("sdtrial")
        self.ledger.note("link", name=self.bridge)
        machine.run(["ip", "link", "add", self.bridge, "type", "bridge"])
        machine.run(["ip", "addr", "add", f"{self.address}/{self.network.prefixlen}", "dev", self.bridge])
        machine.run(["ip", "link", "set", self.bridge, "up"])

    def start_munge(self) -> None:
        munge = self.folder / "munge"
        argv = [
            "munged", "--foreground", f"--socket={self.cluster.munge_socket}", f"--key-file={self.cluster.munge_key}",
            f"--log-file={munge / 'munged.log'}", f"--pid-file={munge / 'munged.pid'}", f"--seed-file={munge / 'seed'}",
        ]  # fmt: skip
        self._start("munged", argv)
        self._wait("munged", "its socket", self.cluster.munge_socket.exists)

    def start_accounting(self) -> None:
        """A database server that listens on one socket, and slurmdbd before it."""
        data = self.folder / "database"
        user = "mysql"
        data.mkdir(mode=0o700)
        shutil.chown(data, user, user)
        machine.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={user}",
             "--auth-root-authentication-method=socket", "--skip-test-db"], timeout=120,
        )  # fmt: skip
        socket = self.folder / "database-socket"
        socket.mkdir(mode=0o755)
        shutil.chown(socket, user, user)
        argv = [
            "mariadbd", "--no-defaults", f"--datadir={data}", f"--user={user}", f"--socket={self.database_socket}",
            "--skip-networking", f"--pid-file={socket / 'pid'}", "--innodb-buffer-pool-size=64M",
            "--innodb-lock-wait-timeout=900",
        ]  # fmt: skip
        self._start("database", argv)
        self._wait("database", "its socket", self.database_socket.exists)
        conf = self.folder / "slurmdbd.conf"
        environment = {"MYSQL_UNIX_PORT": str(self.database_socket), "SLURM_CONF": str(conf)}
        self._start("accounting", ["slurmdbd", "-D"], environment)
        self._wait("accounting", "an answer", lambda: self._answers("sacctmgr", "--noheader", "list", "cluster"))
        with contextlib.suppress(subprocess.CalledProcessError):
            self.slurm("sacctmgr", "--immediate", "add", "cluster", self.name)

    @property
    def database_socket(self) -> Path:
        return self.folder / "database-socket" / "socket"

    def add_accounts(self, people: Sequence[str], account: str = "science") -> None:
        """Give people an account to charge in the accounting database."""
        quick = "--immediate"
        self.slurm("sacctmgr", quick, "add", "account", account, "Description=trial", "Organization=simdeck")
        for person in people:
            self.slurm("sacctmgr", quick, "add", "user", person, f"Account={account}")

    def start_controller(self) -> None:
        self._start("controller", ["slurmctld", "-D"])
        self._wait("controller", "an answer", lambda: self._answers("scontrol", "ping"))

    def start_node(self, node: Node) -> None:
        """Make the node's namespaces, give it its end of a cable, and start slurmd in it."""
        tmp = self.folder / f"tmp-{node.name}"
        spool = self.folder / f"spool-{node.name}"
        for folder, mode in ((tmp, 0o1777), (spool, 0o755)):
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
        outer, inner = machine.free_link(f"{self.bridge}v"), machine.free_link(f"{self.bridge}n")
        log = self.cluster.log(f"{node.name}-machine")
        with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [
                    "unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL",
                    "--", sys.executable, "-I", str(NODE_PROGRAM),
                ],
                env=self._environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                start_new_session=True, cwd="/",
            )  # fmt: skip
        self.nodes[node.name] = RunningNode(node, process, outer)
        self._hear(process, "here", log)
        self.ledger.note("link", name=outer)
        machine.run(
            ["ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", str(process.pid)],
        )
        machine.run(["ip", "link", "set", outer, "master", self.bridge, "up"])
        told = {
            "name": node.name,
            "link": inner,
            "address": f"{node.address}/{self.network.prefixlen}",
            "gateway": self.address,
            "hosts": str(self.folder / "hosts"),
            "tmp": str(tmp),
            "log": str(self.cluster.log(node.name)),
            "argv": ["slurmd", "-D", "-N", node.name, "-f", str(self.cluster.config)],
        }
        assert process.stdin is not None
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
        self._hear(process, "up", log)

    def wait_idle(self, seconds: float = START_SECONDS) -> None:
        """Wait until every node takes jobs."""
        deadline = time.monotonic() + seconds
        while True:
            states = self.slurm("sinfo", "--noheader", "--Node", "--format=%n %T").split()[1::2]
            if states and set(states) <= {"idle", "mixed", "allocated"}:
                return
            if time.monotonic() > deadline:
                raise self._failed("nodes", f"they are {', '.join(sorted(set(states)))}", self.cluster.log("cn1"))
            time.sleep(0.1)

    # --- using it ---------------------------------------------------------------------------------------------

    def slurm(self, *argv: str) -> str:
        """Run one of Slurm's commands as root and return what it prints; ``CalledProcessError`` when it refuses."""
        return machine.run(argv, env=machine.system_environment() | self.environment)

    # --- the end ----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End every job, node and daemon. Files and network are the ledger's."""
        with contextlib.suppress(subprocess.SubprocessError):
            # Not waited for: the nodes' end is their end too.
            if "controller" in self.daemons and self.daemons["controller"].poll() is None:
                machine.run(["scontrol", "shutdown"], env=machine.system_environment() | self.environment, timeout=5)
        for name in list(self.nodes):
            self.stop_node(name)
        for name in ("controller", "accounting", "database", "munged"):
            if name in self.daemons:
                self.stop_daemon(name)

    def stop_node(self, name: str) -> None:
        """End a node as if its plug were pulled: all its processes with it."""
        running = self.nodes.pop(name)
        running.process.kill()
        running.process.wait()
        for stream in (running.process.stdin, running.process.stdout):
            close(stream)

    def stop_daemon(self, name: str) -> None:
        daemon = self.daemons.pop(name)
        end_processes(lambda: [] if daemon.poll() is not None else [daemon.pid])
        daemon.wait()

    # --- processes --------------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        return machine.system_environment() | self.environment | {MARK: self.mark}

    def _start(self, name: str, argv: list[str], environment: dict[str, str] | None = None) -> None:
        log = os.open(self.cluster.log(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.daemons[name] = subprocess.Popen(
                argv, env=self._environment() | (environment or {}), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, cwd="/",
            )  # fmt: skip
        finally:
            os.close(log)

    def _wait(self, name: str, what: str, ask: object) -> None:
        deadline = time.monotonic() + START_SECONDS
        assert callable(ask)
        while not ask():
            if self.daemons[name].poll() is not None:
                raise self._failed(name, f"it ended with {self.daemons[name].returncode}", self.cluster.log(name))
            if time.monotonic() > deadline:
                raise self._failed(name, f"{what} did not come within {START_SECONDS:.0f} s", self.cluster.log(name))
            time.sleep(0.05)

    def _hear(self, process: subprocess.Popen[str], word: str, log: Path) -> None:
        assert process.stdout is not None
        if process.stdout.readline().strip() != word:
            raise self._failed("a node", "its namespaces could not be made", log)

    def _answers(self, *argv: str) -> bool:
        try:
            return "DOWN" not in self.slurm(*argv)
        except subprocess.SubprocessError:
            return False

    @staticmethod
    def _failed(what: str, reason: str, log: Path) -> Exception:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
        said = f" ({lines[-1].strip()})" if lines else ""
        return machine.refuse(f"The trial's Slurm did not start: {what}: {reason}{said}", f"Read {log}")


def close(stream: IO[str] | None) -> None:
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.close()
