"""Consumers: host, the job and run time of each slot, and the age of the last heartbeat."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult

from hsejobs.wording import counted, jobs_wait
from hsejobs_tui.core.text import duration, safe
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import JobPlace
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("queue", 18),
    Column("host", 14, above=90),
    Column("pid", 8, right=True),
    Column("kind", 9, above=100),
    Column("slots", 6, right=True),
    Column("seen", 8, right=True),
    Column("running", 0),
)


class Workers(View):
    """The consumers of all queues, one line each, plus one line per running job."""

    SCOPE: ClassVar[str] = "workers"

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, "No registered queues.")

    def head(self) -> Text:
        """The number of workers, and how many slots are busy."""
        every = [one for found in self._workers().values() for one in found]
        slots = sum(one.get("concurrency", 0) for one in every)
        busy = sum(1 for one in every for slot in one.get("slots", []) if slot)
        return Text(f"{counted(len(every), 'worker')}, {busy} of {counted(slots, 'slot')} busy")

    def _workers(self) -> dict[str, list[dict[str, Any]]]:
        seen = self.session.snapshot
        return seen.workers if seen else {}

    def draw(self) -> None:
        """Draws the rows of the latest snapshot."""
        super().draw()
        seen = self.session.snapshot
        if seen is None:
            return
        rows = []
        for stats in seen.queues:
            found = seen.workers.get(stats.name, [])
            if not found:
                bad = bool(stats.waiting)
                what = f"no worker, and {jobs_wait(stats.waiting)}" if bad else "no worker"
                style = "alarm" if bad else "dim"
                rows.append(Row(stats.name, [stats.name, "", "", "", "", "", Text(what, style)]))
            for one in found:
                rows += _lines(one)
        self.rows.fill(rows)

    def do_open(self) -> None:
        """Opens the job of the slot."""
        key = self.rows.key or ""
        if "\0" in key:
            _, queue, job_id = key.split("\0")
            self.session.open(JobPlace(queue, job_id))


def _lines(one: dict[str, Any]) -> list[Row]:
    age = one.get("heartbeatAge", 0)
    slots = one.get("slots", [])
    busy = [slot for slot in slots if slot]
    hung = f", {one['hung']} hung" if one.get("hung") else ""
    rows = [
        Row(
            str(one.get("id")),
            [
                safe(one.get("queue"), 40),
                safe(one.get("host"), 60),
                str(one.get("pid")),
                safe(one.get("workers"), 20),
                f"{len(busy)}/{one.get('concurrency')}",
                Text(duration(age), "bold fail" if age > 15_000 else ""),
                Text(("busy" if busy else "idle") + hung, "" if busy else "dim"),
            ],
        )
    ]
    for slot in busy:
        # Ordered by importance, because a narrow terminal cuts the end: run time, task, attempt, job.
        what = Text(f"for {duration(slot.get('runningFor'))}", "run")
        what.append(f"  {safe(str(slot.get('task')).rpartition('.')[2], 40)}")
        what.append(f" #{slot.get('attempt')}  {safe(slot.get('job'), 60)}")
        key = f"{one.get('id')}\0{one.get('queue')}\0{slot.get('job')}"
        rows.append(Row(key, ["", "", "", "", "", "", what]))
    return rows
