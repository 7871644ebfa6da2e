"""Running jobs, the oldest first, and the consumers of all queues, those in trouble first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.model import State
from hsejobs.store.keys import DEAD_MS
from hsejobs.store.read import QueueStats
from hsejobs.wording import counted, jobs_wait
from hsejobs_tui.core import charts, running
from hsejobs_tui.core.command import Command
from hsejobs_tui.core.running import Busy, Running, busy
from hsejobs_tui.core.steady import COUNT, Places, Rank
from hsejobs_tui.core.text import duration, one_line, safe, size
from hsejobs_tui.flows.job_acts import act
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import JobPlace, QueuePlace
from hsejobs_tui.widgets.rows import Column, Row, Rows

JOBS = (
    Column("runs for", 8, right=True),
    Column("task", 14, wide=18),
    Column("organization", 12, wide=16),
    Column("progress", 14, wide=20),
    Column("queue", 14, above=104),
    Column("attempt", 7, above=118, right=True),
    Column("worker", 0),
    Column("job", 18, above=140),
)
CONSUMERS = (
    Column("queue", 15, wide=18),
    Column("host", 13, wide=18),
    Column("pid", 7, right=True, above=90),
    Column("kind", 9, above=100),
    Column("busy", 7, right=True),
    Column("release", 9),
    Column("memory", 7, right=True),
    Column("up", 5, right=True, above=100),
    Column("seen", 0),
)
#: Cells of a progress bar.
BAR = 6


class Workers(View):
    """The running jobs above, the consumers below."""

    SCOPE: ClassVar[str] = "workers"
    HEAD: ClassVar[str] = "Workers"
    NEEDED: ClassVar[tuple[str, ...]] = ("open", "cancel")

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Running] = {}
        #: How many of these run, as the list shows; None before it is read.
        self._busy: Busy | None = None
        self._places: Places[str] = Places(COUNT)
        self._jobs = Rows(JOBS, "No job is running.", "running")
        self._consumers = Rows(CONSUMERS, "No queue is registered: start a worker.", "consumers")

    def body(self) -> ComposeResult:
        yield self._jobs
        yield Static(id="detail", markup=False)
        yield Static(id="consumers-head", markup=False)
        yield self._consumers

    @property
    def jobs(self) -> Rows:
        """The list of running jobs."""
        return self._jobs

    @property
    def consumers(self) -> Rows:
        """The list of consumers."""
        return self._consumers

    @property
    def rows(self) -> Rows:
        """The list that has the focus."""
        return self.consumers if self.consumers.has_focus else self.jobs

    @property
    def has_read(self) -> bool:
        """Whether there is a snapshot, of which the consumers are drawn."""
        return self.session.snapshot is not None

    def head(self) -> Text:
        """How many workers, slots and stalled jobs there are, and the oldest job."""
        every = self._every()
        slots = sum(int(one.get("concurrency") or 0) for one in every)
        text = Text(f"{counted(len(every), 'worker')}, ")
        if self._busy is None:
            return text.append(f"{counted(slots, 'slot')}, what runs: {self.unread}")
        if self._busy.jobs <= slots:
            text.append(f"{self._busy.jobs} of {counted(slots, 'slot')} busy")
        else:
            # A consumer that has just started has jobs before its heartbeat is seen.
            text.append(f"{counted(slots, 'slot')}, {counted(self._busy.jobs, 'job')} running")
        stalled = sum(one.stalled is not None for one in self.found.values())
        if stalled:
            text.append(f", {stalled:,} stalled", "bold fail")
        return text

    def _workers(self) -> dict[str, list[dict[str, Any]]]:
        seen = self.session.snapshot
        return seen.workers if seen else {}

    async def poll(self) -> None:
        """Reads the running jobs."""
        session = self.session
        seen = session.snapshot
        if seen is None:
            return
        found = await session.read(running.read, session.source, seen)
        self.found = {f"{one.job.queue}\0{one.job.id}": one for one in found}
        self._busy = busy(seen, found)
        plain = session.options.ascii_only
        self.jobs.fill([_job_row(key, one, plain) for key, one in self.found.items()])

    def draw(self) -> None:
        """Draws the consumers of the latest snapshot below the jobs."""
        super().draw()
        seen = self.session.snapshot
        if seen is None:
            return
        missing = [one for one in seen.queues if not seen.workers.get(one.name)]
        rows = [
            _missing(stats)
            for stats in self._places.order(
                missing,
                lambda one: one.name,
                lambda one: Rank((), (float(one.waiting),), (one.name,)),
            )
        ]
        every = [one for found in seen.workers.values() for one in found]
        runs: Mapping[str, int | None] = self._busy.consumers if self._busy is not None else {}
        rows += [
            _consumer(one, seen.now, runs.get(str(one["id"])))
            for one in sorted(every, key=running.worker_order)
        ]
        # A queue without a worker and without jobs is not in trouble.
        rows.sort(key=lambda row: row.dim)
        self.consumers.fill(rows)
        half = max(3, self.size.height // 2 - 3)
        self.consumers.styles.height = min(len(rows) + 1, half)
        line = "-" if self.session.options.ascii_only else "─"
        head = f" {line * 2} consumers: Tab goes there and back "
        self.set_text("consumers-head", Text(head.ljust(self.size.width, line), "dim"))

    def on_resize(self) -> None:
        """Divides the height between the lists again."""
        self.draw()

    def do_other_list(self) -> None:
        """Moves the focus to the other list."""
        (self.jobs if self.consumers.has_focus else self.consumers).focus()

    @property
    def chosen(self) -> Running | None:
        """The running job under the cursor."""
        return None if self.consumers.has_focus else self.found.get(self.jobs.key or "")

    def do_open(self) -> None:
        """Opens the job, or the oldest job of the consumer; of one that runs none, its queue."""
        one = self.chosen
        if one is None and self.consumers.has_focus:
            of = [
                job
                for job in self.found.values()
                if job.worker and job.worker["id"] == self.rows.key
            ]
            one = of[0] if of else None
        queue = self._queue
        if one is not None:
            self.session.open(JobPlace(one.job.queue, one.job.id))
        elif queue is not None:
            self.session.open(QueuePlace(queue, State.WAITING))

    @property
    def _queue(self) -> str | None:
        """The queue of the consumer under the cursor, or the one without any."""
        if not self.consumers.has_focus:
            return None
        kind, _, name = (self.rows.key or "").partition("\0")
        return name if kind == "queue" else str(self.worker["queue"]) if self.worker else None

    def detail(self) -> Text:
        """The running job under the cursor, with what the columns cut off."""
        one = self.chosen
        if one is None:
            return Text()
        job = one.job
        text = Text(f"{safe(job.id, 80)} of {job.queue}, attempt {job.attempts_made}")
        text.append(f" of {job.attempts}, ").append_text(_where(one)).append("\n")
        owner = safe(job.organization_id or "no organization", 80)
        text.append(f"{safe(job.name, 120)} for {owner}")
        if job.progress or job.progress_message:
            text.append(f": {job.progress:.0f} % {one_line(job.progress_message or '', 200)}")
        return text.append("; K cancels it", "dim") if self.session.has("cancel") else text

    @property
    def worker(self) -> Mapping[str, Any] | None:
        """The consumer under the cursor, or that of the running job."""
        if not self.consumers.has_focus:
            return self.chosen.worker if self.chosen else None
        return next((one for one in self._every() if one.get("id") == self.rows.key), None)

    def _every(self) -> list[dict[str, Any]]:
        return [one for found in self._workers().values() for one in found]

    def lacking(self, command: Command) -> str:
        """A cancel needs a running job; the other acts a consumer, which a queue or a job may not have."""
        below = self.consumers.has_focus
        if command.id == "cancel":
            if below:
                return "The cursor is on the consumers: Tab goes to the running jobs."
            return super().lacking(command)
        why = super().lacking(command)
        if not command.acts_on or self.worker is not None:
            return why
        if below:
            return why or "This queue has no consumer: start a worker."
        return f"{why or 'No consumer reports this job.'} Tab goes to the consumers."

    async def do_quiet(self) -> None:
        """Makes the consumer or its host quiet, or wakes it."""
        from hsejobs_tui.flows.consumer_acts import quiet

        if (worker := self.worker) is not None:
            await quiet(self.session, worker, self._every())

    async def do_restart(self) -> None:
        """Restarts the consumer or its host."""
        from hsejobs_tui.flows.consumer_acts import restart

        if (worker := self.worker) is not None:
            await restart(self.session, worker, self._every())

    async def do_cancel(self) -> None:
        """Cancels the running job under the cursor."""
        one = self.chosen
        if one is not None:
            await act(self.session, "cancel", one.job.queue, [(one.job.id, one.job.version)])


def _job_row(key: str, one: Running, plain: bool) -> Row:
    job = one.job
    ran = Text(duration(one.ran), "run")
    if one.stalled is not None:
        ran = Text(("! " if plain else "✗ ") + duration(one.ran), "bold fail")
    return Row(
        key,
        [
            ran,
            safe(job.name.rpartition(".")[2], 60),
            safe(job.organization_id or "-", 60),
            _progress(one, plain),
            job.queue,
            f"{job.attempts_made}/{job.attempts}",
            _where(one),
            safe(job.id, 60),
        ],
        values=[one.ran, None, None, job.progress, None, job.attempts_made],
    )


def _progress(one: Running, plain: bool) -> Text:
    """The progress as a bar with its message, or that the job reports none."""
    job = one.job
    if job.cancel is not None:
        return Text("cancelling", "warn")
    if not job.progress and not job.progress_message:
        return Text("no progress", "dim")
    text = Text(charts.bar(job.progress, 100, BAR, ascii_only=plain), "run")
    text.append(f" {job.progress:.0f} %")
    return (
        text.append(f" {one_line(job.progress_message or '', 60)}")
        if job.progress_message
        else text
    )


def _where(one: Running) -> Text:
    """The worker, or what became of it."""
    if one.stalled is not None:
        return Text(f"stalled {duration(one.stalled)}: its worker died", "bold fail")
    if one.worker is None:
        text = "no worker reports it: it may be dead" if one.alone else "just begun"
        return Text(text, "warn" if one.alone else "dim")
    where = f"{safe(one.worker.get('host'), 60)} pid {one.worker.get('pid')} slot {one.slot}"
    if one.worker.get("heartbeatAge", 0) > DEAD_MS:
        return Text(f"silent {duration(one.worker['heartbeatAge'])}: {where}", "bold fail")
    return Text(where)


def _missing(stats: QueueStats) -> Row:
    """The row of a queue without a consumer."""
    bad = bool(stats.waiting)
    what = f"no worker, {jobs_wait(stats.waiting)}" if bad else "no worker"
    cells: list[Text | str] = [stats.name, "", "", "", "", "", "", ""]
    return Row(f"queue\0{stats.name}", [*cells, Text(what, "alarm" if bad else "dim")], not bad)


def _consumer(one: Mapping[str, Any], now: int, runs: int | None) -> Row:
    """The row of a consumer. ``runs``: how many of the listed jobs it runs; None: as its heartbeat says."""
    age = one.get("heartbeatAge", 0)
    taken = sum(1 for slot in one.get("slots") or () if slot) if runs is None else runs
    slots = int(one.get("concurrency") or 0)
    started, rss = one.get("startedAt"), one.get("memory")
    seen = Text(f"{duration(age)} ago")
    if age > DEAD_MS:
        seen = Text(f"silent {duration(age)}: dead or frozen", "bold fail")
    elif (state := one.get("state", "running")) != "running":
        seen = Text(f"{state}, {taken} running" if taken else str(state), "bold warn")
        seen.append(f", {duration(age)} ago", "not bold")
    if one.get("hung"):
        seen.append(f", {counted(one['hung'], 'thread')} hung", "bold fail")
    full = taken and taken >= slots
    return Row(
        str(one.get("id")),
        [
            safe(one.get("queue"), 40),
            safe(one.get("host"), 60),
            str(one.get("pid")),
            safe(one.get("workers"), 20),
            Text(f"{taken}/{slots}", "warn" if full else "run" if taken else "dim"),
            safe(one.get("release") or "-", 30),
            size(rss) if rss else "-",
            duration(max(0, now - started)) if started else "-",
            seen,
        ],
        values=[
            *(None, None, one.get("pid"), None, taken, None),
            *(rss or 0, now - started if started else None, age),
        ],
    )
