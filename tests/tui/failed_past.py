"""A past for the tests: errors and marks at earlier times, as the scripts write them."""

from __future__ import annotations

from hsejobs import codec
from hsejobs.model import new_job_id
from hsejobs.store import keys
from tests.support.waiting import redis_ms
from tests.tui.conftest import Stage

BASE = keys.base("t", "mail")


def minute(stage: Stage, ago: int) -> int:
    """The minute that was ``ago`` minutes ago, since the epoch."""
    return redis_ms(stage.redis) // 60_000 - ago


def errors(stage: Stage, ago: int, count: int, group: str, *, retried: bool = False) -> None:
    """Errors of a group (code and normalized text) in the minute ``ago`` minutes ago."""
    at = minute(stage, ago)
    # The history begins two days ago, with nothing in it.
    stage.redis.command("HSET", keys.of(BASE, "history"), "m", minute(stage, 2_800))
    field = ("r" if retried else "f") + group
    stage.redis.command("HINCRBY", keys.of(BASE, "errorminute", str(at)), field, count)
    stage.redis.command("HINCRBY", keys.of(BASE, "minute", str(at)), "f", count)


def mark(stage: Stage, ago: float, kind: str, text: str, queue: str | None = None) -> None:
    """A mark ``ago`` minutes ago."""
    raw = {"kind": kind, "text": text, "who": "ann", "id": new_job_id()}
    if queue is not None:
        raw["queue"] = queue
    at = redis_ms(stage.redis) - int(ago * 60_000)
    stage.redis.command("ZADD", keys.of(keys.marks("t"), "notes"), at, codec.dumps(raw))


def fail(
    stage: Stage, job_id: str, error: str, org: str | None = None, code: str = "error"
) -> None:
    """Adds a job that fails now, and is counted in the history. No other job may be waiting."""
    from hsejobs.error_groups import normalized

    stage.add(job_id, org=org)
    ((found, token),) = stage.claim()
    assert found == job_id
    text = codec.dumps({"error": error, "attempt": 1, "code": code})
    stage.work.fail(
        job_id,
        token,
        code=code,
        error=text,
        run_us=10,
        final=True,
        delay_ms=None,
        group=normalized(error),
    )
