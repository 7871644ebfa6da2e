"""Schedules of code: the cron text behind a ``crontab``, its slots, and what is due."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

from huey.api import crontab

from hsejobs.control import cron
from hsejobs.control.options import NOTHING_ASKED
from hsejobs.engine import adding
from hsejobs.engine.queue import Queue, Schedule
from hsejobs.errors import RedisUnavailable
from hsejobs.store import keys
from hsejobs.watch import logs

Validator = Callable[[datetime.datetime], bool]
#: How far back a missed slot is looked for, in minutes.
LOOK_BACK = 35 * 1440
#: Seconds that one look at the schedules may take.
TURN = 0.1


def cron_text(validate: Any) -> str:
    """The five fields that ``crontab(...)`` was given, rebuilt from its sets; '' for another function."""
    made_by = (getattr(validate, "__module__", ""), getattr(validate, "__qualname__", ""))
    if made_by != (crontab.__module__, "crontab.<locals>.validate_date"):
        return ""
    (held,) = (
        cell.cell_contents for cell in validate.__closure__ if isinstance(cell.cell_contents, list)
    )
    months, days, weekdays, hours, minutes = held
    return cron.text_of((minutes, hours, days, months, weekdays))


def time_of(slot: int) -> datetime.datetime:
    """A slot (minutes since the epoch) as a naive UTC time, as Huey's validators take it."""
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(minutes=slot)


def newest_due(valid: Validator, last: int, now: int) -> int | None:
    """The newest slot in (last, now] that the schedule names; older missed ones are not made up."""
    for slot in range(now, max(last, now - LOOK_BACK), -1):
        if valid(time_of(slot)):
            return slot
    return None


def run_id(task: str, slot: int) -> str:
    """The id of a run: the same for all consumers."""
    return f"periodic:{task}:{time_of(slot):%Y%m%dT%H%M}Z"


class Scheduler:
    """Enqueues a queue's periodic tasks, once each slot, by Redis time."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._checked: dict[str, int] = {}

    def check(self, now_ms: int) -> list[str]:
        """Adds what is due at Redis time ``now_ms``; the ids that this call added.

        Each schedule stands alone: one whose function raises is told, and missed, alone. Ends
        after TURN seconds; the next call goes on. Raises RedisUnavailable.
        """
        slot, until = now_ms // 60_000, time.monotonic() + TURN
        added = []
        for name, schedule in list(self.queue.schedules.items()):
            if self._checked.get(name, -1) >= slot:
                continue
            try:
                made = self._check(schedule, name, slot)
                if made:
                    added.append(made)
            except RedisUnavailable:
                raise
            except Exception as error:  # a function of somebody else's
                logs.tell(
                    "schedule failed", 40, queue=self.queue.name, schedule=name, error=repr(error)
                )
            self._checked[name] = slot
            if time.monotonic() >= until:
                break
        return added

    def _check(self, schedule: Schedule, name: str, slot: int) -> str | None:
        last = self._last(name, slot)
        due = newest_due(schedule.due, last, slot) if last < slot else None
        return None if due is None else self.add(name, due)

    def _last(self, name: str, slot: int) -> int:
        known = self._checked.get(name)
        if known is not None:
            return known
        served = self.queue.runtime.reader.slots(self.queue.name)
        if name not in served:
            # A schedule that is new has missed nothing.
            self.queue.runtime.link.command("HSETNX", self._slots_key(), name, slot - 1)
            return slot - 1
        return served[name]

    def _slots_key(self) -> str:
        return keys.of(self.queue.base, "slots")

    def add(self, name: str, slot: int) -> str | None:
        """Adds the run of one slot; its id, or None when another consumer did."""
        wrapper = self.queue.wrappers[name]
        # Every consumer makes the same job, so it has no nonce.
        (new,) = adding.make_many(
            wrapper, [None], NOTHING_ASKED, ids=[run_id(name, slot)], internal=True, nonce=""
        )
        added = self.queue.runtime.writer.add_periodic(self.queue.name, new, name, slot)
        return new.id if added is not None and added.created else None
