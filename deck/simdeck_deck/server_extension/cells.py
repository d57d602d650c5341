"""A notebook cell as HTML for Voilà's front end: markdown rendered here, outputs as JSON that its scripts render."""

from __future__ import annotations

import html
import json
from typing import Any

_OUTPUT = '<script type="application/vnd.voila.cell-output+json">{}</script>'


def script_json(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(value)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def to_html(cell: Any) -> str:
    """Return the HTML of an executed cell; empty when there is nothing to show."""
    if cell.cell_type == "markdown":
        return (
            f'<div class="jp-Cell"><div class="jp-RenderedHTMLCommon jp-MarkdownOutput">{_markdown(cell)}</div></div>'
        )
    if cell.cell_type != "code":
        return ""
    parts = [_output(output) for output in cell.outputs]
    shown = "".join(f'<div class="jp-OutputArea-child">{part}</div>' for part in parts if part)
    return f'<div class="jp-Cell"><div class="jp-OutputArea jp-Cell-outputArea">{shown}</div></div>' if shown else ""


def _markdown(cell: Any) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    return str(MarkdownWithMath(renderer=IPythonRenderer(escape=False)).render(cell.source))


def _output(output: Any) -> str:
    kind = output.output_type
    if kind == "stream":
        # What an app prints is for its developer; standard error of libraries would only worry a scientist.
        if output.name == "stderr":
            return ""
        return f"<pre>{html.escape(output.text)}</pre>"
    if kind in {"display_data", "execute_result"}:
        return _OUTPUT.format(script_json({**output, "trusted": True}))
    return ""  # an error is shown by the page itself
