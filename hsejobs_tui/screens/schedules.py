"""Periodic tasks: cron, next run, last run and its outcome; can run one now."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from hsejobs.control.cron import next_run
from hsejobs.errors import JobsError
from hsejobs.store.registry import QueueInfo, ScheduleInfo
from hsejobs_tui.core.text import clock, duration, safe
from hsejobs_tui.core.view import LOOK
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import JobPlace
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("schedule", 0),
    Column("queue", 16, above=90),
    Column("cron", 14),
    Column("next", 8, right=True),
    Column("last run (UTC)", 19, above=100),
    Column("last", 9, right=True),
    Column("outcome", 11),
)


class Schedules(View):
    SCOPE: ClassVar[str] = "schedules"
    HEAD: ClassVar[str] = "Schedules"

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, tuple[QueueInfo, ScheduleInfo, str | None]] = {}

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, "No queue has a schedule.")

    async def poll(self) -> None:
        rows = []
        for info, one, last, now in await self.session.read(self.session.source.schedules):
            key = f"{info.name}/{one.name}"
            self.found[key] = (info, one, last.job_id if last else None)
            due = next_run(one.cron, now)
            outcome = str(last.status) if last and last.status else "-"
            at = (last.finished_at or last.added_at) if last else None
            rows.append(
                Row(
                    key,
                    [
                        safe(one.name, 80),
                        info.name,
                        safe(one.cron, 40) or "(code)",
                        f"in {duration(due - now)}" if due else "-",
                        clock(at),
                        f"{duration(max(0, now - at))} ago" if at else "-",
                        Text(outcome, LOOK.get(outcome, ("", "", ""))[2]),
                    ],
                )
            )
        self.rows.fill(rows)

    def do_open(self) -> None:
        """Opens the job of the last run."""
        info, _, job_id = self.found.get(self.rows.key or "", (None, None, None))
        if info is not None and job_id:
            self.session.open(JobPlace(info.name, job_id))
        elif info is not None:
            self.session.show_message("it has not run yet", bad=True)

    async def do_run_now(self) -> None:
        """Adds a job that runs the schedule now."""
        session, key = self.session, self.rows.key or ""
        if key not in self.found:
            return
        info, one, last = self.found[key]
        if await session.confirm("run", Confirm(f"Run {one.name} now?", f"Queue {info.name}.")):
            try:
                added = await session.do(
                    lambda: session.acts.run_schedule(info, one, last=last or "-")
                )
                session.show_message(f"added {added.id}")
            except JobsError as error:
                session.show_message(error)
            session.poll_soon()
