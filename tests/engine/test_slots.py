"""A slot between a worker and its maintenance thread: what is taken out of it is taken out once.

The kind: something that is handed over and stays where it was, so that it is handed over again at
each look. Maintenance that took back what a slow job held up did so every time it looked, and wrote the same
outcomes and releases thousands of times a second for as long as the job ran.
"""

from __future__ import annotations

import os
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
    slot.load(claims("a"), ahead="second")
    assert (slot.left, slot.recall()) == (2, "second")
    assert (slot.left, slot.recall()) == (1, "")
    slot.begin(1.0)
    slot.finish(Done("a", "t-a", 5, b"null"))
    # Recalled: the batch before stays, with its outcome.
    assert not slot.load(claims("b"), keep=True)
    assert slot.reclaim() == ([Done("a", "t-a", 5, b"null")], [])
    slot.load(claims("a"), ahead="third")
    assert slot.load(claims("b"), ahead="fourth", keep=True)
    assert slot.recall() == "fourth"
    slot.load(())
    assert (slot.recall(), slot.empty) == ("", True)


def test_an_awaited_claim_is_recalled_only_from_the_dead() -> None:
    slot = Slot(1, forks.lock())
    slot.ask("first")
    assert (slot.left, slot.empty, slot.recall()) == (0, True, "")
    assert slot.load(claims("a"))
    assert slot.recall(dead=True) == ""
    slot.begin(1.0)
    slot.finish(Done("a", "t-a", 5, b"null"))
    slot.ask("second")
    assert slot.recall(dead=True) == "second"
    # A thread that is still there runs none of it.
    assert not slot.load(claims("b"), ahead="third")
    assert (slot.begin(2.0), slot.left, slot.empty) == (None, 0, True)


def test_a_claim_ahead_is_recalled_only_behind_the_job_that_runs() -> None:
    slot = Slot(1, forks.lock())
    slot.load(claims("a", "b"), ahead="second")
    slot.begin(1.0)
    running = slot.running()
    assert running is not None
    slot.finish(Done("a", "t-a", 5, b"null"))
    assert slot.recall(behind=running) == ""
    slot.begin(2.0)
    assert slot.recall(behind=running) == ""
    assert slot.recall(behind=slot.running()) == "second"
    assert not slot.settle()
    assert slot.settle()


def test_outcomes_on_their_way_are_still_the_slots() -> None:
    slot = loaded("a", "b")
    slot.begin(1.0)
    slot.finish(Done("a", "t-a", 5, b"null"))
    slot.begin(2.0)
    slot.finish(None)
    slot.load(claims("c", "d"), ahead="third", keep=True)
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
    for keep in (False, True):
        slot.load(batch, keep=keep)
        for one in ids[:-1]:
            slot.begin(1.0)
            slot.finish(Done(one, "t" * 63, 5, result))
    slot.begin(2.0)
    running = slot.running()
    assert running is not None
    assert (running.id, running.name[:100]) == (ids[-1], name[:100])
    assert slot.holding() == [(one, "t" * 63) for one in ids + ids]
    done, unbegun = slot.reclaim()
    assert [(one.id, one.result) for one in done] == [(one, result) for one in ids[:-1] * 2]
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
