"""Alert rules, checked every ten seconds by one process of the installation.

An alert turns on when its value exceeds the limit. It turns off after three consecutive checks at
four fifths of the limit or below, so that it does not flap. Every shim and every supervisor of
workers calls ``tick``; a lock in Redis lets one of them check. Each detects an outage of Redis
itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.model import iso_time
from hsejobs.settings import Settings
from hsejobs.store import registry
from hsejobs.store.alerts import AlertStore, Unrunnable
from hsejobs.store.client import RedisClient
from hsejobs.store.crowds import Crowds
from hsejobs.store.marks import Marks
from hsejobs.store.read import JobReader, QueueStats
from hsejobs.store.recording import Recorder
from hsejobs.watch import advice, logs
from hsejobs.watch.rules import CALM_AT, Limits, Reading, readings, unrunnable

#: Seconds between two checks; ms for which an alert stays listed after it turned off.
EVERY = 10.0
KEPT_MS = 86_400_000
#: The calm checks after which an alert turns off.
CALM_LOOKS = 3
#: Attempts to send a message, and ms for which other processes do not check while it is sent.
TRIES, SENDING_MS = 6, 45_000


class AlertChannel(Protocol):
    """Delivers alerts; ``send`` raises an exception if delivery failed."""

    name: str

    def send(self, alerts: Sequence[dict[str, Any]]) -> None: ...


class Watch:
    """Checks the alert rules in one process; sends alerts to ``channels``."""

    def __init__(
        self, client: RedisClient, settings: Settings, channels: Sequence[AlertChannel] = ()
    ) -> None:
        self.settings, self.channels = settings, channels
        self.redis, self.limits = client, Limits.of(settings)
        self.store = AlertStore(client, settings.redis_prefix)
        self.reader = JobReader(client, settings.redis_prefix)
        self.crowds = Crowds(client, settings.redis_prefix)
        self._due = 0.0
        #: Since when Redis is unavailable (monotonic clock), and the alert about it.
        self._away: float | None = None
        self._redis: dict[str, Any] | None = None

    def tick(self) -> None:
        """Checks the rules when due. Call it about once a second. Raises no error of Redis."""
        now = time.monotonic()
        if self._away is None and now < self._due:
            return
        self._due = now + EVERY
        try:
            acquired = self.store.acquire_lock(int(EVERY * 900))
            self._redis_back()
            if acquired:
                self.look()
        except RedisUnavailable as error:
            self._redis_away(error)

    def look(self) -> None:
        """Checks every rule for every queue. Raises RedisUnavailable."""
        names = registry.names(self.redis, self.settings.redis_prefix)
        before = {(one["rule"], one["queue"]): one for one in self.store.all()}
        found = []
        for one in self.reader.stats(names):
            # Consumers do this too, and on time; without any, the history goes on.
            Recorder(self.redis, self.settings.redis_prefix, one.name, patience=1.0).run()
            wait = self.limits.stalled_ms
            stalled = 0 if wait is None else self.store.overdue(one.name, wait)
            every = [*readings(one, stalled, self.limits)]
            if (limit := self.limits.no_worker_ms) is not None:
                # Without consumers, the rule `no_worker` says so.
                alone = not one.consumers
                waiting = Unrunnable({}, {}) if alone else self.store.unrunnable(one.name)
                every += unrunnable(one, waiting, limit)
            judged = []
            for reading in every:
                known = before.pop((reading.rule, reading.queue), None)
                now = judge(reading, known, one.now)
                if now is not None:
                    judged.append((known, now))
                elif known is not None:
                    self.store.drop(known)
            self._advise(one, [now for _, now in judged if now["state"] == "on"])
            for known, now in judged:
                self.store.put(now)
                if _log(known, now):
                    self._mark(now)
                found.append(now)
        for known in before.values():
            # The checks do not cover Redis itself: its alert is dropped when its time is over.
            if known["rule"] == "redis" and _ms() - (known["endedMs"] or 0) <= KEPT_MS:
                found.append(known)
            else:
                self.store.drop(known)
        self._notify(found)

    def _advise(self, stats: QueueStats, alerts: Sequence[dict[str, Any]]) -> None:
        """Adds to the alerts of a queue that are on why they are, and what helps."""
        crowd, quiet = None, False
        if any(one["rule"] in advice.WAITING for one in alerts):
            crowd = self.crowds.read([stats.name])[stats.name]
            quiet = advice.asleep(self.reader.workers([stats.name]))
        for one in alerts:
            told = advice.advise(one["rule"], stats, crowd, quiet=quiet, count=int(one["value"]))
            one["cause"], one["todo"] = told.cause, told.todo

    def _mark(self, alert: dict[str, Any]) -> None:
        state = "" if alert["state"] == "on" else " ended"
        text = f"{alert['rule']}{state}: {alert['message']}"
        marks = Marks(self.redis, self.settings.redis_prefix)
        marks.add("alert", text, "hsejobs", queue=alert["queue"] or None)

    def _notify(self, alerts: list[dict[str, Any]]) -> None:
        extended = False
        for channel in self.channels:
            changed = [one for one in alerts if _must_send(one, channel.name)]
            if not changed:
                continue
            if not extended:
                self.store.extend_lock(SENDING_MS)
                extended = True
            _send(channel, changed)
            for one in changed:
                self.store.put(one)
        if extended:
            self.store.extend_lock(1000)

    # -- Redis itself

    def _redis_away(self, error: RedisUnavailable) -> None:
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
        self._notify_redis()

    def _redis_back(self) -> None:
        self._away = None
        known, self._redis = self._redis, None
        if known is None:
            return
        ended = {**known, "state": "off", "endedMs": _ms(), "message": "Redis answers again"}
        _log(known, ended)
        self._redis = {**ended, "tries": {}}
        self._notify_redis()
        self.store.put(self._redis)
        self._redis = None

    def _notify_redis(self) -> None:
        for channel in self.channels:
            if self._redis is not None and _must_send(self._redis, channel.name):
                _send(channel, [self._redis])


def judge(reading: Reading, known: dict[str, Any] | None, now_ms: int) -> dict[str, Any] | None:
    """The alert's new state from its previous one and a reading; None when there is nothing to list."""
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
    alert.update(message=reading.message, calm=calm, worst=reading.message)
    # An alert of an earlier release has no worst value.
    if known is not None and not new and known.get("peak", known["value"]) >= reading.value:
        alert["peak"] = known.get("peak", known["value"])
        alert["worst"] = known.get("worst", known["message"])
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
    # `peak` is the worst value since it turned on, and `worst` the message at that time.
    # By channel: `told` is the state in its last message, `tries` the number of failed attempts.
    return {
        "rule": rule,
        "queue": queue,
        "state": state,
        "value": value,
        "limit": limit,
        "peak": value,
        "message": "",
        "worst": "",
        "sinceMs": since,
        "endedMs": None,
        "calm": 0,
        "told": {},
        "tries": {},
    }


def _must_send(alert: dict[str, Any], channel: str) -> bool:
    # Without a message that the alert is on, none is sent that it is off.
    sent: str = alert["told"].get(channel, "off")
    tries: int = alert["tries"].get(channel, 0)
    return sent != alert["state"] and tries < TRIES


def _send(channel: AlertChannel, alerts: list[dict[str, Any]]) -> None:
    """Sends the alerts and records the result in them."""
    try:
        channel.send([public(one) for one in alerts])
    except Exception as error:
        for one in alerts:
            one["tries"][channel.name] = one["tries"].get(channel.name, 0) + 1
        text = str(error) if isinstance(error, JobsError) else type(error).__name__
        last = all(one["tries"][channel.name] >= TRIES for one in alerts)
        logs.emit("alert_unsent", logging.ERROR, channel=channel.name, error=text, final=last)
        return
    for one in alerts:
        one["told"][channel.name] = one["state"]
    logs.emit("alert_sent", channel=channel.name, rules=[one["rule"] for one in alerts])


def _log(known: dict[str, Any] | None, now: dict[str, Any]) -> bool:
    """Logs an alert that begins or ends; returns whether it does."""
    changed: bool = (known["state"] if known else "off") != now["state"]
    if changed:
        level = logging.WARNING if now["state"] == "on" else logging.INFO
        fields = {name: now[name] for name in ("rule", "queue", "value", "limit", "message")}
        logs.emit(f"alert_{now['state']}", level, **fields)
    return changed


def _ms() -> int:
    return time.time_ns() // 1_000_000


def public(alert: dict[str, Any]) -> dict[str, Any]:
    """An alert's public object: ``rule, queue, state, value, limit, message, since, ended``.

    The message of one that is on ends with why it is, and what helps.
    """
    names = ("rule", "queue", "state", "value", "limit", "message")
    shown = {name: alert[name] for name in names}
    if alert["state"] == "on":
        why = f": {alert['cause']}" if alert.get("cause") else ""
        todo = f"; {alert['todo']}" if alert.get("todo") else ""
        shown["message"] = f"{alert['message']}{why}{todo}"
    times = {"since": iso_time(alert["sinceMs"]), "ended": iso_time(alert["endedMs"])}
    return {**shown, **times}


def stored(client: RedisClient, prefix: str) -> list[dict[str, Any]]:
    """The alerts, active ones first, as the shim and ``hsejobs alerts --json`` return them."""
    found = AlertStore(client, prefix).all()
    return [public(one) for one in sorted(found, key=lambda a: (a["state"] != "on", -a["sinceMs"]))]
