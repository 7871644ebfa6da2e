"""One row a queue: what is there, how fast it moves, what is wrong."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs_tui.core.text import duration, number, safe, spark
from hsejobs_tui.core.view import QueueRow, Trouble, queue_row, troubles
from hsejobs_tui.screens.queue_acts import QueueActs
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("queue", 0),
    Column("wait", 7, right=True), Column("run", 5, right=True), Column("delay", 6, right=True),
    Column("done", 7, right=True), Column("fail", 6, right=True),
    Column("in/m", 6, right=True, above=70), Column("out/m", 6, right=True, above=70),
    Column("depth, 1h", 12, above=104), Column("oldest", 6, right=True),
    Column("wait p50", 8, right=True, above=150), Column("wait p95", 8, right=True, above=140),
    Column("run p50", 7, right=True, above=150), Column("run p95", 7, right=True, above=116),
    Column("err%", 4, right=True), Column("empty in", 8, right=True, above=128),
    Column("on", 3, right=True),
)  # fmt: skip


class Overview(QueueActs):
    """The first screen."""

    SCOPE: ClassVar[str] = "overview"
    HEAD: ClassVar[str] = "Queues"

    def body(self) -> ComposeResult:
        """The queues, and below them what is wrong."""
        yield Rows(COLUMNS, "No queue has described itself in this Redis: start a worker.")
        yield Static(id="alerts", markup=False)

    @property
    def queue(self) -> str | None:
        """The queue under the cursor."""
        return self.rows.key

    def head(self) -> Text:
        """How many queues, and how many jobs fail."""
        seen = self.jobs_app.glance
        if seen is None:
            return Text("Queues")
        failed = sum(one.failed for one in seen.queues)
        waiting = sum(one.waiting for one in seen.queues)
        return Text(f"{len(seen.queues)} queues, {waiting:,} waiting, {failed:,} failed")

    def told(self) -> None:
        """Draws the rows and the alerts of the last look."""
        super().told()
        seen = self.jobs_app.glance
        if seen is None:
            return
        plain = self.jobs_app.options.ascii_only
        self.rows.fill([Row(one.name, _cells(queue_row(one), plain)) for one in seen.queues])
        found = troubles(seen)
        self.query_one("#alerts", Static).update(_alerts(found, 4 if self.size.height > 18 else 2))

    def do_open(self) -> None:
        """The jobs of the queue; those that failed first, if any did."""
        from hsejobs.model import State
        from hsejobs_tui.screens.queue import QueueView

        if self.queue is not None and self.jobs_app.glance is not None:
            stats = {one.name: one for one in self.jobs_app.glance.queues}[self.queue]
            order = (State.FAILED, State.WAITING, State.ACTIVE, State.DELAYED, State.COMPLETED)
            state = next((one for one in order if getattr(stats, one.value)), State.WAITING)
            self.app.push_screen(QueueView(self.queue, state))


def _cells(row: QueueRow, plain: bool) -> list[Text | str]:
    name = Text(row.name)
    if row.paused:
        name.append(" = paused" if plain else " ‖ paused", "bold yellow")
    idle = row.waiting and not row.workers
    return [
        name,
        Text(number(row.waiting), "yellow" if row.waiting else "dim"),
        Text(number(row.active), "blue" if row.active else "dim"),
        Text(number(row.delayed), "magenta" if row.delayed else "dim"),
        Text(number(row.completed), "green" if row.completed else "dim"),
        Text(number(row.failed), "bold red" if row.failed else "dim"),
        f"{row.rate_in:,.0f}", f"{row.rate_out:,.0f}", spark(row.depth, 12, ascii_only=plain),
        Text(duration(row.oldest), "bold yellow" if (row.oldest or 0) > 600_000 else ""),
        duration(row.wait_p50), duration(row.wait_p95),
        duration(row.run_p50), duration(row.run_p95),
        Text(f"{row.failing:.0%}", "bold red" if row.failing >= 0.1 else "dim"),
        duration(row.drain_ms) if row.drain_ms else "-",
        Text(str(row.workers), "bold white on red" if idle else ""),
    ]  # fmt: skip


def _alerts(found: list[Trouble], most: int) -> Text:
    if not found:
        return Text(" All well.", "green")
    text = Text()
    for one in found[:most]:
        style = "bold red" if one.level == "critical" else "yellow"
        text.append(" " + ("!! " if one.level == "critical" else "!  "), style)
        text.append(safe(f"{one.queue}: {one.what}"), style).append(safe(f"; {one.todo}") + "\n")
    if len(found) > most:
        text.append(f" and {len(found) - most} more: 5", "dim")
    text.rstrip()
    return text
