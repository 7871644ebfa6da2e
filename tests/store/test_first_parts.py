"""Most jobs are added by lib/one, and completed and claimed by lib/turn, with commands of their own.

These must leave exactly what the rest of their scripts leaves.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from functools import cache, partial
from typing import Any

import pytest
import redis

from hsejobs.store import scripts
from hsejobs.store.claims import Claim, read_step
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


@cache
def _texts(script: scripts.Script) -> tuple[str, str, str]:
    """The script, the same without its first parts, and those alone, at a fixed time."""
    text = script.text
    assert text.count(_CLOCK) == text.count(_REST) > 1
    text = text.replace(_CLOCK, f"local clock = {{ '{STOPPED}', '1234' }}")
    at = text.rindex(_REST)
    return text, text[: text.index("\n") + 1] + text[at:], text[:at] + "return 'rest'"


def _prepare(client: Any, queue: list[tuple[Any, ...]], job: NewJob | None = None) -> None:
    client.flushdb()
    if job is not None:
        _run(client, scripts.ADD, 1, (*job.shared(), *job.own()))
    for name, key, *values in queue:
        client.execute_command(name, BASE + key, *values)


#: All that is there: name, type and contents of each key.
_EVERYTHING = """
local read = {
  string = { 'GET' },
  hash = { 'HGETALL' },
  zset = { 'ZRANGE', 0, -1, 'WITHSCORES' },
  list = { 'LRANGE', 0, -1 },
  stream = { 'XRANGE', '-', '+' },
}
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local name, first, last, more = unpack(read[kind])
  local words = { name, key }
  for _, word in ipairs({ first, last, more }) do words[#words + 1] = word end
  found[#found + 1] = { key, kind, redis.call(unpack(words)) }
end
return found
"""

#: The time to live of each key, in seconds.
_STAYS = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  found[#found + 1] = { key, redis.call('TTL', key) }
end
return found
"""


def _left(client: Any) -> Any:
    """All that is there; entries of the feed without their time."""
    return {key: _plain(kind, value) for key, kind, value in client.eval(_EVERYTHING, 0)}


def _plain(kind: bytes, value: Any) -> Any:
    if kind == b"hash":
        return dict(zip(value[::2], value[1::2], strict=True))
    return [fields for _, fields in value] if kind == b"stream" else value


def _run(client: Any, script: scripts.Script, part: int, args: Any) -> Any:
    return client.eval(_texts(script)[part], 1, BASE, *args)


def _told(script: scripts.Script, reply: Any) -> Any:
    """What a worker reads in a reply: lib/turn answers with a text, the rest with a list."""
    if script is not scripts.COMPLETE:
        return reply
    letters, claims = read_step(reply, "token")
    return letters, [[getattr(one, name) for name in Claim.__slots__] for one in claims]


def _both(client: Any, script: scripts.Script, args: Any, prepare: Callable[[Any], None]) -> bool:
    """Runs the script with and without its first parts; returns whether these did all of it."""
    seen = []
    for part in (0, 1):
        with client.pipeline(transaction=True) as together:
            # At once: the machine may be busy for seconds between what sets a key's time and what reads it.
            prepare(together)
            _run(together, script, part, args)
            together.eval(_STAYS, 0)
            *_, reply, stays = together.execute()
        seen.append((_told(script, reply), dict(stays), _left(client)))
    assert seen[0] == seen[1]
    prepare(client)
    return bool(_run(client, script, 2, args) != b"rest")


@pytest.mark.parametrize(("queue", "plain", "owned"), QUEUES, ids=lambda one: str(one)[:60])
def test_adds_leave_the_same(
    redis_client: Any, queue: list[tuple[Any, ...]], plain: bool, owned: bool
) -> None:
    for values in JOBS:
        for priority in (1, 3):
            job = NewJob("j", "m.t", b'{"a":1}', priority, 2, 5000, 60_000, **values)
            args = (*job.shared(), *job.own())
            alone = _both(redis_client, scripts.ADD, args, partial(_prepare, queue=queue))
            # The virtual time of another priority is its own.
            if priority == 3 or "no number" not in str(queue):
                assert alone == (owned if job.organization_id else plain), values
    # A job that is there is left to the rest.
    assert not _both(redis_client, scripts.ADD, args, partial(_prepare, queue=[], job=job))


@pytest.mark.parametrize(
    "values",
    [{"delay": 5}, {"extras": b"x"}, {"tenant_backlog": 9}, {"family": "p"}, {"priority": 9}],
)
def test_other_jobs_are_left_to_the_rest(redis_client: Any, values: dict[str, Any]) -> None:
    job = NewJob("j", "m.t", b"{}", 3, 1, 0, 0)._replace(**values)
    args = (*job.shared(), *job.own())
    assert not _both(redis_client, scripts.ADD, args, partial(_prepare, queue=[]))


#: What a claim finds; whether lib/turn claims a job of no organization, and one of an organization.
CLAIMED: list[tuple[list[tuple[Any, ...]], bool, bool]] = [
    ([], True, True),
    ([("HSET", "share", "f", "0")], True, True),
    ([("HSET", "share", "f", "0", "on", "1")], True, True),
    ([("HSET", "j:j", "ws", "1799999000000", "am", "2")], True, True),
    ([("HSET", "j:j", "sl", "1")], False, False),
    ([("HSET", "j:j", "cl", "1 ann")], False, False),
    ([("HSET", "j:j", "st", "c")], False, False),
    ([("HSET", "j:j", "am", "many")], False, False),
    ([("HSET", "j:j", "ct", "once"), ("HDEL", "j:j", "ws")], False, False),
    ([("HDEL", "j:j", "n")], False, False),
    ([("DEL", "j:j")], False, False),
    ([("DEL", "p:j")], True, True),
    ([("SET", "p:j", "1\n2\n")], True, True),
    ([("HSET", "j:j", "n", "m\nt")], True, True),
    ([("HSET", "j:j", "u", "u\noother")], False, False),
    ([("HSET", "j:j", "sg", "a\nb")], False, False),
    ([("SET", "p:j", "1" * 1025)], True, True),
    # One that a limit has parked is no reason to wake a worker.
    ([("ZADD", "o:waiting:one", str(6 * 2**50 + 7), "second"), ("DEL", "bell")], True, True),
    ([("HSET", "share", "l", "2")], False, False),
    ([("HSET", "share", "r", "5 1000")], False, False),
    ([("HSET", "share", "t", "2")], False, False),
    ([("HSET", "share", "x", "1")], False, False),
    ([("HSET", "share", "p", "1")], False, False),
    ([("HSET", "share", "h", "1")], False, False),
    ([("SET", "paused", "1")], False, False),
    ([("SET", "resent:token", "1")], False, False),
    ([("HSET", "revoked", "r:j", "1")], False, False),
    ([("ZADD", "delayed", "5", "other")], False, False),
    ([("ZADD", "delayed", str(STOPPED * 1000 + 2), "other")], True, True),
    ([("ZADD", "turns", "5", "3two"), ("HSET", "share", "on", "1")], False, False),
    ([("ZADD", "waiting", str(3 * 2**50 + 7), "second")], True, True),
    ([("ZADD", "waiting", str(3 * 2**50 + 7), "second"), ("LPUSH", "bell", "1")], True, True),
    ([("ZADD", "o:waiting:one", str(3 * 2**50 + 7), "second")], True, True),
    ([("HSET", "m:30000000", "wu", "many")], True, True),
    ([("ZREM", "waiting", "j"), ("ZADD", "waiting", "9", "lost")], False, True),
]


@pytest.mark.parametrize(("queue", "plain", "owned"), CLAIMED, ids=lambda one: str(one)[:60])
@pytest.mark.parametrize("bell", ["", "w1"])
def test_claims_leave_the_same(
    redis_client: Any, queue: list[tuple[Any, ...]], plain: bool, owned: bool, bell: str
) -> None:
    for values in JOBS:
        if "key" not in values:
            job = NewJob("j", "m.t", b'{"a":1}', 3, 2, 5000, 60_000, **values)
            alone = _both(
                redis_client,
                scripts.COMPLETE,
                (1, "token", 30_000, 0, bell, 0),
                partial(_prepare, queue=queue, job=job),
            )
            assert alone == (owned if job.organization_id else plain), values


def test_other_claims_are_left_to_the_rest(redis_client: Any) -> None:
    plain = NewJob("j", "m.t", b"{}", 3, 2, 5000, 60_000)
    args = (1, "t", 5000, 0, "", 0)
    for job, other in (
        (plain, (2, *args[1:])),
        (plain, (1, "t", 5000, 1, "")),
        (plain, (0, *args[1:])),
        (plain._replace(key="k"), args),
    ):
        prepare = partial(_prepare, queue=[], job=job)
        assert not _both(redis_client, scripts.COMPLETE, other, prepare)
    assert _both(redis_client, scripts.COMPLETE, args, partial(_prepare, queue=[]))


#: What a completed job's call finds; whether lib/turn completes it when nothing waits, and when a job of an
#: organization does, which it claims as well.
DONE: list[tuple[list[tuple[Any, ...]], bool, bool]] = [
    ([], True, True),
    ([("HSET", "m:30000000", "c", "5", "us", "many")], True, True),
    ([("HSET", "m:30000000", "wu", "many"), ("HSET", "m:30000000:one", "us", "7")], True, True),
    *(([("HSET", "j:j", name, "1")], False, False) for name in ("cl", "cp", "lk", "tk", "st")),
    ([("HSET", "j:j", "ev", "3 10000 0"), ("HSET", "share", "on", "1")], True, True),
    ([("HSET", "j:j", "ev", "3 much 0"), ("HSET", "share", "on", "1")], False, False),
    ([("HSET", "j:j", "ev", "3 10000 0"), ("HSET", "share", "on", "1", "f", "0")], False, False),
    ([("HSET", "j:j", "ev", "3 9 0"), ("HSET", "share", "on", "1", "e:m.t", "long")], False, False),
    ([("DEL", "j:j")], False, False),
    ([("HSET", "share", "l", "2")], False, False),
    ([("HSET", "share", "p", "1")], False, False),
    ([("SET", "paused", "1")], False, False),
    ([("ZADD", "delayed", "5", "other")], False, False),
    ([("ZADD", "delayed", str(STOPPED * 1000 + 2), "other")], True, True),
    ([("ZADD", "waiting", "5", "other")], False, True),
    ([("HSET", "revoked", "r:j", "1")], False, False),
    ([("SET", "resent:next", "1")], False, False),
    # A broken list of one organization.
    ([("SET", "o:completed:one", "x")], True, True),
    ([("DEL", "o:active:one"), ("SET", "o:active:one", "x")], True, True),
    # What is special about the next job alone.
    ([("HSET", "j:second", "sl", "1")], True, False),
    ([("HSET", "j:second", "ky", "k")], True, False),
    ([("HSET", "j:second", "st", "c")], True, False),
    ([("HSET", "share", "on", "1"), ("ZADD", "turns", "1", "3two")], True, False),
    ([("ZADD", "waiting", str(3 * 2**50 + 7), "third"), ("DEL", "bell")], False, True),
    ([("ZADD", "o:waiting:one", str(3 * 2**50 + 7), "third"), ("DEL", "bell")], True, True),
]


def _outcome(job: NewJob, us: Any, result: bytes) -> tuple[Any, ...]:
    kind = ("token", job.name, job.organization_id or "", job.key or "")
    return (1, *kind, "j", 1, us, result)


@pytest.mark.parametrize(("queue", "alone", "both"), DONE, ids=lambda one: str(one)[:60])
@pytest.mark.parametrize("follows", [False, True])
def test_outcomes_leave_the_same(
    redis_client: Any, queue: list[tuple[Any, ...]], alone: bool, both: bool, follows: bool
) -> None:
    def prepare(client: Any) -> None:
        _prepare(client, [], job)
        _run(client, scripts.COMPLETE, 1, (1, "token", 30_000, 0, "", 0))
        if follows:
            _run(client, scripts.ADD, 1, (*second.shared(), *second.own()))
        for name, key, *more in queue:
            if follows or "second" not in key:
                client.execute_command(name, BASE + key, *more)

    for values in JOBS:
        job = NewJob("j", "m.t", b'{"a":1}', 3, 2, 5000, 60_000, **{**values, "key": ""})
        for organization in (None, "two", "one")[0 if follows else 2 :]:
            second = NewJob("second", "m.u", b"2", 3, 1, 0, 9, organization_id=organization)
            for result in (b"null", b'{"ok":true}', b"1" * 65):
                args = (1, "next", 30_000, 0, "", *_outcome(job, 2100, result))
                seen = _both(redis_client, scripts.COMPLETE, args, prepare)
            if organization == "one":
                assert seen == (both if follows else alone)
            # Without a claim, nothing that waits is looked at.
            args = (0, "", 30_000, 0, "", *_outcome(job, 2100, result))
            assert _both(redis_client, scripts.COMPLETE, args, prepare) or not alone
    for us in (0, "1e3", "much", -1, 10**12):
        args = (1, "next", 30_000, 0, "", *_outcome(job, us, result))
        assert not _both(redis_client, scripts.COMPLETE, args, prepare)


def _steps(seed: int) -> Generator[tuple[scripts.Script, tuple[Any, ...]], Any, None]:
    """Adds and steps of four parties, with the outcomes of what was claimed."""
    chance = random.Random(seed)
    parties = [None, "one", "two", "three"][: chance.randint(2, 4)]
    held: list[tuple[str, str, str, str]] = []
    number = 0
    while True:
        if chance.random() < 0.4 or number < 4:
            for _ in range(chance.choice([1, 1, 2, 5])):
                number += 1
                org, task = chance.choice(parties), chance.choice(["m.t", "m.u"])
                job = NewJob(
                    f"j{number}",
                    task,
                    b"1",
                    chance.choice([3, 3, 3, 2]),
                    3,
                    0,
                    0,
                    organization_id=org,
                )
                yield scripts.ADD, (*job.shared(), *job.own())
            continue
        done = [
            held.pop(chance.randrange(len(held)))
            for _ in range(min(len(held), chance.choice([0, 1, 1, 1, 2])))
        ]
        token = f"t{number}-{chance.random()}"
        known = chance.random() < 0.9
        words: list[Any] = [chance.choice([1, 1, 1, 1, 0, 3]), token, 30_000, 0, "", len(done)]
        for _, its_token, org, task in done:
            words += [its_token, task, org, ""] if known else [its_token, "", "", ""]
        for at, (job_id, *_) in enumerate(done):
            words += [job_id, at + 1, chance.choice([1, 700, 10_000, 20_000, 3_000_000]), b"null"]
        reply = yield scripts.COMPLETE, tuple(words)
        for claim in read_step(reply, token)[1]:
            held.append((claim.id, token, claim.organization_id or "", claim.name))


@pytest.mark.parametrize("seed", range(30))
def test_parties_that_take_turns_have_the_same(redis_client: Any, seed: int) -> None:
    """A whole life of a queue: each call finds what the calls before have left."""
    redis_client.flushall()
    path = redis_client.connection_pool.connection_kwargs["path"]
    other = redis.Redis(unix_socket_path=path, db=1)
    steps, reply = _steps(seed), None
    for _ in range(120):
        script, args = steps.send(reply)
        before = redis_client.eval(_EVERYTHING, 0)
        reply, whole = _run(redis_client, script, 0, args), _run(other, script, 1, args)
        assert _told(script, reply) == _told(script, whole), args
        assert _left(redis_client) == _left(other), (args, before)
