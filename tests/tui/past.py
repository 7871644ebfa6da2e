"""Writes a past to Redis: periods of the history as a consumer records them, and marks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from hsejobs.store import keys, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.minutes import Minute
from hsejobs.store.periods import RETENTION, By, Names, Period, book_of, pack, total

#: What happened in the minute that began that many minutes ago.
Story = Callable[[int], Period]


def period(
    added: int = 0,
    completed: int = 0,
    *,
    wait_ms: float = 50,
    run_ms: float = 200,
    depth: int = 0,
    errors: dict[str, int] | None = None,
    tenants: dict[str, int] | None = None,
    task: str = "tasks.send",
) -> Period:
    """A minute in which jobs were added, completed, failed (by group), and whose they were."""
    failed = sum((errors or {}).values())
    wait, run = bucket(wait_ms), bucket(run_ms)
    made = Period()

    def minute(share: float, bad: int = 0) -> Minute:
        one = Minute(added=round(added * share), completed=round(completed * share), failed=bad)
        began = one.completed + bad
        one.wait, one.run = ({wait: began}, {run: began}) if began else ({}, {})
        one.run_us = int(began * run_ms * 1000)
        one.sampled = one.peak = (round(depth * share), 0, 0)
        return one

    made.whole = minute(1, failed)
    made.parts[By.TASK] = {task: minute(1, failed)}
    for name, count in (errors or {}).items():
        made.parts[By.ERROR][name] = Minute(failed=count)
    every = sum((tenants or {}).values())
    for name, count in (tenants or {}).items():
        made.parts[By.ORG][name] = minute(count / every)
    return made


def bucket(ms: float) -> int:
    """The bucket of a time."""
    return int(math.log2(ms * 1000 + 1) * 4)


def write(redis: RedisClient, queue: str, minutes: int, story: Story, now_ms: int) -> None:
    """Writes the last minutes, up to the one before now, with their tens and hours."""
    base, last = keys.base("t", queue), now_ms // 60_000 - 1
    books: dict[int, Names] = {}
    found = {at: story(last + 1 - at) for at in range(last - minutes + 1, last + 1)}
    calls: list[list[scripts.Arg]] = []
    for step, kept in RETENTION.items():
        starts = sorted({at - at % step for at in found})
        for start in starts:
            inside = [found[at] for at in range(start, start + step) if at in found]
            if start + step - 1 > last or start < last - kept // 60:
                continue
            names = books.setdefault(book_of(start), Names({}))
            record = pack(inside[0] if len(inside) == 1 else total(inside), names)
            calls.append(["SET", keys.of(base, "period", f"{step}:{start}"), record])
    for book, names in books.items():
        for name, number in names._numbers.items():
            calls.append(["HSET", keys.of(base, "names", str(book)), name, number])
        calls.append(["HSET", keys.of(base, "names", str(book)), "", names.last])
    calls.append(["HSET", keys.of(base, "history"), "m", last])
    for at in range(0, len(calls), 500):
        redis.batch([(None, words) for words in calls[at : at + 500]])


def mark(
    redis: RedisClient, at: int, kind: str, text: str, who: str, queue: str | None = None
) -> None:
    """A mark at a moment of the past."""
    raw = {"kind": kind, "text": text, "who": who, "id": str(at)} | (
        {"queue": queue} if queue else {}
    )
    redis.command("ZADD", keys.of(keys.marks("t"), "notes"), at, json.dumps(raw))
