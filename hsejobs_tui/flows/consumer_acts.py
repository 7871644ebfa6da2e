"""Acts on consumers: quiet, wake and restart one, or all of its host; bound to those that were shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hsejobs.control import consumers
from hsejobs.control.consumers import Ordered
from hsejobs.errors import JobsError
from hsejobs.wording import counted, verb
from hsejobs_tui.core.text import duration, safe
from hsejobs_tui.dialogs.choose import Choose
from hsejobs_tui.dialogs.questions import Confirm
from hsejobs_tui.session.session import Session

Worker = Mapping[str, Any]
#: Queues without another worker that a question names.
MOST = 5
#: What each order says of itself: in a question, and of consumers that were asked.
_TITLES = {"quiet": "Quiet", "wake": "Wake", "restart": "Restart"}
_DONE = {
    "quiet": "{} nothing more; Q wakes {}",
    "wake": "{} jobs again",
    "restart": "{} nothing more, and {} once nothing runs; Q keeps {}",
}


async def quiet(session: Session, worker: Worker, every: Sequence[Worker]) -> None:
    """Makes the consumer quiet, or wakes it if it is quiet or about to restart.

    ``every``: the consumers of all queues. Others of the same host may be included.
    """
    running = worker.get("state", "running") == "running"
    await _order(session, "quiet" if running else "wake", worker, every)


async def restart(session: Session, worker: Worker, every: Sequence[Worker]) -> None:
    """Restarts the consumer once it runs nothing; or all of its host."""
    await _order(session, "restart", worker, every)


async def _order(session: Session, order: str, worker: Worker, every: Sequence[Worker]) -> None:
    chosen = await _chosen(session, order, worker, every)
    if not chosen:
        return
    effect = "" if order == "wake" else _effect(session, order, chosen, every)
    question = Confirm(f"{_TITLES[order]} {_named(chosen)}?", effect)
    if not await session.confirm(f"workers {order}", question):
        return
    meant = [(str(one["queue"]), str(one["id"])) for one in chosen]
    try:
        done = await session.do(consumers.order, session.acts, order, meant)
    except JobsError as error:
        session.show_message(error)
        return
    _report(session, order, done)
    session.poll_soon()


async def _chosen(
    session: Session, order: str, worker: Worker, every: Sequence[Worker]
) -> list[Worker]:
    """The consumer alone, or all of its host that the order changes; none if the user cancels."""
    mates = [one for one in every if one.get("host") == worker.get("host") and _fits(order, one)]
    if len(mates) < 2:
        return [worker]
    title = f"{_TITLES[order]} which consumers?"
    alone = f"this one: {worker['queue']}, pid {worker['pid']}"
    answer = await session.ask(
        Choose(title, [alone, f"all {len(mates)} of the host {worker.get('host')}"])
    )
    if not answer:
        return []
    return [worker] if answer == alone else mates


def _fits(order: str, worker: Worker) -> bool:
    running: bool = worker.get("state", "running") == "running"
    return {"quiet": running, "wake": not running}.get(order, True)


def _named(chosen: Sequence[Worker]) -> str:
    first = chosen[0]
    if len(chosen) == 1:
        return safe(f"the consumer of {first['queue']} on {first['host']}, pid {first['pid']}", 200)
    return safe(f"all {len(chosen)} consumers on {first['host']}", 200)


def _effect(session: Session, order: str, chosen: Sequence[Worker], every: Sequence[Worker]) -> str:
    """What the order would do: to the jobs that run, and to those that wait."""
    slots = [slot for one in chosen for slot in one.get("slots") or () if slot]
    lines = []
    if slots:
        oldest = max(slots, key=lambda slot: int(slot.get("runningFor") or 0))
        task = str(oldest.get("task", "")).rpartition(".")[2]
        ran = duration(int(oldest.get("runningFor") or 0))
        count = counted(len(slots), "running job")
        lines.append(
            f"{count} {verb(len(slots), 'finishes', 'finish')}; the oldest is {task}, {ran}."
        )
    else:
        lines.append("Nothing runs there.")
    lines.append("No new job starts there.")
    if order == "restart":
        lines[-1] = (
            "No new job starts there; then it ends and comes back, with the code installed now."
        )
    alone = consumers.without_others(every, [(str(one["queue"]), str(one["id"])) for one in chosen])
    waiting = {one: stats.waiting if (stats := session.stats(one)) else 0 for one in alone}
    for queue in sorted(waiting, key=lambda one: (-waiting[one], one))[:MOST]:
        jobs = f"{counted(waiting[queue], 'waiting job')} {verb(waiting[queue], 'stays', 'stay')}"
        lines.append(f"{queue} has no other worker: {jobs}.")
    if (rest := len(alone) - MOST) > 0:
        lines.append(f"{counted(rest, 'more queue')} {verb(rest, 'has', 'have')} no other worker.")
    if order == "quiet":
        lines.append("It lasts until Q wakes it, or the process ends.")
    return "\n".join(lines)


def _report(session: Session, order: str, done: Sequence[Ordered]) -> None:
    asked = [one for one in done if not one.why]
    if asked:
        count = len(asked)
        them = verb(count, "it", "them")
        words = [verb(count, "claims", "claim"), them]
        if order == "restart":
            words = [verb(count, "claims", "claim"), verb(count, "restarts", "restart"), them]
        text = _DONE[order].format(*words)
        session.show_message(f"{counted(count, 'consumer')} {text}")
    for one in done:
        if one.why:
            session.show_message(f"{safe(one.id, 80)} of {one.queue}: {one.why}", bad=True)
