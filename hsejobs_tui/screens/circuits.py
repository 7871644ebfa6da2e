"""Circuit breakers: whom calls are held off from, and why."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from hsejobs.errors import JobsError
from hsejobs_tui.core.text import clock, one_line, safe
from hsejobs_tui.screens.base import View
from hsejobs_tui.screens.dialogs import Confirm
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("state", 14), Column("host", 28), Column("organisation", 16, above=100),
    Column("failed", 6, right=True), Column("until (UTC)", 19, above=110), Column("last error", 0),
)  # fmt: skip
_STYLE = {"open": "bold red", "half-open": "yellow", "closed": "green"}


class CircuitList(View):
    """The circuits that failed or were touched in the last day."""

    SCOPE: ClassVar[str] = "circuits"
    HEAD: ClassVar[str] = "Circuits"

    def body(self) -> ComposeResult:
        """The list."""
        yield Rows(COLUMNS, "No receiver or mail server has failed in the last day.")

    async def poll(self) -> None:
        """Reads all of them."""
        found = await self.jobs_app.look(self.jobs_app.source.circuits)
        self.rows.fill([
            Row(one.name, [
                Text(one.state + (" by hand" if one.by_hand else ""), _STYLE[one.state]),
                safe(one.host, 80), safe(one.organization_id or "-", 60), str(one.failures),
                clock(one.until), one_line(one.last_error or ""),
            ]) for one in found
        ])  # fmt: skip

    async def _set(self, act: str, asked: str) -> None:
        app, name = self.jobs_app, self.rows.key
        if name is None:
            return
        if await app.push_screen_wait(Confirm(asked, safe(name, 200))):
            try:
                await app.do(app.acts.circuit, name, act)
            except JobsError as error:
                app.say(error)
            app.poll_soon()

    async def do_circuit_open(self) -> None:
        """Holds calls off."""
        await self._set("open", "Postpone all calls until closed by hand?")

    async def do_circuit_close(self) -> None:
        """Lets calls through."""
        await self._set("close", "Let calls through again?")
