"""The navigation line: the screens with their news, and on the right where and when this is; clickable."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.widgets import Static

from hsejobs_tui.core.charts import moment_text
from hsejobs_tui.core.commands import COMMANDS
from hsejobs_tui.core.text import safe
from hsejobs_tui.session.session import Session, session_of

#: Screens that are opened from another one, and its name.
BELOW = {"queue": "overview", "job": "overview"}
#: Short names for narrow terminals, in the order in which they are used: the least needed first.
SHORT = {
    "schedules": "Sched",
    "tenants": "Ten",
    "events": "Evt",
    "workers": "Work",
    "failures": "Fail",
    "circuits": "Circ",
    "insight": "Ins",
    "overview": "Queue",
}
MENU = "menu"
#: The width from which the line has room for the place and the time; below it the head line shows the time.
WITH_PLACE = 100
#: Characters up to which the place is shown although names must be shortened for it.
PLACE = 12


class Nav(Static):
    """One line of screen names; each name runs its command."""

    def __init__(self, scope: str) -> None:
        super().__init__(id="nav", markup=False)
        self.scope = BELOW.get(scope, scope)
        self._shown: object = None
        self._spans: list[tuple[int, int, str]] = []

    def draw(self) -> None:
        """Draws the line, if something on it changed."""
        session, width = session_of(self), self.app.size.width
        alerts = len(session.alerts)
        is_open = sum(one.state != "closed" for one in session.circuits)
        times = where_and_when(session, place=False) if width >= WITH_PLACE else ""
        now = (alerts, is_open, times, width)
        if now == self._shown:
            return
        self._shown = now
        news = {"alerts": str(alerts) if alerts else "", "circuits": ""}
        if is_open:
            news["circuits"] = f"{is_open} open" if width >= WITH_PLACE else str(is_open)
        # The place is also in the status line, so a long one gives way to the names.
        right = where_and_when(session) if times else ""
        text = self._names(news, set())
        if text.cell_len > width - len(right) - 2 and len(session.options.place) > PLACE:
            right = times
        short: set[str] = set()
        for name in SHORT:
            if text.cell_len <= width - len(right) - 2:
                break
            short.add(name)
            text = self._names(news, short)
        if text.cell_len + 5 <= width - len(right) - 2:
            self._add(text, Text("Menu"), MENU)
        if right:
            text.append(" " * max(1, width - text.cell_len - len(right) - 1))
            text.append(right, "dim")
        self.update(text)

    def _names(self, news: dict[str, str], short: set[str]) -> Text:
        """The screens; those in ``short`` by their short names."""
        text, self._spans = Text(" "), []
        for one in COMMANDS:
            if len(one.keys) > 1 or not one.keys.isdigit() or not session_of(self).has(one.id):
                continue
            title = SHORT[one.id] if one.id in short else one.title
            word = Text(f"{one.keys} {title}", "bold reverse" if one.id == self.scope else "")
            if news.get(one.id):
                word.append(" ").append(news[one.id], "bold fail" if one.id == "alerts" else "warn")
            self._add(text, word, one.id)
        return text

    def _add(self, text: Text, word: Text, command_id: str) -> None:
        self._spans.append((text.cell_len, text.cell_len + word.cell_len, command_id))
        text.append_text(word).append(" ")

    def on_click(self, event: events.Click) -> None:
        """Opens the screen under the mouse."""
        for first, end, command_id in self._spans:
            if first <= event.x < end:
                session_of(self).perform(command_id)


def where_and_when(session: Session, *, place: bool = True) -> str:
    """The installation, the time at its Redis, and the window that is shown: ``prod-eu 22:50 [1h]``."""
    where = safe(session.options.place, 24) if place else ""
    window = session.window
    clock = moment_text(session.redis_now) if session.redis_now else ""
    span = window.name
    if window.end is not None:
        start, end = session.bounds
        span += f" {moment_text(start, window.length)} - {moment_text(end, window.length)}"
    shown = [where, clock, f"[{span}]", ". now" if window.end is not None else ""]
    return " ".join(one for one in shown if one)
