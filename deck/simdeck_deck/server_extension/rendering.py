"""Pages of ours from templates, for handlers of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from simdeck_deck.server_extension.config import Settings
from simdeck_deck.server_extension.frontend import Frontend
from simdeck_deck.server_extension.walltime import Walltime

TEMPLATES = Path(__file__).with_name("templates")
_environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)


class Rendering:
    """A part of handlers; they set these three when they are made."""

    simdeck: Settings
    frontend: Frontend
    walltime: Walltime

    async def refuse(self: Any, reason: str, title: str = "This app cannot be opened", **values: Any) -> None:
        """Say in a page why there is none."""
        self.set_status(404)
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        await self.finish(self._render("refused.html.j2", title=title, reason=reason, **values))

    def _render(self: Any, template: str, **values: Any) -> str:
        html: str = _environment.get_template(template).render(
            base_url=self.base_url,
            deck_url=self.simdeck.deck_url,
            own_url=self.frontend.url(self.base_url, "own"),
            voila_url=self.frontend.url(self.base_url, "voila"),
            preload=self.frontend.preload,
            walltime=self.walltime.page(),
            server=self.simdeck.server,
            **values,
        )
        return html
