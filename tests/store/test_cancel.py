"""Cancel: from an accepted one on, nothing completes the job, retries it or puts it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from hsejobs.errors import Forbidden, JobNotFound, WrongState
from hsejobs.model import JobRecord, State
from hsejobs.store.shares import Shares
from hsejobs.store.verify import RecordVerifier
from hsejobs.store.work import Done
from hsejobs.store.write import Cancel, RefusedJob
from tests.store.test_acts import Store
from tests.support.turns import put_first

HOUR = 3_600_000
ANN = Cancel("ann", "wrong month")


class Queue(Store):
    """A queue, and a plain client of its server."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        super().__init__(url)
        self.client = client


@pytest.fixture
def store(redis_url: str, redis_client: redis.Redis, no_leaks: None) -> Iterator[Queue]:
    store = Queue(redis_url, redis_client)
    yield store
    store.redis.close()


def cancel(store: Queue, *ids: str, by: Cancel = ANN, org: str | None = None) -> list[RefusedJob]:
    return store.writer.cancel_many("q", ids, by, org)


def running(store: Queue, job_id: str = "a", lease: int = 60_000) -> tuple[str, str]:
    """A job that runs and is cancelled, and its token."""
    store.add(job_id, attempts=5, organization_id="one")
    (held,) = store.claim(1, lease)
    assert cancel(store, job_id) == []
    return held


def ended(store: Queue, job_id: str = "a", reason: str = ": wrong month") -> JobRecord:
    """The record of a job that was cancelled, which says who did it and why."""
    job = store.reader.job("q", job_id)
    assert (job.status, job.code) == (State.FAILED, "cancelled")
    assert job.failed_reason == f"cancelled by ann{reason}"
    assert job.errors[-1]["code"] == "cancelled"
    assert job.cancel is not None
    assert job.cancel["by"] == "ann"
    assert store.client.zcard("t:{q}:cancels") == 0
    return job


@pytest.mark.parametrize("delay", [0, HOUR])
def test_what_waits_fails_at_once(store: Queue, delay: int) -> None:
    store.add("a", delay=delay, organization_id="one")
    assert cancel(store, "a") == []
    job = ended(store)
    assert (job.attempts_made, len(job.errors), job.token) == (0, 1, None)
    assert job.cancel == {"by": "ann", "reason": "wrong month", "at": job.finished_at}
    for org in (None, "one"):
        (stats,) = store.reader.stats(["q"], org)
        assert (stats.waiting, stats.delayed, stats.failed) == (0, 0, 1)
        last = stats.window()
        assert (last.failed, last.cancelled) == (1, 1)


OUTCOMES: dict[str, tuple[Callable[[Queue, tuple[str, str]], Any], Any]] = {
    "complete": (lambda s, held: s.work.step([Done(*held, 5, b"1")], 0, "none", 0)[0], "k"),
    "fail": (lambda s, held: s.fail(held), "k"),
    "fail permanently": (lambda s, held: s.fail(held, final=True), "k"),
    "postpone": (lambda s, held: s.work.postpone(*held, HOUR)[0], "k"),
    "postpone, too long": (lambda s, held: s.work.postpone(*held, HOUR, 0)[0], "k"),
    "release": (lambda s, held: s.work.release([held]), 1),
    "stall": (lambda s, held: s.work.stall([held], 3), ["cancelled"]),
    "sweep": (
        lambda s, held: s.work.renew([held], 0) or s.work.sweep(3).stalled,
        [("a", "cancelled")],
    ),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_whatever_its_worker_reports_it_fails(store: Queue, outcome: str) -> None:
    held = running(store)
    before = store.reader.job("q", "a")
    assert (before.status, before.cancel and before.cancel["by"]) == (State.ACTIVE, "ann")
    report, answer = OUTCOMES[outcome]
    assert report(store, held) == answer
    job = ended(store)
    assert (job.attempts_made, len(job.errors), job.result) == (1, 1, None)
    assert (job.errors[0]["attempt"], bool(job.errors[0]["worker"])) == (1, True)
    # Nothing that is sent again or comes late changes that.
    for again, (report, _) in OUTCOMES.items():
        report(store, held)
        assert ended(store) == job, again
    assert store.claim(5) == []


def test_what_its_worker_reports_is_kept_as_the_traceback(store: Queue) -> None:
    held = running(store)
    error = b'{"attempt":1,"error":"broken","traceback":"line 7","worker":"w.1","startedAt":5}'
    assert store.work.fail(
        *held, code="error", error=error, run_us=9, final=False, delay_ms=None
    ) == ("k", 0)
    (entry,) = ended(store).errors
    assert (entry["traceback"], entry["worker"], entry["startedAt"]) == ("line 7", "w.1", 5)


def test_a_consumer_learns_of_it(store: Queue) -> None:
    channel = store.client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    channel.subscribe("t:{q}:timer")
    channel.get_message(timeout=5)
    held = running(store)
    assert channel.get_message(timeout=5) is not None
    for _ in range(2):
        assert store.work.sweep(3).cancelled == [held]
    store.work.release([held])
    assert store.work.sweep(3).cancelled == []
    channel.close()


def test_one_that_was_obliterated_leaves_nothing(store: Queue) -> None:
    running(store)
    store.writer.obliterate("q", force=True)
    assert store.client.zcard("t:{q}:cancels") == 0
    assert store.work.sweep(3).cancelled == []


def test_the_first_cancel_counts(store: Queue) -> None:
    held = running(store)
    first = store.reader.job("q", "a").cancel
    assert cancel(store, "a", by=Cancel("bob", "me too")) == [RefusedJob("a", "again")]
    assert store.reader.job("q", "a").cancel == first
    store.work.release([held])
    ended(store)


def test_a_job_whose_lease_has_expired_fails_at_once(store: Queue) -> None:
    """Its consumer was killed: without this, it would wait for another one."""
    held = running(store, lease=0)
    ended(store)
    assert store.work.step([Done(*held, 5, b"1")], 0, "none", 0)[0] == "k"


def test_one_that_has_ended_is_refused(store: Queue) -> None:
    for name, act in (("done", "c"), ("bad", "f")):
        store.add(name)
        ((job, token),) = store.claim(1)
        if act == "c":
            store.work.step([Done(job, token, 5, b"1")], 0, "none", 0)
        else:
            store.fail((job, token), final=True)
        (refused,) = cancel(store, name)
        assert refused.found == act
        with pytest.raises(WrongState, match="has ended already: it is"):
            raise refused.error("cancel")
        assert store.reader.job("q", name).cancel is None
    (refused,) = cancel(store, "nothing")
    with pytest.raises(JobNotFound):
        raise refused.error("cancel")


def test_a_call_that_is_sent_again_has_the_same_reply(
    store: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first reply was lost: the job has ended by itself."""
    monkeypatch.setattr("hsejobs.store.write.new_nonce", lambda: "same")
    store.add("a")
    assert cancel(store, "a") == cancel(store, "a") == []
    monkeypatch.undo()
    assert [one.found for one in cancel(store, "a")] == ["f"]


def test_it_is_bound_to_what_was_seen(store: Queue) -> None:
    for name in ("a", "b"):
        store.add(name)
    seen = [(job.id, job.version) for job in store.reader.page("q", State.WAITING).jobs]
    ((job, token),) = store.claim(1)
    refused = store.writer.cancel_many("q", seen, ANN)
    assert [(one.id, one.found) for one in refused] == [("a", "a")]
    with pytest.raises(WrongState, match="is active now; check it again"):
        raise refused[0].error("cancel")
    assert store.reader.job("q", "b").status is State.FAILED
    store.work.release([(job, token)])
    store.claim(1)
    assert store.writer.cancel_many("q", [("a", "a")], ANN) == []


def test_another_tenants_is_missing_and_another_users_forbidden(store: Queue) -> None:
    store.add("a", organization_id="one", user_id="bob")
    assert [one.found for one in cancel(store, "a", org="two")] == ["missing"]
    (refused,) = cancel(store, "a", by=Cancel("ann", owner="ann"), org="one")
    with pytest.raises(Forbidden, match="needs the role admin"):
        raise refused.error("cancel")
    assert store.reader.job("q", "a").status is State.WAITING
    assert cancel(store, "a", by=Cancel("bob", owner="bob"), org="one") == []


def test_a_retry_by_hand_is_a_fresh_start(store: Queue) -> None:
    running(store, lease=0)
    store.writer.retry("q", "a")
    job = store.reader.job("q", "a")
    assert (job.status, job.cancel, len(job.errors)) == (State.WAITING, None, 1)
    ((_, token),) = store.claim(1)
    assert store.work.step([Done("a", token, 5, b"1")], 0, "none", 0)[0] == "c"


def test_without_a_reason(store: Queue) -> None:
    store.add("a")
    assert cancel(store, "a", by=Cancel("ann")) == []
    job = ended(store, reason="")
    assert job.cancel == {"by": "ann", "reason": None, "at": job.finished_at}


def test_a_claim_whose_reply_was_lost_does_not_begin_it(store: Queue) -> None:
    for name in ("a", "b"):
        store.add(name)
    store.work.step([], 2, "token", 60_000)
    cancel(store, "a")
    _, claims = store.work.step([], 2, "token", 60_000, again=1)
    assert [one.id for one in claims] == ["b"]
    ended(store)


def test_one_that_was_put_back_does_not_begin(store: Queue) -> None:
    """By a consumer of a release that knows no cancel: whatever waits with one ends when its turn comes."""
    ((job, _), _) = running(store), store.add("b")
    store.client.zrem("t:{q}:active", job)
    store.client.zrem("t:{q}:o:active:one", job)
    store.client.hset(f"t:{{q}}:j:{job}", "st", "w")
    put_first(store.client, "t:{q}:", job, "one")
    assert [one for one, _ in store.claim(2)] == ["b"]
    ended(store)
    assert not RecordVerifier(store.redis, "t").verify("q").faults


def test_a_repair_does_not_put_it_back(store: Queue) -> None:
    job, _ = running(store)
    store.client.zrem("t:{q}:active", job)
    assert RecordVerifier(store.redis, "t").verify("q", repair=True).faults
    ended(store)
    assert not RecordVerifier(store.redis, "t").verify("q").faults


@pytest.mark.parametrize("broken", ["", "no json", "[]", '{"by":5,"reason":{}}'])
def test_a_broken_cancel_cancels_all_the_same(store: Queue, broken: str) -> None:
    held = running(store)
    store.client.hset("t:{q}:j:a", "cl", broken)
    assert store.work.step([Done(*held, 5, b"1")], 0, "none", 0)[0] == "k"
    job = store.reader.job("q", "a")
    assert (job.status, job.failed_reason) == (State.FAILED, "cancelled by an unknown user")


def test_a_revoked_job_whose_claims_reply_was_lost_is_still_revoked(store: Queue) -> None:
    for name in ("a", "b"):
        store.add(name)
    store.client.hset("t:{q}:revoked", "r:a", "{}")
    store.client.expire("t:{q}:revoked", 60)
    store.work.step([], 2, "token", 60_000)
    _, claims = store.work.step([], 2, "token", 60_000, again=1)
    assert sorted((one.id, one.revoked) for one in claims) == [("a", True), ("b", False)]


def test_a_batch_with_a_cancelled_job_frees_the_places_of_all(store: Queue) -> None:
    """Its other jobs leave the tenant's running jobs later in the same call than the cancelled one does."""
    Shares(store.redis, "t").set("q", "one", limit=2)
    for job_id in "abcd":
        store.add(job_id, organization_id="one")
    held = store.claim(4)
    assert [job_id for job_id, _ in held] == ["a", "b"]
    Shares(store.redis, "t").set("q", "one", limit=1)
    assert store.claim(4) == []
    assert cancel(store, "b") == []
    letters, claims = store.work.step([Done(*one, 5, b"1") for one in held], 4, "next", 60_000)
    assert (letters, [one.id for one in claims]) == ("ck", ["c"])
    assert store.counts("one") == store.counts() == [1, 1, 0, 1, 1]


def test_a_batch_of_several_tenants_leaves_each_in_its_own_lists(store: Queue) -> None:
    owners = {"a": "one", "b": None, "c": "two", "d": "one", "e": None}
    for job_id, owner in owners.items():
        store.add(job_id, organization_id=owner)
    held: dict[str, str] = {}
    while len(held) < len(owners):
        held.update(store.claim(5))
    assert [store.counts(owner)[1] for owner in ("one", "two", None)] == [2, 1, 5]
    done = [Done(job_id, held[job_id], 1_000, b"1") for job_id in owners]
    assert store.work.step([done[0], *done], 0, "none", 0)[0] == "cccccc"
    assert [store.counts(owner)[3] for owner in ("one", "two", None)] == [2, 1, 5]
    assert [store.counts(owner)[1] for owner in ("one", "two", None)] == [0, 0, 0]
    assert store.reader.stats(["q"])[0].window().completed == 5
    assert store.reader.stats(["q"], "one")[0].window().completed == 2


def test_a_job_cancelled_in_a_batch_that_has_it_twice_ends_once(store: Queue) -> None:
    held = running(store)
    assert store.work.step([Done(*held, 5, b"1")] * 2, 0, "none", 0)[0] == "kk"
    assert store.counts() == store.counts("one") == [0, 0, 0, 0, 1]
    assert (window := store.reader.stats(["q"])[0].window()).cancelled == window.failed == 1


def test_a_broken_list_of_one_tenant_keeps_no_other_one_from_its_lists(store: Queue) -> None:
    for job_id, owner in {"a": "one", "b": "two", "c": "one", "d": "two"}.items():
        store.add(job_id, organization_id=owner)
    held: dict[str, str] = {}
    while len(held) < 4:
        held.update(store.claim(4))
    broken = "t:{q}:o:completed:one"
    store.client.set(broken, "x")
    done = [Done(*pair, 5, b"1") for pair in held.items()]
    assert store.work.step(done, 0, "none", 0)[0] == "cccc"
    assert store.counts("two") == [0, 0, 0, 2, 0]
    assert store.counts() == [0, 0, 0, 4, 0]
    store.client.delete(broken)
    RecordVerifier(store.redis, "t").verify("q", repair=True)
    assert store.counts("one") == [0, 0, 0, 2, 0]
