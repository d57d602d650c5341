"""AiiDAlab apps: their pages, their banner, and what their kernels find. Pure reading, no effects."""

from __future__ import annotations

import os
import re
from pathlib import Path

from simdeck_deck.server_extension import aiida_profile
from simdeck_deck.server_extension.apps import AppPage, Installed, NoPageError, PageLink

START_CELL = Path(__file__).with_name("start_cell.py")
START = "start.py"
WARM = ("ipywidgets", "numpy", "pandas", "ase.io", "aiida.orm", "aiida.engine")
"""What most of these apps import; nothing that asks for a profile while it is imported."""
_INTO_APP = re.compile(r"\]\(\./")


def page(apps: Path, app: Installed, name: str) -> AppPage:
    """Return the page ``name`` of an AiiDAlab app: a notebook of its tree, or its live banner (``start.py``).

    An empty name is the first there is: what the app's kernel is kept warm for.

    Raises
    ------
    NoPageError
        There is no such page.
    """
    tree = app.tree
    if tree is None:
        raise NoPageError("The app's installation is damaged: its folder is missing.")
    name = name or next(iter([START] if app.entry.get("start") == START else notebooks(app)), "")
    live = name == START and app.entry.get("start") == START
    notebook = (tree / name).resolve()
    hidden = any(part.startswith(".") for part in Path(name).parts)
    if not (live or name.endswith(".ipynb")) or hidden or not notebook.is_relative_to(tree) or not notebook.is_file():
        raise NoPageError("This app has no page of this name.")
    environment = {
        "AIIDALAB_APPS": str(tree.parent),
        "PATH": f"{app.env / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "SIMDECK_PAGE": name,
    }
    note = ""
    own = aiida_profile.own_aiida(app.env)
    if own is not None:
        profile = aiida_profile.profile_of(apps)
        note = aiida_profile.elsewhere(apps) or aiida_profile.refusal(own, profile)
        # In the user's own folder: the version's may be the site's.
        aside = apps / ".aiida" / f"{app.id}-{app.version}"
        environment["AIIDA_PATH"] = str(aside if note else profile.folder)
    return AppPage(
        id=app.id,
        title=app.title,
        version=app.version,
        env=app.env,
        notebook=notebook,
        warm=tuple(module for module in WARM if _has(app.env, module)),
        name=name,
        links=tuple(PageLink(other, page_title(other)) for other in notebooks(app)),
        environment=environment,
        cwd=notebook.parent,
        tree=tree,
        note=note,
        source=START_CELL.read_text("utf-8") if live else "",
    )


def notebooks(app: Installed) -> list[str]:
    """Return the app's pages, those of its top folder first."""
    names = [name for name in app.entry.get("pages") or () if isinstance(name, str)]
    return sorted(names, key=lambda name: (name.count("/"), name))


def banner(app: Installed) -> str | None:
    """Return the HTML of the app's ``start.md``, or None where it has none.

    As AiiDAlab's start page shows it: its links lead into the app, and open beside the banner.
    """
    tree = app.tree
    if tree is None or app.entry.get("start") != "start.md":
        return None
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    try:
        text = (tree / "start.md").read_text("utf-8", "replace")
    except OSError:
        return None
    text = _INTO_APP.sub(f"](../{app.id}/", text)
    html = str(MarkdownWithMath(renderer=IPythonRenderer(escape=False)).render(text))
    return html.replace("<a ", '<a target="_blank" ')


def page_title(name: str) -> str:
    """Return what a page is called in a list: its file's name, as words."""
    folder, _, file = name.removesuffix(".ipynb").rpartition("/")
    words = re.sub(r"[_-]+", " ", file).strip() or file
    return f"{folder}/{words}" if folder else words[:1].upper() + words[1:]


def file_of(app: Installed, relative: str) -> Path | None:
    """Return a file of the app's tree that its pages may show; never one outside, nor a hidden one."""
    tree = app.tree
    if tree is None or any(part.startswith(".") for part in Path(relative).parts):
        return None
    path = (tree / relative).resolve()
    return path if path.is_relative_to(tree) and path.is_file() else None


def _has(env: Path, module: str) -> bool:
    return any(env.glob(f"lib/python*/site-packages/{module.partition('.')[0]}"))
