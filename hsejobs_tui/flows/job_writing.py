"""Writing a job: edit the payload, check it, show the diff, add the job."""

from __future__ import annotations

from hsejobs.errors import JobsError
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs_tui.core import compose
from hsejobs_tui.dialogs.editor import Editor
from hsejobs_tui.dialogs.questions import Ask, Confirm
from hsejobs_tui.session.session import Session


async def write_job(session: Session, queue: str, of_id: str | None) -> None:
    """Opens the editor for a new job of the queue and adds it; ``of_id``: starts with a copy of that job."""
    info = session.source.infos.get(queue)
    if info is None or not info.tasks:
        session.show_message(
            f"{queue} has not published its tasks: start a worker for it", bad=True
        )
        return
    try:
        of = await session.read(session.source.stored, queue, of_id) if of_id else None
        task = info.task(of.name) if of else await _task(session, info)
        if task is None:
            return
    except JobsError as error:
        session.show_message(error)
        return
    before = compose.masked_text(of, task.secret) if of else compose.skeleton(task)
    text, problem = before, "*** keeps the stored secret" if of else task.doc
    title = f"Copy of {of_id}" if of else f"New job of {queue}: {task.name}"
    while True:
        text = await session.ask(Editor(title, text, problem))
        if not text:
            return
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
        question = f"Add this job to {queue} ({org}, priority {new.priority})?"
        if await session.ask(Confirm(question, changed)):
            break
    try:
        added = await session.do(session.acts.add, info, new)
    except JobsError as error:
        session.show_message(error)
        return
    session.show_message(f"added {added.id}, {added.status}")
    session.poll_soon()


async def _task(session: Session, info: QueueInfo) -> TaskInfo | None:
    if len(info.tasks) == 1 or info.default_task:
        return info.task(None)
    names = ", ".join(one.name.rpartition(".")[2] for one in info.tasks)
    name = await session.ask(Ask(f"Task of {info.name}", f"One of: {names}"))
    return info.task(name) if name else None
