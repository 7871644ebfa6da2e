"""lib/one adds most jobs with commands of its own: it must leave exactly what lib/add leaves."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs.store import scripts
from hsejobs.store.new_job import NewJob

BASE = "t:{q}:"
STOPPED = 1_800_000_000
_CLOCK = "local clock = call('TIME')"
_REST = "local may, key = redis.acl_check_cmd"

OWNER = {"organization_id": "one", "user_id": "u", "role": "member", "key": "k", "nonce": "n"}
JOBS: list[dict[str, Any]] = [
    {},
    {"organization_id": "one"},
    {**OWNER, "signature": "a", "trace": "r-1"},
    {"user_id": "u", "nonce": "n"},
]
#: Commands that prepare the queue; whether lib/one adds jobs of no organization, and of one, to it.
QUEUES: list[tuple[list[tuple[Any, ...]], bool, bool]] = [
    ([], True, False),
    ([("HSET", "share", "f", "1")], True, False),
    ([("HSET", "share", "f", "1", "on", "1", "v3", "4096")], True, True),
    ([("HSET", "share", "on", "1"), ("ZADD", "turns", "5", "3one", "7", "3")], True, True),
    ([("HSET", "share", "on", "1"), ("ZADD", "turns:rested", "4e15", "3one")], True, True),
    ([("HSET", "share", "on", "1"), ("ZADD", "turns:rested", "9", "3one")], True, True),
    ([("HSET", "share", "on", "1", "v3", "no number")], False, False),
    ([("HSET", "share", "on", "1", "f", "0")], False, False),
    ([("HSET", "share", "on", "1", "p", "1"), ("ZADD", "turns:parked", "1", "3one")], False, False),
    ([("RPUSH", "bell", "1")], True, False),
    ([("SET", "paused", "older")], False, False),
    ([("SET", "seq", "no number")], False, False),
    ([("SET", "seq", str(2**50 - 1))], False, False),
    ([("HSET", "m:30000000", "ad|m.t", "many", "other", "1")], True, False),
    ([("HSET", "m:30000000", "ad|m.t", "6"), ("HSET", "share", "on", "1")], True, True),
]


def _texts() -> tuple[str, str]:
    """The script of `add`, and the same without lib/one, both at a fixed time."""
    text = scripts.ADD.text
    assert text.count(_CLOCK) == text.count(_REST) == 2
    text = text.replace(_CLOCK, f"local clock = {{ '{STOPPED}', '1234' }}")
    return text, "local call = redis.call\n" + text[text.rindex(_REST) :]


def _left(client: Any, text: str, job: NewJob, queue: list[tuple[Any, ...]]) -> Any:
    client.flushdb()
    for name, key, *values in queue:
        client.execute_command(name, BASE + key, *values)
    reply = client.eval(text, 1, BASE, *job.shared(), *job.own())
    left = {key: client.dump(key) for key in client.keys("*") if b":events" not in key}
    assert client.eval(text, 1, BASE, *job.shared(), *job.own()) in (
        reply.replace(b"1", b"0"),
        reply,
    )
    ttls = {key: client.ttl(key) for key in left}
    return reply, left, ttls, [one for _, one in client.xrange(f"{BASE}events")]


@pytest.mark.parametrize(("queue", "plain", "owned"), QUEUES, ids=lambda one: str(one)[:60])
def test_both_leave_the_same(
    redis_client: Any, queue: list[tuple[Any, ...]], plain: bool, owned: bool
) -> None:
    whole, rest = _texts()
    # What reaches the rest fails, so that what lib/one adds is known.
    alone = whole[: whole.rindex(_REST)] + "return 'rest'"
    for values in JOBS:
        for priority in (1, 3, 5):
            job = NewJob("j", "m.t", b'{"a":1}', priority, 2, 5000, 60_000, **values)
            assert _left(redis_client, whole, job, queue) == _left(redis_client, rest, job, queue)
            redis_client.flushdb()
            for name, key, *more in queue:
                redis_client.execute_command(name, BASE + key, *more)
            said = redis_client.eval(alone, 1, BASE, *job.shared(), *job.own())
            expected = owned if job.organization_id else plain
            # The virtual time of another priority is its own.
            if priority == 3 or "no number" not in str(queue):
                assert said == (b"1w" if expected else b"rest"), values


@pytest.mark.parametrize(
    "values",
    [{"delay": 5}, {"extras": b"x"}, {"tenant_backlog": 9}, {"family": "p"}, {"priority": 9}],
)
def test_other_jobs_are_left_to_the_rest(redis_client: Any, values: dict[str, Any]) -> None:
    whole, rest = _texts()
    job = NewJob("j", "m.t", b"{}", 3, 1, 0, 0)._replace(**values)
    assert _left(redis_client, whole, job, []) == _left(redis_client, rest, job, [])
