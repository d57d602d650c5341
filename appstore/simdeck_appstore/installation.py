"""One install: resolve, download, build, verify, ready. Works in a staging folder and publishes it at the end."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from simdeck_common.generations import Need
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

from simdeck_appstore import command_package
from simdeck_appstore.failures import problem_of, problem_of_check, problem_of_error, with_tail
from simdeck_appstore.fitness import VerifiedEnvironment, check_versions
from simdeck_appstore.generations import Generations
from simdeck_appstore.installer_settings import InstallerSettings
from simdeck_appstore.kernelspec import kernel_name, write_kernel
from simdeck_appstore.models import (
    Entry,
    FileRef,
    NotebookEntry,
    PostInstall,
    Progress,
    RegistryApp,
    Release,
    Step,
    VersionRecord,
)
from simdeck_appstore.process import CancelledError, Outcome, run
from simdeck_appstore.registry import Registry
from simdeck_appstore.rubbish import remove_tree
from simdeck_appstore.site_wide import freeze_below, open_to_all
from simdeck_appstore.versions import RECORD, AppFolder

VERIFY = Path(__file__).with_name("verify_env.py")
VERIFY_SECONDS = 300.0
CHECK_SECONDS = 120.0


class Installation:
    """One run. The caller holds the app's lock. ``beside``: the version in use stays so."""

    beside = False

    def __init__(
        self,
        *,
        folder: AppFolder,
        settings: InstallerSettings,
        registry: Registry,
        document: RegistryApp,
        release: Release,
        report: Callable[[Progress], None],
        cancelled: threading.Event,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.registry = registry
        self.document = document
        self.release = release
        self.report = report
        self.cancelled = cancelled
        self.step: Step = "resolve"
        self.stage = folder.apps / ".staging" / f"{folder.app}.{uuid.uuid4().hex[:12]}"
        self.tree = self.stage / "tree"
        self.generations = Generations(folder.apps, settings)
        self.backend: Path | None = None
        self._log_lock = threading.Lock()
        self.log: IO[str] = open(os.devnull, "w")  # noqa: SIM115 - replaced once the staging folder exists

    def run(self) -> None:
        """Install; on any failure remove the staging folder and keep the log as ``<apps>/.logs/<app>.log``."""
        app, version, release = self.folder.app, self.release.version, self.release
        private_dir(self.stage.parent)
        private_dir(self.stage)
        private_dir(self.tree)
        held = contextlib.ExitStack()
        try:
            if release.backend and self.settings.takes_plugins:
                # Until this app is in its place: another's packages must be fitted to this one's too.
                held.enter_context(self.generations.lock(self.cancelled))
            with (self.tree / "install.log").open("w", encoding="utf-8") as self.log:
                self._steps()
            self._check_cancelled()
            if self.settings.site_wide:
                open_to_all(self.tree)
            self.folder.adopt(self.tree, version, beside=self.beside)
            self._adopted()
            if self.settings.site_wide:
                freeze_below(self.folder.home(version))
        except CancelledError:
            raise Problem("install-cancelled", app=app) from None
        except Problem as refusal:
            self._keep_log(refusal)
            raise
        except OSError as error:
            problem = problem_of_error(error, app=app, version=version, step=self.step)
            self._keep_log(problem)
            with contextlib.suppress(OSError):
                self.folder.recover()
            raise problem from error
        finally:
            held.close()
            remove_tree(self.stage)
        self._step("ready", f"{self.document.title} {version} is ready")

    def _steps(self) -> None:
        title = self.document.title
        self._step("resolve", f"{title} {self.release.version}")
        self._check_versions()
        self._fit_backend()
        self._step("download", f"Fetching {title} {self.release.version}")
        wheels = self._download()
        abort = threading.Event()
        # The backend takes longest to start; it reads the workflows while the environment is made.
        with ThreadPoolExecutor(2, "verify") as pool:
            try:
                self._step("build", "Making the environment")
                described = self._begin_workflows(pool, wheels[0], abort)
                self._build(wheels)
                self._step("verify", "Checking that it works")
                checked = pool.submit(self._run_checks, abort)
                found = self._verify()
                self._step("verify", "Starting it once and reading its workflows")
                self._await({checked, *described})
            finally:
                abort.set()
        entry = self.release.entry
        if isinstance(entry, NotebookEntry):
            entry = entry.model_copy(update={"file": f"{found.site}/{entry.path}"})
        self._write_record(entry, kernel=found.kernel)

    def _begin_workflows(self, pool: ThreadPoolExecutor, wheel: str, abort: threading.Event) -> list[Future[None]]:
        """Bring the app's workflows where the backend finds them, if they may enter it; they are read meanwhile."""
        if not self.settings.takes_plugins:
            return []
        self._install_for_backend(wheel)
        return [pool.submit(self._describe_workflows, abort)]

    def _adopted(self) -> None:
        """Do what must wait until the version lies in its place."""

    # --- resolve ------------------------------------------------------------------------------------------------

    def _check_versions(self) -> None:
        check_versions(self.document, self.release, self._python_version())

    def _python_version(self) -> str:
        if self.settings.python is None:
            return platform.python_version()
        answer = self.stage / "python-version"
        code = "import platform; print(platform.python_version())"
        self._must(self._run([str(self.settings.python), "-I", "-c", code], stdout=answer, limit=60))
        return answer.read_text("utf-8").strip()

    def _python(self) -> Path:
        # A virtual environment's Python would do too, but its end would be every app's end.
        return self.settings.python or Path(getattr(sys, "_base_executable", sys.executable))

    def _fit_backend(self) -> None:
        """Have an environment of the backend with what the app's workflows need, and other apps' workflows too."""
        release = self.release
        if not release.backend or not self.settings.takes_plugins:
            return
        need = Need(self.folder.app, self.document.title, release.version, tuple(release.backend))
        self.backend = self.generations.ensure(
            self.generations.needs(need, self.folder.app),
            say=lambda text: self._step(self.step, text),
            tell=self._told,
            cancelled=self.cancelled,
        )

    # --- download -----------------------------------------------------------------------------------------------

    def _download(self) -> list[str]:
        """Fetch lock and wheels, checked by hash; return each wheel's requirement line for uv, the app's first."""
        self._fetch(self.release.lock, self.tree / "requirements.lock")
        own = self.release.simdeck.wheel if self.release.simdeck else None
        wheels = []
        for ref in (self.release.wheel, own):
            if ref is None:
                continue
            path = self._fetch(ref, self.stage / ref.name)
            # uv checks the hash once more, at the moment it unpacks.
            wheels.append(f"{ref.name.partition('-')[0]} @ {path.as_uri()} --hash=sha256:{ref.sha256}\n")
        return wheels

    def _fetch(self, ref: FileRef, target: Path) -> Path:
        if ref.name != Path(ref.name).name:
            raise Problem("file-changed", name=ref.name)
        self._line(f"{ref.name}: {ref.size} bytes, sha256 {ref.sha256}")
        try:
            return self.registry.fetch(ref, target, check=self._check_cancelled)
        except Problem as problem:
            if problem.code != "not-found":
                raise
            # The registry was rebuilt after its index was read.
            name, reason = self.registry.origin.name, f"{ref.name} is not there any more"
            raise Problem("registry-unreachable", location=name, reason=reason) from None

    def _check_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise CancelledError

    # --- build --------------------------------------------------------------------------------------------------

    def _install_for_backend(self, wheel: str) -> None:
        """Put the app's wheel, without what it needs, where the backend finds its workflows."""
        lines = self.stage / "app.txt"
        lines.write_text(wheel, "utf-8")
        self._install(lines, "--python", str(self._python()), "--no-deps", "--target", str(self.tree / "workflows"))
        release = self.release
        try:
            command_package.write(self.tree / "workflows", release.version, release.workflows, release.commands)
        except ValueError as error:
            raise Problem("app-broken", app=self.document.title, version=release.version, reason=str(error)) from None

    def _build(self, wheels: list[str]) -> None:
        environment = self.tree / "env"
        self._uv(
            "venv",
            "--relocatable",
            "--no-project",
            "--no-python-downloads",
            "--python",
            str(self._python()),
            str(environment),
        )
        lock = self.tree / "requirements.lock"
        self._step("build", "Installing the locked packages")
        self._install(lock, "--python", str(environment))
        self._step("build", "Installing the app")
        lines = self.stage / "wheels.txt"
        lines.write_text("".join(wheels), "utf-8")
        self._install(lines, "--python", str(environment), "--no-deps")

    def _install(self, requirements: Path, *options: str) -> None:
        mode = self.settings.link_mode
        if self.settings.site_wide:
            # A link into somebody's cache could be changed by them; and who uses it cannot write compiled files.
            mode, options = "copy", ("--compile-bytecode", *options)
        self._uv("pip", "install", "--require-hashes", "--link-mode", mode, *options, "-r", str(requirements))

    # --- verify -------------------------------------------------------------------------------------------------

    def _verify(self) -> VerifiedEnvironment:
        environment = self.tree / "env"
        outcome = self._run(self._uv_argv("pip", "check", "--python", str(environment)))
        if not outcome.ok:
            raise self._broken("its requirements.lock does not hold all that its packages need", outcome)
        entry = self.release.entry
        notebook = entry.path if entry.kind == "notebook" else ""
        answer = self.stage / "verified.json"
        argv = [str(environment / "bin" / "python"), "-I", str(VERIFY), self.release.package, notebook]
        outcome = self._run(argv, stdout=answer, limit=VERIFY_SECONDS)
        if not outcome.ok:
            told = [line.removeprefix("simdeck: ") for line in outcome.tail if line.startswith("simdeck: ")]
            raise self._broken(told[-1] if told else "the check of its environment failed", outcome)
        data = json.loads(answer.read_text("utf-8").splitlines()[-1])
        return VerifiedEnvironment(site=str(data["site"]), kernel=bool(data["kernel"]))

    def _run_checks(self, abort: threading.Event) -> None:
        """Run the modules of the manifest's ``checks`` by the app's own Python, each in a private, empty folder."""
        for number, module in enumerate(self.release.checks):
            argv = [str(self.tree / "env" / "bin" / "python"), "-m", module]
            folder = private_dir(self.stage / f"check-{number}")
            # In a thread of its own, like the reading of the workflows.
            outcome = run(
                argv,
                cwd=folder,
                line=self._line,
                cancelled=abort,
                # Else its last line would be what it printed first: Python keeps standard output back until the end.
                environment={"PYTHONUNBUFFERED": "1"},
                limit=CHECK_SECONDS,
            )
            if not outcome.ok:
                title, version = self.document.title, self.release.version
                raise problem_of_check(outcome, app=title, version=version, limit=CHECK_SECONDS)

    def _await(self, pending: set[Future[None]]) -> None:
        """Wait until all have ended; raise what the first of them to fail raised."""
        while pending:
            self._check_cancelled()
            done, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()

    def _describe_workflows(self, abort: threading.Event) -> None:
        """Store what the backend says of the app's workflows, and check that those it promises are among them."""
        describe = self.settings.describe(self.backend)
        if describe is None:
            return
        answer = self.stage / "workflows.json"
        argv = [*describe, "--path", str(self.tree / "workflows")]
        # In a thread of its own: into the log, but reports come from one thread only.
        outcome = run(argv, cwd=self.stage, line=self._line, cancelled=abort, stdout=answer, limit=VERIFY_SECONDS)
        if not outcome.ok:
            raise self._broken("its workflows cannot be read", outcome)
        try:
            document = json.loads(answer.read_text("utf-8"))
            names = {workflow["name"] for workflow in document["workflows"]}
        except (ValueError, KeyError, TypeError):
            raise self._broken("its workflows cannot be read", outcome) from None
        missing = sorted(set(self.release.workflows) - names)
        if missing:
            raise self._broken(f"its workflow {missing[0]} is not there", outcome)
        (self.tree / "workflows.json").write_text(json.dumps(document, ensure_ascii=False) + "\n", "utf-8")

    def _broken(self, reason: str, outcome: Outcome) -> Problem:
        problem = Problem("app-broken", app=self.document.title, version=self.release.version, reason=reason)
        return with_tail(problem, [line for line in outcome.tail if not line.startswith("simdeck: ")])

    def _write_record(self, entry: Entry, *, kernel: bool, post_install: PostInstall = "none") -> VersionRecord:
        release, document = self.release, self.document
        logo_file = None
        if document.logo is not None:
            logo_file = "logo" + Path(document.logo.name).suffix
            self._fetch(document.logo, self.tree / logo_file)
        record = VersionRecord(
            id=self.folder.app,
            title=document.title,
            summary=document.summary,
            version=release.version,
            package=release.package,
            entry=entry,
            resources=release.resources,
            workflows=release.workflows,
            backend=release.backend,
            groups=release.groups,
            codes=release.codes,
            citations=document.citations,
            kernel=kernel_name(self.folder.app),
            logo=document.logo.path if document.logo else None,
            logo_file=logo_file,
            wheel_sha256=release.wheel.sha256 if release.wheel else None,
            tree_sha256=release.tree.sha256 if release.tree else None,
            post_install=post_install,
            lock_sha256=release.lock.sha256,
            simdeck_version=release.simdeck.version if release.simdeck else None,
            simdeck_sha256=release.simdeck.wheel.sha256 if release.simdeck else None,
            installed=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if kernel:
            write_kernel(record, self.tree, self.folder.home(release.version))
        (self.tree / RECORD).write_text(record.model_dump_json(indent=1) + "\n", "utf-8")
        return record

    # --- commands and reports -----------------------------------------------------------------------------------

    def _uv_argv(self, *arguments: str) -> list[str]:
        cache = ["--cache-dir", str(self.settings.cache)] if self.settings.cache else []
        return [str(self.settings.uv), *arguments, *cache]

    def _uv(self, *arguments: str) -> None:
        self._must(self._run(self._uv_argv(*arguments)))

    def _run(self, argv: list[str], *, stdout: Path | None = None, limit: float = 3600.0) -> Outcome:
        return run(argv, cwd=self.stage, line=self._told, cancelled=self.cancelled, stdout=stdout, limit=limit)

    def _must(self, outcome: Outcome) -> None:
        if not outcome.ok:
            raise problem_of(outcome, app=self.document.title, version=self.release.version, step=self.step)

    def _step(self, step: Step, message: str) -> None:
        if step != "ready":
            self._check_cancelled()
        self.step = step
        self._line(f"--- {step}: {message}")
        self.report(Progress(step=step, message=message))

    def _told(self, text: str) -> None:
        self._line(text)
        self.report(Progress(kind="log", step=self.step, message=text))

    def _line(self, text: str) -> None:
        """Write a line to the log; two threads do."""
        with self._log_lock:
            if not self.log.closed:
                self.log.write(text + "\n")
                self.log.flush()

    def _keep_log(self, problem: Problem) -> None:
        """Keep the failed install's log where a person can find it. It must not hide the failure itself."""
        try:
            logs = private_dir(self.folder.apps / ".logs")
            with (self.tree / "install.log").open("a", encoding="utf-8") as log:
                log.write(f"--- failed: {problem.code}: {problem.detail}\n")
            os.replace(self.tree / "install.log", logs / f"{self.folder.app}.log")
        except OSError:
            return
