"""Choosing what a calculation may use."""

from __future__ import annotations

from typing import Any

from simdeck_widgets import layout
from simdeck_widgets.form import SchemaForm
from simdeck_widgets.resource_model import ResourceModel
from simdeck_widgets.wizard import Buttons, button


class ResourcePicker:
    """Shows a :class:`~simdeck_widgets.resource_model.ResourceModel`: usual choices, the fields, time and cost.

    ``widget`` is what goes on the page; ``form``, ``presets`` and ``summary`` are its parts.
    """

    def __init__(self, model: ResourceModel, *, heading: str = "Estimate") -> None:
        self.model = model
        self.presets = Buttons(on={"press": lambda said, _: model.choose(str(said["id"]))}, css_class="sd-presets")
        self.form = SchemaForm(model.form, basic=list(model.fields))
        self.summary = layout.Text(heading=heading, css_class="sd-resource-summary")
        self.widget = layout.box(self.presets, self.form, self.summary, classes=["sd-resource-picker", "sd-stack"])
        model.observe(lambda _: self.refresh(), ["sentence", "notes", "offers"])
        model.form.observe(lambda _: self.refresh(), ["schema"])
        self.refresh()

    def refresh(self) -> None:
        """Show the model's present state."""
        model = self.model
        self.form.hidden = [name for name in model.form.schema.get("properties", {}) if name not in model.fields]
        chosen: list[dict[str, Any]] = [one for one in model.offers if one["chosen"]]
        self.presets.buttons = [button(one["id"], one["title"], pressed=one["chosen"]) for one in model.offers]
        self.presets.beside = "" if chosen or not model.offers else "Your own choice"
        self.summary.text = " ".join([model.sentence, *model.notes]).strip()
        layout.show(self.presets, bool(model.offers))
        layout.show(self.summary, bool(self.summary.text))
