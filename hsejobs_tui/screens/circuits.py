"""Circuit breakers in the order of trouble: which hosts are not called, why, and what waits for it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.errors import JobsError
from hsejobs.model import State
from hsejobs.store.circuits import Circuit
from hsejobs_tui.core import held
from hsejobs_tui.core.charts import moment_text
from hsejobs_tui.core.command import Command
from hsejobs_tui.core.held import Circuited, Held
from hsejobs_tui.core.parts import quoted
from hsejobs_tui.core.steady import COUNT, Places
from hsejobs_tui.core.text import duration, one_line, safe
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import QueuePlace
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("state", 9, wide=12),
    Column("host", 0),
    Column("organization", 12, wide=18),
    Column("holds", 6, right=True),
    Column("since", 6, right=True),
    Column("next try", 8, right=True),
    Column("failed", 6, right=True, above=90),
    Column("last error", 0, above=110),
)
_STYLE = {"open": "bold fail", "half-open": "warn", "closed": "ok"}
_DAY = 86_400_000


class CircuitList(View):
    """The circuits that failed or were changed in the last day."""

    SCOPE: ClassVar[str] = "circuits"
    HEAD: ClassVar[str] = "Circuits"

    def __init__(self) -> None:
        super().__init__()
        self.found = Circuited()
        self._places: Places[str] = Places(COUNT)

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, "No endpoint or mail server has failed in the last day.")
        yield Static(id="detail", markup=False)

    async def poll(self) -> None:
        """Reads the circuits, and the jobs that they hold."""
        session = self.session
        if session.snapshot is None:
            return
        found = await session.read(held.read, session.source, session.snapshot)
        now = session.redis_now
        found.circuits = self._places.order(
            found.circuits, lambda one: one.name, lambda one: held.rank(one, found.held[one.name])
        )
        self.found = found
        self.rows.fill([_row(one, found.held[one.name], now) for one in found.circuits])

    @property
    def chosen(self) -> Circuit | None:
        """The circuit under the cursor."""
        return next((one for one in self.found.circuits if one.name == self.rows.key), None)

    def head(self) -> Text:
        """How many circuits are open, and how many jobs they hold."""
        opened = sum(one.state == "open" for one in self.found.circuits)
        text = Text(f"Circuits: {opened} of {len(self.found.circuits)} open")
        shut = {one.name for one in self.found.circuits if one.state == "closed"}
        count = sum(one.count for name, one in self.found.held.items() if name not in shut)
        return text.append(f", {count:,} jobs held", "warn") if count else text

    def detail(self) -> Text:
        """The circuit under the cursor: since when, what it holds, its last error."""
        one = self.chosen
        if one is None:
            return Text()
        now, holds = self.session.redis_now, self.found.held.get(one.name, Held())
        text = Text(f"{one.state}", _STYLE[one.state])
        if one.since:
            text.append(f" since {moment_text(one.since, max(now - one.since, _DAY))}")
            text.append(f" ({duration(max(0, now - one.since))})")
        text.append(f", {one.failures:,} calls failed in a row")
        if holds.count:
            queues = ", ".join(
                f"{count:,} of {name}" for name, count in holds.queues.most_common(4)
            )
            queues += " and more" if holds.more else ""
            if one.state == "closed":
                text.append(f"; {queues} still wait for the time that it set: p there runs them")
            else:
                text.append(f"; holds {queues}", "warn")
        return text.append("\n" + safe(one.last_error or "", 600))

    def lacking(self, command: Command) -> str:
        """A circuit that is as the act would make it needs none."""
        why, one = super().lacking(command), self.chosen
        if why or one is None:
            return why
        if command.id == "circuit_close" and one.state == "closed":
            return "The circuit is closed already: calls are made."
        if command.id == "circuit_open" and one.state == "open" and one.manual:
            return "The circuit is open already, until c closes it."
        return ""

    async def _set(self, act: str, question: str) -> None:
        session, shown = self.session, self.chosen
        if shown is None:
            return
        count = self.found.held.get(shown.name, Held())
        text = safe(shown.name, 200) + (f"\nIt holds {count.text} jobs." if count.count else "")
        if await session.confirm(f"circuit {act}", Confirm(question, text)):
            try:
                await session.do(lambda: session.acts.circuit(shown.name, act, since=shown.since))
            except JobsError as error:
                session.show_message(error)
            else:
                if act == "close" and count.count:
                    names = " and ".join(name for name, _ in count.queues.most_common(2))
                    session.show_message(
                        f"calls are allowed again; its {count.text} jobs still wait for their time:"
                        f" p in {names} runs them now"
                    )
            session.poll_soon()

    def do_circuit_jobs(self) -> None:
        """Shows the jobs that wait for the host: the delayed ones of the queue that has most of them."""
        one = self.chosen
        if one is None:
            return
        holds = self.found.held.get(one.name, Held())
        if not holds.count:
            self.session.show_message("no job waits for this host")
            return
        [(queue, _)] = holds.queues.most_common(1)
        owner = one.organization_id
        query = "" if owner is None or self.session.confined else f"org={quoted(owner)}"
        self.session.open(QueuePlace(queue, State.DELAYED, query))

    async def do_circuit_open(self) -> None:
        await self._set("open", "Open the circuit: postpone all calls until it is closed manually?")

    async def do_circuit_close(self) -> None:
        await self._set("close", "Close the circuit and allow calls again?")


def _row(one: Circuit, holds: Held, now: int) -> Row:
    tries = f"in {duration(one.until - now)}" if one.until and one.until > now else "-"
    if one.state == "half-open":
        tries = "now"
    elif one.manual and one.state == "open":
        tries = "by hand"
    return Row(
        one.name,
        [
            Text(one.state, _STYLE[one.state]),
            safe(one.host, 80),
            safe(one.organization_id or "-", 60),
            Text(holds.text if holds.count else "-", "bold warn" if holds.count else "dim"),
            duration(max(0, now - one.since)) if one.since else "-",
            tries,
            str(one.failures),
            one_line(one.last_error or ""),
        ],
        values=[
            *(None, None, None, holds.count, now - one.since if one.since else None),
            *(one.until, one.failures),
        ],
    )
