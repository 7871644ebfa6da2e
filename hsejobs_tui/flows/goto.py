"""Going to a job by its id, and to a moment."""

from __future__ import annotations

from hsejobs.control.moments import parse_span
from hsejobs_tui.flows.asking import ask_until
from hsejobs_tui.session.places import JobPlace
from hsejobs_tui.session.session import Session


async def go_to_job(session: Session) -> None:
    """Asks for a job id and opens the job, in any queue."""

    async def find(wanted: str) -> JobPlace:
        found = await session.read(session.source.find, wanted)
        return JobPlace(found.queue, found.id)

    text = "Enter a job id; all queues are searched."
    if (place := await ask_until(session, "Go to job", text, find)) is not None:
        session.open(place)


async def go_to_time(session: Session) -> None:
    """Asks for a moment or a span and shows the time around it."""

    async def parse(wanted: str) -> tuple[int, int]:
        return parse_span(wanted, session.redis_now)

    text = (
        "Enter a time: 03:05, yesterday 14:00, 2026-07-01T03:05Z (UTC), or 3h for 3 hours ago;"
        " or a span: 03:00 to 03:10."
    )
    if (span := await ask_until(session, "Go to time", text, parse)) is not None:
        session.show_window(session.window.around(*span, session.redis_now))
        session.moment = span
        session.poll_soon()
