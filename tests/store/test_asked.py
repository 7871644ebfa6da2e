"""An act does what its question said: what came later, or moved on, stays. A second client acts between."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hsejobs.errors import JobActive, QueueBusy
from hsejobs.model import State
from hsejobs.store.write import RefusedJob, Seen
from tests.store.test_acts import Store
from tests.support.waiting import tick


@pytest.fixture
def store(redis_url: str, no_leaks: None) -> Store:
    return Store(redis_url)


@pytest.fixture
def other(store: Store, redis_url: str) -> Store:
    """Another client of the same server, with tokens that differ from ``store``'s."""
    made = Store(redis_url)
    made._claims = 1_000
    return made


def failed(store: Store, *ids: str) -> None:
    for job_id in ids:
        store.add(job_id)
        (pair,) = store.claim()
        store.fail(pair)


def seen(store: Store, state: State = State.FAILED) -> list[Seen]:
    return [(job.id, job.version) for page in store.reader.walk("q", state) for job in page]


def retried_and_failed(other: Store, job_id: str) -> None:
    other.writer.retry("q", job_id)
    ((claimed, token),) = other.claim()
    assert claimed == job_id
    tick(other.redis)
    other.fail((claimed, token))


def test_a_retry_of_what_was_seen_leaves_what_failed_again(store: Store, other: Store) -> None:
    failed(store, "a", "b", "c")
    selection = seen(store)
    retried_and_failed(other, "b")
    other.writer.remove("q", "c")
    failed(other, "late")
    assert store.writer.retry_many("q", selection) == [
        RefusedJob("c", "missing"),
        RefusedJob("b", "changed"),
    ]
    assert store.counts() == [1, 0, 0, 0, 2]
    assert store.reader.status("q", "a") is State.WAITING


def test_a_removal_of_failed_jobs_leaves_what_was_retried(store: Store, other: Store) -> None:
    failed(store, "a", "b", "c")
    selection = seen(store)
    other.writer.retry("q", "a")
    retried = other.claim()
    assert [job for job, _ in retried] == ["a"]
    other.writer.retry("q", "b")
    removed, refused = store.writer.remove_many("q", selection)
    assert [one.id for one in removed] == ["c"]
    assert {one.id: one.found for one in refused} == {"a": "a", "b": "w"}
    with pytest.raises(JobActive):
        raise refused[-1].error("remove")


def test_a_promotion_of_what_was_seen(store: Store, other: Store) -> None:
    for job_id in ("a", "b"):
        store.add(job_id, delay=60_000)
    selection = seen(store, State.DELAYED)
    other.writer.promote("q", "a")
    pair = other.claim()[0]
    other.fail(pair, final=False)
    assert other.reader.status("q", "a") is State.DELAYED
    assert store.writer.promote_many("q", selection) == [RefusedJob("a", "changed")]


@pytest.mark.parametrize("act", ["retry", "promote"])
def test_all_of_a_state_is_all_of_that_moment(store: Store, other: Store, act: str) -> None:
    if act == "retry":
        failed(store, "a", "b")
    else:
        for job_id in ("a", "b"):
            store.add(job_id, delay=60_000)
    moment = store.reader.now("q")
    tick(store.redis)
    if act == "retry":
        retried_and_failed(other, "a")
    else:
        other.writer.promote("q", "a")
        other.fail(other.claim()[0], final=False)
    done = getattr(store.writer, f"{act}_many")("q", ["a", "b"], as_of=moment)
    assert done == [RefusedJob("a", "changed")]


def drain(store: Store, moment: int) -> int:
    return store.writer.drain("q", as_of=moment)


def clean(store: Store, moment: int) -> int:
    return sum(
        store.writer.clean("q", state, 0, as_of=moment) for state in (State.WAITING, State.DELAYED)
    )


def obliterate(store: Store, moment: int) -> int:
    return store.writer.obliterate("q", as_of=moment)


@pytest.mark.parametrize("act", [drain, clean, obliterate], ids=lambda act: act.__name__)
def test_jobs_added_after_the_question_are_kept(
    store: Store, other: Store, act: Callable[[Store, int], int]
) -> None:
    for n in range(700):
        store.add(f"job-{n:03}", delay=60_000 * (n % 2))
    moment = store.reader.stats(["q"])[0].now
    tick(store.redis)
    for n in range(40):
        other.add(f"late-{n}", delay=30_000 * (n % 2), priority=1 + n % 5)
    other.writer.pause("q")
    assert act(store, moment) == 700
    assert store.counts() == [20, 0, 20, 0, 0]
    # A queue that has jobs again keeps its pause and its order.
    assert store.reader.stats(["q"])[0].is_paused


@pytest.mark.parametrize("act", [drain, clean], ids=lambda act: act.__name__)
def test_what_came_back_after_the_question_stays(
    store: Store, other: Store, act: Callable[[Store, int], int]
) -> None:
    """A retry of a failed job, a job that was handed back, one that is tried again, an undo."""
    failed(store, "retried")
    store.add("undone")
    store.add("released")
    store.add("again")
    gone = store.writer.remove("q", "undone")
    running = store.claim(2)
    moment = store.reader.now("q")
    tick(store.redis)
    other.writer.retry("q", "retried")
    other.writer.restore(gone)
    assert other.work.release(running[:1]) == 1
    other.fail(running[1], final=False)
    assert act(store, moment) == 0
    assert store.counts() == [3, 0, 1, 0, 0]
    tick(store.redis)
    assert act(store, store.reader.now("q")) == 4


def test_a_clean_takes_the_ages_of_its_question(store: Store, other: Store) -> None:
    failed(store, "a", "b")
    selection = store.writer.select_clean("q", State.FAILED, 0)
    assert selection.count == 2
    tick(store.redis)
    retried_and_failed(other, "b")
    failed(other, "late")
    assert store.writer.clean("q", State.FAILED, 0, as_of=selection.at) == 1
    assert sorted(job for job, _ in seen(store)) == ["b", "late"]
    undone = other.writer.remove("q", "late")
    selection = store.writer.select_clean("q", State.FAILED, 0)
    tick(store.redis)
    other.writer.restore(undone)
    # It ended before the question, and was not there when it was asked.
    assert store.writer.clean("q", State.FAILED, 0, as_of=selection.at) == 1
    assert [job for job, _ in seen(store)] == ["late"]


def test_a_drain_takes_what_falls_due_under_its_question(store: Store, other: Store) -> None:
    store.add("due", delay=1)
    moment = store.reader.now("q")
    for _ in range(3):
        tick(store.redis)
    assert other.work.sweep(1)
    assert store.counts() == [1, 0, 0, 0, 0]
    assert drain(store, moment) == 1


def test_obliterate_keeps_the_rates_of_the_queue_and_its_organizations(store: Store) -> None:
    failed(store, "a")
    store.add("b", organization_id="one")
    assert store.reader.stats(["q"])[0].window().added == 2
    assert store.writer.obliterate("q") == 2
    kept = store.reader.stats(["q"])[0].window()
    assert (kept.added, kept.failed, kept.removed) == (2, 1, 2)
    theirs = store.reader.stats(["q"], "one")[0].window()
    assert (theirs.added, theirs.failed, theirs.removed) == (1, 0, 1)


def test_obliterate_refuses_what_began_to_run_under_its_question(
    store: Store, other: Store
) -> None:
    store.add("a")
    moment = store.reader.now("q")
    other.claim()
    with pytest.raises(QueueBusy):
        store.writer.obliterate("q", as_of=moment)
    assert store.writer.obliterate("q", as_of=moment, force=True) == 1


def test_stalled_jobs_are_seen_at_the_first_look(store: Store) -> None:
    from hsejobs.store import registry
    from hsejobs.store.read_live import LiveReader

    registry.save(store.redis, "t", registry.QueueInfo("q"))
    store.add("a")
    store.claim(lease=0)
    tick(store.redis)
    first = LiveReader(store.redis, "t").snapshot(stalled_ms=0)
    assert first.stalled == {"q": 1}
    assert first.now > 1_000_000_000_000


def test_the_clock_is_there_without_any_queue(store: Store) -> None:
    from hsejobs.store.read_live import LiveReader

    assert LiveReader(store.redis, "hsejobs").snapshot().now > 1_000_000_000_000
