"""One session of `simdeck app dev`: the app's page, loaded anew on every save, until Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import httpx
from simdeck_common.problems import Problem

from simdeck_appstore.developer import processes
from simdeck_appstore.developer.dev import watch
from simdeck_appstore.developer.dev.sources import DevSettings, source_of
from simdeck_appstore.developer.local_deck import LocalDeck

__all__ = ["DevSession", "DevSettings"]

LOOK_SECONDS = 0.5
AGENT_SECONDS = 5.0


class DevSession:
    """A context manager: what it started and wrote is gone at its end, but for the cached environment."""

    def __init__(self, folder: Path, settings: DevSettings, tell: Callable[[str], None]) -> None:
        self.folder = folder.resolve()
        self.settings = settings
        self.tell = tell
        self.deck = LocalDeck("dev", settings.port)
        self.version = ""
        self.seen: watch.Seen = {}

    def __enter__(self) -> DevSession:
        try:
            self._start()
        except BaseException:
            self.deck.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.deck.close()

    @property
    def address(self) -> str:
        """Where the browser goes; the token in it becomes a cookie at the first visit."""
        return f"{self.deck.root}dev/?token={self.deck.token}"

    def run(self, stop: threading.Event) -> None:
        """Look for saves until ``stop`` is set or the server ends."""
        deck = self.deck
        while not stop.wait(LOOK_SECONDS):
            if deck.server is not None and deck.server.poll() is not None:
                raise Problem("dev-ended", reason=deck.last_line("server.log"))
            if deck.agent is not None and deck.agent.poll() is not None:
                self.tell(f"The workflow backend ended ({deck.last_line('agent.log')}); starting it again.")
                self._start_agent()
                stop.wait(AGENT_SECONDS)
            self.look()

    def look(self) -> bool:
        """Take up what was saved since the last look; tell whether there was anything."""
        now = watch.look(self.folder)
        changed = watch.differing(self.seen, now)
        if not changed:
            return False
        self.seen = now
        try:
            self.version = self.source.take(changed)
            if watch.touches_workflows(changed) and self.deck.agent is not None:
                # The worker holds the modules it has imported; the agent starts a new one.
                processes.end(self.deck.instance, "simdeck_workflows.engine")
        except Problem as problem:
            words = f"{problem.detail} {problem.remedy}".strip()
            self.tell(words)
            self._say({"version": self.version, "problem": words})
        else:
            self.tell(f"{', '.join(sorted(changed)[:3])}: loaded anew as {self.version}")
            self._say({"version": self.version, "title": self.source.title})
        return True

    def _start(self) -> None:
        self.seen = watch.look(self.folder)
        self.source = source_of(self.folder, self.deck.home.apps, self.settings, self.tell)
        self.version = self.source.take(set())
        if self.settings.backend_python is not None and self.source.workflows:
            self._start_agent()
        self.deck.start_server({"app": self.source.app, "title": self.source.title, "version": self.version})

    def _start_agent(self) -> None:
        if self.settings.backend_python is not None:
            self.deck.start_agent(self.settings.backend_python, self.settings.uv)

    def _say(self, said: dict[str, str]) -> None:
        try:
            answer = httpx.post(f"{self.deck.root}dev/changed", headers=self.deck.headers, json=said, timeout=10)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self.tell(f"The page could not be told ({type(error).__name__}); load it again by hand.")
