"""From a job to all that its request caused."""

from __future__ import annotations

from hsejobs.model import JobRecord
from hsejobs_tui.core.text import safe
from hsejobs_tui.session.places import MatchPlace
from hsejobs_tui.session.session import Session


def show_request(session: Session, job: JobRecord | None) -> None:
    """Lists the jobs of all queues that the job's request caused, or says that there was no request."""
    if job is None:
        return
    if job.request_id is None:
        text = f"no request added {safe(job.id, 80)}: a schedule, a program or a person did"
        session.show_message(text)
        return
    session.open(MatchPlace(f"request={job.request_id}"))
