"""Restores removed jobs while the undo is offered, and cancels those of a retry that have not begun."""

from __future__ import annotations

from hsejobs.control.progress import Retried
from hsejobs.errors import JobsError
from hsejobs.model import State
from hsejobs.store.write import Seen
from hsejobs.wording import counted, verb
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.questions import Confirm, Working
from hsejobs_tui.flows.job_acts import BAR, run
from hsejobs_tui.session.session import Session

#: Jobs that are read in one call.
STEP = 500


async def undo(session: Session) -> None:
    """Undoes the latest removal or retry of many jobs; shows a progress bar for many."""
    if (last := session.acts.retried()) is not None:
        await _undo_retry(session, last)
        return
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


async def _undo_retry(session: Session, last: Retried) -> None:
    """Cancels the retried jobs that still wait, after a confirmation."""
    try:
        wait = await session.do(_not_begun, session.source, last)
    except JobsError as error:
        session.show_message(error)
        return
    every = counted(len(last.jobs), "job")
    if not wait:
        session.acts.retry_undone()
        session.show_message(
            f"too late to undo: the {every} that were retried have begun", bad=True
        )
        return
    question = Confirm(
        f"Undo the retry of {every}: cancel the {len(wait):,} that still"
        f" {verb(len(wait), 'waits', 'wait')}?",
        f"Queue {safe(last.queue, 60)}. They fail again, as cancelled, and keep their errors. Those that"
        " have begun are left alone: pause the queue (P) first if they must not begin meanwhile.",
    )
    if await session.confirm("cancel", question, len(wait)):
        subject = counted(len(wait), "job")
        if await run(session, "cancel", last.queue, tuple(wait), subject, "retry undone"):
            session.acts.retry_undone()


def _not_begun(source: LiveSource, last: Retried) -> list[Seen]:
    """Those that wait for their first attempt since the retry, in the version that they have now."""
    found: list[Seen] = []
    for at in range(0, len(last.jobs), STEP):
        found += [
            (job.id, job.version)
            for job in source.jobs(last.queue, last.jobs[at : at + STEP])
            if job is not None and job.status is State.WAITING and not job.attempts_made
        ]
    return found
