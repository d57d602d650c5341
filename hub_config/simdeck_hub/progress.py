"""What a person sees while Simdeck starts and stops: a live list on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table


class Progress:
    """Named steps that run side by side; each is begun once and ends well or not."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.steps: dict[str, tuple[str, float, float | None]] = {}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=12, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def begin(self, step: str) -> None:
        self.steps[step] = ("run", time.monotonic(), None)
        self._show(step)

    def done(self, step: str) -> None:
        began = self.steps[step][1]
        self.steps[step] = ("done", began, time.monotonic() - began)
        self._show(step)

    def _show(self, step: str) -> None:
        if self._live is not None:
            self._live.update(self._table())
        elif self.steps[step][0] == "done":
            self.console.print(f"  {step}: {self.steps[step][2]:.1f} s")

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for step, (state, _, took) in self.steps.items():
            if state == "done":
                table.add_row("[green]✓[/]", step, f"[dim]{took:.1f} s[/]")
            else:
                table.add_row(Spinner("dots"), step, "")
        return table
