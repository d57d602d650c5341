"""A failure with its cures as buttons."""

from __future__ import annotations

from simdeck_widgets import layout
from simdeck_widgets.failure import ProblemCard
from simdeck_widgets.failure_model import FailureModel
from simdeck_widgets.wizard import Buttons, button


class FailureCard:
    """Shows a :class:`~simdeck_widgets.failure_model.FailureModel`; ``widget`` takes no room while all is well."""

    def __init__(self, model: FailureModel) -> None:
        self.model = model
        self.card = ProblemCard()
        self.cures = Buttons(on={"press": lambda said, _: model.choose(int(said["id"]))}, css_class="sd-cures")
        self.widget = layout.box(self.card, self.cures, classes=["sd-failure-card", "sd-stack"])
        model.observe(lambda _: self.refresh(), ["problem", "cures"])
        self.refresh()

    def refresh(self) -> None:
        """Show the model's present state."""
        self.card.problem = self.model.problem
        self.cures.buttons = [
            button(str(n), str(cure["title"]), primary=n == 0) for n, cure in enumerate(self.model.cures)
        ]
        layout.show(self.cures, bool(self.model.cures))
        layout.show(self.widget, bool(self.model.problem))
