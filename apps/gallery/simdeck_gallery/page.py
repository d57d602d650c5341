"""The gallery on the screen: each part live, its code beside it."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from simdeck_widgets import layout
from simdeck_widgets.code import Code

from simdeck_gallery.examples import EXAMPLES


class Gallery:
    """Builds every example; one that fails says so in its place and leaves the others alone."""

    def __init__(self, examples: tuple[Callable[[], Any], ...] = EXAMPLES) -> None:
        self.cards = {example.__name__: self._card(example) for example in examples}
        self.widget = layout.box(
            layout.card(
                layout.Text(
                    heading="Widget gallery",
                    text="Every part of the kit that apps are made of, live, with the code that makes it. Each is a "
                    "model, which knows no widget, and a view, which knows nothing else.",
                )
            ),
            *self.cards.values(),
            classes=["sd-page-body"],
        )

    def _card(self, example: Callable[[], Any]) -> Any:
        title, text = words(example)
        try:
            shown = example()
        except Exception as error:
            shown = layout.Text(text=f"This example failed: {type(error).__name__}: {error}")
        return layout.card(
            layout.Text(heading=title, text=text),
            layout.columns(shown, Code(code=source(example), label=f"Code of: {title}")),
            name=f"sd-example-{example.__name__.replace('_', '-')}",
        )


def words(example: Callable[[], Any]) -> tuple[str, str]:
    """An example's title and sentence: its docstring's first line, and the rest."""
    title, _, text = inspect.cleandoc(example.__doc__ or example.__name__).partition("\n")
    return title, " ".join(text.split())


def source(example: Callable[[], Any]) -> str:
    """What stands in an example, ready to be pasted into a cell."""
    lines = inspect.getsource(example).splitlines()
    start = next(n for n, text in enumerate(lines) if n and text.strip().endswith('"""') and n > 1) + 1
    body = textwrap.dedent("\n".join(lines[start:])).replace("  # fmt: skip", "")
    before, _, last = body.rstrip().rpartition("return ")
    return f"{before}{last}\n"
