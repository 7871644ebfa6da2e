"""What is wrong now, and what to do about it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from hsejobs.model import State
from hsejobs_tui.core.view import troubles
from hsejobs_tui.screens.base import View
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (Column("level", 9), Column("queue", 18), Column("what", 0), Column("to do", 0, above=80))


class Alerts(View):
    """The list of troubles, the worst first."""

    SCOPE: ClassVar[str] = "alerts"

    def body(self) -> ComposeResult:
        """The list."""
        yield Rows(COLUMNS, "All well.")

    def head(self) -> Text:
        """How many."""
        return Text(f"{self.rows.total} alerts")

    def told(self) -> None:
        """Draws what the last look shows."""
        seen = self.jobs_app.glance
        if seen is not None:
            self.rows.fill([
                Row(f"{one.queue}\0{one.todo}", [
                    Text(one.level, "bold red" if one.level == "critical" else "yellow"),
                    one.queue, one.what, one.todo,
                ]) for one in troubles(seen)
            ])  # fmt: skip
        super().told()

    def do_open(self) -> None:
        """The queue."""
        from hsejobs_tui.screens.queue import QueueView

        queue = (self.rows.key or "").partition("\0")[0]
        if queue in self.jobs_app.source.infos:
            self.app.push_screen(QueueView(queue, State.FAILED))
