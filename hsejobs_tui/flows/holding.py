"""Holding a task of a queue or an organization there, and letting it go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from hsejobs.control import holding
from hsejobs.control.holding import TaskHold
from hsejobs.errors import JobsError
from hsejobs.model import iso_time
from hsejobs.store.crowds import Crowd
from hsejobs.store.periods import By
from hsejobs.store.registry import QueueInfo
from hsejobs.store.shares import QueueTenant, Shares
from hsejobs.wording import jobs_wait
from hsejobs_tui.core.text import held_by, safe
from hsejobs_tui.dialogs.choose import KEYS, Choose
from hsejobs_tui.flows.tenant_acts import set_held
from hsejobs_tui.session.session import Session

Act = Callable[[], Awaitable[None]]

#: What the question says of each choice.
ABOUT = "Jobs that run finish, and K cancels them; the others stay waiting until H lets them go."
#: Organizations of a queue that are offered: the busiest, and of those that are held.
MOST_BUSY, MOST_HELD = 3, 3


async def hold(
    session: Session,
    queue: str,
    tasks: Sequence[str] = (),
    organization_id: str | None = None,
    busy: str | None = None,
) -> None:
    """Asks what to hold or to let go in a queue, and does it.

    With ``tasks``, those of a job or an error: offers them, the tasks that are held, and the organization.
    Without: first the organization that floods the queue, or that an alert names as ``busy``; then what is
    held; then all tasks, those that failed most in the window first; and the busiest organizations. There is
    no other question: nothing is lost, and the same key undoes it.
    """
    info = session.source.infos.get(queue)
    if info is None:
        session.show_message(f"{queue} is not registered: start a worker for it", bad=True)
        return
    try:
        found = await _offered(session, info, tasks)
        first, last = await _organizations(session, queue, busy) if not tasks else ({}, {})
        if organization_id is not None and not first | last:
            last = _tenant(session, [queue], await _read(session, [queue], organization_id))
        for task in found[: len(KEYS) - len(first) - len(last)]:
            first[_task_text(session, info, task)] = _set_task(session, info, task)
        choices = first | last
        if not choices:
            session.show_message(f"{queue} has no task and no organization to hold", bad=True)
            return
        chosen = await session.ask(Choose(f"Hold in {queue}", list(choices), ABOUT))
        if not chosen:
            return
        await choices[chosen]()
    except JobsError as error:
        session.show_message(error)
    session.poll_soon()


async def _organizations(
    session: Session, queue: str, busy: str | None
) -> tuple[dict[str, Act], dict[str, Act]]:
    """What may be done with organizations of a queue: before its tasks, and after them."""
    crowd = session.crowds.get(queue, Crowd())
    held = [one.name for one in crowd.held[:MOST_HELD]]
    page = await session.read(session.source.tenants, queue, limit=MOST_BUSY)
    known = {one.organization_id: one for one in page.tenants if one.organization_id is not None}
    alerted = list(dict.fromkeys(one for one in (crowd.top, busy) if one is not None))
    first: dict[str, Act] = {}
    last: dict[str, Act] = {}
    for owner in dict.fromkeys([*alerted, *held, *known]):
        tenants = [known[owner]] if owner in known else await _read(session, [queue], owner)
        on_top = owner in alerted or tenants[0].paused
        (first if on_top else last).update(_tenant(session, [queue], tenants))
        flooded = [name for name, one in session.crowds.items() if one.floods and one.top == owner]
        if owner in alerted and (more := [name for name in flooded if name != queue]):
            every = [queue, *more]
            first |= _tenant(session, every, await _read(session, every, owner))
    return first, last


async def _read(session: Session, queues: Sequence[str], owner: str) -> list[QueueTenant]:
    """How an organization stands in each queue."""
    shares = Shares(session.redis, session.options.prefix)
    return [await session.read(shares.get, queue, owner) for queue in queues]


def _tenant(
    session: Session, queues: Sequence[str], tenants: Sequence[QueueTenant]
) -> dict[str, Act]:
    """Holds an organization in these queues, or lets it go where it is held: as the tenants screen does."""
    one = tenants[0]
    owner, held = one.organization_id or "", not one.paused
    shown = dict(zip(queues, tenants, strict=True))
    text = _tenant_text(session, queues, tenants)
    return {text: lambda: set_held(session, owner, shown, held=held)}


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


def _tenant_text(session: Session, queues: Sequence[str], tenants: Sequence[QueueTenant]) -> str:
    one = tenants[0]
    name = safe(one.organization_id or "", 60)
    waits = jobs_wait(sum(each.waiting for each in tenants))
    if one.paused:
        if one.held_at is not None:
            waits = f"{_held(session, one.held_by, one.held_at)}, {waits}"
        return f"Let the organization {name} go: {waits}"
    where = f" in {safe(', '.join(queues), 40)}" if len(queues) > 1 else ""
    active = sum(each.active for each in tenants)
    return f"Hold the organization {name}{where}: {active:,} run, {waits}"


def _set_task(session: Session, info: QueueInfo, task: TaskHold) -> Act:
    # What the question said, not the opposite of what holds by now.
    paused, seen = not task.paused, task.held.since if task.held else None

    async def act() -> None:
        await session.do(holding.set_task, session.acts, info, task.name, paused=paused, seen=seen)
        text = f"{_short(info, task.name)} is let go in {info.name}"
        if paused:
            text = f"{_short(info, task.name)} is held in {info.name}: its running jobs finish; H lets it go"
        session.show_message(text)

    return act
