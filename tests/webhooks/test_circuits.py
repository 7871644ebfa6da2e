"""A circuit's life in Redis: one script per transition, on one server and on a Cluster."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import redis

from hsejobs.errors import UnknownCircuit
from hsejobs.store.circuits import Circuit, Circuits, smtp_circuit, webhook_circuit
from hsejobs.store.client import RedisClient
from tests.support import wait_until
from tests.support.cluster import Cluster

NAME = webhook_circuit("org-1", "a.example:443")


@pytest.fixture
def circuits(redis_url: str) -> Iterator[Circuits]:
    client = RedisClient(redis_url)
    yield Circuits(client, "hsejobs")
    client.close()


def report(
    circuits: Circuits, token: str, verdict: str, open_ms: int = 60_000, longest: int = 900_000
) -> str:
    return circuits.report(
        NAME, token, verdict, "down", threshold=5, open_ms=open_ms, longest_ms=longest
    )


def fail(circuits: Circuits, n: int, **times: int) -> str:
    return [report(circuits, f"f{n}-{i}", "fail", **times) for i in range(n)][-1]


def enter(circuits: Circuits, token: str, trial_ms: int = 60_000) -> str:
    return circuits.enter(NAME, token, trial_ms).kind


def is_trial(circuits: Circuits, token: str) -> bool:
    return enter(circuits, token) == "trial"


def test_five_consecutive_failures_open_the_circuit(circuits: Circuits) -> None:
    assert fail(circuits, 4) == "closed"
    assert report(circuits, "good", "ok") == "closed"
    assert circuits.get(NAME).failures == 0
    assert [report(circuits, f"g{i}", "fail") for i in range(5)] == ["closed"] * 4 + ["open"]
    entry = circuits.enter(NAME, "x", 1000)
    assert (entry.kind, entry.may) == ("open", False)
    assert 59_000 < (entry.wait_ms or 0) <= 60_000
    one = circuits.get(NAME)
    assert (one.state, one.failures, one.last_error) == ("open", 5, "down")
    assert (one.organization_id, one.host, one.manual) == ("org-1", "a.example:443", False)
    assert one.until is not None
    assert one.since is not None
    assert 59_000 <= one.until - one.since <= 61_000
    assert circuits.enter(webhook_circuit("org-2", "a.example:443"), "x", 1000).kind == "closed"


def test_a_report_counts_once_however_often_it_is_sent(circuits: Circuits) -> None:
    for i in range(3):
        for _ in range(3):
            report(circuits, f"t{i}", "fail")
    report(circuits, "t0", "fail")
    assert circuits.get(NAME).failures == 3


def test_a_good_call_to_a_good_host_writes_nothing(
    circuits: Circuits, redis_client: redis.Redis
) -> None:
    assert enter(circuits, "a") == "closed"
    report(circuits, "a", "ok")
    report(circuits, "b", "none")
    assert redis_client.keys() == []


def test_exactly_one_trial(circuits: Circuits) -> None:
    fail(circuits, 5, open_ms=50)
    assert enter(circuits, "early") == "open"
    wait_until(lambda: circuits.get(NAME).state == "half-open", what="the end of the minute")
    with ThreadPoolExecutor(8) as pool:
        kinds = list(pool.map(lambda i: enter(circuits, f"w{i}"), range(40)))
        list(pool.map(lambda _: circuits.redis.close(), range(8)))
    assert sorted(kinds) == ["trial"] + ["waiting"] * 39
    winner = f"w{kinds.index('trial')}"
    assert enter(circuits, winner) == "trial"  # sent again after a lost reply
    # Reports of calls that began earlier do not decide the trial.
    assert report(circuits, "straggler", "ok") == "half-open"
    assert report(circuits, "straggler-2", "fail") == "half-open"
    assert report(circuits, winner, "ok") == "closed"
    assert enter(circuits, "next") == "closed"
    assert circuits.get(NAME).failures == 0


def test_a_failed_trial_doubles_the_wait_up_to_the_longest(circuits: Circuits) -> None:
    fail(circuits, 5, open_ms=20)
    waits = []
    for i in range(4):
        wait_until(partial(is_trial, circuits, f"t{i}"), what="the trial")
        assert report(circuits, f"t{i}", "fail", open_ms=20, longest=100) == "open"
        waits.append(circuits.enter(NAME, "other", 1000).wait_ms or 0)
    assert 20 < waits[0] <= 40
    assert 40 < waits[1] <= 80
    assert 80 < waits[2] <= 100
    assert 80 < waits[3] <= 100


def test_a_dead_workers_trial_passes_to_another(circuits: Circuits) -> None:
    fail(circuits, 5, open_ms=10)
    wait_until(lambda: enter(circuits, "dead", 200) == "trial", what="the trial")
    assert enter(circuits, "other") == "waiting"
    wait_until(lambda: enter(circuits, "other") == "trial", what="the next trial")
    # The dead worker returns: its report does not count any more.
    assert report(circuits, "dead", "ok") == "half-open"
    assert report(circuits, "other", "none") == "open"
    assert enter(circuits, "third") == "trial"


def test_by_hand(circuits: Circuits, redis_client: redis.Redis) -> None:
    with pytest.raises(UnknownCircuit):
        circuits.close(NAME)
    circuits.open(NAME)
    assert circuits.enter(NAME, "a", 1000).wait_ms is None
    assert enter(circuits, "a") == "open"
    one = circuits.get(NAME)
    assert (one.state, one.manual, one.until) == ("open", True, None)
    report(circuits, "a", "ok")
    assert circuits.get(NAME).manual
    key = f"hsejobs:{{_circuits}}:c:{NAME}"
    assert redis_client.ttl(key) == -1
    circuits.close(NAME)
    assert enter(circuits, "a") == "closed"
    assert 0 < redis_client.ttl(key) <= 86400
    fail(circuits, 5)
    circuits.close(NAME)
    assert enter(circuits, "a") == "closed"
    assert fail(circuits, 4) == "closed"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "webhook:a.example:443",
        "webhook::a.example:443",
        "email:-:a:1",
        "smtp:a",
        "smtp:A:1",
        "webhook:a b:h:1",
        "webhook:a:h:1\n",
        "webhook:a:h h:1",
        "webhook:a:h:123456",
    ],
)
def test_a_name_that_is_none(circuits: Circuits, name: str) -> None:
    for act in (circuits.open, circuits.close):
        with pytest.raises(UnknownCircuit):
            act(name)


def test_names_are_unique_and_tell_what_they_guard() -> None:
    orgs = [None, "-", "a", "a:b", "a%3Ab", "ä ö", "😀" * 200]
    names = [webhook_circuit(org, place) for org in orgs for place in ("h:1", "[::1]:1", "b:h:1")]
    assert len(set(names)) == len(names)
    for org in orgs:
        one = Circuit(webhook_circuit(org, "[2001:db8::1]:443"), "open", 0, None, None, False, None)
        assert (one.organization_id, one.host) == (org, "[2001:db8::1]:443")
    mail = Circuit(smtp_circuit("::1", 25), "open", 0, None, None, False, None)
    assert (mail.name, mail.organization_id, mail.host) == ("smtp:[::1]:25", None, "[::1]:25")


def test_the_list_is_complete_and_tenants_see_their_own(circuits: Circuits) -> None:
    for i in range(1100):
        circuits.open(webhook_circuit(f"org-{i % 2}", f"h{i}:1"))
    assert len(circuits.all()) == 1100
    assert {one.organization_id for one in circuits.all("org-1")} == {"org-1"}
    assert len(circuits.all("org-1")) == 550


def test_forgotten_after_a_day(circuits: Circuits, redis_client: redis.Redis) -> None:
    fail(circuits, 5)
    index = "hsejobs:{_circuits}:circuits"
    redis_client.zadd(index, {"webhook:-:old:1": 1000})
    assert [one.name for one in circuits.all()] == [NAME]
    report(circuits, "more", "fail")
    assert redis_client.zcard(index) == 1


def test_on_a_cluster(cluster: Cluster) -> None:
    client = RedisClient(cluster.url)
    try:
        circuits: Any = Circuits(client, "hsejobs")
        assert fail(circuits, 5, open_ms=10) == "open"
        wait_until(lambda: enter(circuits, "t") == "trial", what="the trial")
        assert report(circuits, "t", "ok") == "closed"
        circuits.open(NAME)
        assert [one.state for one in circuits.all()] == ["open"]
    finally:
        client.driver.close()
