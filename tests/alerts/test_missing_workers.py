"""How old the jobs are does not tell that their workers are missing: a backlog waits also while they start.

Each case is looked at through the watch, which tells people, and through the TUI's own rules.
"""

from __future__ import annotations

import pytest
import redis

from hsejobs.settings import load_settings
from hsejobs.store import keys, registry
from hsejobs.store.read_live import LiveReader
from hsejobs.watch.rules import Limits
from hsejobs_cli.run import _watching
from hsejobs_tui.core.alerts import active_alerts
from tests.alerts.conftest import Scene

MINUTE = 60_000


class Backlog:
    """A job that has waited for two hours, and one that stalled then; no consumer lives."""

    def __init__(self, scene: Scene, client: redis.Redis) -> None:
        self.scene, self.client = scene, client
        scene.store.add("ran")
        scene.store.claim(1)
        scene.store.add("waits")
        self.base = keys.base("t", "q")
        self.now = scene.store.reader.now("q")
        client.zadd(keys.of(self.base, "active"), {"ran": self.now - 120 * MINUTE})
        client.hset(keys.of(self.base, "job", "waits"), "ws", str(self.now - 120 * MINUTE))
        scene.workers(0)

    def note(self, name: str, minutes_ago: float) -> None:
        self.client.set(keys.of(self.base, name), int(self.now - minutes_ago * MINUTE))

    def starts(self) -> None:
        registry.note_start(self.scene.store.redis, "t", ["q"])

    def alerts(self) -> dict[str, str]:
        """The message of each alert; the same for the watch and for the TUI."""
        client = self.scene.store.redis
        client.command("DEL", keys.alerts("t"))
        snapshot = LiveReader(client, "t").snapshot()
        shown = {one.rule: one.what for one in active_alerts(snapshot, Limits())}
        self.scene.watch.look()
        assert set(self.scene.alerts()) == set(shown)
        return shown


@pytest.fixture
def backlog(scene: Scene, redis_client: redis.Redis) -> Backlog:
    return Backlog(scene, redis_client)


def test_a_restart_with_a_backlog_is_no_alert(backlog: Backlog) -> None:
    # The fixture's consumer has just ended, and the next one is not up yet.
    assert "no_worker" not in backlog.alerts()


def test_a_true_absence_says_since_when_at_the_first_look(backlog: Backlog) -> None:
    backlog.note("lastseen", 95)
    assert backlog.alerts()["no_worker"].startswith("1 job waits and there is no worker, since ")
    backlog.note("lastseen", 3 * 24 * 60)
    text = backlog.alerts()["no_worker"]
    assert text.count("-") == 2, f"of another day: {text}"
    # Consumers of a release before this one leave no trace: then the wait alone tells.
    backlog.client.delete(keys.of(backlog.base, "lastseen"))
    assert backlog.alerts()["no_worker"] == "1 job waits and there is no worker"


def test_the_alert_begins_when_the_workers_went_not_when_the_jobs_came(backlog: Backlog) -> None:
    backlog.note("lastseen", 5)
    snapshot = LiveReader(backlog.scene.store.redis, "t").snapshot()
    (one,) = [one for one in active_alerts(snapshot, Limits()) if one.rule == "no_worker"]
    assert 5 * MINUTE <= (one.value or 0) < 10 * MINUTE
    assert one.level == "critical"


def test_consumers_that_start_after_a_night_are_no_alert(backlog: Backlog) -> None:
    backlog.note("lastseen", 480)
    assert set(backlog.alerts()) == {"no_worker", "stalled"}
    backlog.starts()
    assert backlog.alerts() == {}
    # They do not come up: for longer than a start takes.
    backlog.note("starting", 1)
    assert set(backlog.alerts()) == {"no_worker", "stalled"}


def test_a_program_that_ends_at_each_start_hides_nothing(backlog: Backlog) -> None:
    backlog.note("lastseen", 480)
    backlog.starts()
    backlog.note("starting", 1)
    for _ in range(3):
        backlog.starts()
        assert "no_worker" in backlog.alerts()
    # A consumer lived meanwhile, and then went: the next start is one again.
    backlog.note("lastseen", 0.9)
    backlog.starts()
    assert backlog.alerts() == {}


def test_a_start_beside_live_consumers_excuses_no_stalled_job(backlog: Backlog) -> None:
    backlog.scene.workers(1)
    # Each program of a rolling deploy notes its start, and so does one that ends at once.
    for _ in range(2):
        assert "stalled" in backlog.alerts()
        backlog.starts()
        assert "stalled" in backlog.alerts()
        backlog.scene.workers(1)


def test_the_first_consumers_get_time_to_take_the_jobs_over(backlog: Backlog) -> None:
    backlog.note("lastseen", 480)
    backlog.starts()
    backlog.scene.workers(1)
    assert "stalled" not in backlog.alerts(), "they have not swept yet"
    backlog.note("starting", 1)
    backlog.starts()
    assert "stalled" in backlog.alerts()


def test_a_first_start_with_jobs_that_were_added_before(backlog: Backlog) -> None:
    backlog.client.delete(keys.of(backlog.base, "lastseen"))
    assert "no_worker" in backlog.alerts()
    backlog.starts()
    assert backlog.alerts() == {}


def test_the_programs_that_run_consumers_note_their_start(backlog: Backlog, redis_url: str) -> None:
    backlog.note("lastseen", 480)
    settings = load_settings({"QUEUE_REDIS_PREFIX": "t", "QUEUE_REDIS_URL": redis_url})
    with _watching(settings, ["q"]):
        assert backlog.alerts() == {}


def test_without_redis_a_program_starts_nevertheless() -> None:
    settings = load_settings({"QUEUE_REDIS_URL": "redis://127.0.0.1:1"})
    entered = False
    with _watching(settings, ["q"]):
        entered = True
    assert entered
