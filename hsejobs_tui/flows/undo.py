"""Restores removed jobs while the undo is offered."""

from __future__ import annotations

from hsejobs.errors import JobsError
from hsejobs.wording import counted
from hsejobs_tui.dialogs.questions import Working
from hsejobs_tui.flows.job_acts import BAR
from hsejobs_tui.session.session import Session


async def undo(session: Session) -> None:
    """Restores the jobs of the latest removal; shows a progress bar for many."""
    count, _ = session.acts.undoable()
    if count >= BAR:
        title = f"Restoring {counted(count, 'job')}"
        await session.ask(Working(title, count, session.acts.undo))
        return
    try:
        progress = await session.do(lambda: list(session.acts.undo())[-1])
    except JobsError as error:
        session.show_message(error)
        return
    session.show_message(progress.report(), bad=bool(progress.refused))
    session.poll_soon()
