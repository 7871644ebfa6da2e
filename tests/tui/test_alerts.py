"""Active alerts: the rules, and the alerts that the watching process recorded."""

from __future__ import annotations

from typing import Any

from hsejobs.store.holds import HeldTask
from hsejobs.store.minutes import Minute
from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Server, Snapshot
from hsejobs.watch.rules import Limits
from hsejobs_tui.core.alerts import active_alerts, ended
from tests.tui.conftest import Stage

NOW = 1_800_000_000_000


def _stats(**values: Any) -> QueueStats:
    given: dict[str, Any] = {
        "name": "mail",
        "waiting": 0,
        "active": 0,
        "delayed": 0,
        "completed": 0,
        "failed": 0,
        "is_paused": False,
        "oldest_waiting": None,
        "next_due": None,
        "consumers": 1,
        "now": NOW,
        "minutes": [Minute()],
        **values,
    }
    return QueueStats(**given)


def _snapshot(stats: QueueStats, **values: Any) -> Snapshot:
    return Snapshot([stats], {}, values.pop("server", None), {}, (1, 1.0), **values)


def _rules(snapshot: Snapshot, limits: Limits | None = None) -> list[tuple[str, str]]:
    return [(one.level, one.rule) for one in active_alerts(snapshot, limits or Limits())]


def test_each_rule_and_its_level() -> None:
    assert _rules(_snapshot(_stats(waiting=100))) == []
    assert _rules(_snapshot(_stats(waiting=101))) == [("warning", "waiting")]
    alone = {"consumers": 0, "oldest_waiting": 30_001}
    assert _rules(_snapshot(_stats(waiting=1, **alone))) == [("critical", "no_worker")]
    assert _rules(_snapshot(_stats(waiting=900, **alone))) == [("critical", "no_worker")]
    assert _rules(_snapshot(_stats(waiting=900, is_paused=True))) == [("note", "paused")]
    held = [HeldTask("m.send", NOW - 720_000, "ann", 3), HeldTask("m.sort", NOW, "bob", 0)]
    [one] = active_alerts(_snapshot(_stats(held_tasks=held[:1])), Limits())
    told = (one.level, one.rule, one.what, one.todo)
    assert told == ("note", "task_held", "task send held by ann 12m, 3 jobs wait", "H lets it go")
    [one] = active_alerts(_snapshot(_stats(held_tasks=held)), Limits())
    assert (one.what, one.todo) == ("2 tasks held, 3 jobs wait", "H lets them go")
    assert _rules(_snapshot(_stats(waiting=1, oldest_waiting=600_001))) == [("warning", "oldest")]
    assert _rules(_snapshot(_stats(), stalled={"mail": 2})) == [("warning", "stalled")]
    few, half = Minute(completed=8, failed=1), Minute(completed=5, failed=6)
    assert _rules(_snapshot(_stats(minutes=[few]))) == [("warning", "failures")]
    assert _rules(_snapshot(_stats(minutes=[half]))) == [("critical", "failures")]
    assert _rules(_snapshot(_stats(minutes=[few])), Limits(failed_percent=20)) == []
    full = Server("Redis 7", 90, 100, 1, "allkeys-lru")
    found = active_alerts(_snapshot(_stats(), server=full), Limits())
    assert {(one.level, one.rule) for one in found} == {
        ("critical", "eviction"),
        ("critical", "memory"),
    }


def test_recorded_alerts_add_their_start_and_the_ended_ones() -> None:
    kept = {
        "rule": "waiting",
        "queue": "mail",
        "state": "on",
        "value": 300,
        "limit": 100,
        "message": "m",
        "sinceMs": NOW - 60_000,
        "endedMs": None,
    }
    alerts = {("waiting", "mail"): kept}
    # Active until four fifths of its limit.
    (one,) = active_alerts(_snapshot(_stats(waiting=90), alerts=alerts), Limits())
    assert one.since == NOW - 60_000
    assert active_alerts(_snapshot(_stats(waiting=80), alerts=alerts), Limits()) == []
    over = {("waiting", "mail"): {**kept, "state": "off", "endedMs": NOW - 5}}
    assert active_alerts(_snapshot(_stats(waiting=90), alerts=over), Limits()) == []
    assert [one.ended for one in ended(_snapshot(_stats(), alerts=over))] == [NOW - 5]


def test_a_snapshot_counts_stalled_jobs_and_has_the_recorded_alerts(stage: Stage) -> None:
    from hsejobs.settings import load_settings
    from hsejobs.store.read_live import LiveReader
    from hsejobs.watch.alerts import Watch

    for n in range(2):
        stage.add(f"job-{n}")
    environment = {
        "QUEUE_REDIS_URL": stage.url,
        "QUEUE_REDIS_PREFIX": "t",
        "JOBS_ALERT_WAITING": "1",
    }
    Watch(stage.redis, load_settings(environment)).tick()
    stage.claim()
    live = LiveReader(stage.redis, "t")
    live.snapshot(stalled_ms=0)
    # The lease is 30 s, so at this later time it has expired.
    assert live.snapshot(stalled_ms=-60_000).stalled == {"mail": 1}
    seen = live.snapshot()
    assert seen.stalled == {"mail": 0}
    assert seen.alerts[("waiting", "mail")]["state"] == "on"
    assert LiveReader(stage.redis, "t", "org").snapshot().alerts == {}
