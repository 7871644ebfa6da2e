"""Connections that break in the middle of a reply: one job, one run, one result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.store import scripts
from tests.engine import jobs
from tests.engine.conftest import Consumer, wait_for
from tests.engine.test_loss import runs
from tests.support import wait_until
from tests.support.proxy import FlakyProxy


@pytest.fixture
def proxy(trial: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlakyProxy]:
    with FlakyProxy(redis_url) as made:
        monkeypatch.setenv("QUEUE_REDIS_URL", made.url)
        reset_runtime()
        jobs.huey._registered = None
        yield made
        runtime().redis.close()


@pytest.mark.parametrize("after", [0, 3])
def test_a_cut_reply_to_an_add(proxy: FlakyProxy, after: int) -> None:
    jobs.huey.register()
    proxy.cut_reply(match=scripts.ADD.sha.encode(), times=1, after_bytes=after)
    job = jobs.work.add({"n": 1, "seconds": 0}, job_id="mine")
    assert proxy.cuts == 1
    assert job.created
    assert not jobs.work.add({"n": 1, "seconds": 0}, job_id="mine").created
    assert runtime().reader.stats(["trial"])[0].waiting == 1


def test_cut_replies_to_claims_and_finishes(
    proxy: FlakyProxy, consumer: Callable[..., Consumer], trial: Path
) -> None:
    made = jobs.work.add_many([{"n": n, "seconds": 0.003} for n in range(60)])
    proxy.cut_reply(match=scripts.COMPLETE.sha.encode(), times=12, after_bytes=2, skip=5)
    consumer("-k", "thread", "-w", "2", QUEUE_LEASE_MS="60000")
    wait_for("completed", len(made))
    wait_until(lambda: proxy.cuts == 12, what="all cuts")
    assert set(runs(trial).values()) == {1}
    assert all(job.refresh().stalls == 0 for job in made)
