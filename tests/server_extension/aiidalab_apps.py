"""AiiDAlab apps as an install leaves them, each page for a clause of AiiDAlab's contract; their Python is this test's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from installed_apps import finish_install

START_PY = """\
import os
import ipywidgets as ipw

def get_start_widget(appbase, jupbase, notebase):
    said = ipw.HTML("")
    button = ipw.Button(description="Say hello")
    button.on_click(lambda _: setattr(said, "value", f"<b id='said'>Hello from {os.path.basename(os.getcwd())}</b>"))
    links = ipw.HTML(f'<div class="app-container"><a class="feature" href="{appbase}/page.ipynb?pk=3">Page</a>'
                     f'<a id="edit" href="{notebase}/page.ipynb">Edit</a><a id="files" href="{jupbase}/tree/apps/live">Files</a></div>')
    return ipw.VBox([links, button, said])
"""
OLD_START_PY = START_PY.replace(", notebase", "").replace("{notebase}/page.ipynb", "")


def notebook(path: Path, *cells: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(text[3:]) if text.startswith("md:") else nbformat.v4.new_code_cell(text)
            for text in cells
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(made, path)


def install_tree(apps: Path, name: str, files: dict[str, str | list[str]], *, title: str = "") -> Path:
    """Install an AiiDAlab app: a list is a notebook of these cells, a text a file; returns its tree."""
    version = apps / name / "versions" / "1.0"
    tree = version / "apps" / name
    for path, content in files.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            notebook(target, *content)
        else:
            target.write_text(content, "utf-8")
    finish_install(apps, name, "1.0", "", title or name.title())
    start = next((one for one in ("start.md", "start.py") if one in files), None)
    pages = sorted(path for path in files if path.endswith(".ipynb"))
    about: dict[str, Any] = json.loads((version / "app.json").read_text())
    about["entry"] = {"kind": "aiidalab", "tree": f"apps/{name}", "start": start, "pages": pages, "post_install": False}
    (version / "app.json").write_text(json.dumps(about))
    return tree


def install_all(apps: Path) -> None:
    """The fixture apps: ``docs`` (start.md), ``live`` (start.py), ``older`` (its start.py takes two), ``sad`` (raises)."""
    said = "import os, ipywidgets as ipw\nfrom urllib.parse import urlsplit, parse_qs\n"
    install_tree(
        apps,
        "docs",
        {
            "start.md": "# Docs app\n\n![logo](./img/logo.svg)\n\n- [Analyse](./analyse.ipynb?pk=7)\n- [Deep](./notebooks/deep.ipynb)\n"
            '\n<div class="app-container"><a class="feature" href="../docs/analyse.ipynb">Feature</a></div>\n',
            "img/logo.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><circle cx="20" cy="20" r="18"/></svg>',
            ".secret": "hidden",
            "words.py": "WORD = 'found beside the page'\n",
            "analyse.ipynb": [
                "%%javascript\nIPython.OutputArea.prototype._should_scroll = function(lines) { return false; };\n"
                "document.title = 'Analyse'; $('#appmode-busy').hide();",
                "md:# Analysis\n\n[to the deep page](./notebooks/deep.ipynb?from=analyse) ![logo](img/logo.svg)",
                said + "import words\nquery = parse_qs(urlsplit(jupyter_notebook_url).query)\n"
                "print('pk', query.get('pk'), 'cwd', os.path.basename(os.getcwd()), words.WORD)\nprint('url', jupyter_notebook_url)",
                "box = ipw.IntSlider(description='n', value=int(query.get('pk', ['1'])[0]))\nout = ipw.HTML('')\n"
                "box.observe(lambda c: setattr(out, 'value', f'<i id=\"heard\">{c.new}</i>'), 'value')\nipw.VBox([box, out])",
            ],
            "notebooks/deep.ipynb": [
                "import os\nprint('deep in', os.path.basename(os.getcwd()), os.environ['QUERY_STRING'])"
            ],
        },
        title="Documents",
    )
    install_tree(apps, "live", {"start.py": START_PY, "page.ipynb": ["print('page of live')"]})
    install_tree(apps, "older", {"start.py": OLD_START_PY, "page.ipynb": ["1"]})
    install_tree(apps, "sad", {"start.py": "raise RuntimeError('no banner <today>')", "page.ipynb": ["1"]})
    install_tree(apps, "single", {"only.ipynb": ["print('the only page')"]})
    install_tree(apps, "UPPER-case", {"start.md": "[p](p.ipynb)", "p.ipynb": ["print('upper page')"]})
