"""{failures of Redis} x {idle, claiming, running, finishing, stopping} x {threads, processes}.

In every cell: nothing lost, nothing run twice, no attempt used, no worker dead, one log line when it
begins and one when it ends. Which cells CI runs is in CELLS; ``make matrix`` runs them all.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.errors import RedisUnavailable
from hsejobs.model import State
from tests.engine import jobs
from tests.engine.conftest import Consumer, counts, wait_for
from tests.support import wait_until
from tests.support.faults import FAULTS, REFUSING
from tests.support.proxy import FlakyProxy
from tests.support.server import Server

Start = Callable[..., Consumer]
#: Seconds of a fault: longer than a lease.
LONG = 2.2
LEASE_MS = "1500"
#: Noticed when a reply is overdue, so most of the fault is over by then.
UNANSWERED = {"frozen", "black hole", "loading"}
#: What CI tries with processes; with threads it tries all.
WITH_PROCESSES = {"stopped", "misconf", "black hole"}
ALL = os.environ.get("MATRIX") == "all"
CELLS = [
    pytest.param(fault, kind, id=f"{fault}-{kind}")
    for fault in [*FAULTS, "black hole"]
    for kind in ("thread", "process")
    if ALL or kind == "thread" or fault in WITH_PROCESSES
]


class Place:
    """A server, how its consumers reach it, and its faults."""

    def __init__(self, server: Server, proxy: FlakyProxy | None) -> None:
        self.server, self.proxy = server, proxy

    @contextlib.contextmanager
    def fault(self, name: str) -> Iterator[None]:
        if name != "black hole":
            with FAULTS[name](self.server):
                yield
            return
        assert self.proxy is not None
        self.proxy.hole()
        try:
            yield
        finally:
            self.proxy.fill()


@pytest.fixture
def place(
    trial: Path,
    redis_server: Server,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    monkeypatch.setenv("QUEUE_LEASE_MS", LEASE_MS)
    name = request.node.callspec.params["fault"]
    if name != "black hole":
        yield Place(redis_server, None)
        return
    with FlakyProxy(redis_server.url) as proxy:
        monkeypatch.setenv("QUEUE_REDIS_URL", proxy.url)
        reset_runtime()
        yield Place(redis_server, proxy)


def words(trial: Path, kind: str) -> Counter[str]:
    """How often each job noted that."""
    notes = (line.split()[0].partition(":") for line in trial.read_text().splitlines())
    return Counter(rest for word, _, rest in notes if word == kind)


def told(log: Path, event: str) -> list[dict[str, Any]]:
    """The lines of that event, of all consumers."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == event]


def begun(trial: Path, n: int) -> bool:
    return len(words(trial, "begin")) >= n


def settled(completed: int, perhaps_one_more: bool) -> bool:
    """Whether all jobs are completed, and their number is ``completed``, or perhaps one more."""
    found = counts()
    done = found.pop("completed")
    return not any(found.values()) and 0 <= done - completed <= int(perhaps_one_more)


@pytest.mark.parametrize(("fault", "kind"), CELLS)
def test_work_continues_through_each_failure(
    place: Place, consumer: Start, trial: Path, tmp_path: Path, fault: str, kind: str
) -> None:
    """Idle at first; then running, claiming and finishing all at once."""
    one = consumer("-k", kind, "-w", "3", JOBS_LOG_FORMAT="json")
    two = consumer("-k", kind, "-w", "2", JOBS_LOG_FORMAT="json")
    wait_until(lambda: len(told(one.log, "processor started")) == 2, what="two consumers")
    assert jobs.echo.add({"n": 0, "say": "hi"}).wait(20) == "hi"
    with place.fault(fault):
        time.sleep(0.5)  # how long idle consumers are refused
    assert jobs.echo.add({"n": 0, "say": "ho"}).wait(20) == "ho"

    long = jobs.steady.add_many([{"n": n, "seconds": 3.0} for n in range(2)])
    late = jobs.careful.add_many([{"n": n, "seconds": 1.0} for n in range(10, 12)])
    wait_until(lambda: begun(trial, 4), what="four jobs that run")
    short = jobs.work.add_many([{"n": n, "seconds": 0.03} for n in range(100, 140)])
    soon = jobs.work.add_many([{"n": n, "seconds": 0} for n in range(200, 210)], delay=1.0)
    wait_until(lambda: begun(trial, 10), what="ten jobs that run or ran")
    with place.fault(fault):
        if fault in REFUSING and fault != "loading":
            with pytest.raises(RedisUnavailable):
                jobs.echo.add({"n": 1})
        time.sleep(LONG)  # how long they are refused
        if fault in REFUSING and fault not in UNANSWERED:
            # A consumer says so at its second refused call, which a busy machine may delay.
            wait_until(lambda: len(told(one.log, "redis away")) >= 2, what="both consumers")
    over = time.monotonic()
    assert jobs.echo.add({"n": 0, "say": "again"}, priority=1).wait(20) == "again"
    back = time.monotonic() - over
    made = [*long, *late, *short, *soon]
    wait_until(
        lambda: all(job.refresh().status is State.COMPLETED for job in made),
        timeout=40,
        what="all jobs completed",
    )

    records = [job.refresh() for job in made]
    assert {one.attempts_made for one in records} == {1}
    assert [one.id for one in records if one.errors] == []
    assert [one.id for one in records if one.stalls] == []
    assert Counter(words(trial, "begin").values()) == {1: len(made)}
    assert Counter(words(trial, "call").values()) == {1: len(late)}
    said = [runtime().reader.logs("trial", job.id)[0] for job in long]
    assert said == [[f"step {step}" for step in range(60)]] * len(long)
    # An add without an answer may still have been accepted.
    wait_until(lambda: settled(len(made) + 3 + len(late), fault in UNANSWERED), what="the rest")
    assert one.process.poll() is None
    assert two.process.poll() is None
    assert len(told(one.log, "processor started")) == 2
    # With another password, what is optional is refused too, which is logged.
    optional = ("listen", "history")
    failed = [line for line in told(one.log, "duty failed") if line["duty"] not in optional]
    assert failed + told(one.log, "worker") == []
    # A consumer without a job notices at its next call that Redis is back.
    wait_until(
        lambda: len(told(one.log, "redis away")) == len(told(one.log, "redis back")),
        what="both consumers back",
    )
    begins, ends = told(one.log, "redis away"), told(one.log, "redis back")
    # Two consumers, two times; the first one is too short to be logged.
    assert len(begins) == len(ends) <= 4
    if fault not in UNANSWERED:
        assert (len(begins) >= 2) == (fault in REFUSING)
    print(json.dumps({"fault": fault, "kind": kind, "backAfter": round(back, 2)}))
    one.stop()
    two.stop()


STOPPING = ("stopped", "frozen", "misconf", "full", "black hole")
STOPS = [
    pytest.param(fault, kind, id=f"{fault}-{kind}")
    for fault in ([*FAULTS, "black hole"] if ALL else STOPPING)
    for kind in ("thread", "process")
    if ALL or kind == "thread" or fault in WITH_PROCESSES
]


@pytest.mark.parametrize(("fault", "kind"), STOPS)
def test_a_consumer_that_stops_meanwhile_loses_nothing(
    place: Place, consumer: Start, trial: Path, fault: str, kind: str
) -> None:
    one = consumer("-k", kind, "-w", "2", QUEUE_SHUTDOWN_GRACE_MS="1000")
    made = jobs.work.add_many([{"n": n, "seconds": 0.2} for n in range(12)])
    wait_until(lambda: begun(trial, 4), what="some jobs that ran")
    with place.fault(fault):
        one.send(signal.SIGTERM)
        one.process.wait(20)
    consumer("-k", kind, "-w", "2")
    wait_for("completed", len(made), timeout=40)
    assert set(words(trial, "begin")) == {str(n) for n in range(12)}
    # What it had under way when it was ended may run again, and nothing else.
    assert sum(words(trial, "begin").values()) <= len(made) + 2
    assert [job.id for job in made if job.refresh().errors] == []


@pytest.mark.parametrize(
    ("fault", "kind"), CELLS if ALL else [pytest.param("frozen", "process", id="frozen-process")]
)
def test_a_drain_of_tiny_jobs_continues_where_it_was(
    place: Place, consumer: Start, trial: Path, fault: str, kind: str
) -> None:
    """Claims and outcomes are on their way while jobs run: the fault meets some of them."""
    total = 3000
    made = jobs.echo.add_many([{"n": n} for n in range(total)])
    one = consumer("-k", kind, "-w", "2")
    wait_until(lambda: counts()["completed"] >= 300, timeout=20, what="a drain")
    with place.fault(fault):
        time.sleep(LONG)  # how long they are refused
    wait_for("completed", total, timeout=40)
    assert Counter(line.split()[0] for line in trial.read_text().splitlines()) == Counter(
        str(n) for n in range(total)
    )
    assert {(job.attempts_made, job.stalls) for job in map(type(made[0]).refresh, made)} == {(1, 0)}
    assert one.process.poll() is None
    one.stop()
