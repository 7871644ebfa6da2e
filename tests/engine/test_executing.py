"""A job in which no one is interested but its worker skips what Huey prepares, and ends as in Huey."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from huey.api import Huey
from huey.exceptions import CancelExecution, RateLimitExceeded, RetryTask, TaskLockedException

from hsejobs import codec
from hsejobs.engine import JobHuey, Postpone, Unrecoverable, outcome
from hsejobs.engine.context import JobContext, JobInterrupted
from hsejobs.engine.outcome import Outcome
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.store.claims import REVOKED, new_claim
from hsejobs.store.work import WorkerStore

huey = JobHuey("executing")
Execute = Callable[[Any], Any]


def _raise(error: BaseException) -> Any:
    raise error


class _Odd(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


#: What a task may do.
WAYS: dict[str, Callable[[], Any]] = {
    "returns": lambda: {"ok": True, "id": 7},
    "returns nothing": lambda: None,
    "returns the secret": lambda: ["hunter22"],
    "returns what JSON cannot hold": lambda: {1, 2},
    "fails": lambda: _raise(ValueError("no hunter22 good")),
    "fails oddly": lambda: _raise(_Odd()),
    "fails permanently": lambda: _raise(Unrecoverable("never")),
    "postpones": lambda: _raise(Postpone("later", delay=3)),
    "asks for a retry": lambda: _raise(RetryTask(delay=4)),
    "cancels": lambda: _raise(CancelExecution("stop")),
    "cancels and retries": lambda: _raise(CancelExecution(retry=True)),
    "is locked": lambda: _raise(TaskLockedException("locked")),
    "is limited": lambda: _raise(RateLimitExceeded("name", 2.0, True)),
    "is limited and fails": lambda: _raise(RateLimitExceeded("name", 2.0, False)),
    "times out": lambda: _raise(TimeoutError("slow")),
    "is interrupted": lambda: _raise(JobInterrupted()),
    "is interrupted by a key": lambda: _raise(KeyboardInterrupt()),
    "exits": lambda: _raise(SystemExit(3)),
}


@huey.task()
def act(payload: dict[str, Any]) -> Any:
    return WAYS[payload["way"]]()


@huey.task(context=True)
def tell(payload: dict[str, Any], task: Any = None) -> Any:
    return [task.id, task.retries, task.priority, task.name, payload["way"]]


@huey.task()
def learn(payload: dict[str, Any]) -> Any:
    payload["found"] = [{"token": "learned-later"}]
    return f"it is learned-later, not {payload['way']}"


@pytest.fixture(autouse=True)
def own_runtime(redis_url: str) -> Iterator[None]:
    reset_runtime()
    yield
    runtime().redis.close()
    reset_runtime()


def run(
    way: str,
    execute: Execute,
    name: str = "act",
    payload: bytes | None = None,
    more: Sequence[bytes] = (),
) -> tuple[Outcome, JobContext]:
    if payload is None:
        payload = codec.dumps({"way": way, "password": "hunter22"})
    claim = new_claim(
        "job-1",
        "token",
        f"{__name__}.{name}",
        (0, 3, 5000, 0, 2),
        payload,
        created_at=1_764_164_000_000,
        words=more,
    )
    work = WorkerStore(runtime().redis, runtime().prefix, huey.name)
    job = JobContext(claim, huey.name, work, lease_ms=30_000, log_work=work)
    return outcome.run(huey, claim, job, execute), job


def in_full(task: Any) -> Any:
    return Huey.execute(huey, task)


def _frames(traceback: str | None) -> list[str]:
    """The functions of a traceback without those that run every task."""
    names = re.findall(r"^  File .* in (\w+)$", traceback or "", re.MULTILINE)
    return [name for name in names if name not in ("run", "in_full", "execute", "_execute")]


@pytest.mark.parametrize("way", WAYS)
def test_a_job_ends_as_if_huey_had_run_it(way: str) -> None:
    short, _ = run(way, huey.execute)
    full, _ = run(way, in_full)
    assert _frames(short.traceback) == _frames(full.traceback)
    short.run_us = full.run_us = 0
    short.traceback = full.traceback = None
    assert short == full
    assert "hunter22" not in str(short)


def test_a_task_that_asks_for_its_context_gets_it() -> None:
    ended, _ = run("x", huey.execute, "tell")
    assert codec.loads(ended.result) == ["job-1", 2, 2, "tell", "x"]


def test_a_secret_that_a_task_adds_to_its_payload_is_masked() -> None:
    ended, _ = run("x", huey.execute, "learn", payload=b'{"way":"x"}')
    assert codec.loads(ended.result) == "it is ***, not x"


def test_a_success_that_no_one_waits_for_is_not_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Huey, "execute", lambda *_: pytest.fail("Huey prepared it"))
    assert run("returns", huey.execute)[0].result == b'{"ok":true,"id":7}'
    assert run("returns nothing", huey.execute)[0].result == b"null"
    assert run("fails", huey.execute)[0].code == "error"


def test_a_hook_before_is_called_and_may_cancel() -> None:
    seen: list[Any] = []
    huey.pre_execute("before")(lambda task: seen.append(task.id))
    huey.pre_execute("refuses")(lambda task: _raise(CancelExecution()))
    try:
        ended, _ = run("returns", huey.execute)
    finally:
        huey.unregister_pre_execute("before")
        huey.unregister_pre_execute("refuses")
    assert (ended.code, seen) == ("cancelled", ["job-1"])
    assert run("returns", huey.execute)[0].kind == "completed"
    assert seen == ["job-1"]


@pytest.mark.parametrize(("way", "error"), [("returns", False), ("fails", True)])
def test_a_hook_after_is_called(way: str, error: bool) -> None:
    seen: list[Any] = []
    huey.post_execute("after")(lambda task, value, raised: seen.append((value, raised)))
    try:
        run(way, huey.execute)
    finally:
        huey.unregister_post_execute("after")
    ((value, raised),) = seen
    assert (value is None) == (raised is not None) == error


@pytest.mark.parametrize(
    ("wanted", "way", "heard"),
    [
        ((), "returns", ["executing", "complete"]),
        (("complete",), "returns", ["complete"]),
        (("executing",), "returns", ["executing"]),
        (("error",), "returns", []),
        (("error", "retrying"), "fails", ["error", "retrying"]),
        (("canceled",), "cancels", ["canceled"]),
    ],
)
def test_receivers_hear_their_signals(wanted: tuple[str, ...], way: str, heard: list[str]) -> None:
    got: list[str] = []

    def receive(signal: str, task: Any, *_: Any) -> None:
        assert task.id == "job-1"
        got.append(signal)

    huey.signal(*wanted)(receive)
    try:
        run(way, huey.execute)
    finally:
        huey.disconnect_signal(receive, *wanted)
    assert got == heard


def test_huey_logs_where_its_log_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "huey"):
        run("returns", huey.execute)
        assert caplog.messages == []
    with caplog.at_level(logging.INFO, "huey"):
        run("returns", huey.execute)
        assert any(text.startswith("Executing") for text in caplog.messages)


def test_a_revoked_job_does_not_run() -> None:
    ended, _ = run("returns", huey.execute, more=[REVOKED])
    assert ended.kind == "completed"  # in Redis there is no revocation: Huey asked
    huey.revoke_by_id("job-1")
    ended, _ = run("returns", huey.execute, more=[REVOKED])
    assert (ended.kind, ended.code) == ("fail", "revoked")
