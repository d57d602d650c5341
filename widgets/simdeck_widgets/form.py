"""The input form made from a workflow's JSON Schema."""

from __future__ import annotations

from typing import Any

import traitlets

from simdeck_widgets.base import View, script, style
from simdeck_widgets.form_model import FormModel


class SchemaForm(View):
    """Shows a :class:`~simdeck_widgets.form_model.FormModel`: label, unit, limits, help and the sentence by each field.

    ``basic`` names the fields shown at once; the others are folded under ``more``. ``hidden`` are not shown.
    """

    _esm = script("form")
    _css = style()
    schema = traitlets.Dict().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    errors = traitlets.Dict().tag(sync=True)
    unreadable = traitlets.Dict().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    basic = traitlets.List(traitlets.Unicode()).tag(sync=True)
    more = traitlets.Unicode("More settings").tag(sync=True)
    hidden = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, model: FormModel, **traits: Any) -> None:
        super().__init__(**traits)
        self.model = model
        for name in ("schema", "errors"):
            traitlets.dlink((model, name), (self, name))
        for name in ("values", "unreadable"):
            traitlets.link((model, name), (self, name))
