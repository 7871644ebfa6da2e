"""Schedules: the cron text behind a ``crontab``, its slots, and what is due."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from huey.api import crontab

from hsejobs.engine import adding
from hsejobs.engine.queue import Queue, Schedule
from hsejobs.errors import InvalidOption, RedisUnavailable
from hsejobs.store import keys
from hsejobs.watch import logs

Validator = Callable[[datetime.datetime], bool]
#: How far back a missed slot is looked for, and how far ahead the next one, in minutes.
LOOK_BACK, LOOK_AHEAD = 35 * 1440, 366 * 1440
#: Seconds that one look at the schedules may take.
TURN = 0.1
_RANGES = ((1, 12), (1, 31), (0, 6), (0, 23), (0, 59))


def cron_text(validate: Any) -> str:
    """The five fields that ``crontab(...)`` was given, rebuilt from its sets; '' for another function."""
    cells = getattr(validate, "__closure__", None) or ()
    for cell in cells:
        held = cell.cell_contents
        if isinstance(held, list) and len(held) == 5:
            # Of the weekdays Huey keeps 0 to 7 for "*": both ends are Sunday.
            held = [*held[:2], sorted({day % 7 for day in held[2]}), *held[3:]]
            months, days, weekdays, hours, minutes = (
                _field(values, *limits) for values, limits in zip(held, _RANGES, strict=True)
            )
            return f"{minutes} {hours} {days} {months} {weekdays}"
    return ""


def _field(values: list[int], low: int, high: int) -> str:
    if values == list(range(low, high + 1)):
        return "*"
    for step in range(2, high):
        if values == list(range(low, high + 1, step)) and len(values) > 2:
            return f"*/{step}"
    if len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]}-{values[-1]}"
    return ",".join(map(str, values))


@lru_cache(maxsize=64)
def validator(cron: str) -> Validator:
    """A cron text as a function of a UTC time. Raises InvalidOption."""
    fields = cron.split()
    if len(fields) != 5:
        raise InvalidOption("cron", "use five fields: minute hour day month weekday")
    minute, hour, day, month, weekday = fields
    try:
        valid: Validator = crontab(
            minute=minute, hour=hour, day=day, month=month, day_of_week=weekday, strict=True
        )
    except ValueError:
        raise InvalidOption("cron", "use five fields: minute hour day month weekday") from None
    return valid


def time_of(slot: int) -> datetime.datetime:
    """A slot (minutes since the epoch) as a naive UTC time, as Huey's validators take it."""
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(minutes=slot)


def next_run(cron: str, after: datetime.datetime) -> datetime.datetime | None:
    """The first minute after ``after`` (UTC) that the cron text names; None within a year."""
    if not cron:
        return None
    valid = validator(cron)
    at = after.replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
    tries = 0
    while tries < LOOK_AHEAD:
        if valid(at):
            return at
        # A whole day without a run costs one look.
        if at.hour == 0 and at.minute == 0 and not _any_in_day(cron, at):
            at += datetime.timedelta(days=1)
            tries += 1440
        else:
            at += datetime.timedelta(minutes=1)
            tries += 1
    return None


def _any_in_day(cron: str, day: datetime.datetime) -> bool:
    _, _, days, months, weekdays = cron.split()
    return validator(f"* * {days} {months} {weekdays}")(day)


def newest_due(valid: Validator, last: int, now: int) -> int | None:
    """The newest slot in (last, now] that the schedule names; older missed ones are not made up."""
    for slot in range(now, max(last, now - LOOK_BACK), -1):
        if valid(time_of(slot)):
            return slot
    return None


def run_id(task: str, slot: int) -> str:
    """The id of a run: the same for all consumers."""
    return f"periodic:{task}:{time_of(slot):%Y%m%dT%H%M}Z"


class Schedules:
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
        [new] = adding.new_jobs(self.queue, self.queue.wrappers[name], [None])
        new.id, new.nonce = run_id(name, slot), ""
        added = self.queue.runtime.writer.add_periodic(self.queue.name, new, name, slot)
        return new.id if added is not None and added.created else None
