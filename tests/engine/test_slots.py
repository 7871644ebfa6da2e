"""A slot between a worker and its maintenance thread: what is taken out of it is taken out once.

The kind: something that is handed over and stays where it was, so that it is handed over again at
each look. Maintenance that took back what a slow job held up did so every time it looked, and wrote the same
outcomes and releases thousands of times a second for as long as the job ran.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from hsejobs import forks
from hsejobs.engine.pace import MOST_FAR
from hsejobs.engine.processes import Processes, StopFlag, Threads
from hsejobs.engine.slots import Slot
from hsejobs.store.claims import new_claim
from hsejobs.store.work import Claim, Done


def claims(*ids: str) -> list[Claim]:
    return [new_claim(one, f"t-{one}", "m.task", (0, 3, 0, 0, 3), b"{}") for one in ids]


def loaded(*ids: str) -> Slot:
    slot = Slot(1, forks.lock())
    slot.load(claims(*ids))
    return slot


def test_what_is_taken_back_is_taken_back_once() -> None:
    slot = loaded("a", "b", "c", "d")
    slot.begin(1.0)
    slot.finish(Done("a", "t-a", 5, b"null"))
    slot.begin(2.0)
    assert slot.reclaim(finished=False) == ([], [("c", "t-c"), ("d", "t-d")])
    assert slot.reclaim() == ([Done("a", "t-a", 5, b"null")], [])
    slot = loaded("a", "b", "c", "d")
    slot.begin(1.0)
    slot.finish(Done("a", "t-a", 5, b"null"))
    slot.begin(2.0)
    assert slot.reclaim() == (
        [Done("a", "t-a", 5, b"null")],
        [("c", "t-c"), ("d", "t-d")],
    )
    assert slot.reclaim() == ([], [])
    assert slot.begin(3.0) is None
    # The running one is still held, and what was handed over is the taker's to renew.
    assert ("b", "t-b") in slot.holding()
    assert not {("c", "t-c"), ("d", "t-d")} & set(slot.holding())
    running = slot.running()
    assert running is not None
    assert running.id == "b"
    slot.finish(Done("b", "t-b", 7, b'"x"'))
    assert slot.reclaim() == ([Done("b", "t-b", 7, b'"x"')], [])


def test_what_ended_between_look_and_act_stays_its_workers() -> None:
    """Seen: a job ended between a look at it and the taking back. Its outcome was written before its
    last log lines, which were refused then and are lost.
    """
    slot = loaded("a", "b")
    slot.begin(1.0)
    running = slot.running()
    assert running is not None
    slot.finish(Done("a", "t-a", 5, b"null"))
    assert slot.reclaim(behind=running) == ([], [])
    slot.begin(2.0)
    assert slot.reclaim(behind=running) == ([], [])
    assert slot.reclaim(behind=slot.running()) == ([Done("a", "t-a", 5, b"null")], [])


def test_an_outcome_that_only_its_worker_knew_is_named_when_the_worker_died() -> None:
    slot = loaded("a", "b", "c")
    slot.begin(1.0)
    slot.finish(Done("a", "t-a", 5, b"null"))
    slot.begin(2.0)
    slot.finish(None)  # it failed, which the worker was about to write
    assert slot.unwritten() == [("b", "t-b")]
    slot.begin(3.0)
    assert slot.unwritten() == [("b", "t-b")]
    assert slot.reclaim()[0] == [Done("a", "t-a", 5, b"null")]


@pytest.mark.parametrize(
    ("mark", "marked"), [(Slot.mark_cancelled, "cancelled"), (Slot.mark_lost, "lost")]
)
def test_a_mark_is_on_the_job_that_it_names_and_on_no_later_one(mark: Any, marked: str) -> None:
    """The signal that follows it may arrive when the worker runs the next job already.

    A job that was not started is to be given up; one that has ended is neither.
    """
    slot, seen = loaded("a", "b"), list[tuple[bool, bool]]()

    def try_to(job_id: str, token: str) -> None:
        not_started = mark(slot, job_id, token)
        seen.append((not_started, getattr(slot, marked)))

    try_to("a", "t-a")  # it does not run yet
    slot.begin(1.0)
    try_to("b", "t-b")
    try_to("a", "t-b")
    slot.finish(Done("a", "t-a", 5, b"null"))
    try_to("a", "t-a")
    slot.begin(2.0)
    try_to("a", "t-a")
    assert seen == [(True, False), (True, False), (False, False), (False, False), (False, False)]
    seen.clear()
    slot.reclaim()
    try_to("b", "t-b")
    slot.finish(None)
    try_to("b", "t-b")
    slot.load(claims("b"))
    slot.begin(3.0)
    assert (seen, getattr(slot, marked)) == ([(False, True), (False, False)], False)


def test_a_claim_ahead_has_one_owner() -> None:
    """Its jobs are stored by its worker, or given back by who recalled it: never both."""
    slot = Slot(1, forks.lock())
    assert slot.empty
    slot.load(claims("a"), ahead=["second"])
    assert (slot.left, slot.recall()) == (2, ["second"])
    assert (slot.left, slot.recall()) == (1, [])
    slot.begin(1.0)
    slot.finish(Done("a", "t-a", 5, b"null"))
    # Recalled: the batch before stays, with its outcome.
    assert not slot.load(claims("b"), keep=1)
    assert slot.reclaim() == ([Done("a", "t-a", 5, b"null")], [])
    slot.load(claims("a"), ahead=["third"])
    assert slot.load(claims("b"), ahead=["fourth"], keep=1)
    assert slot.recall() == ["fourth"]
    slot.load(())
    assert (slot.recall(), slot.empty) == ([], True)


def test_two_claims_ahead_are_stored_in_their_order_or_recalled_together() -> None:
    slot = Slot(1, forks.lock())
    slot.load(claims("a"), ahead=["second", "third"])
    assert slot.left == 3
    assert slot.load(claims("b"), ahead=["fourth"], keep=1)
    assert (slot.left, slot.recall()) == (3, ["third", "fourth"])
    # Recalled: neither is stored, and the batch before stays.
    assert not slot.load(claims("c"), keep=2)
    assert not slot.settle()
    assert [job for job, _ in slot.holding()] == ["b", "a"]
    assert slot.load(claims("d"))
    assert ([job for job, _ in slot.holding()], slot.recall(dead=True)) == (["d"], [])


def test_claims_without_a_reply_are_their_workers_until_it_dies() -> None:
    slot = Slot(1, forks.lock())
    slot.load(claims("a"), ahead=["second", "third"])
    assert slot.unanswered() == ["second", "third"]
    assert (slot.left, slot.recall()) == (1, [])
    assert slot.recall(dead=True) == ["second", "third"]
    slot.load(claims("b"), ahead=["fourth", "fifth"])
    slot.recall()
    assert slot.unanswered() == []


class Killed(BaseException):
    """Ends a worker between two writes to its slot."""


def killed_at(slot: Slot, nth: int, act: Callable[[], object]) -> bool:
    """Whether *act* made at most ``nth`` writes to the slot's memory; else it ended before the next one."""
    writes = itertools.count()

    def stopped(write: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*args: Any) -> None:
            if next(writes) == nth:
                raise Killed
            write(*args)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_put", "_put_sent", "_put_rows", "_put_claim"):
            patch.setattr(slot, name, stopped(getattr(slot, name)))
        try:
            act()
        except Killed:
            return False
    return True


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_a_worker_killed_between_any_two_writes_leaves_no_job_behind(keep: int) -> None:
    """What Redis may not know yet is in the slot: as a job held, as an outcome, or as a claim's token."""
    nth, through = 0, False
    while not through:
        slot = Slot(1, forks.lock())
        slot.load(claims("a"), ahead=["t-b", "t-c"])
        for one, ahead in (("b", ["t-d"]), ("c", ["t-e"])):
            slot.begin(1.0)
            before = slot._claims[0].id
            slot.finish(Done(before, f"t-{before}", 5, b"null"))
            assert slot.load(claims(one), ahead=ahead, keep=1)
        slot.begin(1.0)
        slot.finish(Done("c", "t-c", 5, b"null"))
        through = killed_at(slot, nth, partial(slot.load, claims("d"), ahead=["t-f"], keep=keep))
        nth += 1
        held, tokens = slot.holding(), slot.recall(dead=True)
        assert ("d", "t-d") in held or "t-d" in tokens
        if keep:
            assert "t-e" in tokens
            assert "t-f" in tokens or not through
        outcomes = {one.id for one in slot.reclaim()[0]}
        assert {2: {"b", "c"}, 1: {"c"}, 0: set()}[keep] <= outcomes
        if through:
            assert held == [("d", "t-d"), *((one, f"t-{one}") for one in "bc"[2 - keep :])]
    assert nth > 4


def test_an_awaited_claim_is_recalled_only_from_the_dead() -> None:
    slot = Slot(1, forks.lock())
    slot.ask("first")
    assert (slot.left, slot.empty, slot.recall()) == (0, True, [])
    assert slot.load(claims("a"))
    assert slot.recall(dead=True) == []
    slot.begin(1.0)
    slot.finish(Done("a", "t-a", 5, b"null"))
    slot.ask("second")
    assert slot.recall(dead=True) == ["second"]
    # A thread that is still there runs none of it.
    assert not slot.load(claims("b"), ahead=["third"])
    assert (slot.begin(2.0), slot.left, slot.empty) == (None, 0, True)


def test_a_claim_ahead_is_recalled_only_behind_the_job_that_runs() -> None:
    slot = Slot(1, forks.lock())
    slot.load(claims("a", "b"), ahead=["second"])
    slot.begin(1.0)
    running = slot.running()
    assert running is not None
    slot.finish(Done("a", "t-a", 5, b"null"))
    assert slot.recall(behind=running) == []
    slot.begin(2.0)
    assert slot.recall(behind=running) == []
    assert slot.recall(behind=slot.running()) == ["second"]
    assert not slot.settle()
    assert slot.settle()


def test_outcomes_on_their_way_are_still_the_slots() -> None:
    slot = loaded("a", "b")
    slot.begin(1.0)
    slot.finish(Done("a", "t-a", 5, b"null"))
    slot.begin(2.0)
    slot.finish(None)
    slot.load(claims("c", "d"), ahead=["third"], keep=1)
    slot.begin(3.0)
    slot.finish(Done("c", "t-c", 7, b"1"))
    assert slot.holding() == [("c", "t-c"), ("d", "t-d"), ("a", "t-a"), ("b", "t-b")]
    assert slot.unwritten() == [("b", "t-b")]
    done = [Done("a", "t-a", 5, b"null"), Done("c", "t-c", 7, b"1")]
    assert slot.reclaim() == (done, [("d", "t-d")])
    assert slot.reclaim() == ([], [])
    assert not slot.empty


@pytest.mark.parametrize("name", ["m" * 400, "ä" * 5_000])
def test_the_largest_batch_has_room_for_the_longest_ids_and_names(name: str) -> None:
    """What is too long for the slot must not be written into what follows."""
    ids = [f"{n:03d}{'x' * 197}" for n in range(MOST_FAR)]
    batch = [new_claim(one, "t" * 63, name, (0, 99_999, 0, 0, 3), b"{}") for one in ids]
    slot = Slot(1, forks.lock())
    result = b"r" * 1_000
    for keep in (0, 1, 2):
        slot.load(batch, keep=keep)
        for one in ids[:-1]:
            slot.begin(1.0)
            slot.finish(Done(one, "t" * 63, 5, result))
    slot.begin(2.0)
    running = slot.running()
    assert running is not None
    assert (running.id, running.name[:100]) == (ids[-1], name[:100])
    assert slot.holding() == [(one, "t" * 63) for one in ids * 3]
    done, unbegun = slot.reclaim()
    assert [(one.id, one.result) for one in done] == [(one, result) for one in ids[:-1] * 3]
    assert unbegun == []


def test_a_look_at_the_stop_flag_takes_no_system_call_and_all_see_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kind: something that is done before each job, and that takes a system call."""
    flag, other = Threads().get_stop_flag(), StopFlag()
    with monkeypatch.context() as without:
        without.setattr("select.poll", None)
        assert not flag.is_set()
    assert not flag.wait(0)
    pid = os.fork()
    if not pid:
        os._exit(0 if flag.wait(30) and flag.is_set() and not other.is_set() else 1)
    flag.set()
    flag.set()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert flag.is_set()
    assert flag.wait(0)
    assert isinstance(Processes.get_stop_flag(cast(Any, None)), StopFlag)
