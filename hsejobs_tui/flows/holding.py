"""Holding the organization of a job in a queue, and letting it go."""

from __future__ import annotations

from hsejobs.control import sharing
from hsejobs.errors import JobsError
from hsejobs.model import JobRecord
from hsejobs.store.shares import Shares
from hsejobs.wording import jobs_wait
from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.session.session import Session

#: There is no pause of a task: neither in the engine, nor half of one here.
NO_TASK = "One task of a queue cannot be held: P pauses the queue, K cancels jobs."


async def hold(session: Session, queue: str, job: JobRecord | None) -> None:
    """Holds the job's organization in this queue, or lets it go if it is held."""
    if job is None or job.organization_id is None:
        session.show_message(f"this job has no organization to hold. {NO_TASK}", bad=True)
        return
    org = job.organization_id
    shares = Shares(session.redis, session.options.prefix)
    try:
        now = await session.read(shares.get, queue, org)
        title, text = _question(queue, safe(org, 60), now)
        if not await session.ask(Confirm(title, text)):
            return
        # What the question said, not the opposite of what holds by now.
        held = await session.do(sharing.set_tenant, session.acts, queue, org, paused=not now.paused)
    except JobsError as error:
        session.show_message(error)
        return
    state = "held" if held.paused else "let go"
    session.show_message(f"{safe(org, 60)} is {state} in {queue}; {jobs_wait(held.waiting)}")
    session.poll_soon()


def _question(queue: str, org: str, now: sharing.QueueTenant) -> tuple[str, str]:
    if now.paused:
        return f"Let {org} go in {queue}?", f"It is held; {jobs_wait(now.waiting)}."
    text = f"Its running jobs finish ({now.active:,} now); none of its others start"
    text += f" ({now.waiting:,} waiting) until H lets it go. {NO_TASK}"
    return f"Hold {org} in {queue}?", text
