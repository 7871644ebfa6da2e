"""What an alert about Redis itself means, and the queues whose jobs fill it."""

from __future__ import annotations

from hsejobs.model import State
from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Server
from hsejobs_tui.core.text import size
from hsejobs_tui.dialogs.choose import KEYS, Choose
from hsejobs_tui.session.places import QueuePlace
from hsejobs_tui.session.session import Session

#: The last choice.
ALL = "all queues"
#: The states of jobs that a clean removes, those first that nothing waits for.
_STATES = (State.COMPLETED, State.FAILED, State.WAITING, State.DELAYED)


async def explain(session: Session, rule: str) -> None:
    """Says what is wrong, why, and what to do; opens the queue that is chosen."""
    seen = session.snapshot
    if seen is None or seen.server is None:
        return
    held = {_text(one): one for one in sorted(seen.queues, key=_ended, reverse=True) if _count(one)}
    choices = [*list(held)[: len(KEYS) - 1], ALL]
    chosen = await session.ask(
        Choose(_title(seen.server, rule), choices, _about(seen.server, rule))
    )
    if chosen == ALL:
        session.perform("overview")
    elif chosen:
        one = held[chosen]
        most = next(state for state in _STATES if getattr(one, state.value))
        session.open(QueuePlace(one.name, most))


def _ended(one: QueueStats) -> tuple[int, int]:
    return one.completed + one.failed, _count(one)


def _count(one: QueueStats) -> int:
    return sum(getattr(one, state.value) for state in _STATES)


def _text(one: QueueStats) -> str:
    counts = [(state, getattr(one, state.value)) for state in _STATES]
    return f"{one.name}: " + ", ".join(f"{count:,} {state}" for state, count in counts if count)


def _title(server: Server, rule: str) -> str:
    if rule == "eviction":
        return f"Redis may evict jobs: maxmemory-policy is {server.policy or 'unknown'}"
    most = f" of {size(server.maxmemory)}" if server.maxmemory else ", without a limit"
    return f"Redis uses {size(server.used_memory)}{most}"


def _about(server: Server, rule: str) -> str:
    """Why it matters and what helps, in at most 300 characters."""
    if rule == "eviction":
        return (
            "When its memory is full, it deletes keys, and jobs are lost."
            " Next: CONFIG SET maxmemory-policy noeviction, and the same in its configuration;"
            " `hsejobs verify` finds what is damaged already."
        )
    clean = "choose a queue, and remove its ended jobs with c, at age 0s if need be."
    if not server.maxmemory:
        return (
            "The limit is gone: maxmemory is 0, and Redis takes what memory the host has."
            f" If that runs short, {clean}"
        )
    if server.policy in ("", "noeviction"):
        full, first = "refuses new jobs; those that it has stay, and run", ""
    else:
        full = f"evicts keys, jobs among them: maxmemory-policy is {server.policy}"
        first = "CONFIG SET maxmemory-policy noeviction; "
    more = max(1, 2 * server.maxmemory // 1_000_000)
    return (
        f"When it is full, it {full}. Next: {first}"
        f"if the host has the memory, CONFIG SET maxmemory {more}mb; or {clean}"
    )
