"""Why queues are in trouble, read from a real Redis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hsejobs import codec
from hsejobs.control.history import History, Series
from hsejobs.model import State
from hsejobs.store import keys
from hsejobs.store.circuits import Circuits
from hsejobs.store.crowds import Crowd
from hsejobs.store.minutes import Minute
from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Snapshot
from hsejobs.store.shares import Shares
from hsejobs.store.work import Done, short_reason
from hsejobs_tui.core.causes import read_causes, slots
from hsejobs_tui.core.past import PastReader
from hsejobs_tui.core.source import Held, LiveSource
from hsejobs_tui.core.time_window import TimeWindow
from hsejobs_tui.session.session import SLOW_EVERY, SLOW_MOST
from tests.support.waiting import redis_ms
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.frozen import GLANCE, NOW, Frozen, frozen_app

CIRCUIT = "webhook:org-1:hooks.a-long-name-of-a-receiver.example:443"


def held_job(stage: Stage, job_id: str, reason: str) -> None:
    """A job that its task postponed."""
    stage.add(job_id, org="org-1")
    (pair,) = stage.claim()
    assert stage.work.postpone(*pair, 60_000, reason=reason)[0] == "d"


def busy_worker(stage: Stage, jobs: list[str], age: int = 0) -> None:
    slot = [{"job": one, "task": "m.send", "attempt": 1, "runningFor": 1} for one in jobs]
    record = {"id": f"w{len(jobs)}", "concurrency": 2, "slots": slot, "workers": "threads"}
    stage.work.heartbeat(record["id"], json.dumps(record).encode(), 60_000)  # type: ignore[arg-type]


def test_jobs_that_wait_for_a_circuit_are_counted_and_their_host_is_named(stage: Stage) -> None:
    source = LiveSource(stage.options(), stage.redis)
    Circuits(stage.redis, "t").open(CIRCUIT)
    for n in range(3):
        held_job(stage, f"held-{n}", short_reason("circuit_open", CIRCUIT))
    held_job(stage, "other", short_reason("rate_limited", "mail"))
    stage.add("later", delay=60_000)
    found = read_causes(source, source.snapshot(), None, [])
    # The reason in a record is cut.
    assert len(short_reason("circuit_open", CIRCUIT)) < len(CIRCUIT)
    assert found.held == {"mail": Held(3, (CIRCUIT,))}
    # A job that was promoted and delayed again for another reason is not held.
    stage.writer.promote("mail", "held-0")
    assert read_causes(source, source.snapshot(), None, []).held["mail"].jobs == 2


def test_who_paused_and_since_when(stage: Stage) -> None:
    app = stage.app()
    app.session.acts.pause("mail", True)
    seen = app.session.source.snapshot()
    who = app.session.acts.actor.who
    assert read_causes(app.session.source, seen, None, []).paused_by == {"mail": who}
    confined = LiveSource(stage.options(organization_id="org-1"), stage.redis)
    # Another organization's session does not learn who acts for all.
    assert not read_causes(confined, confined.snapshot(), None, []).paused_by


def test_an_organization_that_fills_the_slots_is_named(stage: Stage) -> None:
    for n in range(2):
        stage.add(f"job-{n}", org="org-7")
        stage.claim()
    busy_worker(stage, ["job-0", "job-1"])
    source = LiveSource(stage.options(), stage.redis)
    seen = source.snapshot()
    assert seen.queues[0].active == 2
    assert slots(seen, seen.queues[0]) == (2, 2)
    filler = read_causes(source, seen, None, ["mail"]).fillers["mail"]
    assert (filler.jobs, filler.slots, filler.organization) == (2, 2, "org-7")
    assert filler.task == "m.send"


def test_a_dead_consumers_slots_do_not_count() -> None:
    one = {"concurrency": 4, "slots": [{"job": "a"}, None], "heartbeatAge": 500}
    workers = {"mail": [one, {**one, "heartbeatAge": 60_000}]}
    stats = QueueStats("mail", 0, 3, 0, 0, 0, False, None, None, 1, 1_000_000, [])
    seen = Snapshot([stats], {}, None, workers, (1, 1.0), stalled={"mail": 2})
    assert slots(seen, stats) == (1, 4)


@pytest.mark.anyio
async def test_a_queue_that_a_circuit_holds_says_so(stage: Stage) -> None:
    Circuits(stage.redis, "t").open(CIRCUIT)
    for n in range(2):
        held_job(stage, f"held-{n}", short_reason("circuit_open", CIRCUIT))
    app = stage.app()
    async with app.run_test(size=(160, 40)) as pilot:
        await shows(
            pilot, "◷  mail", "2 held by one circuit", "hooks.a-long-name-of-a-receiver.example:443"
        )
        await shows(pilot, "6 Circuits 1 open")
    assert stage.reader.page("mail", State.DELAYED).total == 2


def test_an_error_that_was_there_the_day_before_is_not_new_after_a_deploy(tmp_path: Path) -> None:
    class Older(Frozen):
        before = False

        def history(self, queues: Any, **given: Any) -> History:
            found = super().history(queues, **given)
            if given.get("by") == "error" and given["step"] == "10m" and self.before:
                found.series = [
                    Series("email", "error KeyError: <text>", [(found.start, Minute(failed=1))])
                ]
            return found

    app = frozen_app(tmp_path)
    source = Older(app.options, app.session.redis)
    past = PastReader(source).read(TimeWindow(), NOW, ["email"])
    burst = read_causes(source, GLANCE, past, ["email"]).bursts["email"]
    assert burst.deploy is not None
    assert (burst.deploy.text, burst.failures, burst.recent) == ("release 4f1c", 154, True)
    source.before = True
    assert read_causes(source, GLANCE, past, ["email"]).bursts["email"].deploy is None


@pytest.mark.anyio
async def test_who_floods_is_the_cause_and_a_hold_is_not_forgotten(stage: Stage) -> None:
    # Between jobs of others, so that neither end of the line shows it.
    for n in range(160):
        stage.add(f"job-{n}", org="org-7" if 40 <= n < 140 else f"other-{n % 9}")
    shares = Shares(stage.redis, "t")
    app = stage.app()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await shows(
            pilot, "mail: 160 jobs wait", "org-7 has 62 % of what waits", "hold (H) or limit it (8)"
        )
        shares.set("mail", "org-7", paused=True)
        await shows(pilot, "org-7 is held, 100 jobs of it wait", "let it go (8, H)")
        assert "add workers" not in text_of(app)
        # Without an alert, too.
        for n in range(157):
            stage.writer.remove("mail", f"job-{n}" if n < 139 else f"job-{n + 3}")
        await shows(pilot, "mail: org-7 is held ", "1 job of it waits", "H lets it go (8)")
        shares.set("mail", "org-7", paused=False)
        await until(pilot, lambda: "is held" not in text_of(app), "no one is held")


@pytest.mark.anyio
async def test_one_slow_read_leaves_what_is_held_old_for_seconds_not_minutes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind: a share of the time without a bound of time."""
    app = stage.app()
    async with app.run_test(size=(100, 30)) as pilot:
        await shows(pilot, "mail")
        await settle(pilot)
        session, past = app.session, app.session.now() - 60
        moments = iter([past, past + 60])
        monkeypatch.setattr(session, "now", lambda: next(moments, past + 60))
        await session._slow_once()
        assert SLOW_EVERY < session._slow_due - (past + 60) <= SLOW_MOST


def test_a_session_of_one_organization_learns_nothing_of_others(stage: Stage) -> None:
    for n in range(12):
        stage.add(f"job-{n}", org="org-7" if n else "org-1")
    confined = LiveSource(stage.options(organization_id="org-1"), stage.redis)
    confined.snapshot()
    assert confined.crowds() == {"mail": Crowd()}


@pytest.mark.anyio
async def test_a_job_that_hangs_and_lost_workers_are_seen_before_anything_has_waited_long(
    stage: Stage,
) -> None:
    for n in range(30):
        stage.add(f"job-{n}")
        (pair,) = stage.claim()
        stage.work.step([Done(*pair, 300_000, codec.dumps(None))], 0, "token", 30_000)
    stage.add("stuck")
    stage.claim()
    beat = {"job": "stuck", "task": "m.send", "attempt": 1, "runningFor": 110_000}
    record: dict[str, Any] = {"id": "w", "concurrency": 2, "slots": [beat], "workers": "threads"}
    stage.work.heartbeat("w", json.dumps(record).encode(), 60_000)
    app = stage.app()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await shows(pilot, "No alerts.", "1/2")
        beat["runningFor"] = 240_000

        def beats(*words: str) -> bool:
            # A busy machine may take longer than the 15 s after which a silent consumer counts as dead.
            stage.work.heartbeat("w", json.dumps(record).encode(), 60_000)
            return all(one in text_of(app) for one in words)

        words = "mail: a job runs for 4m, nearly all within", "see the workers (3)"
        await until(pilot, lambda: beats(*words), "the job that hangs")
        minute = keys.of(keys.base("t", "mail"), "minute", str(redis_ms(stage.redis) // 60_000))
        stage.redis.command("HINCRBY", minute, "st", 3)
        lost = "jobs lost their worker 3 times in 5 minutes"
        await until(pilot, lambda: beats(lost), "the lost workers")
