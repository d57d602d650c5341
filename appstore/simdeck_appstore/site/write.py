"""Writing the site's pages into a registry that is being built; a page whose content is the same is taken over."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from simdeck_appstore.manifest import json_schema
from simdeck_appstore.models import RegistryApp, RegistryIndex
from simdeck_appstore.reference import pyproject_schema
from simdeck_appstore.registry_settings import RegistrySettings
from simdeck_appstore.site.views import Card, app_view, card, left_out

HERE = Path(__file__).parent
KNOWN = ".site.json"
"""Path of a page → hash of all that it is made of, for the next build."""


class SiteWriter:
    """One writing of the whole site into ``stage``; ``earlier`` is the registry of the build before."""

    def __init__(self, stage: Path, earlier: Path | None, settings: RegistrySettings) -> None:
        self.stage = stage
        self.earlier = earlier
        self.settings = settings
        self.written: dict[str, str] = {}
        self.rendered = 0
        self.known = _read_known(earlier)
        self.assets = {path.name: _hashed(path) for path in sorted((HERE / "assets").iterdir())}
        self.frame = hashlib.sha256(
            b"".join(path.read_bytes() for path in sorted(HERE.rglob("*")) if path.suffix in (".py", ".html"))
            + json.dumps([self.assets, settings.model_dump()]).encode()
        ).hexdigest()
        self.environment = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        self.environment.globals.update(settings=settings, assets=self.assets)

    def write(self, index: RegistryIndex, apps: list[RegistryApp]) -> None:
        """Write every page, the scripts and styles, and the manifest's JSON Schema."""
        for name, hashed in self.assets.items():
            self._file(f"site/{hashed}", (HERE / "assets" / name).read_bytes())
        self._file("schema/tool.simdeck.json", _json(json_schema()))
        self._file("schema/pyproject.json", _json(pyproject_schema()))
        cards = [card(entry, index.categories) for entry in index.apps]
        problems = [left_out(problem) for problem in index.problems]
        self._list("index.html", index, cards, None, bool(problems))
        for name in index.categories:
            inside = [one for one in cards if name in dict(one.categories)]
            self._list(f"categories/{name}/index.html", index, inside, name, bool(problems))
        by_id = {one.id: one for one in cards}
        for app in apps:
            shown = by_id[app.id]
            made_of = repr(shown) + app.model_dump_json()
            self._page(
                f"apps/{app.id}/index.html",
                made_of,
                lambda app=app, shown=shown: self._render("app.html", "../../", app=app_view(app, shown)),  # type: ignore[misc]
            )
        if problems:
            self._page(
                "report/index.html", repr(problems), lambda: self._render("report.html", "../", problems=problems)
            )
        self._file(KNOWN, json.dumps(self.written).encode())

    def _list(self, path: str, index: RegistryIndex, cards: list[Card], category: str | None, problems: bool) -> None:
        counts = dict.fromkeys(index.categories, 0)
        for entry in index.apps:
            for name in entry.categories:
                counts[name] = counts.get(name, 0) + 1
        categories = [(name, one.title, counts[name]) for name, one in index.categories.items() if counts[name]]
        chosen = index.categories[category] if category else None
        made_of = repr((cards, categories, category, chosen, problems, len(index.apps)))
        self._page(
            path,
            made_of,
            lambda: self._render(
                "list.html",
                "../../" if category else "",
                cards=cards,
                categories=categories,
                total=len(index.apps),
                category=category,
                chosen=chosen,
                problems=problems,
            ),
        )

    def _page(self, path: str, made_of: str, render: Callable[[], str]) -> None:
        key = hashlib.sha256(f"{self.frame}{made_of}".encode()).hexdigest()
        self.written[path] = key
        if self.known.get(path) == key and self._keep(path):
            return
        self.rendered += 1
        self._file(path, render().encode())

    def _render(self, template: str, root: str, **values: object) -> str:
        return self.environment.get_template(template).render(root=root, **values)

    def _keep(self, path: str) -> bool:
        if self.earlier is None or not (self.earlier / path).is_file():
            return False
        target = self.stage / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(self.earlier / path, target)
        except OSError:
            shutil.copyfile(self.earlier / path, target)
        return True

    def _file(self, path: str, content: bytes) -> None:
        target = self.stage / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _read_known(earlier: Path | None) -> dict[str, str]:
    if earlier is None:
        return {}
    try:
        known = json.loads((earlier / KNOWN).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(path): str(key) for path, key in known.items()} if isinstance(known, dict) else {}


def _hashed(path: Path) -> str:
    """Return the file's name with a hash of its content: browsers may keep it for ever."""
    return f"{path.stem}.{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}{path.suffix}"


def _json(document: object) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
