"""Operators' acts on jobs, and what they see: states, tenants, pages, undo."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest
import redis

from hsejobs.errors import InvalidOption, JobActive, JobExists, JobNotFound, QueueBusy, WrongState
from hsejobs.model import State
from hsejobs.store import keys
from hsejobs.store.circuits import Circuits
from hsejobs.store.client import RedisClient
from hsejobs.store.pages import PAGE_BYTES, make_cursor
from hsejobs.store.read import JobReader, percentile
from hsejobs.store.registry import note_start
from hsejobs.store.work import Done, Swept, WorkerStore
from hsejobs.store.write import JobWriter, NewJob
from tests.support.server import Server


class Store:
    """A writer, a reader and a worker of one queue."""

    def __init__(self, url: str) -> None:
        self.redis = RedisClient(url)
        self.writer, self.reader = JobWriter(self.redis, "t"), JobReader(self.redis, "t")
        self.work = WorkerStore(self.redis, "t", "q", patience=1)
        self._claims = 0

    def add(self, job_id: str, **options: object) -> bool:
        values = {"priority": 3, "attempts": 2, "backoff": 10_000, "timeout": 0, **options}
        new = NewJob(id=job_id, name="m.task", payload=b'{"a":1}', nonce="n" + job_id, **values)  # type: ignore[arg-type]
        return self.writer.add("q", new).created

    def claim(self, n: int = 1, lease: int = 30_000) -> list[tuple[str, str]]:
        self._claims += 1
        _, claims = self.work.step([], n, f"token{self._claims}", lease)
        return [(claim.id, claim.token) for claim in claims]

    def done(self, pair: tuple[str, str], us: int = 10) -> str:
        return self.work.step([Done(*pair, us, b"null")], 0, "none", 0)[0]

    def fail(self, pair: tuple[str, str], *, final: bool = True, group: str = "no") -> str:
        letter, _ = self.work.fail(
            *pair,
            code="error",
            error=b'{"error":"no"}',
            run_us=10,
            final=final,
            delay_ms=None,
            group=group,
        )
        return letter

    def counts(self, org: str | None = None) -> list[int]:
        one = self.reader.stats(["q"], org)[0]
        return [one.waiting, one.active, one.delayed, one.completed, one.failed]


@pytest.fixture
def store(redis_url: str, no_leaks: None) -> Store:
    return Store(redis_url)


def test_order_is_priority_then_arrival_also_after_a_release(store: Store) -> None:
    for job_id, priority in (("a", 3), ("b", 1), ("c", 3), ("d", 1)):
        store.add(job_id, priority=priority)
    first = store.claim(2)
    assert [job for job, _ in first] == ["b", "d"]
    assert store.work.release(first) == 2
    assert store.work.release(first) == 0
    assert [job for job, _ in store.claim(4)] == ["b", "d", "a", "c"]


@pytest.mark.parametrize("owners", [(None,), ("o",), ("o", "p")])
def test_a_claim_that_leaves_jobs_wakes_one_more_worker(
    store: Store, owners: tuple[str | None, ...]
) -> None:
    for n in range(6):
        store.add(f"j{n}", organization_id=owners[n % len(owners)])
    for many, rings in ((1, 1), (3, 1), (3, 0)):
        store.redis.command("DEL", "t:{q}:bell")
        store.claim(many)
        assert store.redis.command("LLEN", "t:{q}:bell") == rings


def test_a_lost_reply_to_a_claim_claims_nothing_twice(store: Store) -> None:
    for n in range(6):
        store.add(f"j{n}")
    _, first = store.work.step([], 3, "tok", 30_000)
    _, again = store.work.step([], 3, "tok", 30_000, again=True)
    assert sorted(c.id for c in again) == [c.id for c in first]
    assert {c.attempt for c in again} == {1}
    assert store.counts() == [3, 3, 0, 0, 0]


def test_a_stale_token_writes_nothing(store: Store) -> None:
    store.add("a")
    ((job_id, old),) = store.claim(lease=0)
    assert store.work.sweep(3).stalled == [("a", "waiting")]
    ((_, new),) = store.claim()
    letters, _ = store.work.step([Done("a", old, 5, b"1")], 0, "", 0)
    assert letters == "r"
    assert store.fail((job_id, old)) == "r"
    assert not store.work.progress("a", old, 5, "")
    assert not store.work.log("a", old, ["x"])
    assert store.work.mark("a", old, "m", put=True) is None
    assert store.work.renew([("a", old), ("a", new)], 1000) == {("a", old)}
    for _ in range(2):
        letters, _ = store.work.step([Done("a", new, 5, b"1")], 0, "", 0)
        assert letters == "c"
    assert store.reader.job("q", "a").result == 1
    assert store.reader.stats(["q"])[0].window().completed == 1


def test_stalls_end(store: Store) -> None:
    store.add("a")
    for _ in range(5):
        # Another job of the same consumer may have ended its worker: it never fails for that.
        store.claim(lease=0)
        assert store.work.sweep(3).stalled == [("a", "waiting")]
    [pair] = store.claim(lease=0)
    assert store.work.alone(*pair, begins=False) == 0
    assert store.work.sweep(3).stalled == [("a", "waiting")]
    [pair] = store.claim(lease=0)
    assert store.work.alone(*pair, begins=True) is not None
    assert store.work.sweep(3).stalled == [("a", "failed")]
    job = store.reader.job("q", "a")
    assert (job.status, job.code, job.stalls) == (State.FAILED, "stalled", 7)
    assert store.work.alone(*pair, begins=True) is None
    store.writer.retry("q", "a")
    assert store.reader.job("q", "a").attempts_made == 0


def test_a_stalled_job_is_claimed_alone(store: Store) -> None:
    store.add("a")
    store.add("b")
    store.claim(1, lease=0)
    store.work.sweep(3)
    store.add("c")
    assert [job for job, _ in store.claim(5)] == ["a"]
    assert [job for job, _ in store.claim(5)] == ["b", "c"]


def test_refusals(store: Store) -> None:
    store.add("a")
    with pytest.raises(WrongState, match="waiting"):
        store.writer.retry("q", "a")
    store.claim()
    with pytest.raises(JobActive):
        store.writer.remove("q", "a")
    with pytest.raises(QueueBusy):
        store.writer.obliterate("q")
    with pytest.raises(JobNotFound):
        store.writer.promote("q", "nothing")
    with pytest.raises(InvalidOption):
        store.writer.clean("q", State.ACTIVE, 0)
    with pytest.raises(InvalidOption):
        store.reader.page("q", State.WAITING, cursor="?")
    with pytest.raises(InvalidOption):
        store.reader.page("q", State.WAITING, limit=201)


@pytest.mark.parametrize("state", ["waiting", "delayed", "failed", "completed"])
def test_undo_and_no_key_left(store: Store, redis_client: redis.Redis, state: str) -> None:
    store.add("keep")
    store.claim()
    before_keys = set(redis_client.keys("t:{q}:[a-z]:*"))
    store.add("a", delay=60_000 if state == "delayed" else 0, organization_id="org", priority=1)
    if state in ("failed", "completed"):
        (pair,) = store.claim()
        store.work.log(*pair, ["one", "two"])
        store.work.mark(*pair, "m", put=True)
        if state == "failed":
            store.fail(pair)
        else:
            store.work.step([Done(*pair, 5, b'"' + b"x" * 100 + b'"')], 0, "", 0)
    before = store.reader.job("q", "a")
    removed = store.writer.remove("q", "a")
    minutes = set(redis_client.keys("t:{q}:m:*"))
    assert set(redis_client.keys("t:{q}:[a-z]:*")) - minutes == before_keys - minutes
    with pytest.raises(JobNotFound):
        store.reader.job("q", "a")
    store.writer.restore(removed)
    assert store.reader.job("q", "a") == before
    assert sum(store.counts("org")) == 1
    with pytest.raises(JobExists):
        store.writer.restore(removed)


def test_tenants_are_apart(store: Store) -> None:
    store.add("a", organization_id="one")
    store.add("b", organization_id="two", delay=60_000)
    store.add("c")
    assert store.counts("one") == [1, 0, 0, 0, 0]
    assert store.counts("two") == [0, 0, 1, 0, 0]
    with pytest.raises(JobNotFound):
        store.reader.job("q", "b", "one")
    with pytest.raises(JobNotFound):
        store.writer.promote("q", "b", "one")
    with pytest.raises(JobNotFound):
        store.writer.remove("q", "c", "one")
    page = store.reader.page("q", State.WAITING, organization_id="one")
    assert [job.id for job in page.jobs] == ["a"]
    assert store.writer.clean("q", State.WAITING, 0, organization_id="two") == 0
    assert store.writer.clean("q", State.WAITING, 0, organization_id="one") == 1
    assert store.counts() == [1, 0, 1, 0, 0]


def test_an_empty_organization_is_refused_and_does_not_mean_all(store: Store) -> None:
    store.add("a", organization_id="one")
    reads: list[Callable[[], object]] = [
        lambda: store.counts(""),
        lambda: store.reader.job("q", "a", ""),
        lambda: store.reader.page("q", State.WAITING, organization_id=""),
        lambda: store.writer.clean("q", State.WAITING, 0, organization_id=""),
        lambda: store.writer.remove("q", "a", ""),
        lambda: store.writer.retry_many("q", ["a"], ""),
        lambda: Circuits(store.redis, "t").all(""),
    ]
    for read in reads:
        with pytest.raises(InvalidOption, match="organization_id"):
            read()
    assert store.counts() == [1, 0, 0, 0, 0]


def test_pages_from_either_end_while_jobs_vanish(store: Store) -> None:
    ids = [f"j{n:04}" for n in range(730)]
    for job_id in ids:
        store.add(job_id)
    for reverse, want in ((False, ids), (True, ids[::-1])):
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = store.reader.page("q", State.WAITING, limit=100, cursor=cursor, reverse=reverse)
            seen += [job.id for job in page.jobs]
            cursor = page.next
            if cursor is None:
                break
        assert seen == want
    page = store.reader.page("q", State.WAITING, limit=100)
    store.writer.remove("q", page.jobs[-1].id)
    after = store.reader.page("q", State.WAITING, limit=1, cursor=page.next)
    assert after.jobs[0].id == ids[100]


def test_a_cursor_is_of_one_list(store: Store) -> None:
    for n in range(6):
        store.add(f"j{n}", delay=(n % 2) * 60_000)
    page = store.reader.page("q", State.WAITING, limit=1).next
    assert page is not None
    assert store.reader.page("q", State.WAITING, cursor=page).total == 3
    for queue, state, cursor, reverse in (
        ("q", State.DELAYED, page, False),
        ("other", State.WAITING, page, False),
        ("q", State.WAITING, page, True),
        ("q", State.WAITING, page + "A", False),
        ("q", State.WAITING, page + "=", False),
        ("q", State.WAITING, page[:-1], False),
        ("q", State.WAITING, " " + page, False),
        ("q", State.WAITING, page + "\n", False),
        # Forged by an author who knows the format.
        ("q", State.WAITING, make_cursor("q w0", b"nan", b"j0"), False),
        ("q", State.WAITING, make_cursor("q w0", b"x", b"j0"), False),
    ):
        with pytest.raises(InvalidOption) as caught:
            store.reader.page(queue, state, cursor=cursor, reverse=reverse)
        assert caught.value.field == "cursor"


def test_clean_drain_obliterate(store: Store, redis_client: redis.Redis) -> None:
    for n in range(1200):
        store.add(f"j{n}", delay=(n % 2) * 60_000)
    assert store.writer.cleanable("q", State.DELAYED, 0) == 600
    assert store.writer.clean("q", State.DELAYED, 0, limit=100) == 100
    assert store.writer.clean("q", State.DELAYED, 3_600_000) == 0
    store.writer.pause("q")
    assert store.writer.drain("q") == 1100
    assert store.reader.stats(["q"])[0].is_paused
    store.add("x")
    assert store.claim() == []
    store.writer.resume("q")
    store.claim()
    # A queue made again under the name has had no consumer yet.
    note_start(store.redis, "t", ["q"])
    store.work.heartbeat("w:1:x", b"{}", 60_000)
    store.work.heartbeat("w:1:x", b"", 60_000)
    assert redis_client.exists("t:{q}:lastseen", "t:{q}:starting") == 2
    assert store.writer.obliterate("q", force=True) == 1
    found = [str(key, "ascii") for key in redis_client.scan_iter("t:{q}:*")]
    # The history and the counters that are not in it yet stay.
    left = {key.removeprefix("t:{q}:").partition(":")[0] for key in found}
    assert left <= {"m", "history"}


def test_clean_takes_what_ended_in_this_very_millisecond(store: Store) -> None:
    for n in range(100):
        store.add(f"j{n}")
        (pair,) = store.claim()
        store.work.step([Done(*pair, 5, b"1")], 0, "", 0)
        assert store.writer.clean("q", State.COMPLETED, 0) == 1


def test_due_jobs_move_inside_redis(store: Store) -> None:
    store.add("late", delay=60_000)
    store.add("a", delay=1)
    while not store.work.sweep(3).moved:
        pass
    assert store.counts() == [1, 0, 1, 0, 0]
    swept = store.work.sweep(3)
    assert swept.next_due is not None
    assert 0 < swept.next_due <= 60_000


def test_events_tell_what_happened(store: Store) -> None:
    since, _ = store.reader.events("q")
    store.add("a", organization_id="org")
    store.fail(store.claim()[0], final=False)
    _, events = store.reader.events("q", since)
    assert [event.kind for event in events] == ["waiting", "active", "retrying"]
    assert events[0].jobs == (("a", "org"),)


def test_percentiles(store: Store) -> None:
    for n in range(20):
        store.add(f"j{n}")
    done = [Done(*pair, 2000, b"null") for pair in store.claim(20)]
    store.work.step(done, 0, "", 0)
    run = store.reader.stats(["q"])[0].window().run
    value = percentile(run, 0.5)
    assert value is not None
    assert 1.6 < value < 2.4
    assert percentile({}, 0.5) is None


def test_the_key_of_another_queue_is_another_slot() -> None:
    assert keys.base("p", "a") == "p:{a}:"


def test_a_sweep_that_was_under_way_through_an_outage_takes_no_lease(
    store: Store, redis_server: Server
) -> None:
    """It waits in the buffer of a frozen server, and would be run before any holder can renew."""
    store.add("a")
    ((job_id, token),) = store.claim(lease=200)
    before = store.work.sweep(3, ended_by=0).now
    swept: list[Swept] = []
    redis_server.freeze()
    sender = threading.Thread(target=lambda: swept.append(store.work.sweep(3, ended_by=before)))
    sender.start()
    time.sleep(0.4)  # the lease ends meanwhile
    redis_server.thaw()
    sender.join(20)
    assert [one.stalled for one in swept] == [[]]
    assert store.work.renew([(job_id, token)], 1000) == set()
    assert store.counts()[1] == 1
    assert store.work.sweep(3, ended_by=swept[0].now).stalled == []


def test_a_page_is_bounded_in_bytes_too(store: Store) -> None:
    """200 payloads of 100 KB are too large an answer for many callers at once."""
    payload = json.dumps({"text": "x" * 100_000}).encode()
    ids = [f"large{n:02}" for n in range(60)]
    store.writer.add_many("q", [NewJob(one, "task", payload, 3, 2, 10_000, 0) for one in ids])
    seen: list[str] = []
    cursor: str | None = None
    pages = 0
    while True:
        page = store.reader.page("q", State.WAITING, limit=200, cursor=cursor)
        assert sum(len(json.dumps(one.data)) for one in page.jobs[1:]) <= PAGE_BYTES
        seen += [one.id for one in page.jobs]
        pages, cursor = pages + 1, page.next
        if cursor is None:
            break
    assert (seen, pages) == (ids, 2)
    # Where payloads are not asked for, nothing is cut.
    whole = store.reader.page("q", State.WAITING, limit=200, payload_bytes=0)
    assert (len(whole.jobs), whole.next) == (60, None)
