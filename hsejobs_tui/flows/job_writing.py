"""Writing a job: fill in its form or edit its payload, check it, show it, add it."""

from __future__ import annotations

from collections.abc import Mapping

from hsejobs.control.options import NO_OPTIONS, AddOptions
from hsejobs.errors import JobsError
from hsejobs.model import JobRecord, State
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import NewJob
from hsejobs_tui.core import compose, form
from hsejobs_tui.core.text import duration, safe
from hsejobs_tui.dialogs.editor import Editor
from hsejobs_tui.dialogs.job_form import JobForm
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.flows.asking import ask_until
from hsejobs_tui.session.session import Session


async def write_job(session: Session, queue: str, of_id: str | None) -> None:
    """Opens the form of a new job of the queue and adds it; ``of_id``: edits a copy of that job instead."""
    info = _info(session, queue)
    if info is None:
        return
    try:
        of = await session.read(session.source.stored, queue, of_id) if of_id else None
        task = info.task(of.name) if of else await _task(session, info)
    except JobsError as error:
        session.show_message(error)
        return
    if task is None:
        return
    if of is not None or not form.fields_of(task):
        await _edit(session, info, task, of)
    else:
        await _fill_in(session, info, task)


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
        task = info.task(of.name)
    except JobsError as error:
        session.show_message(error)
        return
    await _edit(session, info, task, of, instead=seen)


def _info(session: Session, queue: str) -> QueueInfo | None:
    info = session.source.infos.get(queue)
    if info is None or not info.tasks:
        session.show_message(
            f"{queue} has not published its tasks: start a worker for it", bad=True
        )
        return None
    return info


async def _fill_in(session: Session, info: QueueInfo, task: TaskInfo) -> None:
    """Asks with the form until the job is added or the form is cancelled."""
    fields, options = form.fields_of(task), form.options_of(info, task)
    values: Mapping[str, str] = {}
    chosen: Mapping[str, str] = {}
    problem, title = task.doc, f"New job of {info.name}: {task.name}"
    while True:
        filled = await session.ask(JobForm(title, fields, options, values, chosen, problem))
        if filled is None:
            return
        values, chosen = filled.values, filled.options
        text = compose.pretty(form.payload_of(fields, values))
        try:
            add = form.add_options(chosen)
            if filled.edit:
                if await _edit(session, info, task, None, text, add):
                    return
                problem = ""
                continue
            form.check_lines(fields, values)
            new = _made(session, info, task, text, None, add)
        except JobsError as error:
            problem = str(error)
            continue
        if await _add(session, info, new, text):
            return
        problem = ""


async def _edit(
    session: Session,
    info: QueueInfo,
    task: TaskInfo,
    of: JobRecord | None,
    text: str = "",
    add: AddOptions = NO_OPTIONS,
    *,
    instead: JobRecord | None = None,
) -> bool:
    """Asks with the editor until the job is added; False if it is cancelled.

    ``instead``: the failed job that it supersedes, as it was shown.
    """
    before = compose.masked_text(of, task.secret) if of else text or compose.skeleton(task)
    problem = "*** keeps the stored secret" if of else task.doc
    title = f"Copy of {of.id}" if of else f"New job of {info.name}: {task.name}"
    if instead is not None:
        title = f"Edit {instead.id}: the copy runs instead"
    text = before
    while True:
        edited = await session.ask(Editor(title, text, problem, before))
        if edited is None:
            return False
        text = edited
        try:
            new = _made(session, info, task, text, of, add)
        except JobsError as error:
            problem = str(error)
            continue
        changed = "\n".join(compose.diff(before, text)[:30]) or "unchanged"
        if instead is not None:
            if await _supersede(session, info, new, changed, instead):
                return True
        elif await _add(session, info, new, changed if of else text):
            return True


def _made(
    session: Session,
    info: QueueInfo,
    task: TaskInfo,
    text: str,
    of: JobRecord | None,
    add: AddOptions,
) -> NewJob:
    viewer = session.options.viewer
    return compose.new_job(
        info,
        task,
        text,
        organization_id=session.options.organization_id,
        sealed=session.options.sealed,
        of=of,
        user_id=viewer.user_id if viewer else None,
        options=add,
    )


async def _add(session: Session, info: QueueInfo, new: NewJob, shown: str) -> bool:
    """Asks with the payload, and adds the job; False if it was not added."""
    org = safe(new.organization_id or "no organization", 60)
    when = f", in {duration(new.delay)}" if new.delay else ""
    question = f"Add this job to {info.name} ({org}, priority {new.priority}{when})?"
    if not await session.confirm("enqueue", Confirm(question, "\n".join(shown.splitlines()[:30]))):
        return False
    try:
        added = await session.do(session.acts.add, info, new)
    except JobsError as error:
        session.show_message(error)
        return False
    session.show_message(f"added {added.id}, {added.status}")
    session.poll_soon()
    return True


async def _supersede(
    session: Session, info: QueueInfo, new: NewJob, changed: str, seen: JobRecord
) -> bool:
    """Asks with the changes, and adds the job instead of ``seen``; False if it was not added."""
    org = new.organization_id or "no organization"
    question = f"Run this job instead of {safe(seen.id, 60)} ({safe(org, 60)})?"
    changed += "\nThe failed job stays, marked as superseded; it is not retried any more."
    if not await session.confirm("supersede", Confirm(question, changed)):
        return False
    try:
        added = await session.do(session.acts.supersede, info, new, seen.id, seen.version)
    except JobsError as error:
        # What was typed is shown again.
        session.show_message(error)
        return False
    session.show_message(f"added {added.id}, {added.status}; it supersedes {seen.id}")
    session.poll_soon()
    return True


async def _task(session: Session, info: QueueInfo) -> TaskInfo | None:
    """The task to add a job of; asks if there are several, schedules' own ones aside."""
    scheduled = {one.task for one in info.schedules}
    tasks = [one for one in info.tasks if one.name not in scheduled] or info.tasks
    if len(tasks) == 1:
        return tasks[0]
    names = ", ".join(one.name.rpartition(".")[2] for one in tasks)
    first = (info.default_task or "").rpartition(".")[2]

    async def find(name: str) -> TaskInfo:
        return info.task(name)

    return await ask_until(session, f"Task of {info.name}", f"One of: {names}", find, first)
