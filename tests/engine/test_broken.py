"""Tasks that raise strange things: each is an ordinary failure, and the worker goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hsejobs.engine import JobFailed, runtime
from hsejobs.engine.context import JobInterrupted
from hsejobs.engine.processes import _interrupter
from tests.engine import jobs
from tests.engine.conftest import Consumer, counts

Start = Callable[..., Consumer]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("untellable", "_Untellable (its text is not available: RuntimeError)"),
        ("no time", "ValueError: could not convert"),
        ("limit", "ValueError: cannot convert float NaN"),
        ("half", "ValueError: half ? a character"),
        ("interrupt", "KeyboardInterrupt"),
    ],
)
def test_what_cannot_be_judged_is_an_ordinary_failure(
    consumer: Start, kind: str, told: str
) -> None:
    consumer("-k", "thread", "-w", "1")
    job = jobs.broken.add({"kind": kind}, attempts=2)
    with pytest.raises(JobFailed) as caught:
        job.wait(20)
    assert caught.value.failure_code == "error"
    seen = job.refresh()
    assert (seen.attempts_made, seen.stalls, len(seen.errors)) == (2, 0, 2)
    assert str(seen.failed_reason).startswith(told)
    lines, _ = runtime.runtime().reader.logs("trial", job.id)
    assert lines == ["half ? a character"] * 2


def test_an_error_handler_gets_the_error_without_secrets(consumer: Start) -> None:
    consumer("-k", "thread", "-w", "2")
    handler = jobs.hear.s("before")
    failing = jobs.fail_with.s(password="hunter2hunter2").error(handler)
    jobs.huey.enqueue(failing)
    from huey.api import Result

    said = Result(jobs.huey, handler).get(blocking=True, timeout=20)
    assert said == ["before", "ValueError: no good: ***"]
    record = runtime.runtime().reader.job("trial", failing.id)
    assert (record.code, record.attempts_made) == ("error", 3)


def test_a_lock_at_the_last_attempt_calls_no_error_handler(consumer: Start) -> None:
    handler, follower = jobs.hear.s(), jobs.hear.s()
    assert jobs.huey.storage.put_if_empty("lock.two", b"1", ttl=0.5)
    task = jobs.locked_twice.s("word").then(follower).error(handler)
    task.retries = 0
    consumer("-k", "thread", "-w", "1")
    results = jobs.huey.enqueue(task)
    assert results.get(blocking=True, timeout=20) == ["word", ["word"]]
    assert runtime.runtime().reader.status("trial", handler.id) is None


def test_an_interrupt_reaches_only_the_job_it_is_meant_for() -> None:
    slot = SimpleNamespace(running_now=True, cancelled=False, lost=False, overdue=lambda now: False)
    stop = SimpleNamespace(is_set=lambda: False)
    worker: Any = SimpleNamespace(
        slot=slot, stop_flag=stop, job=SimpleNamespace(interruptible=True)
    )
    _interrupter(worker)(0, None)
    slot.overdue = lambda now: True
    with pytest.raises(JobInterrupted):
        _interrupter(worker)(0, None)
    slot.overdue, slot.cancelled = lambda now: False, True
    with pytest.raises(JobInterrupted):
        _interrupter(worker)(0, None)
    slot.cancelled, stop.is_set = False, lambda: True
    with pytest.raises(JobInterrupted):
        _interrupter(worker)(0, None)
    slot.running_now, worker.interrupted = False, False
    _interrupter(worker)(0, None)
    assert not worker.interrupted


#: As a large library does: its parts are imported in between, and it looks for them as attributes.
HALFWAY = """
import os, time
from pathlib import Path
import halfway.part
if not (first := Path(os.environ["TRIAL_FILE"] + ".first")).exists():
    first.touch()
    time.sleep(60)
NUMBER = halfway.part.NUMBER
"""


@pytest.mark.parametrize("swallow", [False, True])
def test_after_an_interrupt_no_job_meets_a_half_loaded_module(
    consumer: Start, tmp_path: Path, swallow: bool
) -> None:
    (tmp_path / "halfway").mkdir()
    (tmp_path / "halfway" / "__init__.py").write_text(HALFWAY)
    (tmp_path / "halfway" / "part.py").write_text("NUMBER = 7")
    consumer("-k", "process", "-w", "1", fork=False, PYTHONPATH=str(tmp_path))
    first = jobs.lazily.add({"swallow": swallow}, attempts=1, timeout=1)
    # Claimed together with the first or after it: neither runs in the interrupted process.
    others = [jobs.lazily.add({}, attempts=1) for _ in range(2)]
    if swallow:
        assert first.wait(20) == -1
    else:
        with pytest.raises(JobFailed) as caught:
            first.wait(20)
        assert caught.value.failure_code == "timeout"
    assert [other.wait(20) for other in others] == [7, 7]
    assert [other.refresh().stalls for other in others] == [0, 0]


def test_members_of_a_chord_that_end_together_both_find_all_results(trial: Path) -> None:
    first, second = (
        SimpleNamespace(cid="c", size=2, idx=n, callback=jobs.hear.s()) for n in (0, 1)
    )
    jobs.huey._check_chord(first, "a")
    assert sum(counts().values()) == 0
    for _ in range(2):
        # The other member did this already, or this one runs again.
        second.callback = jobs.hear.s()
        jobs.huey._check_chord(second, "b")
        made = runtime.runtime().reader.job("trial", second.callback.id)
        assert made.data == ["a", "b"]


def test_what_a_failed_member_tells_its_chord_has_no_secrets(consumer: Start) -> None:
    from huey.api import chord

    consumer("-k", "thread", "-w", "2")
    failing = jobs.fail_with.s(password="hunter2hunter2")
    failing.retries = 0
    whole = jobs.huey.enqueue(chord([failing, jobs.add.s(1, 2)], jobs.hear.s()))
    [[[failed], three]] = whole.get(blocking=True, timeout=20)
    assert three == 3
    assert failed["error"] == "ValueError('no good: ***')"
    assert "hunter2" not in failed["traceback"]
