"""The overview: one row per queue with counts, rates and alerts."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.model import State
from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Server
from hsejobs.wording import counted
from hsejobs_tui.core.alerts import STYLES, Alert, worst
from hsejobs_tui.core.charts import spark
from hsejobs_tui.core.text import duration, number, safe, short, size
from hsejobs_tui.core.view import NO_QUEUE, QueueRow, queue_row
from hsejobs_tui.screens.one_queue import OneQueue
from hsejobs_tui.session.places import QueuePlace
from hsejobs_tui.widgets.rows import WIDE, Column, Row, Rows

COLUMNS = (
    Column("", 2),
    Column("queue", 0),
    Column("wait", 6, right=True, wide=9),
    Column("run", 5, right=True),
    Column("delay", 6, right=True, wide=9),
    Column("done", 6, right=True, wide=9),
    Column("fail", 6, right=True, wide=9),
    Column("in/m", 5, right=True, above=90),
    Column("out/m", 5, right=True, wide=6),
    Column("waiting, 1h", 22, above=146),
    Column("oldest", 6, right=True),
    Column("wait p50", 8, right=True, above=172),
    Column("wait p95", 8, right=True, above=156),
    Column("run p50", 7, right=True, above=172),
    Column("run p95", 7, right=True, above=116),
    Column("err%", 4, right=True),
    Column("empty in", 8, right=True, above=128),
    Column("work", 4, right=True, wide=7),
)


#: The mark of a queue or an alert, by level.
MARKS = {"critical": "!!", "warning": "!"}


class Overview(OneQueue):
    """The first screen: all queues and the active alerts."""

    SCOPE: ClassVar[str] = "overview"
    HEAD: ClassVar[str] = "Queues"

    def body(self) -> ComposeResult:
        """The queues, with the active alerts below."""
        yield Rows(COLUMNS, NO_QUEUE)
        yield Static(id="alerts", markup=False)
        yield Static(id="rest")

    @property
    def queue(self) -> str | None:
        return self.rows.key

    def head(self) -> Text:
        """The number of queues, waiting and failed jobs, and the health of Redis."""
        seen = self.session.snapshot
        if seen is None:
            return Text("Queues")
        failed = sum(one.failed for one in seen.queues)
        waiting = sum(one.waiting for one in seen.queues)
        text = Text(f"{counted(len(seen.queues), 'queue')}, {waiting:,} waiting, {failed:,} failed")
        if seen.server is not None:
            text.append(f"   {_health(seen.server, wide=self.size.width >= 100)}", "not bold")
        return text

    def draw(self) -> None:
        """Draws the rows and the alerts of the latest snapshot."""
        super().draw()
        seen = self.session.snapshot
        if seen is None:
            return
        plain = self.session.options.ascii_only
        found = self.session.alerts
        count = number if self.size.width >= WIDE else short
        self.rows.fill(
            [
                Row(
                    one.name,
                    _cells(
                        queue_row(one), self._depth(one, plain), plain, worst(found, one), count
                    ),
                )
                for one in seen.queues
            ]
        )
        around = 4 if self.size.height >= 16 else 3
        most = 5 if self.size.height > 18 else 2
        # The action gets its own line where it would be cut, if all queues still fit.
        room = self.size.height - around - (self.rows.total + 2)
        width = self.size.width if 2 * min(len(found), most) + 1 <= room else 0
        alerts = _alerts(found, most, width)
        self.set_text("alerts", alerts)
        # Place the alerts directly below the queues.
        lines = alerts.plain.count("\n") + 1
        self.rows.styles.height = max(
            2, min(self.rows.total + 2, self.size.height - lines - around)
        )

    def _depth(self, stats: QueueStats, plain: bool) -> str:
        """The sparkline of the last hour and its maximum; '' without samples."""
        seen = self.session.depths.of(stats.name, stats.now)
        known = any(one is not None for one in seen)
        return spark(seen, 15, ascii_only=plain) if known else ""

    def on_resize(self) -> None:
        """Draws again, because columns and heights depend on the size."""
        self.draw()

    def do_search(self) -> None:
        """Opens the queue with its search line."""
        if self.queue is not None:
            self.session.open(QueuePlace(self.queue, State.FAILED, searching=True))

    def do_open(self) -> None:
        """Opens the queue's jobs: failed jobs first, otherwise the next state that has jobs."""
        if self.queue is not None and self.session.snapshot is not None:
            stats = {one.name: one for one in self.session.snapshot.queues}[self.queue]
            order = (State.FAILED, State.WAITING, State.ACTIVE, State.DELAYED, State.COMPLETED)
            state = next((one for one in order if getattr(stats, one.value)), State.WAITING)
            self.session.open(QueuePlace(self.queue, state))


def _health(server: Server, *, wide: bool) -> str:
    """The health of Redis: version, memory and its limit, clients, eviction policy."""
    memory = size(server.used_memory)
    if server.maxmemory:
        memory += f" of {size(server.maxmemory)}"
    if not wide:
        return f"Redis {memory}"
    clients = counted(server.clients, "client")
    return f"{server.version}, {memory}, {clients}, {server.policy or 'policy ?'}"


def _cells(
    row: QueueRow, depth: str, plain: bool, level: str, count: Callable[[float], str]
) -> list[Text | str]:
    style = STYLES.get(level, "")
    pause = "=" if plain else "‖"
    mark = Text(pause if row.paused and level not in MARKS else MARKS.get(level, ""), style)
    name = Text(row.name, style)
    if row.paused:
        name.append(" paused", "bold warn")
    idle = row.waiting and not row.workers
    return [
        mark,
        name,
        Text(count(row.waiting), "wait" if row.waiting else "dim"),
        Text(count(row.active), "run" if row.active else "dim"),
        Text(count(row.delayed), "delay" if row.delayed else "dim"),
        Text(count(row.completed), "ok" if row.completed else "dim"),
        Text(count(row.failed), "bold fail" if row.failed else "dim"),
        count(row.rate_in),
        count(row.rate_out),
        depth,
        Text(duration(row.oldest), "bold warn" if (row.oldest or 0) > 600_000 else ""),
        duration(row.wait_p50),
        duration(row.wait_p95),
        duration(row.run_p50),
        duration(row.run_p95),
        Text(f"{row.failing:.0%}", "bold fail" if row.failing >= 0.1 else "dim"),
        duration(row.drain_ms) if row.drain_ms else "-",
        Text(str(row.workers), "alarm" if idle else ""),
    ]


def _alerts(found: list[Alert], most: int, width: int) -> Text:
    """One line per alert; two where it is longer than ``width`` cells. 0: always one."""
    if not found:
        return Text(" No alerts.", "ok")
    text = Text()
    for one in found[:most]:
        style = STYLES[one.level]
        text.append(f" {MARKS.get(one.level, '-'):<2} ", style)
        what, todo = safe(f"{one.queue}: {one.what}"), safe(one.todo)
        apart = 0 < width < 6 + len(what) + len(todo)
        text.append(what, style).append((":\n      " if apart else "; ") + todo + "\n")
    if len(found) > most:
        text.append(f" and {len(found) - most} more: 5", "dim")
    text.rstrip()
    return text
