"""The queue that the engine's tests work with; a real ``huey_consumer`` imports it."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import time
from pathlib import Path
from typing import Any

from huey.exceptions import CancelExecution, RetryTask
from pydantic import BaseModel

from hsejobs.engine import JobHuey, Postpone, Unrecoverable, current_job
from hsejobs.engine.context import JobInterrupted
from hsejobs.errors import JobCancelled, JobsError, RedisUnavailable

huey = JobHuey("trial", attempts=3, backoff=0.05, timeout=60.0)


def _note(word: str) -> None:
    """Writes one line per run to the file that the test reads."""
    with Path(os.environ["TRIAL_FILE"]).open("a") as file:
        file.write(f"{word} {os.getpid()}\n")


@huey.task()
def echo(payload: dict[str, Any]) -> Any:
    _note(f"{payload.get('n')}")
    return payload.get("say")


@huey.task()
def work(payload: dict[str, Any]) -> int:
    _note(f"begin:{payload['n']}")
    time.sleep(payload["seconds"])
    _note(f"end:{payload['n']}")
    return int(payload["n"])


@huey.task()
def fail(payload: dict[str, Any]) -> None:
    _note("fail")
    raise ValueError(f"no good: {payload.get('password')}")


@huey.task()
def stubborn(payload: dict[str, Any]) -> None:
    raise Unrecoverable("never")


@huey.task()
def later(payload: dict[str, Any]) -> str:
    if current_job().once("postponed"):
        raise Postpone(delay=0.05)
    return f"attempt {current_job().attempt}"


@huey.task()
def never_now(payload: dict[str, Any]) -> None:
    raise Postpone("not now", delay=0.05, limit=payload["limit"])


class _Busy(JobsError):
    code = "busy"
    retry_after = 0.4


@huey.task()
def stepwise(payload: dict[str, Any]) -> list[int | None]:
    """Ends each attempt as its payload says, one after the other, then returns what each began from."""
    job, endings = current_job(), payload["endings"]
    state = job.resumed_from or {"step": 0, "seen": []}
    state["seen"].append(state["step"] or None)
    step = state["step"] = state["step"] + 1
    if step > len(endings):
        return list(state["seen"])
    job.checkpoint(state)
    if endings[step - 1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if endings[step - 1] == "postpone":
        raise Postpone("later", delay=0.05)
    raise ValueError("not yet")


@huey.task()
def busy(payload: dict[str, Any]) -> None:
    raise _Busy("busy")


@huey.task()
def again(payload: dict[str, Any]) -> str:
    if current_job().once("again"):
        raise RetryTask(delay=0.05)
    return f"attempt {current_job().attempt}"


@huey.task()
def cancel(payload: dict[str, Any]) -> None:
    raise CancelExecution("enough")


@huey.task()
def kill(payload: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@huey.task()
def tell(payload: dict[str, Any]) -> dict[str, Any]:
    job = current_job()
    job.progress(40, "nearly")
    job.log("a line")
    return {"id": job.id, "org": job.organization_id, "attempt": job.attempt}


@huey.task()
def add(a: int, b: int) -> int:
    return a + b


@huey.task()
def pair(a: int) -> tuple[int, int]:
    return a, a + 1


@huey.task()
def locked(payload: dict[str, Any]) -> str:
    with huey.lock_task("one"):
        if current_job().once("slept"):
            _note(f"slept:{payload.get('seconds')}")
            time.sleep(payload.get("seconds", 0))
    return "had it"


@huey.task()
def in_turn(payload: dict[str, Any]) -> None:
    """Holds one lock, or several, and notes when."""
    with contextlib.ExitStack() as held:
        for name in payload.get("locks", ["turn"]):
            held.enter_context(huey.lock_task(name))
        _note(f"turn:{payload['n']}")
        if "until" in payload:
            while payload["until"] not in Path(os.environ["TRIAL_FILE"]).read_text():
                time.sleep(0.01)
        time.sleep(payload.get("seconds", 0))
        _note(f"over:{payload['n']}")


@huey.task()
def lazily(payload: dict[str, Any]) -> int:
    """Imports a package for the first time; may swallow the interrupt of its timeout."""
    try:
        return int(importlib.import_module("halfway").NUMBER)
    except BaseException:
        if payload.get("swallow"):
            return -1
        raise


class _Untellable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class _NoTime(JobsError):
    code = "no_time"
    retry_after = "soon"  # type: ignore[assignment]


@huey.task()
def broken(payload: dict[str, Any]) -> None:
    """Raises an exception that cannot be classified like other errors."""
    kind = payload["kind"]
    current_job().log("half \ud800 a character")
    if kind == "untellable":
        raise _Untellable
    if kind == "no time":
        raise _NoTime("tired")
    if kind == "limit":
        raise Postpone(delay=0.01, limit=float("nan"))
    if kind == "half":
        raise ValueError("half \ud800 a character")
    raise KeyboardInterrupt


@huey.task()
def hear(*args: Any) -> list[Any]:
    return list(args)


@huey.task()
def fail_with(password: str) -> None:
    raise ValueError(f"no good: {password}")


@huey.task()
@huey.lock_task("two")
def locked_twice(word: str) -> str:
    return word


class Amount(BaseModel):
    cents: int


@huey.task()
def pay(amount: Amount, times: int = 1) -> int:
    return amount.cents * times


@huey.task()
def nothing() -> str:
    return "done"


@huey.task(priority=1, retries=4, retry_delay=2, timeout=7, expires=0.2)
def special(payload: dict[str, Any]) -> None:
    _note("special")


@huey.task()
def steady(payload: dict[str, Any]) -> int:
    """Reports progress and log lines continuously."""
    job, steps = current_job(), int(payload["seconds"] * 20)
    _note(f"begin:{payload['n']}")
    for step in range(steps):
        job.progress(100 * step / steps, f"step {step}")
        job.log(f"step {step}")
        time.sleep(0.05)
    _note(f"end:{payload['n']}")
    return steps


@huey.task()
def careful(payload: dict[str, Any]) -> bool:
    """Makes a call that must happen once, and adds a job, while Redis may be away."""
    _note(f"begin:{payload['n']}")
    time.sleep(payload["seconds"])
    job = current_job()
    job.check()
    called = job.once("call")
    if called:
        _note(f"call:{payload['n']}")
    echo.add({"n": payload["n"]}, job_id=f"after-{payload['n']}")
    job.mark_done("call")
    return called


@huey.task()
def leak(payload: dict[str, Any]) -> dict[str, Any]:
    """Writes its secret to everything that a task can write to."""
    job, secret = current_job(), payload["password"]
    job.progress(40, f"as {secret}")
    job.log(f"went in as {secret}")
    return {"said": f"in as {secret}", "list": [secret]}


@huey.task()
def hold_on(payload: dict[str, Any]) -> None:
    """Runs until it must stop, and sends nothing to Redis."""
    job = current_job()
    try:
        _note(f"begin:{payload['n']}")
        while job.may_wait():
            time.sleep(0.01)
        _note(f"let-go:{payload['n']}")
    except JobInterrupted:
        # It may come at any moment, once: amid the note of either kind, too.
        _note(f"let-go:{payload['n']}")
        raise
    job.check()


@huey.task()
def deaf(payload: dict[str, Any]) -> None:
    """Ignores every interrupt: a process that does not yield."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    _note("deaf")
    time.sleep(payload["seconds"])


@huey.task()
def without_redis(payload: dict[str, Any]) -> None:
    """Raises the error of a Redis call of its own that got no answer."""
    raise RedisUnavailable("the server did not answer")


@huey.task()
def unheeding(payload: dict[str, Any]) -> str:
    """Goes on whatever happens, and returns as if nothing had."""
    _note(f"begin:{payload['n']}")
    until, errors = time.monotonic() + payload["seconds"], set[str]()
    while time.monotonic() < until and not errors:
        try:
            current_job().log("on")
            time.sleep(0.02)
        except BaseException as error:
            errors.add(type(error).__name__)
    _note(f"heard:{','.join(errors)}")
    return "well done"


@huey.task()
def poll(payload: dict[str, Any]) -> str:
    """Asks whether it is cancelled, and then returns as if it were not."""
    # A cancel may come as soon as the note is there.
    with contextlib.suppress(JobInterrupted):
        _note(f"begin:{payload['n']}")
        while not current_job().cancelled:
            time.sleep(0.02)
    _note("polled")
    return "well done"


@huey.task()
def marking(payload: dict[str, Any]) -> str:
    """Does something once, and is cancelled meanwhile."""
    job = current_job()
    if job.done("it"):
        return "done before"
    _note("begin")
    while not job.cancelled:
        time.sleep(0.01)
    try:
        job.mark_done("it")
    except JobCancelled:
        _note("raised")
        raise
    return "not cancelled"


@huey.task()
def rated(payload: dict[str, Any]) -> None:
    """Notes between which times, on one clock for all processes, it was let in."""
    asked = time.monotonic()
    limiter = huey.rate_limit("calls", payload["limit"], payload["per"], payload.get("retry", True))
    with limiter:
        begun = time.monotonic()
        with Path(os.environ["TRIAL_FILE"]).open("a") as file:
            file.write(f"rated:{asked} {begun}\n")
