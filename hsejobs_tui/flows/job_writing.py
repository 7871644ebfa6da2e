"""Writing a job: edit the payload, check it, show the diff, add the job."""

from __future__ import annotations

from hsejobs.errors import JobsError
from hsejobs.model import JobRecord, State
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import NewJob
from hsejobs_tui.core import compose
from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.editor import Editor
from hsejobs_tui.dialogs.questions import Ask, Confirm
from hsejobs_tui.session.session import Session


async def write_job(session: Session, queue: str, of_id: str | None) -> None:
    """Opens the editor for a new job of the queue and adds it; ``of_id``: starts with a copy of that job."""
    info = _info(session, queue)
    if info is None:
        return
    try:
        of = await session.read(session.source.stored, queue, of_id) if of_id else None
        task = info.task(of.name) if of else await _task(session, info)
        if task is None:
            return
        new = await _written(session, info, task, of)
        if new is None:
            return
        added = await session.do(session.acts.add, info, new)
    except JobsError as error:
        session.show_message(error)
        return
    session.show_message(f"added {added.id}, {added.status}")
    session.poll_soon()


async def rewrite_job(session: Session, queue: str, seen: JobRecord | None) -> None:
    """Opens the editor with a failed job and adds the result instead of it, which is marked as superseded.

    ``seen``: the job as it was shown: if it changed since, nothing is added.
    """
    info = _info(session, queue)
    if info is None or seen is None:
        return
    if seen.status is not State.FAILED:
        session.show_message(
            f"only a failed job is superseded; d copies a {seen.status} one", bad=True
        )
        return
    if seen.superseded_by is not None:
        text = f"{seen.id} is superseded by {seen.superseded_by} already; d copies it"
        session.show_message(text, bad=True)
        return
    try:
        of = await session.read(session.source.stored, queue, seen.id)
        new = await _written(session, info, info.task(of.name), of, instead=True)
        if new is None:
            return
        added = await session.do(session.acts.supersede, info, new, seen.id, seen.version)
    except JobsError as error:
        session.show_message(error)
        return
    session.show_message(f"added {added.id}, {added.status}; it supersedes {seen.id}")
    session.poll_soon()


def _info(session: Session, queue: str) -> QueueInfo | None:
    info = session.source.infos.get(queue)
    if info is None or not info.tasks:
        session.show_message(
            f"{queue} has not published its tasks: start a worker for it", bad=True
        )
        return None
    return info


async def _written(
    session: Session,
    info: QueueInfo,
    task: TaskInfo,
    of: JobRecord | None,
    *,
    instead: bool = False,
) -> NewJob | None:
    """The job that the user writes, checked and confirmed; None if cancelled."""
    before = compose.masked_text(of, task.secret) if of else compose.skeleton(task)
    text, problem = before, "*** keeps the stored secret" if of else task.doc
    title = f"Copy of {of.id}" if of else f"New job of {info.name}: {task.name}"
    if of and instead:
        title = f"Edit {of.id}: the copy runs instead"
    while True:
        text = await session.ask(Editor(title, text, problem))
        if not text:
            return None
        try:
            new = compose.new_job(
                info,
                task,
                text,
                organization_id=session.options.organization_id,
                sealed=session.options.sealed,
                of=of,
                user_id=session.options.viewer.user_id if session.options.viewer else None,
            )
        except JobsError as error:
            problem = str(error)
            continue
        changed = "\n".join(compose.diff(before, text)[:30]) or "unchanged"
        org = new.organization_id or "no organization"
        question = f"Add this job to {info.name} ({org}, priority {new.priority})?"
        if of and instead:
            question = f"Run this job instead of {safe(of.id, 60)} ({org})?"
            changed += "\nThe failed job stays, marked as superseded; it is not retried any more."
        if await session.ask(Confirm(question, changed)):
            return new


async def _task(session: Session, info: QueueInfo) -> TaskInfo | None:
    if len(info.tasks) == 1 or info.default_task:
        return info.task(None)
    names = ", ".join(one.name.rpartition(".")[2] for one in info.tasks)
    name = await session.ask(Ask(f"Task of {info.name}", f"One of: {names}"))
    return info.task(name) if name else None
