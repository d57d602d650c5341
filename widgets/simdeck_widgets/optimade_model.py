"""Searching databases of structures: the question, the answer, the choice. No widget."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import traitlets

from simdeck_widgets import optimade
from simdeck_widgets.optimade import Found, OptimadeError, Provider


class OptimadeModel(traitlets.HasTraits):  # type: ignore[misc]
    """What a search over OPTIMADE databases knows.

    Parameters
    ----------
    providers
        The databases; those of the site by default.
    take
        Gets the structure that a person chose and its origin (:func:`simdeck_widgets.optimade.origin`).
    client
        An ``httpx.AsyncClient`` instead of one for each question.
    """

    provider = traitlets.Unicode()
    text = traitlets.Unicode()
    results = traitlets.List()
    """``{"id", "formula", "sites", "why_not"}``, what can be used first."""
    searched = traitlets.Unicode()
    """What the results are of; empty before the first answer."""
    busy = traitlets.Bool(False)
    error = traitlets.Unicode()
    chosen = traitlets.Unicode()

    def __init__(
        self,
        providers: tuple[Provider, ...] | None = None,
        take: Callable[[Found, dict[str, str]], Awaitable[None]] | None = None,
        client: Any = None,
        **traits: Any,
    ) -> None:
        self.providers = optimade.providers() if providers is None else providers
        self._take = take
        self._client = client
        self._found: dict[str, Found] = {}
        self._asked = 0
        super().__init__(**traits)
        if self.providers and not self.provider:
            self.provider = self.providers[0].id

    @property
    def current(self) -> Provider | None:
        """The database that is asked."""
        return next((one for one in self.providers if one.id == self.provider), None)

    async def search(self, text: str) -> None:
        """Ask the database; an answer that a later question has overtaken is dropped."""
        provider = self.current
        if provider is None:
            return
        self._asked += 1
        asked = self._asked
        self.text, self.error, self.busy = text, "", True
        try:
            found = await optimade.search(provider, text, self._client)
        except OptimadeError as error:
            if asked == self._asked:
                self.error, self.results, self.searched = str(error), [], ""
            return
        finally:
            if asked == self._asked:
                self.busy = False
        if asked == self._asked:
            self._found = {one.id: one for one in found}
            self.searched = f"{text.strip()} in {provider.title}"
            self.results = [
                {"id": one.id, "formula": one.formula, "sites": one.sites, "why_not": one.why_not} for one in found
            ]

    async def choose(self, name: str) -> None:
        """Take one of the results."""
        one, provider = self._found.get(name), self.current
        if one is None or provider is None or one.why_not or self._take is None:
            return
        self.busy = True
        try:
            origin = optimade.origin(provider, one, await optimade.licence(provider, self._client))
            await self._take(one, origin)
            self.chosen = name
        finally:
            self.busy = False
