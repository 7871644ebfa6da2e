"""Going to a job by its id, and to a moment."""

from __future__ import annotations

from hsejobs.control.moments import parse_span
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


async def go_to_time(session: Session) -> None:
    """Asks for a moment and moves the window of time around it."""
    text = (
        "Enter a time: 03:05, yesterday 14:00, 2026-07-01T03:05Z (UTC), or 3h for 3 hours ago;\n"
        "or a span: 03:00 to 03:10."
    )
    wanted = await session.ask(Ask("Go to time", text))
    if not wanted:
        return
    now = session.redis_now
    try:
        start, end = parse_span(wanted, now)
        session.moment = start, end
        session.show_window(session.window.covering(start, end, now))
        session.poll_soon()
    except JobsError as error:
        session.show_message(error)
