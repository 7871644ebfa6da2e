"""A call that is sent again, or comes late, because the first reply was lost or the server hung.

The kind: an answer that is another one the second time, and a request that still takes effect when
what it was based on holds no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from hsejobs.model import new_job_id
from hsejobs.store import adds, bulk, keys, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.work import Done, WorkerStore
from hsejobs.store.write import JobWriter, NewJob

BASE = keys.base("t", "q")


@pytest.fixture
def work(redis_url: str, no_leaks: None) -> Iterator[WorkerStore]:
    client = RedisClient(redis_url)
    new = NewJob("a", "m.task", b"{}", 3, 3, 1000, 0, nonce="n")
    JobWriter(client, "t").add("q", new)
    yield WorkerStore(client, "t", "q", patience=1)
    client.close()


def claim(work: WorkerStore, lease_ms: int, *, again: int = 0) -> list[str]:
    return [one.id for one in work.step([], 1, "token", lease_ms, again=again)[1]]


def test_a_mark_that_is_asked_for_again_is_still_granted(work: WorkerStore) -> None:
    """Seen: a lost reply used up the mark, and the call that it guards was never made."""
    claim(work, 60_000)

    def ask(ask: str) -> int:
        found: int = work.redis.run(scripts.MARK, BASE, ("a", "token", "o:call", 1, ask))
        return found

    assert [ask("one"), ask("one"), ask("two"), ask("one")] == [1, 1, 0, 1]
    assert work.mark("a", "token", "o:other", put=True) is True
    assert work.mark("a", "token", "o:other", put=True) is False


def test_a_claim_that_is_found_again_has_its_whole_lease(
    work: WorkerStore, redis_client: redis.Redis
) -> None:
    """Seen: a worker that waited long for its reply got a job whose lease was over, and ran it."""
    assert claim(work, 0) == ["a"]
    before = redis_client.zscore(f"{BASE}active", "a")
    assert claim(work, 60_000, again=1) == ["a"]
    after = redis_client.zscore(f"{BASE}active", "a")
    assert before is not None
    assert after is not None
    assert after >= before + 60_000


def test_a_claim_that_comes_late_takes_nothing(work: WorkerStore) -> None:
    """Seen: a hung server held it; sent again and answered, it took a job that no worker ran."""
    client = work.redis
    assert claim(work, 60_000, again=2) == ["a"]
    JobWriter(client, "t").add("q", NewJob("b", "m.task", b"{}", 3, 3, 1000, 0, nonce="n"))
    assert [claim(work, 60_000, again=sent) for sent in (0, 1)] == [[], []]
    assert claim(work, 60_000, again=2) == ["a"]
    assert [one.id for one in work.step([], 1, "another", 60_000)[1]] == ["b"]


@pytest.mark.parametrize("again", [1, 2])
def test_a_claim_is_found_again_among_thousands(work: WorkerStore, again: int) -> None:
    """Seen: jobs of a claim without a reply stalled, because a search among the newest thousand leases
    did not find them: other workers had claimed more meanwhile, or had renewed theirs.
    """
    writer = JobWriter(work.redis, "t")
    for n in range(1_300):
        writer.add("q", NewJob(f"n{n:04}", "m.task", b"{}", 3, 3, 1000, 0, nonce="n"))
    mine = [one.id for one in work.step([], 40, "worker.a1", 60_000)[1]]
    second = [one.id for one in work.step([], 40, "worker.a2", 60_000)[1]]
    others = work.step([], 1_200, "another.1", 90_000)[1]
    assert (len(mine), len(second), len(others)) == (40, 40, 1_200)
    for _ in range(again):
        found = work.step([], 40, "worker.a1", 60_000, again=again)[1]
        assert [one.id for one in found] == mine
    assert work.recall("worker.a2", 60_000) == 40
    assert (
        sorted(one.id for one in work.step([], 100, "another.2", 60_000)[1])[: len(second)]
        == second
    )


def test_a_claim_that_is_found_again_has_none_that_ended_meanwhile(work: WorkerStore) -> None:
    """A sweep or a cancel may have ended some of them, which the list of the claim's jobs does not say."""
    writer = JobWriter(work.redis, "t")
    for one in "bcd":
        writer.add("q", NewJob(one, "m.task", b"{}", 3, 3, 1000, 0, nonce="n"))
    assert [one.id for one in work.step([], 4, "worker.1", 60_000)[1]] == ["a", "b", "c", "d"]
    fail: dict[str, Any] = {
        "code": "x",
        "error": b"{}",
        "run_us": 1,
        "final": True,
        "delay_ms": None,
    }
    assert work.fail("a", "worker.1", **fail)[0] == "f"
    assert work.release([("b", "worker.1")]) == 1
    assert (
        work.step([Done("c", "worker.1", 1, b"null", None, "", "m.task", None)], 0, "x", 0)[0]
        == "c"
    )
    found = work.step([], 1, "worker.1", 60_000, again=1)[1]
    assert [one.id for one in found] == ["d"]
    states = [work.redis.command("HGET", f"{BASE}j:{one}", "st") for one in "abcd"]
    assert states == [b"f", b"w", b"c", b"a"]


@pytest.mark.parametrize("recalled", [False, True])
def test_a_claim_that_is_sent_again_twice_finds_the_last_one(
    work: WorkerStore, *, recalled: bool
) -> None:
    """What the first one claimed went away meanwhile, and the second one claimed another job."""
    writer = JobWriter(work.redis, "t")
    writer.add("q", NewJob("b", "m.task", b"{}", 3, 3, 1000, 0, nonce="n"))
    assert [one.id for one in work.step([], 2, "worker.1", 60_000)[1]] == ["a", "b"]
    work.stall([("a", "worker.1"), ("b", "worker.1")], 3)
    assert [len(work.step([], 1, f"other.{n}", 60_000)[1]) for n in (1, 2)] == [1, 1]
    for one in "cd":
        writer.add("q", NewJob(one, "m.task", b"{}", 3, 3, 1000, 0, nonce="n"))
    assert [one.id for one in work.step([], 1, "worker.1", 60_000, again=1)[1]] == ["c"]
    if recalled:
        assert work.recall("worker.1", 60_000) == 1
    else:
        assert [one.id for one in work.step([], 1, "worker.1", 60_000, again=2)[1]] == ["c"]


def test_a_sweep_takes_no_lease_that_ended_after_the_one_before(work: WorkerStore) -> None:
    """Seen: a hung server held it, with the renewals behind it, and it took every lease."""
    before = work.sweep(3, ended_by=0)
    assert claim(work, 0) == ["a"]
    ended = int(work.redis.command("ZSCORE", keys.of(BASE, "active"), "a"))
    assert work.sweep(3, ended_by=min(before.now, ended - 1)).stalled == []
    looked = work.sweep(3, ended_by=ended - 1)
    assert (looked.stalled, looked.next_end) == ([], 0)
    taken = work.sweep(3, ended_by=looked.now)
    assert (taken.stalled, taken.next_end) == ([("a", "waiting")], None)


def test_a_sweep_tells_when_the_next_lease_ends(work: WorkerStore) -> None:
    assert claim(work, 60_000) == ["a"]
    assert work.sweep(3).next_end is None
    work.renew([("a", "token")], 900)
    assert work.sweep(3, ended_by=0).next_end is None
    ends = work.sweep(3, ended_by=1).next_end
    assert ends is not None
    assert 0 <= ends <= 900


def test_a_renewal_tells_two_attempts_at_one_job_apart(work: WorkerStore) -> None:
    """Seen: an old attempt's row beside the new one's, and the new one, which ran, was given up."""
    assert claim(work, 60_000) == ["a"]
    held, gone = ("a", "token"), ("a", "an-old-one")
    assert work.renew([gone, held], 60_000) == {gone}


def test_a_claim_that_was_given_up_takes_nothing(work: WorkerStore) -> None:
    """A worker that stops writes its outcomes under the claim's token, with a count of 0."""
    assert work.step([], 0, "token", 60_000, again=1)[1] == []
    assert claim(work, 60_000) == []
    assert [one.id for one in work.step([], 1, "another", 60_000)[1]] == ["a"]


@pytest.mark.parametrize("cut", range(4))
def test_a_bulk_add_whose_connection_ends_adds_each_job_once(
    redis_url: str, no_leaks: None, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jobs are made while others are sent: a second attempt sends those of the first again."""
    client = RedisClient(redis_url)
    read, made = bulk.next_reply, 0

    def jobs() -> Iterator[adds.Call]:
        nonlocal made
        for _ in range(4):
            made += 1
            news = [NewJob(new_job_id(), "m.task", b"{}", 3, 3, 1000, 0) for _ in range(5)]
            yield scripts.ADD_ALIKE, news

    replies = iter(range(20))

    def cuts(connection: Any) -> Any:
        if next(replies) == cut:
            connection.disconnect()
        return read(connection)

    monkeypatch.setattr(bulk, "next_reply", cuts)
    results = client.add_many(
        BASE,
        jobs(),
        adds.args,
        lambda call, reply: list(zip(call[1], reply.split(), strict=True)),
    )
    added = [(new.id, reply) for chunk in results for new, reply in chunk]
    assert made == 4
    assert [len(chunk) for chunk in results] == [5] * 4
    assert {reply for _, reply in added} == {b"1w"}
    with redis.Redis.from_url(redis_url) as server:
        waiting = [one.decode() for one in server.zrange(f"{BASE}waiting", 0, -1)]
    # In order, and no job that was sent twice is there twice.
    assert waiting == [new_id for new_id, _ in added]
    client.close()
