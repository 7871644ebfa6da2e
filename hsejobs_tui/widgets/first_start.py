"""The page before there was any job: what will be here, whether workers live, and how to add one."""

from __future__ import annotations

from rich.text import Text
from textual.screen import Screen
from textual.widgets import Static

from hsejobs_tui.core import first_start
from hsejobs_tui.core.commands import by_id, keys_shown
from hsejobs_tui.core.text import safe
from hsejobs_tui.session.session import session_of
from hsejobs_tui.widgets.rows import Rows

#: The screens that the page explains.
SCREENS = ("overview", "failures", "workers", "insight", "alerts", "events", "tenants")


async def welcome(screen: Screen[None], *, empty: bool) -> bool:
    """Shows the page instead of the list of queues while no job was ever added; returns whether it does."""
    session = session_of(screen)
    pages = screen.query(FirstStart)
    if not pages and empty and session.snapshot is not None:
        if await session.read(first_start.had_jobs, session.source, session.snapshot):
            return False
        await screen.mount(FirstStart(), before="#below")
    if not pages and not empty:
        return False
    page, rows = screen.query_one(FirstStart), screen.query_one(Rows)
    page.display = empty
    screen.set_class(empty, "-first")
    if empty:
        page.draw()
    elif session.outage is None:
        await page.remove()
        rows.focus()
    return empty


class FirstStart(Static):
    """The page."""

    def __init__(self) -> None:
        super().__init__(id="first-start", markup=False)
        self._drawn = ""

    def draw(self) -> None:
        """Draws the page for the latest snapshot."""
        text = self._text()
        if text.plain != self._drawn:
            self._drawn = text.plain
            self.update(text)

    def _text(self) -> Text:
        session = session_of(self)
        seen = session.snapshot
        text = Text("\n")
        if seen is None:
            return text
        about = seen.server.version if seen.server is not None else "Redis"
        names = ", ".join(one.name for one in seen.queues)
        # Of one organization, it is not known whether it had jobs before.
        none = "This organization has no job now." if session.confined else "No job was added yet."
        text.append(f"  {none}\n\n", "bold")
        text.append("  Redis    ", "dim").append(
            f"{about}, {safe(session.options.place, 100)}\n", ""
        )
        text.append("  Queues   ", "dim")
        if names:
            text.append(f"{len(seen.queues)}: {safe(names, 200)}\n")
        else:
            text.append(
                "none yet: a worker registers them; start one with `hsejobs worker`\n", "warn"
            )
        if not session.confined:
            words, alive = first_start.workers_text(seen)
            text.append("  Workers  ", "dim").append(
                f"{safe(words, 200)}\n", "ok" if alive else "warn"
            )
        text.append("\n  What will be here\n", "bold")
        for one in (by_id(name) for name in SCREENS):
            if session.has(one.id):
                text.append(f"    {one.keys} ", "key").append(f"{one.title:<10}")
                text.append(f" {one.help}\n", "dim")
        text.append("\n  What you can do\n", "bold")
        for key, what in self._acts():
            text.append(f"    {key:<2}", "key").append(f" {what}\n")
        text.append("       `hsejobs demo` shows all of this with three hours of history\n", "dim")
        return text

    def _acts(self) -> list[tuple[str, str]]:
        session = session_of(self)
        acts = []
        if session.source.infos:
            sample = first_start.sample_of(session.source.infos, session.source.actor.role)
            if sample is not None and session.has("sample"):
                task = sample.task.name.rpartition(".")[2]
                what = f"add a sample job: {task} of {sample.info.name}; its payload is shown first"
                acts.append((keys_shown(by_id("sample")), what))
            if session.has("enqueue"):
                acts.append((keys_shown(by_id("enqueue")), "write a job with a form of its fields"))
        return acts
