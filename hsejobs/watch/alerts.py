"""Alert rules: looked at every ten seconds by one process of the installation.

An alert goes on above its limit, and off when it was at four fifths of it or
below in three looks in a row, so that it does not flap. ``tick`` is called by
every shim and every supervisor of workers; a lock in Redis lets one of them
look. That Redis is away each of them notices for itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.model import iso_time
from hsejobs.settings import Settings
from hsejobs.store import registry
from hsejobs.store.alerts import AlertStore
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader, QueueStats
from hsejobs.store.read_live import Server
from hsejobs.watch import logs
from hsejobs.wording import counted, jobs_wait, verb

#: Seconds between two looks; ms for which an alert that went off is still listed.
EVERY = 10.0
KEPT_MS = 86_400_000
#: The share of its limit at which an alert is calm, and in how many looks until it goes off.
CALM_AT, CALM_LOOKS = 0.8, 3
#: Finished jobs in 5 minutes below which a share says nothing.
LEAST_FINISHED = 5
#: How often a message is tried, and ms for which nobody else looks while it is sent.
TRIES, SENDING_MS = 6, 45_000
#: Share of its memory that Redis may use, in percent.
MEMORY_PERCENT = 85


class AlertChannel(Protocol):
    """Where messages go; ``send`` raises an exception when they did not arrive."""

    name: str

    def send(self, alerts: Sequence[dict[str, Any]]) -> None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """A rule's value for a queue at one moment; on above ``limit``."""

    rule: str
    queue: str | None
    value: float
    limit: float
    message: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings ``JOBS_ALERT_*`` say of queues; a rule without a limit is off."""

    waiting: int | None = 100
    failed_percent: int | None = 10
    stalled_ms: int | None = 30_000
    no_worker_ms: int | None = 30_000
    oldest_ms: int | None = 600_000

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits that are set."""
        return cls(
            settings.alert_waiting,
            settings.alert_failed_percent,
            settings.alert_stalled_ms,
            settings.alert_no_worker_ms,
            settings.alert_oldest_ms,
        )


def readings(one: QueueStats, stalled: int, limits: Limits) -> Iterator[Reading]:
    """What every rule that is on says of a queue. ``stalled``: jobs stalled for too long."""
    if limits.waiting is not None:
        yield Reading("waiting", one.name, one.waiting, limits.waiting, jobs_wait(one.waiting))
    if limits.failed_percent is not None:
        last = one.window()
        finished = last.completed + last.failed
        share = 100 * last.failed / finished if finished >= LEAST_FINISHED else 0.0
        told = f"{share:.0f} % of the jobs that ended in 5 minutes failed"
        yield Reading("failures", one.name, round(share, 1), limits.failed_percent, told)
    if limits.stalled_ms is not None:
        told = f"{counted(stalled, 'job')} stalled and no worker takes {verb(stalled, 'it', 'them')} back"
        yield Reading("stalled", one.name, stalled, 0, told)
    if limits.no_worker_ms is not None:
        alone = one.consumers == 0 and not one.is_paused
        waited = one.oldest_waiting or 0 if alone else 0
        told = f"{jobs_wait(one.waiting if alone else 0)} and there is no worker"
        yield Reading("no_worker", one.name, waited, limits.no_worker_ms, told)
    if limits.oldest_ms is not None:
        # Where nobody works, or nobody may, that is said already.
        worked = one.consumers > 0 and not one.is_paused
        oldest = one.oldest_waiting or 0 if worked else 0
        told = f"a job has waited for {counted(oldest // 60_000, 'minute')}"
        yield Reading("oldest", one.name, oldest, limits.oldest_ms, told)


def server_readings(server: Server) -> Iterator[Reading]:
    """What the rules about Redis' own settings say; their queue is ''."""
    evicts = server.policy not in ("", "noeviction")
    said = f"Redis may evict jobs: maxmemory-policy is {server.policy}"
    yield Reading("eviction", "", float(evicts), 0, said)
    share = 100 * server.used_memory / server.maxmemory if server.maxmemory else 0.0
    full = f"Redis uses {share:.0f} % of its memory"
    yield Reading("memory", "", round(share, 1), MEMORY_PERCENT, full)


class Watch:
    """One process's part in watching; its messages go to ``channels``."""

    def __init__(
        self, link: RedisClient, settings: Settings, channels: Sequence[AlertChannel] = ()
    ) -> None:
        self.settings, self.channels = settings, channels
        self.link, self.limits = link, Limits.of(settings)
        self.store = AlertStore(link, settings.redis_prefix)
        self.reader = JobReader(link, settings.redis_prefix)
        self._due = 0.0
        #: Since when Redis is away (monotonic), and the alert of it.
        self._away: float | None = None
        self._redis: dict[str, Any] | None = None

    def tick(self) -> None:
        """To be called about every second: looks when it is time. Raises no error of Redis."""
        now = time.monotonic()
        if self._away is None and now < self._due:
            return
        self._due = now + EVERY
        try:
            mine = self.store.take_turn(int(EVERY * 900))
            self._back()
            if mine:
                self.look()
        except RedisUnavailable as error:
            self._gone(error)

    def look(self) -> None:
        """Judges every queue by every rule. Raises RedisUnavailable."""
        names = registry.names(self.link, self.settings.redis_prefix)
        before = {(one["rule"], one["queue"]): one for one in self.store.all()}
        found = []
        for one in self.reader.stats(names):
            wait = self.limits.stalled_ms
            stalled = 0 if wait is None else self.store.overdue(one.name, one.now - wait)
            for reading in readings(one, stalled, self.limits):
                known = before.pop((reading.rule, reading.queue), None)
                now = judge(reading, known, one.now)
                if now is not None:
                    self.store.put(now)
                    _log(known, now)
                    found.append(now)
                elif known is not None:
                    self.store.drop(known)
        for known in before.values():
            # Of Redis itself no look tells: its own alert ends with its time.
            if known["rule"] == "redis" and _ms() - (known["endedMs"] or 0) <= KEPT_MS:
                found.append(known)
            else:
                self.store.drop(known)
        self._tell(found)

    def _tell(self, alerts: list[dict[str, Any]]) -> None:
        held = False
        for channel in self.channels:
            news = [one for one in alerts if _is_news(one, channel.name)]
            if not news:
                continue
            if not held:
                self.store.keep_turn(SENDING_MS)
                held = True
            _send(channel, news)
            for one in news:
                self.store.put(one)
        if held:
            self.store.keep_turn(1000)

    # -- Redis itself

    def _gone(self, error: RedisUnavailable) -> None:
        if self._away is None:
            self._away = time.monotonic()
        limit = self.settings.alert_redis_ms
        away = (time.monotonic() - self._away) * 1000
        if limit is None or (self._redis is None and away < limit):
            return
        known = self._redis
        if known is None:
            self._redis = _alert("redis", None, "on", round(away), limit, _ms() - int(away))
            self._redis["message"] = str(error)
            _log(None, self._redis)
        self._tell_of_redis()

    def _back(self) -> None:
        self._away = None
        known, self._redis = self._redis, None
        if known is None:
            return
        ended = {**known, "state": "off", "endedMs": _ms(), "message": "Redis answers again"}
        _log(known, ended)
        self._redis = {**ended, "tries": {}}
        self._tell_of_redis()
        self.store.put(self._redis)
        self._redis = None

    def _tell_of_redis(self) -> None:
        for channel in self.channels:
            if self._redis is not None and _is_news(self._redis, channel.name):
                _send(channel, [self._redis])


def judge(reading: Reading, known: dict[str, Any] | None, now_ms: int) -> dict[str, Any] | None:
    """The alert as it is now, from what it was; None when there is nothing to list."""
    was_on = known is not None and known["state"] == "on"
    calm = 0
    if was_on and known is not None:
        if reading.value <= reading.limit * CALM_AT:
            calm = known.get("calm", 0) + 1
        state = "on" if calm < CALM_LOOKS else "off"
    else:
        state = "on" if reading.value > reading.limit else "off"
    if known is None and state == "off":
        return None
    new = known is None or (state == "on" and not was_on)
    since = now_ms if known is None or new else known["sinceMs"]
    alert = _alert(reading.rule, reading.queue, state, reading.value, reading.limit, since)
    alert.update(message=reading.message, calm=calm)
    if state == "off" and known is not None:
        alert["endedMs"] = known["endedMs"] or now_ms
        if now_ms - alert["endedMs"] > KEPT_MS:
            return None
    if known is not None:
        alert["told"] = known.get("told", {})
        alert["tries"] = known.get("tries", {}) if state == known["state"] else {}
    return alert


def _alert(
    rule: str, queue: str | None, state: str, value: float, limit: float, since: int
) -> dict[str, Any]:
    # `told`: by channel the state that its last message said; `tries` how often it was tried.
    return {
        "rule": rule,
        "queue": queue,
        "state": state,
        "value": value,
        "limit": limit,
        "message": "",
        "sinceMs": since,
        "endedMs": None,
        "calm": 0,
        "told": {},
        "tries": {},
    }


def _is_news(alert: dict[str, Any], channel: str) -> bool:
    # Nobody is told of the end of what nobody was told of.
    told: str = alert["told"].get(channel, "off")
    tries: int = alert["tries"].get(channel, 0)
    return told != alert["state"] and tries < TRIES


def _send(channel: AlertChannel, alerts: list[dict[str, Any]]) -> None:
    """Sends and notes in the alerts how it went."""
    try:
        channel.send([public(one) for one in alerts])
    except Exception as error:
        for one in alerts:
            one["tries"][channel.name] = one["tries"].get(channel.name, 0) + 1
        told = str(error) if isinstance(error, JobsError) else type(error).__name__
        last = all(one["tries"][channel.name] >= TRIES for one in alerts)
        logs.tell("alert_unsent", logging.ERROR, channel=channel.name, error=told, final=last)
        return
    for one in alerts:
        one["told"][channel.name] = one["state"]
    logs.tell("alert_sent", channel=channel.name, rules=[one["rule"] for one in alerts])


def _log(known: dict[str, Any] | None, now: dict[str, Any]) -> None:
    if (known["state"] if known else "off") != now["state"]:
        level = logging.WARNING if now["state"] == "on" else logging.INFO
        told = {name: now[name] for name in ("rule", "queue", "value", "limit", "message")}
        logs.tell(f"alert_{now['state']}", level, **told)


def _ms() -> int:
    return time.time_ns() // 1_000_000


def public(alert: dict[str, Any]) -> dict[str, Any]:
    """An alert as outsiders see it: ``rule, queue, state, value, limit, message, since, ended``."""
    names = ("rule", "queue", "state", "value", "limit", "message")
    shown = {name: alert[name] for name in names}
    times = {"since": iso_time(alert["sinceMs"]), "ended": iso_time(alert["endedMs"])}
    return {**shown, **times}


def stored(link: RedisClient, prefix: str) -> list[dict[str, Any]]:
    """The alerts, those that are on first: the object of the shim and ``hsejobs alerts --json``."""
    found = AlertStore(link, prefix).all()
    return [public(one) for one in sorted(found, key=lambda a: (a["state"] != "on", -a["sinceMs"]))]
