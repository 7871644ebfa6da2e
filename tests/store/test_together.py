"""New jobs of one call are put into each list with one command; those that need more are added one by one.

The first must leave exactly what the second leaves.
"""

from __future__ import annotations

from typing import Any

import pytest
import redis

from hsejobs.store import adds, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.new_job import NewJob
from hsejobs.store.work import WorkerStore
from tests.store.test_first_parts import BASE, JOBS, QUEUES, _left, _prepare
from tests.support.faults import require_questions

_CLOCK = "local clock = call('TIME')"
_STOPPED = "local clock = { '1800000000', '1234' }"
#: What follows when a job's record is written, after all jobs are in their lists.
_WRITTEN = "event('waiting', id, party ~= '' and party)"

SHARED: list[dict[str, Any]] = [
    {},
    {"delay": 5000},
    {"extras": b"{}"},
    {"family": "q/parent"},
    {"tenant_backlog": 2},
    {"priority": 1},
]


#: The owners of three jobs of one call: alike, and different in what a queue goes by.
OWNERS: list[list[dict[str, Any]]] = [
    *([one] * 3 for one in JOBS),
    [{**JOBS[2], "trace": f"r-{number}"} for number in range(3)],
    [{"organization_id": "one"}, {"organization_id": "two"}, {"organization_id": "one"}],
    [{"user_id": "u"}, {}, {"nonce": "n"}],
    [{"user_id": "u", "nonce": "n1"}, {"user_id": "v", "nonce": "n2"}, {"user_id": "v"}],
    [{"key": "k", "role": "admin"}, {"key": "l", "role": "admin"}, {"role": "editor"}],
    [{}, {"organization_id": "one"}, {}],
    [{"organization_id": "one"}, {"organization_id": "one", "family": "q/parent"}, {}],
]
#: The condition under which jobs are added one by one.
_ALONE = "if run_at or extras ~= '' or quota > 0 then return false end"


def _jobs(ids: str, owners: list[dict[str, Any]], **values: Any) -> list[NewJob]:
    known = {"priority": 3, "attempts": 2, "backoff": 5000, "timeout": 60_000, **values}
    return [
        NewJob(one, "m.t", b'{"a":"%d"}' % at, **{**known, **owners[at]})
        for at, one in enumerate(ids)
    ]


def _run(client: Any, script: scripts.Script, jobs: list[NewJob], *, together: bool) -> Any:
    assert _CLOCK in script.text
    assert script.text.count(_ALONE) == 1
    text = script.text.replace(_CLOCK, _STOPPED)
    if not together:
        text = text.replace(_ALONE, "if true then return false end")
    return client.eval(text, 1, BASE, *adds.args((script, jobs)))


@pytest.mark.parametrize("shared", SHARED, ids=str)
@pytest.mark.parametrize("queue", [one for one, _, _ in QUEUES], ids=lambda one: str(one)[:60])
def test_jobs_that_are_added_together_leave_the_same(
    redis_client: Any, queue: list[tuple[Any, ...]], shared: dict[str, Any]
) -> None:
    there = _jobs("c", [{}])[0]
    for owners in OWNERS:
        # The last two: an id twice in one call, and one that is there.
        for ids, before in (("abc", None), ("aba", None), ("abc", there)):
            jobs = _jobs(ids, owners, **shared)
            alike = owners[0] == owners[1] == owners[2]
            for script in (scripts.ADD, scripts.ADD_ALIKE) if alike else (scripts.ADD,):
                seen = []
                for together in (True, False):
                    _prepare(redis_client, queue, before)
                    reply = _run(redis_client, script, jobs, together=together)
                    seen.append((reply, _left(redis_client)))
                assert seen[0] == seen[1], (owners, ids)


@pytest.mark.parametrize("ids", ["aba", "aab", "baa", "bab"])
def test_an_id_that_comes_twice_in_a_call_is_one_job(redis_client: Any, ids: str) -> None:
    for together in (True, False):
        _prepare(redis_client, [], None)
        _run(redis_client, scripts.ADD_ALIKE, _jobs(ids, [{}] * 3), together=together)
        assert set(redis_client.zrange(f"{BASE}waiting", 0, -1)) == {b"a", b"b"}
        # The first one's payload, and what is counted.
        for one in "ab":
            assert redis_client.get(f"{BASE}p:{one}") == b'{"a":"%d"}' % ids.index(one)
        (minute,) = redis_client.keys(f"{BASE}m:*")
        assert redis_client.hgetall(minute) == {b"ad|m.t": b"2"}


def test_the_records_after_the_first_are_copies_where_that_is_allowed(redis_client: Any) -> None:
    require_questions(redis_client)
    copies = []
    for owners in OWNERS:
        for script in (
            (scripts.ADD, scripts.ADD_ALIKE) if owners[1:] == owners[:-1] else (scripts.ADD,)
        ):
            _prepare(redis_client, [], None)
            redis_client.config_resetstat()
            _run(redis_client, script, _jobs("abc", owners), together=True)
            copies.append(redis_client.info("commandstats").get("cmdstat_copy", {}).get("calls", 0))
    # Two where each of the three has the fields of the first, one where the second has them, else none.
    assert copies == [2] * 10 + [0, 1, 1, 0, 0]


@pytest.mark.parametrize("organization", [None, "one"])
@pytest.mark.parametrize("script", [scripts.ADD, scripts.ADD_ALIKE], ids=lambda one: one.name)
def test_no_record_of_a_bulk_add_that_ended_in_the_middle_is_in_no_list(
    redis_url: str, redis_client: Any, script: scripts.Script, organization: str | None
) -> None:
    jobs = _jobs("abcd", [{"organization_id": organization}] * 4)
    args, text = adds.args((script, jobs)), script.text
    assert text.count(_WRITTEN) == 1
    cut = text.replace(_WRITTEN, f"if at == 2 then error('cut') end\n{_WRITTEN}")
    with pytest.raises(redis.exceptions.ResponseError, match="cut"):
        redis_client.eval(cut, 1, BASE, *args)
    records = {key.rpartition(b":")[2] for key in redis_client.keys(f"{BASE}j:*")}
    assert records == {b"a", b"b"}
    assert records <= set(redis_client.zrange(f"{BASE}waiting", 0, -1))

    client = RedisClient(redis_url)
    worker = WorkerStore(client, "t", "q", patience=1)
    # The others were never added: claims pass them over, and the caller adds them again.
    assert [one.id for one in worker.step([], 4, "token", 60_000)[1]] == ["a", "b"]
    assert redis_client.zcard(f"{BASE}waiting") == 0
    assert redis_client.eval(text, 1, BASE, *args) == b"1a 1a 1w 1w"
    assert [one.id for one in worker.step([], 4, "other", 60_000)[1]] == ["c", "d"]
    client.close()
