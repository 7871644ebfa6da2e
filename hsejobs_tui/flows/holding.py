"""Holding a task of a queue, or the organization of a job there, and letting it go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from hsejobs.control import holding, sharing
from hsejobs.control.holding import TaskHold
from hsejobs.errors import JobsError
from hsejobs.model import iso_time
from hsejobs.store.periods import By
from hsejobs.store.registry import QueueInfo
from hsejobs.store.shares import QueueTenant, Shares
from hsejobs.wording import jobs_wait
from hsejobs_tui.core.text import held_by, safe
from hsejobs_tui.dialogs.choose import Choose
from hsejobs_tui.session.session import Session

#: What the question says of each choice.
ABOUT = "Jobs that run finish, and K cancels them; the others stay waiting until H lets them go."


async def hold(
    session: Session, queue: str, tasks: Sequence[str] = (), organization_id: str | None = None
) -> None:
    """Asks what to hold or to let go in a queue, and does it.

    Offers these tasks, or without any all of the queue, those that failed most in the window first; the
    organization; and every task that is held. There is no other question: nothing is lost, and the same
    key undoes it.
    """
    info = session.source.infos.get(queue)
    if info is None:
        return
    choices: dict[str, Callable[[], Awaitable[str]]] = {}
    try:
        for task in await _offered(session, info, tasks):
            choices[_task_text(session, info, task)] = _set_task(session, info, task)
        if organization_id is not None:
            shares = Shares(session.redis, session.options.prefix)
            tenant = await session.read(shares.get, queue, organization_id)
            choices[_tenant_text(session, tenant)] = _set_tenant(session, queue, tenant)
        if not choices:
            session.show_message(f"{queue} has no task to hold", bad=True)
            return
        chosen = await session.ask(Choose(f"Hold in {queue}", list(choices), ABOUT))
        if not chosen:
            return
        session.show_message(await choices[chosen]())
    except JobsError as error:
        session.show_message(error)
    session.poll_soon()


async def _offered(session: Session, info: QueueInfo, tasks: Sequence[str]) -> list[TaskHold]:
    found = (await session.read(holding.list_tasks, session.acts, info)).tasks
    wanted = [one.name for task in tasks for one in info.tasks if one.called(task)]
    first = [one for name in dict.fromkeys(wanted) for one in found if one.name == name]
    held = [one for one in found if one.paused and one not in first]
    if first:
        return [*first, *held]
    failed = await session.read(_failed, session, info.name)
    rest = [one for one in found if not one.paused]
    return [*held, *sorted(rest, key=lambda one: -failed.get(one.name, 0))]


def _failed(session: Session, queue: str) -> dict[str, int]:
    """How many jobs of each task failed in the window."""
    start, end = map(iso_time, session.bounds)
    past = session.source.history(
        [queue], start=start, end=end, by=By.TASK.value, sums=True, brief=True, marks=False
    )
    return {one.name or "": sum(at.failed for _, at in one.points) for one in past.series}


def _short(info: QueueInfo, name: str) -> str:
    """The short name of a task, if it is the only one of that name."""
    short = name.rpartition(".")[2]
    same = [one for one in info.tasks if one.name.rpartition(".")[2] == short]
    return safe(short if len(same) < 2 else name, 60)


def _task_text(session: Session, info: QueueInfo, task: TaskHold) -> str:
    name = _short(info, task.name)
    if task.held is None:
        return f"Hold the task {name}"
    return f"Let the task {name} go: {_held(session, task.held.who, task.held.since)}"


def _held(session: Session, who: str, since: int) -> str:
    return f"held{held_by(who, session.redis_now - since)}"


def _tenant_text(session: Session, tenant: QueueTenant) -> str:
    name = safe(tenant.organization_id or "", 60)
    if tenant.paused:
        waits = jobs_wait(tenant.waiting)
        if tenant.held_at is not None:
            waits = f"{_held(session, tenant.held_by, tenant.held_at)}, {waits}"
        return f"Let the organization {name} go: {waits}"
    return f"Hold the organization {name}: {tenant.active:,} run, {jobs_wait(tenant.waiting)}"


def _set_task(session: Session, info: QueueInfo, task: TaskHold) -> Callable[[], Awaitable[str]]:
    # What the question said, not the opposite of what holds by now.
    paused, seen = not task.paused, task.held.since if task.held else None

    async def act() -> str:
        await session.do(holding.set_task, session.acts, info, task.name, paused=paused, seen=seen)
        name = _short(info, task.name)
        if not paused:
            return f"{name} is let go in {info.name}"
        return f"{name} is held in {info.name}: its running jobs finish; H lets it go"

    return act


def _set_tenant(session: Session, queue: str, tenant: QueueTenant) -> Callable[[], Awaitable[str]]:
    paused, org = not tenant.paused, tenant.organization_id or ""

    async def act() -> str:
        held = await session.do(sharing.set_tenant, session.acts, queue, org, paused=paused)
        state = "held" if held.paused else "let go"
        return f"{safe(org, 60)} is {state} in {queue}; {jobs_wait(held.waiting)}"

    return act
