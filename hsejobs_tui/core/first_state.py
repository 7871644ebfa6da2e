"""Which jobs of a queue are shown first: those that its trouble is about."""

from __future__ import annotations

from collections.abc import Sequence

from hsejobs.model import State
from hsejobs.store.read import QueueStats
from hsejobs_tui.core.alerts import Alert

#: Alerts about jobs that wait.
_WAITING = ("waiting", "oldest", "no_worker", "unknown_task", "sealed", "paused", "task_held")
_ORDER = (State.FAILED, State.WAITING, State.ACTIVE, State.DELAYED, State.COMPLETED)


def first_state(stats: QueueStats, alerts: Sequence[Alert]) -> State:
    """The waiting jobs if the queue's most severe alert is about them; else the first state that has jobs."""
    worst = next((one.rule for one in alerts if one.queue == stats.name), "")
    if worst in _WAITING and stats.waiting:
        return State.WAITING
    return next((one for one in _ORDER if getattr(stats, one.value)), State.WAITING)
