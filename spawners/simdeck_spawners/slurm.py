"""Servers as Slurm jobs. On batchspawner's SlurmSpawner, with submission, query, poll, start, stop and state our own.

What `jupyterhub_config.py` sets (``simdeck_spawners.hub.install(c)`` sets what does not depend on the site)::

    c.JupyterHub.spawner_class = "simdeck_spawners.slurm.SimdeckSlurmSpawner"
    c.JupyterHub.allow_named_servers = True
    c.JupyterHub.concurrent_spawn_limit = 0        # it would count jobs that wait in the queue
    c.JupyterHub.init_spawners_timeout = 10        # the hub goes on while servers are asked
    c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 1}    # answer 202 while the job waits
    c.JupyterHub.hub_ip, c.JupyterHub.hub_connect_ip             # an address compute nodes reach
    c.JupyterHub.cleanup_servers = False           # stopping the hub ends no server

    c.SlurmFleet.data = "/var/lib/simdeck"         # the book lies in hub/servers.sqlite, its key in hub/servers.key
    c.SlurmFleet.instance = "0123456789abcdef"     # id of the data folder
    c.SlurmFleet.api = "http://hub:8000/services/deck/api/v1"    # as compute nodes reach it
    c.SlurmFleet.open_url = "/services/deck/"      # where the hub's own spawn page leads
    c.SlurmFleet.site = SiteResources(…)           # clusters, environments, presets, policies
    c.SlurmFleet.server = ("/opt/simdeck/env/bin/python", "-I", "-m", "simdeck_spawners.server")
    c.SlurmFleet.launcher = "/opt/simdeck/libexec/simdeck-launch"
    c.SlurmFleet.queue_timeout = 0; .boot_timeout = 300; .handshake_timeout = 120    # seconds; 0: for ever
    c.SlurmFleet.public = ""                       # folder below which clusters/<name>.json is written
    c.SimdeckSlurmSpawner.http_timeout = 60

``start_timeout`` is none of them: queue, boot and handshake have clocks of their own. A hub user's name is the name of
the Unix account whose job it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from html import escape
from typing import Any

import jupyterhub.apihandlers
from batchspawner import SlurmSpawner
from jupyterhub.spawner import Spawner, SpawnException
from jupyterhub.utils import make_ssl_context, url_path_join, wait_for_http_server
from simdeck_common.problems import Problem
from traitlets import Any as AnyTrait
from traitlets import Dict, Integer, Unicode, default

from simdeck_spawners import files, options, views
from simdeck_spawners.book import LIVE, PENDING, Entry, Stage
from simdeck_spawners.fleet import SlurmFleet, current
from simdeck_spawners.points import POINTS, crash_point

# batchspawner mounts a handler that sets any attribute of a spawner; ours is in `handlers`.
jupyterhub.apihandlers.default_handlers[:] = [
    route for route in jupyterhub.apihandlers.default_handlers if route[0] != r"/api/batchspawner"
]

EVER = 10 * 365 * 86400
SLICE_SECONDS = 5.0
"""How long one try to reach a server lasts before the job is looked at again."""
STOP_SECONDS = 10
PERCENT = {"submitting": 5, "queued": 15, "unknown": 15, "booting": 40, "connecting": 75, "ending": 90}


class SimdeckSlurmSpawner(SlurmSpawner):  # type: ignore[misc]
    """A view of one server of the fleet, as JupyterHub wants to see it."""

    fleet: SlurmFleet = AnyTrait()
    start_timeout = Integer(EVER, help="Not a limit here: see the clocks of SlurmFleet.")
    consecutive_failure_limit = Integer(0, help="Jobs that fail say nothing about the hub.").tag(config=True)
    ip = Unicode("0.0.0.0", help="Address servers listen at on their nodes.").tag(config=True)  # noqa: S104
    recheck_timeout = Integer(
        30, help="Seconds a server may take to answer a hub that came back, before its start is shown as pending again."
    ).tag(config=True)
    extensions = Dict(
        per_key_traits={}, help="Server extensions switched on (True) or off (False) by module name."
    ).tag(config=True)

    entry_id = ""
    _wanted: options.Wanted | None = None
    _leave = False
    """The hub lets go of this object; the job goes on and is taken up again."""

    @default("fleet")  # type: ignore[untyped-decorator]
    def _shared_fleet(self) -> SlurmFleet:
        return current(self.config)

    @property
    def entry(self) -> Entry | None:
        """What the book says of this server's start."""
        if self.entry_id:
            found = self.fleet.book.get(self.entry_id)
            if found is not None:
                return found
        return self.fleet.book.live(self.user.name, self.name)

    # --- state --------------------------------------------------------------------------------------------------

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what the book says; the hub's own copy may be older."""
        super().load_state(state)
        entry = self.fleet.book.live(self.user.name, self.name)
        if entry is not None:
            self.entry_id, self.job_id = entry.id, entry.job_id
            if entry.stage is Stage.RUNNING:
                self.api_token = self.fleet.token(entry)

    def get_state(self) -> dict[str, Any]:
        """Return what a person finds in the hub's database; the book is the truth."""
        entry = self.entry
        state: dict[str, Any] = Spawner.get_state(self)
        if entry is not None and entry.stage in LIVE:
            state |= {"simdeck_entry": entry.id, "job_id": entry.job_id, "job_name": entry.job_name}
        return state

    def clear_state(self) -> None:
        """Forget the start; the book keeps it."""
        super().clear_state()
        self.entry_id = ""

    # --- options ------------------------------------------------------------------------------------------------

    @default("options_form")  # type: ignore[untyped-decorator]
    def _lead_to_the_deck(self) -> Any:
        def form(spawner: SimdeckSlurmSpawner) -> str:
            url = escape(spawner.fleet.open_url, quote=True)
            return (
                f'<meta http-equiv="refresh" content="0; url={url}">'
                f'<p>Resources are chosen on the deck: <a href="{url}">open it</a>.</p>'
            )

        return form

    @default("options_from_form")  # type: ignore[untyped-decorator]
    def _read_form(self) -> Any:
        return options.from_form

    async def _run_apply_user_options(self, user_options: dict[str, Any]) -> None:
        """Check the request once, for form, URL and REST alike; then the administrator's own hook, if there is one."""
        if self.fleet.book.live(self.user.name, self.name) is not None:
            # It was checked when it was asked for; its job is in the queue or runs.
            return
        await options.clusters_known(self.fleet)
        try:
            groups = [group.name for group in self.user.groups]
            self._wanted = options.check(self.fleet, self.user.name, groups, user_options or {})
        except Problem as problem:
            raise refusal(problem.to_json()) from None
        if self.apply_user_options:
            await super()._run_apply_user_options(user_options)

    # --- starting -----------------------------------------------------------------------------------------------

    async def start(self) -> str:
        """Submit the job, or take up the one that is there, and return the server's address once it answers."""
        fleet = self.fleet
        await fleet.start()
        entry = fleet.book.live(self.user.name, self.name)
        if entry is None:
            assert self._wanted is not None
            cluster, chosen = self._wanted
            entry = await fleet.begin(self.user.name, self.name, cluster, chosen, self.api_token)
        else:
            entry = await self._adopt(entry)
        self.entry_id = entry.id
        self._allowed_scopes = self._client_scopes()
        fleet.launch(entry, self._files)
        return await self._until_it_answers()

    async def _adopt(self, entry: Entry) -> Entry:
        """Take up a start of an earlier hub: its job knows the token it was given then."""
        await crash_point("before-adopt")
        self.log.warning("Taking up the server %s: job %s (%s)", self._log_name, entry.job_id or "?", entry.job_name)
        self.user_options = entry.options
        token = self.fleet.token(entry)
        if token:
            self.api_token = token
            return entry
        # The key is gone. A server that has not read its orders yet gets the new token.
        if entry.stage is Stage.SUBMITTED:
            await self.fleet.clusters[entry.cluster].write(entry.user, entry.job_name, await self._files(entry))
        # Written down last: until then, another try writes the orders anew.
        return self.fleet.update(entry.id, token=self.fleet.seal.close(self.api_token))

    async def _files(self, entry: Entry) -> dict[str, Any]:
        self.entry_id = entry.id
        return files.make(self, entry, await self._certificates(entry))

    async def _until_it_answers(self) -> str:
        phase = ""
        while True:
            entry = self.fleet.book.get(self.entry_id)
            if entry is None or entry.stage in (Stage.ENDING, Stage.ENDED):
                raise refusal(await self._failure(entry))
            job = self.fleet.job(entry)
            phase, before = views.phase(entry, job, known=True), phase
            if phase != before and phase in POINTS:
                await crash_point(phase)
            if entry.stage in (Stage.ANNOUNCED, Stage.RUNNING) and entry.host:
                url = self._url(entry)
                if await self.fleet.while_live(entry.id, self._answers(url)):
                    await crash_point("before-running")
                    now = self.fleet.book.get(entry.id)
                    # Meanwhile it may have been stopped, or Slurm may have started its job again.
                    if now is not None and (now.stage, now.port, now.host) == (entry.stage, entry.port, entry.host):
                        self.job_id = entry.job_id
                        self.fleet.update(entry.id, stage=Stage.RUNNING)
                        await crash_point("running")
                        await self.fleet.ready.turn()
                        return url
                    continue
            if not (entry.stage is Stage.ANNOUNCED and entry.host):
                await self.fleet.changed(entry.id, SLICE_SECONDS)

    async def _failure(self, entry: Entry | None) -> dict[str, Any]:
        if entry is not None and entry.failure is not None:
            return entry.failure
        return Problem("server-start-cancelled").to_json()

    def _url(self, entry: Entry) -> str:
        scheme = "https" if self.internal_ssl else "http"
        host = f"[{entry.host}]" if ":" in entry.host else entry.host
        return f"{scheme}://{host}:{entry.port}"

    async def _answers(self, url: str) -> bool:
        """Return whether the server answers within a slice of time."""
        settings = self.user.settings
        context = make_ssl_context(
            settings.get("internal_ssl_key"), settings.get("internal_ssl_cert"), cafile=settings.get("internal_ssl_ca")
        )
        base = self.server.base_url if self.server else "/"
        try:
            await wait_for_http_server(
                url + url_path_join(base, "api"), timeout=max(0.5, SLICE_SECONDS * self.fleet.pace), ssl_context=context
            )
        except TimeoutError:
            return False
        return True

    def _client_scopes(self) -> list[str] | None:
        client = getattr(self.orm_spawner, "oauth_client", None)
        return None if client is None else list(client.allowed_scopes)

    def start_polling(self) -> None:
        """Give the server's OAuth client back its scopes: a hub that meets a token used again drops them."""
        scopes, self._allowed_scopes = getattr(self, "_allowed_scopes", None), None
        client = getattr(self.orm_spawner, "oauth_client", None)
        if scopes and client is not None and not client.allowed_scopes:
            client.allowed_scopes = scopes
        super().start_polling()

    # --- asking and stopping ------------------------------------------------------------------------------------

    async def poll(self) -> int | None:
        """Return None while there is a job; only Slurm's word, or a stop, ends it."""
        entry = self.entry
        if self._leave or entry is None or entry.stage not in LIVE:
            return 1
        if self._check_pending and entry.stage in PENDING:
            # The hub came back while it was starting. The hub lets go; `hub.resume` asks for it anew and it is adopted.
            self._leave = self.will_resume = True
            return 1
        return None

    async def get_url(self) -> str:
        """Return where the server is, for a hub that came back; wait a while for one that does not answer."""
        deadline = asyncio.get_running_loop().time() + self.recheck_timeout
        while True:
            entry = self.entry
            if entry is not None and entry.stage is Stage.RUNNING and await self._answers(self._url(entry)):
                return f"{self._url(entry)}{self.server.base_url}"
            late = asyncio.get_running_loop().time() > deadline
            if entry is None or entry.stage is not Stage.RUNNING or late:
                # Not answering is not gone. The hub gives up on this object at once; we do not give up on the job.
                self._leave = self.will_resume = entry is not None and entry.stage in LIVE
                self.http_timeout = 1
                return str(self.server.url)

    async def stop(self, now: bool = False) -> None:
        """Have the job ended; wait a little until Slurm says that it is."""
        entry = self.entry
        if entry is None or self._leave:
            return
        await self.fleet.end(entry.id)
        for _ in range(0 if now else STOP_SECONDS):
            seen = self.fleet.book.get(entry.id)
            if seen is None or seen.stage is Stage.ENDED:
                return
            await self.fleet.changed(entry.id, 1)

    async def delete_forever(self) -> None:
        """End what is still there of a server, or user, that is deleted."""
        entry = self.fleet.book.live(self.user.name, self.name)
        if entry is not None:
            await self.fleet.end(entry.id)

    # --- what the person sees -----------------------------------------------------------------------------------

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield an event whenever something changes, with the whole ServerView under ``simdeck``."""
        last: dict[str, Any] | None = None
        while True:
            view = views.server(self.fleet, self.user, self.name)
            fixed = {key: value for key, value in view.items() if key not in {"elapsed", "walltime_left"}}
            if fixed != last:
                last = fixed
                yield {
                    "progress": PERCENT.get(view["phase"], 100),
                    "message": views.sentence(view),
                    "simdeck": view,
                }
            entry = self.entry
            if entry is None or entry.stage not in PENDING:
                if entry is not None or self.entry_id:
                    return
                await asyncio.sleep(0.1)
            else:
                await self.fleet.changed(entry.id, SLICE_SECONDS)

    # --- inner TLS and the server's environment -----------------------------------------------------------------

    async def create_certs(self) -> dict[str, Any]:
        """Make none yet: they are made with the server's orders, when it is certain which nodes they must name."""
        return dict.fromkeys(files.CERTIFICATE_FILES, "")

    async def move_certs(self, paths: dict[str, str]) -> dict[str, str]:
        """Return what the server finds beside its orders."""
        return {kind: files.CERTIFICATE_FILES[kind] for kind in paths}

    async def _certificates(self, entry: Entry) -> dict[str, str]:
        """Make a certificate that fits whichever node the job will get, and return it as files.

        Raises
        ------
        Problem
            ``cluster-unavailable``: the nodes are not known yet; ``server-certificate``: there are too many.
        """
        if not self.internal_ssl:
            return {}
        names: Any = self.ssl_alt_names  # type: ignore[has-type]
        if not names:
            self.ssl_alt_names = files.alt_names(self.fleet, entry)
        try:
            made: dict[str, Any] = await super().create_certs()
            # JupyterHub keeps one file for each person, which their next server overwrites: no await in between.
            return files.certificates(made)
        finally:
            self.ssl_alt_names = names

    def get_env(self) -> dict[str, str]:
        """Return what JupyterHub and the contract promise to a server; nothing of the hub's own environment."""
        env: dict[str, str] = Spawner.get_env(self)
        env.pop("JPY_API_TOKEN", None)
        if files.LATE not in self.extensions:
            env["SIMDECK_LATE_EXTENSIONS"] = files.LATE
        entry = self.entry
        if entry is not None:
            minutes = self.fleet.clusters[entry.cluster].settings.warning_minutes
            env["SIMDECK_WALLTIME_WARNING"] = str(minutes * 60)
        return env | {"SIMDECK_API": self.fleet.api, "SIMDECK_INSTANCE": self.fleet.instance}

    def get_args(self) -> list[str]:
        """Return the server's arguments."""
        return [*super().get_args(), *files.arguments(self.extensions)]

    # --- what batchspawner would do by itself -------------------------------------------------------------------

    async def submit_batch_script(self) -> str:
        """Refuse: submission belongs to the fleet."""
        raise NotImplementedError("jobs are submitted by SlurmFleet")

    async def query_job_status(self) -> Any:
        """Refuse: one look at the queue answers for all."""
        raise NotImplementedError("jobs are watched by SlurmFleet")

    async def cancel_batch_job(self) -> None:
        """Refuse: jobs are ended by the fleet, once."""
        raise NotImplementedError("jobs are ended by SlurmFleet")


def refusal(problem: dict[str, Any]) -> SpawnException:
    """Return the exception that tells JupyterHub, and whoever reads its answer, what was refused and why."""
    words = " ".join(filter(None, [problem["detail"], problem.get("remedy", "")]))
    error = SpawnException(words, reason=problem["code"], status_code=int(problem.get("status", 400)))
    error.headers = {"X-Simdeck-Problem": options.as_header(problem)}
    return error
