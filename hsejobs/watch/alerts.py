"""Alert rules: looked at every ten seconds by one process of the installation.

An alert goes on above its limit and off at four fifths of it, so that it does
not flap. ``tick`` is called by every shim; a lock in Redis lets one work. That
Redis is away each of them notices for itself.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hsejobs import codec
from hsejobs.errors import RedisUnavailable
from hsejobs.model import iso_time
from hsejobs.settings import Settings
from hsejobs.store import keys, registry
from hsejobs.store.client import Link
from hsejobs.store.read import QueueStats, Reader
from hsejobs.watch import logs

#: Seconds between two looks; ms for which an alert that went off is still listed.
EVERY = 10.0
KEPT_MS = 86_400_000
#: The share of its limit at which an alert goes off.
OFF_AT = 0.8
#: Finished jobs in 5 minutes below which a share says nothing.
LEAST_FINISHED = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """A rule's value for a queue at one moment; on above ``limit``."""

    rule: str
    queue: str
    value: float
    limit: float
    message: str


def readings(one: QueueStats, stalled: int, settings: Settings) -> Iterator[Reading]:
    """What every rule says of a queue. ``stalled``: jobs that are stalled for too long."""
    last = one.window()
    finished = last.completed + last.failed
    share = 100 * last.failed / finished if finished >= LEAST_FINISHED else 0.0
    limit = settings.alert_waiting
    yield Reading("waiting", one.name, one.waiting, limit, f"{one.waiting} jobs wait")
    limit = settings.alert_failed_percent
    yield Reading("failures", one.name, round(share, 1), limit, f"{share:.0f} % of the jobs failed")
    yield Reading("stalled", one.name, stalled, 0, f"{stalled} jobs are stalled")
    idle = one.waiting if one.consumers == 0 and not one.is_paused else 0
    yield Reading("no_worker", one.name, idle, 0, f"{idle} jobs wait and there is no worker")


class Watch:
    """One process's part in watching."""

    def __init__(self, link: Link, settings: Settings) -> None:
        self.link, self.settings = link, settings
        self.reader = Reader(link, settings.redis_prefix)
        self.away = False

    def tick(self) -> None:
        """One look, by whoever comes first in ten seconds. Never raises RedisUnavailable."""
        prefix = self.settings.redis_prefix
        try:
            lock = keys.lock(prefix, "alerts")
            ms = int(EVERY * 900)
            mine = self.link.command("SET", lock, "1", "NX", "PX", ms, patience=1.0)
            if self.away:
                self.away = False
                logs.tell("alert_off", rule="redis", queue=None)
            if mine:
                self._look(prefix)
        except RedisUnavailable as error:
            if not self.away:
                self.away = True
                logs.tell("alert_on", logging.ERROR, rule="redis", queue=None, message=str(error))

    def _look(self, prefix: str) -> None:
        names = registry.names(self.link, prefix)
        before = {(one["rule"], one["queue"]): one for one in _all(self.link, prefix)}
        key = keys.alerts(prefix)
        for one in self.reader.stats(names):
            overdue = one.now - self.settings.alert_stalled_ms
            active = keys.of(keys.base(prefix, one.name), "active")
            stalled = int(self.link.command("ZCOUNT", active, "-inf", overdue))
            for reading in readings(one, stalled, self.settings):
                known = before.pop((reading.rule, reading.queue), None)
                now = judge(reading, known, one.now)
                field = f"{reading.rule}:{reading.queue}"
                if now is None:
                    if known is not None:
                        self.link.command("HDEL", key, field)
                    continue
                self.link.command("HSET", key, field, codec.dumps(now))
                _log(known, now)
        for rule, queue in before:
            self.link.command("HDEL", key, f"{rule}:{queue}")


def judge(reading: Reading, known: dict[str, Any] | None, now_ms: int) -> dict[str, Any] | None:
    """The alert as it is now, from what it was; None when there is nothing to list."""
    was_on = known is not None and known["state"] == "on"
    on = reading.value > (reading.limit * OFF_AT if was_on else reading.limit)
    if on:
        since = known["sinceMs"] if was_on and known is not None else now_ms
        ended = None
    elif known is None:
        return None
    else:
        since, ended = known["sinceMs"], known["endedMs"] or now_ms
        if now_ms - ended > KEPT_MS:
            return None
    return {
        "rule": reading.rule,
        "queue": reading.queue,
        "state": "on" if on else "off",
        "value": reading.value,
        "limit": reading.limit,
        "message": reading.message,
        "sinceMs": since,
        "endedMs": ended,
    }


def _log(known: dict[str, Any] | None, now: dict[str, Any]) -> None:
    if (known["state"] if known else "off") != now["state"]:
        level = logging.WARNING if now["state"] == "on" else logging.INFO
        told = {name: now[name] for name in ("rule", "queue", "value", "limit", "message")}
        logs.tell(f"alert_{now['state']}", level, **told)


def _all(link: Link, prefix: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in link.command("HVALS", keys.alerts(prefix))]


def stored(link: Link, prefix: str) -> list[dict[str, Any]]:
    """The alerts, those that are on first: the object of the shim and ``hsejobs alerts --json``."""
    found = []
    for one in sorted(_all(link, prefix), key=lambda a: (a["state"] != "on", -a["sinceMs"])):
        since, ended = one.pop("sinceMs"), one.pop("endedMs")
        found.append({**one, "since": iso_time(since), "ended": iso_time(ended)})
    return found
