"""Active alerts with what to do, followed by the alerts that ended in the last day."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.model import State
from hsejobs_tui.core.alerts import STYLES, Alert, ended
from hsejobs_tui.core.text import duration, safe
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import QueuePlace
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("level", 8),
    Column("queue", 17),
    Column("since", 5, right=True),
    Column("alert", 0),
    Column("action", 0, above=110),
)


class Alerts(View):
    """The list of alerts, most severe first."""

    SCOPE: ClassVar[str] = "alerts"

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, "No alerts.")
        yield Static(id="detail", markup=False)

    def head(self) -> Text:
        seen = self.session.snapshot
        if seen is None:
            return Text("Alerts")
        on, over = len(self.session.alerts), len(ended(seen))
        return Text(f"Alerts: {on} active, {over} ended in the last day")

    def detail(self) -> Text:
        """The alert under the cursor and what to do, in full."""
        seen = self.session.snapshot
        every = self.session.alerts + (ended(seen) if seen else [])
        one = next((one for one in every if _key(one) == self.rows.key), None)
        if one is None:
            return Text()
        text = Text(safe(f"{one.queue}: {one.what}", 300), STYLES[one.level])
        return text.append("\n").append(safe(one.todo, 300), "default") if one.todo else text

    def draw(self) -> None:
        """Draws the rows of the latest snapshot."""
        seen = self.session.snapshot
        if seen is not None:
            now = seen.now
            found = self.session.alerts + ended(seen)
            self.rows.fill([_row(one, now) for one in found])
        super().draw()

    def do_open(self) -> None:
        """Opens the screen that explains the alert: failures, workers, or the queue's jobs."""
        rule, _, queue = (self.rows.key or "").partition("\0")[0].partition("/")
        if queue not in self.session.source.infos:
            return
        if rule == "failures":
            self.session.perform("failures")
        elif rule in ("no_worker", "stalled", "unknown_task", "sealed") and self.session.has(
            "workers"
        ):
            self.session.perform("workers")
        else:
            self.session.open(QueuePlace(queue, State.WAITING))


def _key(one: Alert) -> str:
    return f"{one.rule}/{one.queue}\0{one.ended or ''}"


def _row(one: Alert, now: int) -> Row:
    since = duration(max(0, now - one.since)) if one.since else "now"
    todo = f"ended {duration(max(0, now - one.ended))} ago" if one.ended else one.todo
    return Row(
        _key(one),
        [
            Text(one.level, STYLES[one.level]),
            one.queue,
            since,
            safe(one.what, 200),
            safe(todo, 200),
        ],
        bool(one.ended),
    )
