"""Circuit breakers: which hosts are not called, and why."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.errors import JobsError
from hsejobs.store.circuits import Circuit
from hsejobs_tui.core.text import duration, one_line, safe
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.screens.base import View
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("state", 12),
    Column("host", 28, wide=34),
    Column("organization", 0, wide=20),
    Column("failed", 6, right=True),
    Column("next try", 8, right=True),
    Column("last error", 0, above=110),
)
_STYLE = {"open": "bold fail", "half-open": "warn", "closed": "ok"}


class CircuitList(View):
    """The circuits that failed or were changed in the last day."""

    SCOPE: ClassVar[str] = "circuits"

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Circuit] = {}

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, "No endpoint or mail server has failed in the last day.")
        yield Static(id="detail", markup=False)

    async def poll(self) -> None:
        found = await self.session.read(self.session.source.circuits)
        now = self.session.redis_now
        self.rows.fill(
            [
                Row(
                    one.name,
                    [
                        Text(one.state + (", manual" if one.manual else ""), _STYLE[one.state]),
                        safe(one.host, 80),
                        safe(one.organization_id or "-", 60),
                        str(one.failures),
                        f"in {duration(one.until - now)}" if one.until and one.until > now else "-",
                        one_line(one.last_error or ""),
                    ],
                )
                for one in found
            ]
        )
        self.found = {one.name: one for one in found}

    def head(self) -> Text:
        opened = sum(one.state == "open" for one in self.found.values())
        return Text(f"Circuits: {opened} of {len(self.found)} open")

    def detail(self) -> Text:
        """The last error of the circuit under the cursor, in full."""
        one = self.found.get(self.rows.key or "")
        return Text(safe(one.last_error or "", 600)) if one else Text()

    async def _set(self, act: str, question: str) -> None:
        session, name = self.session, self.rows.key
        if name is None:
            return
        shown = self.found.get(name)
        since = shown.since if shown else None
        if await session.ask(Confirm(question, safe(name, 200))):
            try:
                await session.do(lambda: session.acts.circuit(name, act, since=since))
            except JobsError as error:
                session.show_message(error)
            session.poll_soon()

    async def do_circuit_open(self) -> None:
        await self._set("open", "Open the circuit: postpone all calls until it is closed manually?")

    async def do_circuit_close(self) -> None:
        await self._set("close", "Close the circuit and allow calls again?")
