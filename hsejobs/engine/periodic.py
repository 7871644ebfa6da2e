"""Schedules of periodic tasks: their cron text, their slots, and adding the jobs that are due."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

from huey.api import crontab

from hsejobs.control import cron
from hsejobs.control.options import NO_OPTIONS
from hsejobs.engine import adding
from hsejobs.engine.queue import Queue, Schedule
from hsejobs.errors import RedisUnavailable
from hsejobs.store import keys
from hsejobs.watch import logs

Validator = Callable[[datetime.datetime], bool]
#: How far back to look for a missed slot, in minutes.
LOOK_BACK = 35 * 1440
#: Maximum seconds for one check of the schedules.
TURN = 0.1


def cron_text(validate: Any) -> str:
    """The five cron fields of a ``crontab(...)`` validator, from its sets; '' for other functions."""
    made_by = (getattr(validate, "__module__", ""), getattr(validate, "__qualname__", ""))
    if made_by != (crontab.__module__, "crontab.<locals>.validate_date"):
        return ""
    (fields,) = (
        cell.cell_contents for cell in validate.__closure__ if isinstance(cell.cell_contents, list)
    )
    months, days, weekdays, hours, minutes = fields
    return cron.text_of((minutes, hours, days, months, weekdays))


def time_of(slot: int) -> datetime.datetime:
    """A slot (minutes since the epoch) as a naive UTC time, which Huey's validators expect."""
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(minutes=slot)


def newest_due(valid: Validator, last: int, now: int) -> int | None:
    """The newest due slot in (last, now], or None; older missed slots are skipped."""
    for slot in range(now, max(last, now - LOOK_BACK), -1):
        if valid(time_of(slot)):
            return slot
    return None


def run_id(task: str, slot: int) -> str:
    """The job id of a slot's run: the same for all consumers."""
    return f"periodic:{task}:{time_of(slot):%Y%m%dT%H%M}Z"


class Scheduler:
    """Adds the jobs of a queue's periodic tasks, once per slot, by Redis time."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._checked: dict[str, int] = {}

    def check(self, now_ms: int) -> list[str]:
        """Adds the jobs that are due at Redis time ``now_ms``; returns the ids that this call added.

        A schedule whose function raises is logged and skipped; the others still run. Stops after
        TURN seconds; the next call continues. Raises RedisUnavailable.
        """
        slot, until = now_ms // 60_000, time.monotonic() + TURN
        added = []
        for name, schedule in list(self.queue.schedules.items()):
            if self._checked.get(name, -1) >= slot:
                continue
            try:
                job_id = self._check(schedule, name, slot)
                if job_id:
                    added.append(job_id)
            except RedisUnavailable:
                raise
            except Exception as error:  # the schedule's function is user code
                logs.emit(
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
            # A new schedule has missed nothing.
            self.queue.runtime.redis.command("HSETNX", self._slots_key(), name, slot - 1)
            return slot - 1
        return served[name]

    def _slots_key(self) -> str:
        return keys.of(self.queue.base, "slots")

    def add(self, name: str, slot: int) -> str | None:
        """Adds the run of one slot; returns its id, or None when another consumer added it."""
        wrapper = self.queue.wrappers[name]
        # No nonce: all consumers must make the same job.
        (new,) = adding.make_many(
            wrapper, [None], NO_OPTIONS, ids=[run_id(name, slot)], internal=True, nonce=""
        )
        added = self.queue.runtime.writer.add_periodic(self.queue.name, new, name, slot)
        return new.id if added is not None and added.created else None
