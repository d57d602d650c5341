"""The trial as a whole: cluster, accounts, environment, launcher, site file, `simdeck up` as the service user.

Everything is below one folder. ``prefix/`` there (the environment) stays for the next time; ``run/`` goes away with the
trial, and so does all that stands in ``trial.json``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from simdeck_clusters.launcher import install as launcher
from simdeck_clusters.launcher.install import ClusterCommands, LaunchConfig, Places

from simdeck_hub.places import Checkout
from simdeck_hub.ports import is_free
from simdeck_hub.trial import machine, people, site_text
from simdeck_hub.trial.cluster import PrivateSlurm
from simdeck_hub.trial.ledger import MARK, Ledger

FOLDER = Path("/var/lib/simdeck-trial")
NETWORK_VARIABLES = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX",
)  # fmt: skip
"""What this machine's way to package indexes hangs on; agents of the trial's people need it too."""


@dataclass(frozen=True)
class Options:
    """What to try, and under which names."""

    folder: Path = FOLDER
    users: tuple[str, ...] = ("alice", "bob")
    service: str = "simdeck"
    group: str = "simdeck-users"
    port: int = 8000
    subnet: str | None = None
    accounting: bool = False
    clusters: tuple[str, ...] = ("simdeck",)
    """Names of the clusters, each a Slurm and a network of its own; the first is the default."""
    extra: str = ""
    """Further text of the site file."""


@dataclass
class Trial:
    """A context manager: leaves nothing behind, whatever happens in it but SIGKILL; then the next start does it."""

    options: Options
    say: Callable[[str], None] = print
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    up: subprocess.Popen[bytes] | None = None
    output: int | None = None
    """File descriptor for what `simdeck up` prints; none: our own output."""

    def __post_init__(self) -> None:
        self.mark = secrets.token_hex(6)
        self.run = self.options.folder / "run"
        self.prefix = self.options.folder / "prefix"
        self.homes = self.run / "home"
        self.data = self.run / "data"
        self.site_file = self.run / "site.toml"
        self.python = ""

    def __enter__(self) -> Trial:
        machine.check()
        with self.stack:
            self.stack.enter_context(self._alone())
            self._begin()
            # From here on, whatever goes wrong, all that was made is taken away again.
            self.stack = self.stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock: one trial in a folder at a time."""
        folder = self.options.folder
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.chmod(0o755)
        handle = os.open(folder / "trial.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise machine.refuse(f"A trial runs in {folder} already", "Stop it with Ctrl-C in its terminal") from None
        finally:
            os.close(handle)

    def clear(self) -> None:
        """Only take away what a killed trial left.

        Raises
        ------
        Problem
            ``trial``: some of it resists, or a trial runs.
        """
        machine.check()
        with self._alone():
            self._clear_rest()

    def install_packages(self) -> None:
        """Only install the Debian packages that are missing.

        Raises
        ------
        Problem
            ``trial``: they cannot be installed here.
        """
        machine.check()
        with self._alone():
            ledger = self._clear_rest()
            try:
                self._install_missing(ledger)
            finally:
                ledger.clear(self.say)

    def _install_missing(self, ledger: Ledger) -> None:
        missing = machine.missing_packages(accounting=self.options.accounting)
        if missing:
            machine.install(missing, ledger, self.say)

    def _clear_rest(self) -> Ledger:
        ledger = Ledger(self.options.folder / "trial.json")
        if ledger.things:
            self.say("Taking away what a killed trial left behind …")
            ledger.clear(self.say)
            if ledger.things:
                raise machine.refuse("What a killed trial left could not be taken away", "Do it by hand, see above")
        return ledger

    def _begin(self) -> None:
        """Clear what a killed trial left; check names; make the folder."""
        self.ledger = ledger = self._clear_rest()
        self.stack.callback(self._clear)
        self._install_missing(ledger)
        machine.check_namespaces()
        machine.check_names([*self.options.users, self.options.service], [self.options.group])
        ledger.note("folder", path=str(self.run))
        ledger.note("processes", mark=self.mark)
        self.run.mkdir(mode=0o755)
        self.run.chmod(0o755)
        with machine.one_at_a_time():
            # Taken at once: another trial that starts now chooses others.
            self.clusters = {name: self._take_network(number) for number, name in enumerate(self.options.clusters)}
        self.slurm = next(iter(self.clusters.values()))

    def _take_network(self, number: int) -> PrivateSlurm:
        """Return the cluster of this number, not started yet; the network it needs is made."""
        folder = self.run / ("slurm" if number == 0 else f"slurm-{number + 1}")
        network = machine.free_network(self.options.subnet if number == 0 else None)
        accounting = self.options.accounting
        made = PrivateSlurm(folder, network, self.ledger, self.mark, accounting, self.options.clusters[number])
        made.make_bridge()
        return made

    def _clear(self) -> None:
        made = self.run.exists()
        if made:
            self.say("Taking everything away …")
        self.ledger.clear(self.say)
        if made:
            kept = f" The environment stays in {self.prefix} for the next time." if self.prefix.exists() else ""
            self.say(f"Taken away again.{kept}" if not self.ledger.things else "The rest is tried again next time.")

    # --- making it ----------------------------------------------------------------------------------------------

    def make_people(self) -> None:
        """Make the accounts: the people's, and the service's."""
        options = self.options
        self.homes.mkdir(mode=0o755)
        people.make_group(options.group, self.ledger)
        people.make_service(options.service, self.run / "service", self.ledger, self.mark)
        for name in options.users:
            people.make_person(name, self.homes, options.group, self.ledger, self.mark)

    def start_cluster(self) -> None:
        """Start each private Slurm. It ends before the accounts go."""
        for slurm in self.clusters.values():
            self.stack.callback(slurm.stop)
            slurm.start()
            if self.options.accounting:
                slurm.add_accounts(self.options.users)

    def make_prefix(self) -> None:
        """Make the environment below the prefix; takes half a minute the first time and no time after that.

        Raises
        ------
        Problem
            ``trial``: it could not be made; what was wrong has been printed.
        """
        self.python = machine.public_python()
        checkout = Checkout.find()
        program = checkout.root / "bootstrap" / "prefix.py"
        if not program.is_file():
            raise machine.refuse("The trial is started from a checkout of Simdeck", "Run `make site` there")
        argv = [self.python, str(program), str(self.prefix)]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output, check=False, start_new_session=True
        )
        if done.returncode:
            raise machine.refuse("The site's environment could not be made", "See what was said above")

    def make_launcher(self) -> None:
        """Install the launcher and the sudo rule of this trial."""
        options = self.options
        places = Places(self.prefix, sudoers=Path("/etc/sudoers.d") / f"simdeck-trial-{self.mark}")
        config = LaunchConfig(
            service_user=options.service,
            agent=launcher.agent_words(self.prefix / "env" / "bin" / "python", self.data / "agent.json"),
            clusters={name: ClusterCommands(conf=str(slurm.cluster.config)) for name, slurm in self.clusters.items()},
            environment=self.network_environment() | self.slurm.environment,
        )
        rule = launcher.sudoers_text(options.service, options.group, places.program)
        self.ledger.note("folder", path=str(places.program.parent))
        self.ledger.note("file", path=str(places.sudoers), line=rule.splitlines()[-1])
        launcher.install(places, config, options.group, python=Path(self.python))

    def write_site(self) -> None:
        """Write the site file: what an administrator would write for this cluster."""
        text = site_text.site_toml(
            users=self.options.users, service=self.options.service, group=self.options.group,
            address=self.slurm.address, port=self.options.port, prefix=self.prefix,
            clusters={name: slurm.cluster.config for name, slurm in self.clusters.items()}, extra=self.options.extra,
        )  # fmt: skip
        self.site_file.write_text(text, encoding="utf-8")
        self.site_file.chmod(0o644)
        account = pwd.getpwnam(self.options.service)
        self.data.mkdir(mode=0o711)
        self.data.chmod(0o711)
        os.chown(self.data, account.pw_uid, account.pw_gid)

    def start_site(self) -> None:
        """Make everything and start `simdeck up` as the service user; its output is ours."""
        if not is_free(self.options.port, self.slurm.address):
            raise machine.refuse(f"Port {self.options.port} is taken", "Choose another: make site PORT=8123")
        self.make_prefix()
        self.say("Making the accounts, the cluster and the sudo rule …")
        self.make_people()
        self.start_cluster()
        self.make_launcher()
        self.write_site()
        self.stack.callback(self.stop_site)
        self.start_up()

    def start_up(self) -> None:
        """Start `simdeck up`; again, after :meth:`stop_site`."""
        self.up = self.start_as(self.options.service, [str(self.prefix / "env" / "bin" / "simdeck"), "up"])

    def stop_site(self) -> None:
        """Stop `simdeck up` in order."""
        if self.up is not None and self.up.poll() is None:
            self.up.terminate()
            try:
                self.up.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.up.kill()
                self.up.wait()

    # --- using it -----------------------------------------------------------------------------------------------

    def network_environment(self) -> dict[str, str]:
        return {name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ}

    def environment_of(self, name: str) -> dict[str, str]:
        """Return the environment an account has after it has logged in, and what finds Slurm and this site."""
        account = pwd.getpwnam(name)
        own = {
            "HOME": account.pw_dir, "USER": name, "LOGNAME": name, "SHELL": account.pw_shell, "LANG": "C.UTF-8",
            "PATH": machine.SYSTEM_PATH, "TERM": os.environ.get("TERM", "dumb"), MARK: self.mark,
        }  # fmt: skip
        site = {
            "SIMDECK_DATA": str(self.data), "SIMDECK_SITE": str(self.site_file), "SIMDECK_CHECKOUT": str(self.prefix),
        }  # fmt: skip
        return self.network_environment() | self.slurm.environment | own | site

    def start_as(self, name: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program as an account, in its home folder."""
        account = pwd.getpwnam(name)
        return subprocess.Popen(
            list(argv), user=account.pw_uid, group=account.pw_gid, extra_groups=people.groups_of(name),
            env=self.environment_of(name), cwd=account.pw_dir, stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=self.output, start_new_session=True,
        )  # fmt: skip

    def run_as(self, name: str, argv: Sequence[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program as an account and return what it printed; it may fail."""
        account = pwd.getpwnam(name)
        return subprocess.run(
            list(argv), user=account.pw_uid, group=account.pw_gid, extra_groups=people.groups_of(name),
            env=self.environment_of(name), cwd=account.pw_dir, stdin=subprocess.DEVNULL, timeout=timeout,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def run_on(self, node: str, argv: Sequence[str], timeout: float = 60) -> str:
        """Run a program as root on a node and return what it printed."""
        return machine.run(self.slurm.nodes[node].argv(argv), timeout=timeout)


def say_to_terminal(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
