"""The core on a Cluster, and through a Sentinel failover."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.model import State
from tests.engine import jobs
from tests.engine.conftest import Consumer, counts, wait_for
from tests.engine.test_loss import runs
from tests.support import wait_until
from tests.support.cluster import Cluster
from tests.support.sentinel import SentinelSet


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_REDIS_URL", url)
    reset_runtime()
    jobs.huey._registered = None


def test_a_cluster(
    trial: Path,
    cluster: Cluster,
    consumer: Callable[..., Consumer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(cluster.url, monkeypatch)
    one = consumer("-k", "thread", "-w", "2")
    assert jobs.echo.add({"say": 1}, organization_id="org").wait(30) == 1
    made = jobs.work.add_many([{"n": n, "seconds": 0.002} for n in range(100)])
    wait_for("completed", 101)
    assert set(runs(trial).values()) == {1}
    assert jobs.echo.add({"say": 2}, delay=0.2).wait(30) == 2
    reader, writer = runtime().reader, runtime().writer
    page = reader.page("trial", State.COMPLETED, limit=50)
    assert (len(page.jobs), page.total) == (50, 102)
    assert reader.workers(["trial"])[0]["queue"] == "trial"
    removed = writer.remove("trial", made[0].id)
    writer.restore(removed)
    assert made[0].refresh().result == 0
    since, _ = reader.events("trial", "0-0")
    assert since != "0-0"
    assert one.stop() == 0
    runtime().redis.driver.close()


def test_a_sentinel_fail_over(
    trial: Path,
    sentinels: SentinelSet,
    consumer: Callable[..., Consumer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(sentinels.url, monkeypatch)
    consumer("-k", "thread", "-w", "2")
    assert jobs.echo.add({"say": 1}).wait(30) == 1
    jobs.work.add_many([{"n": n, "seconds": 0.01} for n in range(100)])
    wait_until(lambda: counts()["completed"] >= 20, what="a beginning")
    sentinels.fail_over()
    wait_until(_all_done, timeout=60, what="all jobs after the failover")
    assert jobs.echo.add({"say": 2}).wait(30) == 2


def _all_done() -> bool:
    from hsejobs.errors import RedisUnavailable

    try:
        seen = counts()
    except RedisUnavailable:
        return False
    return seen["waiting"] == seen["active"] == 0
