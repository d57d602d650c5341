"""The steps of a wizard: where one is, what is done, what can be gone to. And a row of buttons."""

from __future__ import annotations

from typing import Any

import traitlets

from simdeck_widgets.base import View, script, style


class WizardSteps(View):
    """Shows ``steps``: ``{"id", "title", "state", "note"?}``, in order; ``current`` is the id of the one that is open.

    ``state`` is ``done``, ``open`` (can be gone to), ``attention`` (something in it must be mended) or ``locked``.
    Action: ``go`` (``step``).
    """

    _esm = script("wizard")
    _css = style()
    steps = traitlets.List().tag(sync=True)
    current = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode("Steps").tag(sync=True)


class Buttons(View):
    """A row of ``buttons``: ``{"id", "label", "primary"?: bool, "disabled"?: bool, "pressed"?: bool, "hint"?}``, with a
    sentence ``beside`` it. One that has ``pressed`` stands for a choice that is made or not.

    Action: ``press`` (``id``).
    """

    _esm = script("buttons")
    _css = style()
    buttons = traitlets.List().tag(sync=True)
    beside = traitlets.Unicode().tag(sync=True)


def button(name: str, label: str, **more: Any) -> dict[str, Any]:
    """Describe one button."""
    return {"id": name, "label": label, **more}
