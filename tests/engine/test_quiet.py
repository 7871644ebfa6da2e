"""Consumers that an operator makes quiet, wakes and restarts, one by one or by their host."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from hsejobs.control import consumers
from hsejobs.control.actors import Actor
from hsejobs.control.acts import Acts
from hsejobs.control.audit import FileLog, entries
from hsejobs.engine.runtime import runtime
from hsejobs.errors import UnknownWorker
from tests.engine import jobs
from tests.engine.conftest import Consumer, begun, counts, note, wait_for
from tests.support import wait_until


def alive() -> dict[str, dict[str, Any]]:
    """The heartbeats of the living consumers, by id."""
    return {one["id"]: one for one in runtime().reader.workers(["trial"])}


def the_one() -> dict[str, Any]:
    wait_until(lambda: len(alive()) == 1, 20, "one consumer")
    return next(iter(alive().values()))


def ask(home: Path, order: str, *ids: str, host: str | None = None) -> list[str]:
    """Asks consumers as an operator does; returns why some were not asked."""
    shared = runtime()
    acts = Acts(shared.redis, shared.prefix, Actor("python"), FileLog(home, "redis"))
    chosen = consumers.choose(list(alive().values()), ids, host)
    return [one.why for one in consumers.order(acts, order, chosen) if one.why]


def state(worker: str, wanted: str) -> None:
    wait_until(lambda: alive().get(worker, {}).get("state") == wanted, 10, wanted)


def test_a_quiet_consumer_finishes_claims_nothing_and_is_woken(
    consumer: Callable[..., Consumer], trial: Path, tmp_path: Path
) -> None:
    one = consumer("-w", "2", "-k", "process")
    worker = the_one()["id"]
    jobs.huey.submit({"n": 1, "locks": [], "until": "go:1"}, task="in_turn")
    begun(trial, "turn:1")
    assert ask(tmp_path, "quiet", worker) == []
    # At once, not with the next heartbeat.
    wait_until(lambda: alive()[worker]["state"] == "quiet", 3, "the consumer to be quiet")
    for n in range(20):
        jobs.huey.submit({"n": n}, task="echo")
    # Bells ring for each of them, and the other worker is idle. It gives back what it asked for before.
    wait_until(lambda: (counts()["active"], counts()["waiting"]) == (1, 20), 10, "20 waiting jobs")
    note(trial, "go:1")
    wait_for("completed", 1)
    assert counts()["waiting"] == 20
    assert ask(tmp_path, "wake", worker) == []
    wait_for("completed", 21)
    state(worker, "running")
    assert one.process.poll() is None
    shared = runtime()
    found = entries(shared.redis, shared.prefix, ["trial"])
    assert [(one.act, one.where) for one in found] == [
        ("workers wake", f"worker={worker}"),
        ("workers quiet", f"worker={worker}"),
    ]


def test_a_restart_waits_for_what_runs_and_comes_back(
    consumer: Callable[..., Consumer], trial: Path, tmp_path: Path
) -> None:
    one = consumer("-w", "1")
    worker = the_one()["id"]
    jobs.huey.submit({"n": 1, "locks": [], "until": "go:1"}, task="in_turn")
    begun(trial, "turn:1")
    assert ask(tmp_path, "restart", host=os.uname().nodename) == []
    state(worker, "restarting")
    jobs.huey.submit({"n": 2}, task="echo")
    assert (counts()["active"], counts()["waiting"]) == (1, 1)
    note(trial, "go:1")
    wait_for("completed", 2)
    # Without a supervisor, the same process executes itself again; it is another consumer.
    wait_until(lambda: worker not in alive() and len(alive()) == 1, 20, "another consumer")
    assert one.process.poll() is None
    assert the_one()["state"] == "running"


def test_only_the_consumer_that_was_meant_becomes_quiet(
    consumer: Callable[..., Consumer], trial: Path, tmp_path: Path, redis_client: redis.Redis
) -> None:
    first = consumer("-w", "1")
    worker = the_one()["id"]
    consumer("-w", "1")
    wait_until(lambda: len(alive()) == 2, 20, "two consumers")
    meant = [("trial", worker)]
    assert consumers.without_others(list(alive().values()), meant) == []
    ask(tmp_path, "quiet", worker)
    state(worker, "quiet")
    for n in range(10):
        jobs.huey.submit({"n": n}, task="echo")
    wait_for("completed", 10)
    assert {line.split()[1] for line in trial.read_text().splitlines()} != {str(first.process.pid)}
    # Its order ends with it: the process that takes its place claims jobs.
    key = f"{runtime().prefix}:{{trial}}:wo:{worker}"
    left: Any = redis_client.pttl(key)
    assert 0 < left <= 120_000
    assert first.stop() == 0
    assert not redis_client.exists(key)
    with pytest.raises(UnknownWorker):
        ask(tmp_path, "wake", worker)
