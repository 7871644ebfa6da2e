"""The quota of an organization: how many waiting and delayed jobs it may have in a queue."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hsejobs.errors import BacklogFull
from hsejobs.model import State
from hsejobs.store.adds import Added
from hsejobs.store.write import NewJob
from tests.store.test_acts import Store


def new_job(job_id: str, org: str | None = "org-1", quota: int = 3, delay: int = 0) -> NewJob:
    job = NewJob(job_id, "m.task", b"{}", 3, 1, 0, 0, delay, org, nonce="n")
    return job._replace(tenant_backlog=quota)


@pytest.fixture
def store(redis_url: str, no_leaks: None) -> Store:
    return Store(redis_url)


def test_waiting_and_delayed_jobs_count_and_active_ones_do_not(store: Store) -> None:
    for job in (new_job("a"), new_job("b", delay=60_000), new_job("c")):
        assert store.writer.add("q", job).created
    with pytest.raises(
        BacklogFull, match=r"has 3 .* 'q', its quota is 3; .*QUEUE_Q_TENANT"
    ) as full:
        store.writer.add("q", new_job("d"))
    assert (full.value.code, full.value.backlog, full.value.quota) == ("backlog_full", 3, 3)
    assert "org-1" not in str(full.value)
    assert store.reader.status("q", "d") is None
    assert store.writer.add("q", new_job("d", "org-2")).created
    store.claim()
    assert store.writer.add("q", new_job("d2")).created


def test_what_passes_a_full_backlog(store: Store) -> None:
    for name in "abc":
        store.writer.add("q", new_job(name))
    again = store.writer.add("q", new_job("a")._replace(nonce="another"))
    assert (again.created, again.status) == (False, State.WAITING)
    assert store.writer.add("q", new_job("a")).created, "the same call, sent again"
    assert store.writer.add("q", new_job("nobody", None)).created
    assert store.writer.add("q", new_job("system", quota=0)).created
    removed = store.writer.remove("q", "b")
    store.writer.add("q", new_job("instead", quota=0))
    store.writer.restore(removed)
    assert store.reader.status("q", "b") is State.WAITING


def test_a_bulk_add_adds_what_fits_and_tells_of_each(store: Store) -> None:
    jobs = [new_job(f"j{n:03}", "org-1" if n % 2 else "org-2", quota=60) for n in range(250)]
    with pytest.raises(BacklogFull, match=r"^130 of 250 jobs were refused: ") as full:
        store.writer.add_many("q", jobs)
    results = full.value.results
    assert len(results) == 250
    added = [one.id for one in results if isinstance(one, Added)]
    assert added == [job.id for job in jobs[:120]]
    assert store.reader.stats(["q"])[0].waiting == 120
    minute = store.reader.stats(["q"])[0].window()
    assert (minute.added, minute.refused) == (120, 130)


def test_many_at_once_never_exceed_the_quota(redis_url: str, store: Store) -> None:
    """The check and the add are one step."""
    created: list[str] = []
    refused: list[int] = []
    start = threading.Barrier(8)

    def add(number: int) -> None:
        own = Store(redis_url)
        start.wait()
        for n in range(20):
            try:
                created.append(own.writer.add("q", new_job(f"{number}.{n}", quota=50)).id)
            except BacklogFull as error:
                refused.append(error.backlog)
        own.writer.redis.close()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(created) == store.reader.stats(["q"])[0].waiting == 50
    assert refused == [50] * 110


def test_an_add_without_a_quota_has_no_further_command(store: Store, redis_client: Any) -> None:
    store.writer.add("q", new_job("first", quota=0))

    def calls(quota: int) -> int:
        redis_client.config_resetstat()
        store.writer.add("q", new_job(f"with {quota}", quota=quota))
        return int(redis_client.info("commandstats").get("cmdstat_zcard", {}).get("calls", 0))

    assert calls(5) == 2
    assert calls(0) == 0
