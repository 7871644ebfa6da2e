"""A slot that moves key by key splits no queue: nothing is lost, run twice, or written by half."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.utils import str_if_bytes

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.errors import RedisUnavailable
from hsejobs.model import State
from hsejobs.store import keys
from hsejobs.store.verify import RecordVerifier
from tests.engine import jobs
from tests.engine.conftest import Consumer, counts
from tests.matrix.test_matrix import ALL, begun, told, words
from tests.support import wait_until
from tests.support.cluster import Cluster
from tests.support.resharding import Move, keys_in
from tests.support.server import Server

BASE = keys.base("hsejobs", "trial")
#: Seconds over which a slot's keys move: longer than a lease.
MOVING = 3.0


class Adder(threading.Thread):
    """Adds a job about every 10 ms, and notes which ones were taken."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.taken: list[int] = []
        self.refused: list[int] = []
        self.failed: list[Exception] = []
        self._over = threading.Event()

    def run(self) -> None:
        for n in range(1000, 100_000):
            delay = 0.5 if n % 3 == 0 else 0
            try:
                jobs.work.add({"n": n, "seconds": 0.01}, job_id=f"job-{n}", delay=delay)
                self.taken.append(n)
            except RedisUnavailable:
                self.refused.append(n)
            except Exception as error:
                self.failed.append(error)
            if self._over.wait(0.01):
                break
        runtime().redis.close()

    def stop(self) -> None:
        self._over.set()
        self.join(20)


WAYS = [
    ("redis", "thread", "key by key"),
    ("valkey", "process", "key by key"),
    ("valkey", "thread", "whole"),
]
if ALL:
    WAYS += [
        ("redis", "process", "key by key"),
        ("valkey", "thread", "key by key"),
        ("valkey", "process", "whole"),
    ]


@pytest.mark.parametrize(("cluster", "kind", "way"), WAYS, indirect=["cluster"])
def test_a_slot_that_moves_splits_no_queue(
    cluster: Cluster,
    trial: Path,
    consumer: Callable[..., Consumer],
    kind: str,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("QUEUE_REDIS_URL", cluster.url)
    reset_runtime()
    jobs.huey._registered = None
    one = consumer("-k", kind, "-w", "3", JOBS_LOG_FORMAT="json")
    two = consumer("-k", kind, "-w", "2", JOBS_LOG_FORMAT="json")
    wait_until(lambda: len(told(one.log, "processor started")) == 2, what="two consumers")
    long = jobs.steady.add_many([{"n": n, "seconds": 4.0} for n in range(2)])
    adder = Adder()
    adder.start()
    wait_until(lambda: begun(trial, 30), what="jobs that run and ran")
    with Move(cluster, BASE) as move:
        if way == "whole":
            if not move.whole():
                pytest.skip("this server moves slots key by key only")
        else:
            key_by_key(move)
        taken = len(adder.taken)
        wait_until(lambda: len(adder.taken) > taken + 20, what="adds that are taken again")
        adder.stop()
        assert adder.failed == []
        wait_until(lambda: _all_done(len(adder.taken) + 2), timeout=40, what="all jobs completed")

        ran = words(trial, "begin")
        assert Counter(ran.values()) == {1: len(adder.taken) + 2}
        assert set(map(str, [*adder.taken, 0, 1])) == set(ran)
        assert [job.refresh().stalls for job in long] == [0, 0]
        assert {job.refresh().attempts_made for job in long} == {1}
        assert move.keys() == []
        for node in cluster.nodes:
            held, in_slot = held_at_once(node, move.slot)
            assert bool(held) == bool(in_slot) == (node is move.target)
            # No key of the queue is in another slot.
            assert held <= in_slot
            # What has expired is in the slot until the server deletes it, and is not listed by its name.
            assert {key for key in in_slot if not key.startswith(BASE)} == set()
    assert RecordVerifier(runtime().redis, "hsejobs").verify("trial").faults == []
    # The last job may end before the duty that has failed is tried again.
    begins = told(one.log, "redis away")
    wait_until(
        lambda: len(told(one.log, "redis back")) == len(begins), what="the end of each outage"
    )
    assert len(told(one.log, "redis away")) == len(begins) <= 2
    assert [line for line in told(one.log, "duty failed") if line["duty"] != "listen"] == []
    assert one.stop() == two.stop() == 0


def key_by_key(move: Move) -> None:
    """In any order, while jobs go on and new keys of the queue would be made."""
    shuffle = random.Random(7).shuffle
    move.begin()
    end = time.monotonic() + MOVING
    while time.monotonic() < end:
        rest = move.keys()
        shuffle(rest)
        move.step(*rest[: 1 + len(rest) // 40])
        time.sleep(0.05)  # in which the others try
    move.end()


def held_at_once(node: Server, slot: int) -> tuple[set[str], set[str]]:
    """The queue's keys at a node, and the keys of the slot there, both at one moment: a live consumer
    makes and deletes keys between two commands.
    """
    with node.client() as client, client.pipeline(transaction=True) as both:
        both.keys(f"{BASE}*")
        keys_in(both, slot)
        held, in_slot = ({str_if_bytes(key) for key in found} for found in both.execute())
    return held, in_slot


def _all_done(completed: int) -> bool:
    found = counts()
    done = found.pop(State.COMPLETED.value)
    return not any(found.values()) and done == completed
