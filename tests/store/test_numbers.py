"""Numbers at their extremes: what Lua computes is what Python computes, and nothing leaves the finite."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hsejobs.model import (
    LARGEST,
    LONGEST_MS,
    State,
    iso_time,
    whole_number,
)
from hsejobs.store import keys
from tests.store.plain import delay_of
from tests.store.test_acts import Store

SHARED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def edges(least: int, most: int) -> st.SearchStrategy[int]:
    """Whole numbers of a range, its ends and powers of two more often than others."""
    near = [least, least + 1, most - 1, most, *(2**n for n in range(60) if least <= 2**n <= most)]
    return st.sampled_from(near) | st.integers(least, most)


@pytest.fixture
def store(redis_url: str) -> Store:
    return Store(redis_url)


def record(store: Store, job_id: str) -> dict[str, str]:
    flat = store.redis.command("HGETALL", keys.of(keys.base("t", "q"), "job", job_id))
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def score(store: Store, state: State, job_id: str) -> int:
    found = store.redis.command("ZSCORE", keys.index(keys.base("t", "q"), state), job_id)
    return int(float(found))


@SHARED
@given(
    base=edges(0, LONGEST_MS),
    made=edges(1, 1000),
    attempts=edges(1, 1000),
    least=edges(0, LONGEST_MS),
)
@example(base=0, made=443, attempts=1000, least=0)  # 0 x 5^442 was no number
@example(base=1, made=999, attempts=1000, least=0)
@example(base=LONGEST_MS, made=999, attempts=1000, least=LONGEST_MS)
def test_the_backoff(store: Store, base: int, made: int, attempts: int, least: int) -> None:
    store.writer.obliterate("q", force=True)
    store.add("a", attempts=attempts, backoff=base)
    store.redis.command("HSET", keys.of(keys.base("t", "q"), "job", "a"), "am", made - 1)
    (pair,) = store.claim()
    before = store.reader.now("q")
    letter, delay = store.work.fail(
        *pair, code="error", error=b"{}", run_us=0, final=False, delay_ms=least
    )
    if made >= attempts:
        assert (letter, delay) == ("f", 0)
        return
    assert (letter, delay) == ("d", delay_of(base, made, least))
    run_at = int(record(store, "a")["ra"])
    assert before + delay <= run_at <= store.reader.now("q") + delay
    assert score(store, State.DELAYED, "a") == run_at
    assert store.reader.job("q", "a").run_at == run_at


@SHARED
@given(
    priority=st.integers(1, 5),
    delay=edges(0, LONGEST_MS),
    backoff=edges(0, LONGEST_MS),
    timeout=edges(0, LONGEST_MS),
    attempts=edges(1, 1000),
    run_us=edges(0, 2**62),
    postponed=edges(0, 2**70),
    seq=edges(0, 2**49),
)
def test_what_is_added_is_what_is_read(
    store: Store,
    priority: int,
    delay: int,
    backoff: int,
    timeout: int,
    attempts: int,
    run_us: int,
    postponed: int,
    seq: int,
) -> None:
    store.writer.obliterate("q", force=True)
    store.redis.command("SET", keys.of(keys.base("t", "q"), "seq"), seq)
    before = store.reader.now("q")
    store.add(
        "a", priority=priority, delay=delay, backoff=backoff, timeout=timeout, attempts=attempts
    )
    job = store.reader.job("q", "a")
    assert (job.priority, job.backoff, job.timeout, job.attempts) == (
        priority,
        backoff,
        timeout,
        attempts,
    )
    if delay:
        assert job.run_at is not None
        assert before + delay <= job.run_at <= store.reader.now("q") + delay
        store.writer.promote("q", "a")
    assert score(store, State.WAITING, "a") == priority * keys.PRIORITY_SPAN + seq + 1
    _, (claim,) = store.work.step([], 1, "token", LONGEST_MS)
    assert (claim.attempts, claim.backoff, claim.timeout) == (attempts, backoff, timeout)
    assert score(store, State.ACTIVE, "a") <= store.reader.now("q") + LONGEST_MS
    now = store.reader.now("q")
    assert store.work.postpone("a", "token", postponed) == ("d", 0)
    later = score(store, State.DELAYED, "a")
    assert now <= later - min(postponed, LONGEST_MS) <= store.reader.now("q")
    store.writer.promote("q", "a")
    (pair,) = store.claim()
    letter, _ = store.work.fail(
        *pair, code="error", error=b"{}", run_us=run_us, final=True, delay_ms=None
    )
    assert letter == "f"
    (stats,) = store.reader.stats(["q"])
    assert stats.window().run_us <= LONGEST_MS * 1000 * 200
    assert stats.failed == 1


@given(
    st.floats()
    | st.integers()
    | st.text()
    | st.binary()
    | st.none()
    | st.from_regex(rb"[0-9]{1,20}", fullmatch=True)
)
def test_a_number_out_of_a_record_is_finite(value: Any) -> None:
    found = whole_number(value)
    assert found is None or (isinstance(found, int) and abs(found) <= LARGEST)
    if isinstance(value, int) and abs(value) <= LARGEST:
        assert found == value
    if isinstance(value, bytes) and value.isdigit():
        assert found == min(LARGEST, int(value))
    told = iso_time(value)
    assert told is None or len(told) == 24
    assert (told is None) == (found is None or not 0 <= found < 253_402_300_800_000)
    assert not (isinstance(value, float) and not math.isfinite(value) and found is not None)
