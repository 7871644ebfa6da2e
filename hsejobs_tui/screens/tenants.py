"""Tenants: how organizations share the queues, who floods them, and what is set for each."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.errors import JobsError
from hsejobs.wording import counted
from hsejobs_tui.core import tenants
from hsejobs_tui.core.charts import bar, percent, spark
from hsejobs_tui.core.parts import quoted
from hsejobs_tui.core.steady import SHARE, Places
from hsejobs_tui.core.tenants import Tenancy, TenantRow
from hsejobs_tui.core.text import held_by, safe, short
from hsejobs_tui.core.view import NO_QUEUE
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import InsightPlace, QueuePlace
from hsejobs_tui.widgets.rows import Column, Row, Rows

#: What has no word for its time is of the window.
COLUMNS = (
    Column("", 2),
    Column("tenant", 0),
    Column("run time", 11, wide=17),
    Column("added", 5, right=True, above=90),
    Column("in/min", 6, right=True),
    Column("past", 14, above=100, wide=17),
    Column("wait now", 8, right=True),
    Column("run now", 7, right=True),
    Column("delay now", 9, right=True, above=90),
    Column("failed", 6, right=True),
    Column("err%", 4, right=True, above=110),
    Column("weight", 6, right=True),
    Column("limit", 6, right=True),
    Column("queues", 30, above=160),
)
EMPTY = "No organization has jobs here, nor had any in this time: press - for a longer window."
#: Seconds between two reads: at least, and as a multiple of how long a read takes.
AGAIN, COST = 5.0, 60


class Tenants(View):
    """The tenants of one queue, or of all queues together, the busiest first."""

    SCOPE: ClassVar[str] = "tenants"
    NEEDED: ClassVar[tuple[str, ...]] = ("tenant_jobs", "tenant_hold")

    def __init__(self) -> None:
        super().__init__()
        #: The queue that is shown; None for all.
        self.queue: str | None = None
        self.tenancy: Tenancy | None = None
        self._places: Places[str] = Places(SHARE)
        self._loaded: object = None
        self._load_busy = False
        self._next = 0.0

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, EMPTY)
        yield Static(id="detail", markup=False)

    def insight(self) -> InsightPlace:
        """Of the tenant under the cursor."""
        row = self.row
        return InsightPlace(self.queue, "tenant", row.key if row else None)

    # -- reading

    @property
    def _queues(self) -> list[str]:
        return list(self.session.source.infos) if self.queue is None else [self.queue]

    @property
    def _wanted(self) -> object:
        window = self.session.window
        return (tuple(self._queues), window.name, window.end)

    @property
    def reading(self) -> bool:
        """Whether what was asked for has not been read yet, or an act since."""
        return bool(self._queues) and self._loaded != self._wanted

    async def poll(self) -> None:
        """Starts a read if another queue or window is shown, or the last one is old."""
        session = self.session
        if not self._queues:
            self.rows.empty = NO_QUEUE
            self.rows.fill([])
            return
        late = session.now() >= self._next
        if (self._loaded != self._wanted or late) and not self._load_busy:
            self._load_busy = True
            self.run_worker(self._load, name="tenants")

    async def _load(self) -> None:
        session, wanted, began = self.session, self._wanted, self.session.now()
        try:
            live = session.window.end is None
            found = await session.do(
                tenants.read, session.source, self._queues, *session.bounds, live=live
            )
        except JobsError as error:
            if session.outage is None and not session.closed:
                session.show_message(error)
            began = session.now()
            return
        finally:
            self._load_busy = False
            self._next = session.now() + max(AGAIN, COST * (session.now() - began))
        if not self.is_mounted:
            return
        if wanted != self._wanted:
            session.poll_soon()
            return
        found.rows = self._places.order(found.rows, lambda one: one.key, tenants.rank, wanted)
        self.tenancy, self._loaded = found, wanted
        self.rows.fill([self._row_of(one, found) for one in found.rows])
        # An act needs no second key: it must not meet the tenant that has just become the busiest.
        self.rows.anchored = bool(found.rows)
        self.draw()

    @property
    def row(self) -> TenantRow | None:
        """The tenant under the cursor."""
        key = self.rows.key
        rows = self.tenancy.rows if self.tenancy is not None else []
        return next((one for one in rows if one.key == key), None)

    # -- drawing

    @property
    def has_read(self) -> bool:
        """Whether what was asked for was read."""
        return not self.reading and self.rows.read

    def subject(self) -> Text:
        """The queue."""
        return Text(safe(self.queue, 60) if self.queue else "all queues")

    def head(self) -> Text:
        """The queue, the window, and who floods it."""
        session, found, text = self.session, self.tenancy, self.subject()
        if found is None:
            return text
        text.append(f" [{session.window.name}]   {counted(len(found.rows), 'tenant')}", "not bold")
        if found.more:
            text.append(f", the busiest {tenants.MOST} of each queue", "not bold")
        flood = next((one for one in found.rows if one.floods), None)
        if flood is not None:
            text.append(f"   {safe(flood.key, 40)} floods: {_why(flood)}", "bold fail")
            if flood.held:
                text.append(f", {_held_in(flood)}", "bold warn")
        elif found.rows:
            text.append("   no one floods", "ok")
        return text

    def detail(self) -> Text:
        """The tenant under the cursor, in words."""
        row, found = self.row, self.tenancy
        if row is None or found is None:
            return Text()
        name = safe(row.key, 80) or "no organization"
        text = Text().append(f"{name}: ", "bold")
        text.append(f"{_why(row)}; {percent(row.share)} of the running time; ")
        text.append(f"{row.total.completed:,} completed, {row.total.failed:,} failed")
        text.append(f" in {self.session.window.name}.\n")
        for queue, one in sorted(row.now.items(), key=lambda pair: -pair[1].waiting)[:3]:
            text.append(f"{queue} ", "bold")
            text.append(f"{one.waiting:,} waiting, {one.active:,} running  ")
        if row.held:
            text.append(f"HELD{_held_by(row, self.session.redis_now)} in ", "bold warn")
            then = f"H holds it in {', '.join(row.free)}, too" if row.free else "H lets it go"
            text.append(f"{', '.join(row.held)}: {then}", "bold warn")
        elif self.session.has("tenant_hold") and row.organization_id is not None:
            text.append("H holds it: what runs finishes, nothing of it starts", "dim")
        return text

    def _row_of(self, one: TenantRow, found: Tenancy) -> Row:
        plain = self.session.options.ascii_only
        held, wide = one.held, self.size.width >= 110
        style = "bold warn" if held else "bold fail" if one.floods else ""
        pause = "=" if plain else "‖"
        mark = Text(pause if held else "!!" if one.floods else "", style)
        name = Text(safe(one.key, 100) or "(no organization)", style)
        if held:
            name.append(f" {_held_in(one)}", "bold warn")
        share = Text(f"{percent(one.share):>5} ")
        share.append(bar(one.share, 1, 11 if wide else 5, ascii_only=plain), "run")
        until = min(found.end, self.session.redis_now)
        minutes = max(1.0, (until - found.start) / 60_000)
        past = spark(found.past(one), 11 if wide else 8, ascii_only=plain)
        ended = one.total.completed + one.total.failed
        failing = one.total.failed / ended if ended else 0.0
        return Row(
            one.key,
            [
                mark,
                name,
                share,
                percent(one.added_share),
                _rate(one.total.added / minutes),
                Text(past, "note"),
                _count(one.count("waiting"), "wait"),
                _count(one.count("active"), "run"),
                _count(one.count("delayed"), "delay"),
                _count(one.total.failed, "bold fail"),
                Text(f"{failing:.0%}", "bold fail" if failing >= 0.1 else "dim"),
                one.weight,
                one.limit,
                safe(", ".join(sorted(one.now)), 60),
            ],
        )

    def on_resize(self) -> None:
        """Draws again, because bars depend on the size."""
        if self.tenancy is not None:
            found = self.tenancy
            self.rows.fill([self._row_of(one, found) for one in found.rows])

    # -- what is shown

    def _turn(self, by: int) -> None:
        names: list[str | None] = [None, *self.session.source.infos]
        at = names.index(self.queue) if self.queue in names else 0
        self.queue = names[(at + by) % len(names)]
        self.rows.reset()
        self.session.poll_soon()
        self.draw()

    def do_tenant_next(self) -> None:
        self._turn(1)

    def do_tenant_last(self) -> None:
        self._turn(-1)

    def do_tenant_jobs(self) -> None:
        """Opens the queue and the state in which the tenant has most jobs."""
        row = self.row
        if row is None:
            return
        place = row.busiest
        if place is None:
            self.session.show_message("it has no job now; 4 shows what it did")
            return
        queue, state = place
        where = f"org={quoted(row.key)}" if row.organization_id is not None else ""
        if not where:
            self.session.show_message("no filter finds the jobs of no organization: these are all")
        self.session.open(QueuePlace(queue, state, where))

    # -- acts

    def do_open(self) -> None:
        """A double click opens the tenant's jobs."""
        self.do_tenant_jobs()

    async def do_tenant_hold(self) -> None:
        """Holds the tenant in the queues shown, or lets it go if it is held in all of them."""
        from hsejobs_tui.flows import tenant_acts

        if self.row is not None and await tenant_acts.hold(self.session, self.row):
            self._again()

    async def do_tenant_edit(self) -> None:
        """Asks for weight and limit, and sets them."""
        from hsejobs_tui.flows import tenant_acts

        if self.row is not None and await tenant_acts.edit(self.session, self.row):
            self._again()

    def _again(self) -> None:
        self._loaded = None
        self.session.poll_soon()


def _why(row: TenantRow) -> str:
    """What makes it busy, in words."""
    if row.waiting_share >= row.added_share and row.count("waiting"):
        return f"{percent(row.waiting_share)} of what waits ({row.count('waiting'):,})"
    return f"{percent(row.added_share)} of what was added ({row.total.added:,})"


def _held_in(row: TenantRow) -> str:
    """``held``, or in how many of its queues."""
    return f"held in {len(row.held)} of {len(row.now)}" if row.free else "held"


def _held_by(row: TenantRow, now: int) -> str:
    """Who held it and for how long, as far as it is known and alike in all queues."""
    held = [one for one in row.now.values() if one.paused]
    who = {one.held_by for one in held}
    since = min((one.held_at for one in held if one.held_at), default=None)
    return held_by(who.pop() if len(who) == 1 else "", now - since if since else None)


def _count(count: int, style: str) -> Text:
    return Text(short(count), style if count else "dim")


def _rate(rate: float) -> str:
    return f"{rate:.1f}" if 0 < rate < 10 else short(rate)
