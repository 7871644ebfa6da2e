"""Whether to quit: what would be lost with the TUI is asked about first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.screen import Screen

from hsejobs_tui.dialogs.discard import Discard
from hsejobs_tui.dialogs.keeping import Keeping
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.session.session import Session

END = "End everything?"


async def may_quit(session: Session, shown: Sequence[Screen[Any]]) -> bool:
    """Asks what must be asked before the TUI ends; False if it goes on, or if that question is open.

    In front of `hsejobs up`, quitting ends everything. Elsewhere only a text that was typed is asked about,
    once: the same key again, or any way to quit while a question about the text is open, is the answer.
    """
    if session.options.front:
        if any(isinstance(one, Confirm) and one.heading == END for one in shown):
            return False
        text = "This also ends the workers and the embedded Redis; running jobs may finish."
        return await session.ask(Confirm(END, text))
    typed = [one for one in shown if isinstance(one, Keeping) and one.unsaved]
    if not typed or any(isinstance(one, Discard) for one in shown):
        return True
    return await session.ask(Discard(typed[-1].heading, "ctrl+q", "Ctrl+Q", " and quit"))
