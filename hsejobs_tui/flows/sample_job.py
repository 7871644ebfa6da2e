"""Adds a sample job to a new installation, after its payload was shown."""

from __future__ import annotations

from hsejobs.errors import JobsError
from hsejobs_tui.core import compose, first_start
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.session.session import Session


async def add_sample(session: Session) -> None:
    """Asks with the payload, and adds the job as any other."""
    sample = first_start.sample_of(session.source.infos, session.source.actor.role)
    if sample is None:
        session.show_message(
            "no queue has a task whose schema tells a payload: start a worker, or press n", bad=True
        )
        return
    viewer, text = session.options.viewer, compose.pretty(sample.payload)
    try:
        new = compose.new_job(
            sample.info,
            sample.task,
            text,
            organization_id=session.options.organization_id,
            sealed=session.options.sealed,
            user_id=viewer.user_id if viewer else None,
        )
        title = f"Add a sample job: {sample.task.name} of {sample.info.name}?"
        if await session.confirm("enqueue", Confirm(title, f"{sample.warning}\n{text}")):
            added = await session.do(session.acts.add, sample.info, new)
            session.show_message(f"added {added.id}, {added.status}")
            session.poll_soon()
    except JobsError as error:
        session.show_message(error)
