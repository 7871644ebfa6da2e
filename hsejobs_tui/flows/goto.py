"""Opening a job by its id."""

from __future__ import annotations

from hsejobs.errors import JobsError
from hsejobs_tui.dialogs.questions import Ask
from hsejobs_tui.session.places import JobPlace
from hsejobs_tui.session.session import Session


async def go_to_job(session: Session) -> None:
    """Asks for a job id and opens the job, in any queue."""
    wanted = await session.ask(Ask("Go to job", "Enter a job id; all queues are searched."))
    if not wanted:
        return
    try:
        found = await session.read(session.source.find, wanted.strip())
    except JobsError as error:
        session.show_message(error)
        return
    session.open(JobPlace(found.queue, found.id))
