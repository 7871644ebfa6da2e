"""Each rule goes on and off at its limits, without flapping, and one process checks."""

from __future__ import annotations

import threading
import time

import pytest
import redis

from hsejobs.store import keys
from hsejobs.store.marks import Marks
from hsejobs.store.work import Done
from hsejobs.store.write import Cancel
from hsejobs.watch.alerts import CALM_LOOKS, KEPT_MS, Watch, judge
from hsejobs.watch.rules import Limits, Reading, readings
from hsejobs_tui.core.view import queue_row
from tests.alerts.conftest import Scene
from tests.support import wait_until
from tests.support.server import Server


def test_more_waiting_than_the_limit(scene: Scene) -> None:
    for n in range(100):
        scene.store.add(f"j{n}")
    scene.watch.look()
    assert scene.alerts() == {}
    scene.store.add("one more")
    scene.watch.look()
    assert scene.alerts() == {"waiting": "on"}
    scene.store.writer.remove_many("q", [f"j{n}" for n in range(30)])
    for _ in range(CALM_LOOKS - 1):
        scene.watch.look()
        assert scene.alerts() == {"waiting": "on"}
    scene.watch.look()
    assert scene.alerts() == {"waiting": "off"}
    marks = Marks(scene.store.redis, scene.watch.settings.redis_prefix)
    first, last = marks.between(0, marks.now())
    assert (first.kind, first.queue) == ("alert", "q")
    assert first.text.startswith("waiting: 101 jobs wait")
    assert last.text.startswith("waiting ended: ")


def test_a_paused_queue_and_one_without_workers(scene: Scene) -> None:
    watch = scene.watching(JOBS_ALERT_NO_WORKER_MS="0")
    scene.workers(0)
    scene.store.add("a")
    wait_until(lambda: (scene.store.reader.stats(["q"])[0].oldest_waiting or 0) > 0, 5, "a wait")
    scene.watch.look()
    assert scene.alerts() == {}, "it has not waited for half a minute"
    scene.store.writer.pause("q")
    watch.look()
    assert scene.alerts() == {}, "a paused queue needs no worker"
    scene.store.writer.resume("q")
    watch.look()
    assert scene.alerts() == {"no_worker": "on"}
    scene.workers(1)
    for _ in range(CALM_LOOKS):
        watch.look()
    assert scene.alerts() == {"no_worker": "off"}
    watch.redis.close()


def test_a_share_of_failures(scene: Scene) -> None:
    for n in range(10):
        scene.store.add(f"j{n}")
    claims = scene.store.claim(10)
    for claim in claims[:4]:
        scene.store.fail(claim)
    scene.watch.look()
    assert scene.alerts() == {}, "four jobs say nothing"
    scene.store.fail(claims[4])
    scene.watch.look()
    assert scene.alerts() == {"failures": "on"}
    off = scene.watching(JOBS_ALERT_FAILED_PERCENT="off")
    off.look()
    assert scene.alerts() == {}, "a rule that is switched off has no alerts"
    off.redis.close()
    all_may_fail = scene.watching(JOBS_ALERT_FAILED_PERCENT="100")
    all_may_fail.look()
    assert scene.alerts() == {}
    all_may_fail.redis.close()


def test_cancelled_jobs_are_no_failures(scene: Scene) -> None:
    for n in range(30):
        scene.store.add(f"j{n}")
    claims = scene.store.claim(10)
    for job_id, token in claims:
        scene.store.work.step([Done(job_id, token, 20_000, b"1")], 0, "none", 0)
    scene.store.writer.cancel_many("q", [f"j{n}" for n in range(10, 30)], Cancel("ann"))
    scene.watch.look()
    assert scene.alerts() == {}
    # Revoked by Huey, cancelled by the task itself, and one real failure.
    for n, code in enumerate(("revoked", "cancelled", "error")):
        scene.store.add(f"own{n}")
        ((job_id, token),) = scene.store.claim(1)
        work, error = scene.store.work, b'{"error":"no"}'
        work.fail(job_id, token, code=code, error=error, run_us=9, final=True, delay_ms=None)
    (stats,) = scene.store.reader.stats(["q"])
    assert stats.failed == 23
    # Every door has the same figure: the JSON of `stats`, which the metrics show too, and the TUI.
    assert stats.public()["failureRate"] == round(1 / 11, 4)
    assert queue_row(stats).failing == 1 / 11
    found = {one.rule: one.value for one in readings(stats, 0, Limits())}
    assert found["failures"] == round(100 / 11, 1)
    # Nor do jobs that never ran change the average run time.
    assert stats.public()["averageDuration"] == 15.4
    assert stats.public()["rate"] == round(33 / 5, 2)


def test_a_job_that_stalled_for_long(scene: Scene, redis_client: redis.Redis) -> None:
    scene.store.add("a")
    scene.store.claim(1)
    scene.watch.look()
    assert scene.alerts() == {}
    active = keys.of(keys.base("t", "q"), "active")
    ended = int(time.time() * 1000) - 29_000
    redis_client.zadd(active, {"a": ended})
    scene.watch.look()
    assert scene.alerts() == {}
    redis_client.zadd(active, {"a": ended - 2000})
    scene.watch.look()
    assert scene.alerts() == {"stalled": "on"}


def test_every_rule_can_be_switched_off(scene: Scene) -> None:
    names = ("WAITING", "FAILED_PERCENT", "STALLED_MS", "NO_WORKER_MS", "REDIS_MS")
    watch = scene.watching(**{f"JOBS_ALERT_{name}": "off" for name in names})
    scene.workers(0)
    for n in range(102):
        scene.store.add(f"j{n}")
    watch.look()
    assert scene.alerts() == {}
    watch.redis.close()


def looks(*values: float, limit: float = 100) -> list[str]:
    known, states = None, []
    for number, value in enumerate(values):
        known = judge(Reading("waiting", "q", value, limit, ""), known, number)
        states.append("" if known is None else known["state"])
    return states


def test_it_does_not_flap() -> None:
    assert looks(100, 101, 99, 101, 81, 99) == ["", "on", "on", "on", "on", "on"]
    assert looks(101, 80, 80, 81, 80, 80, 80) == ["on"] * 6 + ["off"]
    assert looks(101, 0, 0, 0, 100, 101) == ["on", "on", "on", "off", "off", "on"]
    assert looks(1, 0, 1, 0, 0, 0, limit=0) == ["on"] * 5 + ["off"]


def test_since_ended_and_forgotten() -> None:
    on = judge(Reading("waiting", "q", 101, 100, ""), None, 1000)
    assert on is not None
    for at in (2000, 3000, 4000):
        on = judge(Reading("waiting", "q", 1, 100, ""), on, at)
        assert on is not None
    assert (on["state"], on["sinceMs"], on["endedMs"]) == ("off", 1000, 4000)
    later = judge(Reading("waiting", "q", 1, 100, ""), on, 4000 + KEPT_MS)
    assert later is not None
    assert later["endedMs"] == 4000
    assert judge(Reading("waiting", "q", 1, 100, ""), on, 4001 + KEPT_MS) is None
    again = judge(Reading("waiting", "q", 101, 100, ""), on, 5000)
    assert again is not None
    assert (again["sinceMs"], again["endedMs"]) == (5000, None)


def test_one_of_many_looks(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Watch] = []
    monkeypatch.setattr(Watch, "look", lambda self: looked.append(self))
    all_of_them = [scene.watching() for _ in range(5)]
    barrier = threading.Barrier(5)

    def tick(watch: Watch) -> None:
        barrier.wait()
        watch.tick()
        watch.redis.close()

    threads = [threading.Thread(target=tick, args=(watch,)) for watch in all_of_them]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked) == 1
    for watch in all_of_them:
        watch.tick()
    assert len(looked) == 1, "it is not time yet"


def test_each_notices_for_itself_that_redis_is_away(scene: Scene, redis_server: Server) -> None:
    first, second = (scene.watching(JOBS_ALERT_REDIS_MS="0") for _ in range(2))
    patient = scene.watching(JOBS_ALERT_REDIS_MS="3600000")
    silent = scene.watching(JOBS_ALERT_REDIS_MS="off")
    everyone = (first, second, patient, silent)
    for watch in everyone:
        watch.tick()
    redis_server.stop()
    for watch in everyone:
        watch._due = 0.0
        watch.tick()
        watch.tick()
    assert scene.channel.sent == [("redis", None, "on")] * 2
    redis_server.start()
    for watch in everyone:
        watch.tick()
    assert scene.channel.sent[2:] == [("redis", None, "off")] * 2
    assert scene.alerts()["redis"] == "off"
    first.look()
    assert scene.alerts()["redis"] == "off", "it stays listed"
    for watch in everyone:
        watch.redis.close()
