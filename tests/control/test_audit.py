"""The audit log: one entry per act, by the act's own scripts; how long, how many, whose, and its copy."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from hsejobs.control import audit
from hsejobs.control.actors import Actor
from hsejobs.control.acts import Acts, Hooks
from hsejobs.control.audit import FILE, AuditEntry, FileLog, forget, forget_in_redis
from hsejobs.errors import Forbidden, InvalidOption, RedisUnavailable, WrongState
from hsejobs.model import State
from hsejobs.store import keys, scripts
from hsejobs.store.audits import WHERE_LENGTH, AuditStore, begin
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import JobWriter, NewJob
from tests.support.cluster import Cluster
from tests.support.proxy import FlakyProxy
from tests.support.waiting import tick

BASE = keys.base("t", "q")
ANN = Actor("http", "admin", "org-1", "ann")


class Kept:
    """A second place for entries."""

    def __init__(self, *, works: bool = True) -> None:
        self.entries: list[AuditEntry] = []
        self.works = works

    def append(self, entry: AuditEntry, organization_id: str | None) -> bool:
        self.entries.append(entry)
        return self.works


def add(client: RedisClient, *ids: str, org: str | None = None, queue: str = "q") -> None:
    for job_id in ids:
        new = NewJob(job_id, "t", b'{"secret":"hush"}', 3, 1, 0, 0, nonce="n", organization_id=org)
        JobWriter(client, "t").add(queue, new)


@pytest.fixture
def client(redis_url: str, no_leaks: None) -> Iterator[RedisClient]:
    made = RedisClient(redis_url)
    yield made
    made.close()


def log(client: RedisClient, *queues: str, **more: Any) -> list[AuditEntry]:
    return list(audit.entries(client, "t", queues or ("q",), **more))


def contains(part: bytes, whole: bytes) -> bool:
    return part in whole


def acts(client: RedisClient, actor: Actor | None = None, place: audit.Log | None = None) -> Acts:
    return Acts(client, "t", actor or Actor("cli", user_id="olga"), place or Kept())


def test_an_entry_says_who_did_what_through_which_door(client: RedisClient, tmp_path: Path) -> None:
    add(client, "a", "b", org="org-1")
    chosen = [("a", ""), ("b", "")]
    many = acts(client, ANN, FileLog(tmp_path, "redis"))
    list(many.many("cancel", "q", chosen, reason="wrong month", where="error~x"))
    [entry] = log(client)
    shown = entry.public()
    at = shown.pop("at")
    assert len(at) == len("2026-01-01T12:00:00.000Z")
    assert shown == {
        "who": "ann",
        "door": "http",
        "act": "cancel",
        "queue": "q",
        "count": 2,
        "ids": ["a", "b"],
        "where": "error~x",
        "reason": "wrong month",
    }
    [line] = (tmp_path / FILE).read_text().splitlines()
    assert json.loads(line) == {"at": at, **shown, "organizationId": "org-1", "redis": "redis"}
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_the_steps_of_an_act_are_one_entry(client: RedisClient) -> None:
    ids = [f"j{number:04}" for number in range(1_200)]
    add(client, *ids)
    (*_, done) = acts(client).many("remove", "q", [(job_id, "") for job_id in ids])
    [entry] = log(client)
    assert (done.done, entry.count) == (1_200, 1_200)
    assert entry.ids == tuple(ids[: keys.AUDIT_IDS])
    assert entry.where is None


def test_the_ids_of_an_entry_are_bounded_in_bytes(client: RedisClient) -> None:
    ids = [f"{number:02}{'x' * 190}" for number in range(40)]
    add(client, *ids)
    list(acts(client).many("remove", "q", [(job_id, "") for job_id in ids], where="y" * 999))
    [entry] = log(client)
    assert entry.count == 40
    assert 1 < len(entry.ids) <= keys.AUDIT_BYTES // 192
    assert len(entry.where or "") == WHERE_LENGTH


def test_a_crash_after_the_first_step_leaves_its_entry(client: RedisClient) -> None:
    """Seen: the entry was written after the act, by the process that died in it."""
    ids = [f"j{number:04}" for number in range(300)]
    add(client, *ids)
    steps = acts(client).many("remove", "q", [(job_id, "") for job_id in ids])
    assert next(steps).done == 100
    # A process that dies here writes nothing more.
    [entry] = log(client)
    assert (entry.act, entry.count) == ("remove", 100)
    del steps


def test_a_call_that_is_sent_again_counts_once(redis_url: str, client: RedisClient) -> None:
    add(client, "a", "b")
    with FlakyProxy(redis_url) as proxy:
        shaky = RedisClient(proxy.url)
        for script, act in ((scripts.CANCEL, "cancel"), (scripts.REMOVE, "remove")):
            proxy.cut_reply(partial(contains, script.sha.encode()))
            (*_, done) = acts(shaky).many(act, "q", [("a", ""), ("b", "")])
            assert done.seen == 2
        shaky.close()
    assert [(one.act, one.count, one.ids) for one in log(client)] == [
        ("remove", 2, ("a", "b")),
        ("cancel", 2, ("a", "b")),
    ]


def test_acts_on_nothing_and_refused_ones(client: RedisClient) -> None:
    add(client, "a")
    one = acts(client)
    with pytest.raises(WrongState):
        one.one("retry", "q", "a")
    list(one.every("promote", "q"))
    list(one.many("retry", "q", []))
    list(one.sweep("drain", "q", one.select("drain", "q")))
    list(one.sweep("drain", "q", one.select("drain", "q")))
    told = [(entry.act, entry.count, entry.where) for entry in reversed(log(client))]
    assert told == [
        ("retry", 0, None),
        ("promote", 0, "status=delayed"),
        ("retry", 0, None),
        ("drain", 1, None),
        ("drain", 0, None),
    ]
    # What does not exist for an actor, and what it may not do, leaves no trace.
    add(client, "theirs", org="org-2")
    with pytest.raises(Exception, match="no job"):
        acts(client, ANN).one("remove", "q", "theirs")
    for act in ("drain", "obliterate"):
        with pytest.raises(Forbidden, match="operator"):
            acts(client, ANN).select(act, "q")
    with pytest.raises(Forbidden, match="operator"):
        acts(client, ANN).circuit("smtp:mail.example:25", "open")
    assert len(log(client)) == 5


def test_acts_on_no_queue_have_a_place_of_their_own(client: RedisClient) -> None:
    one = acts(client)
    one.circuit("webhook:org-1:a.example:443", "open")
    one.pause("q", True)
    one.pause("q", True)
    one.pause("q", False)
    told = [(entry.act, entry.queue, entry.count, entry.where) for entry in log(client)]
    assert told == [
        ("resume", "q", 1, None),
        ("pause", "q", 0, None),
        ("pause", "q", 1, None),
        ("circuit open", None, 1, "circuit=webhook:org-1:a.example:443"),
    ]
    assert [entry.act for entry in log(client, organization_id="org-1")] == ["circuit open"]


def test_an_organization_sees_the_acts_on_its_own_jobs_alone(client: RedisClient) -> None:
    add(client, "a", "b", "c", org="org-1")
    add(client, "d", org="org-2")
    operator = acts(client)
    operator.one("cancel", "q", "a")
    list(operator.many("cancel", "q", [("b", ""), ("d", "")]))
    acts(client, ANN).one("cancel", "q", "c")
    list(acts(client, ANN).many("retry", "q", []))
    ids = [one.ids for one in log(client, organization_id="org-1")]
    assert ids == [(), ("c",), ("a",)]
    assert [one.ids for one in log(client)] == [(), ("c",), ("b", "d"), ("a",)]
    assert log(client, organization_id="org-2") == []


def test_an_act_that_goes_on_with_anothers_jobs_is_nobodys(client: RedisClient) -> None:
    ids = [f"j{number:04}" for number in range(150)]
    add(client, *ids[:100], org="org-1")
    add(client, *ids[100:], org="org-2")
    steps = acts(client).many("remove", "q", [(job_id, "") for job_id in ids])
    next(steps)
    assert len(log(client, organization_id="org-1")) == 1
    list(steps)
    assert log(client, organization_id="org-1") == log(client, organization_id="org-2") == []
    [entry] = log(client)
    assert (entry.count, entry.organization_id) == (150, None)


def test_entries_are_merged_filtered_and_paged(client: RedisClient) -> None:
    for number in range(7):
        add(client, f"a{number}", org="org-1")
        add(client, f"b{number}", queue="r")
        acts(client).one("cancel", "q", f"a{number}")
        tick(client)
        acts(client, Actor("tui", user_id="bob")).one("remove", "r", f"b{number}")
        tick(client)
    operator = Actor("cli")

    def page(actor: Actor = operator, **more: Any) -> audit.AuditPage:
        return audit.page(client, "t", actor, ["q", "r"], **more)

    every = [one.ids[0] for one in page().entries]
    assert every == [f"{letter}{number}" for number in reversed(range(7)) for letter in "ba"]
    read, cursor = [], None
    while True:
        found = page(limit=4, cursor=cursor)
        read += [one.ids[0] for one in found.entries]
        acts(client).pause("q", bool(len(read) % 8))  # newer entries move no page
        cursor = found.next
        if cursor is None:
            break
    assert read == every
    assert {one.act for one in page(who="bob").entries} == {"remove"}
    assert {one.queue for one in page(queue="r").entries} == {"r"}
    assert len(page(act="cancel", limit=3).entries) == 3
    assert page(act="cancel", who="bob").public() == {"entries": [], "next": None}
    assert [one.act for one in page(ANN).entries] == ["cancel"] * 7
    assert page(since="1h").entries == page().entries
    assert page(since="now").entries == page(until="1h").entries == []
    # A moment, as in every filter and history: `since` includes it, `until` does not.
    middle = page().entries[5]
    at = str(middle.public()["at"])
    newer, older = page(since=at).entries, page(until=at).entries
    assert newer + older == page().entries
    assert middle in newer
    found = page(since=at, limit=2)
    assert page(since=at, cursor=found.next).entries == newer[2:]
    assert page(until=at, cursor=found.next).entries == older
    with pytest.raises(Forbidden):
        page(Actor("http", "member", "org-1", "ann"))
    for wrong in (
        {"limit": 0},
        {"limit": 201},
        {"act": "nope"},
        {"cursor": "nope"},
        {"since": "30"},
    ):
        with pytest.raises(InvalidOption):
            page(**wrong)


def test_on_a_cluster_every_queue_has_its_own_place(cluster: Cluster) -> None:
    client = RedisClient(cluster.url)
    queues = [f"q{number}" for number in range(6)]
    for queue in queues:
        add(client, "a", queue=queue)
        acts(client).one("remove", queue, "a")
    acts(client).circuit("smtp:mail.example:25", "open")
    acts(client).circuit("smtp:mail.example:25", "close")
    found = log(client, *queues)
    assert {one.queue for one in found} == {*queues, None}
    assert len(found) == len(queues) + 2
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
    client.close()


def test_entries_are_kept_for_90_days(client: RedisClient, redis_client: redis.Redis) -> None:
    add(client, "a", org="org-1")
    acts(client, ANN).one("cancel", "q", "a")
    names = redis_client.keys(f"{BASE}au*")
    assert len(names) == 3
    for name in names:
        assert 90 * 86_400 - 60 < redis_client.ttl(name) <= 90 * 86_400


def test_the_log_is_bounded_and_no_organization_pushes_out_another(
    client: RedisClient, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(keys.CONSTANTS, "AUDIT_KEPT", 30)
    monkeypatch.setitem(keys.CONSTANTS, "AUDIT_ORG_KEPT", 10)
    script = scripts.Script("audit", scripts.AUDIT.fixed)

    def write(org: str | None, number: int) -> None:
        known = {"who": f"{org} {number}", "door": "http", "act": "retry"}
        client.run(script, BASE, (begin("q", org, **known).packed, 1, ""))

    write("org-2", 0)
    for number in range(60):
        write("org-1", number)
    assert len(log(client, organization_id="org-1")) == 10
    assert [one.who for one in log(client)][-1] == "org-2 0"
    for number in range(40):
        write(None, number)
    entries = log(client)
    assert [len(entries), entries[0].who] == [30, "None 39"]
    assert len(redis_client.keys(f"{BASE}au:*")) == 30
    # Old ones go with the next act.
    redis_client.zadd(f"{BASE}audit", {one.id: 1 for one in entries[:5]})
    write(None, 40)
    assert len(log(client)) == 26


def test_what_is_about_an_organization_is_forgotten(client: RedisClient, tmp_path: Path) -> None:
    add(client, "org-1:m1", "m2", org="org-1")
    add(client, "org-12:m1", "m3", org="org-12")
    copy = FileLog(tmp_path, "redis")
    one = acts(client, place=copy)
    acts(client, ANN, copy).one("cancel", "q", "m2")
    list(one.many("cancel", "q", [("org-1:m1", ""), ("m3", "")]))
    one.circuit("webhook:org-1:a.example:443", "open")
    list(one.many("retry", "q", [("m3", "")], where="org=org-1 tries>2"))
    one.one("cancel", "q", "org-12:m1")
    store = AuditStore(client, "t")
    assert forget_in_redis(store, ["q", None], "org-1") == 4
    assert forget(tmp_path, "org-1") == 4
    assert forget_in_redis(store, ["q", None], "org-1") == 0
    told = [(entry.act, entry.count, entry.ids, entry.where) for entry in log(client)]
    assert told == [
        ("cancel", 1, ("org-12:m1",), None),
        ("retry", 1, (), None),
        ("cancel", 2, (), None),
    ]
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert [one.get("erased", False) for one in lines] == [True, True, True, True, False]
    assert "org-1:" not in (tmp_path / FILE).read_text()


def test_an_act_is_done_and_said_when_the_copy_cannot_be_written(
    client: RedisClient, tmp_path: Path
) -> None:
    add(client, "a", "b")
    (tmp_path / FILE).mkdir()
    unwritten: list[bool] = []
    gone: list[tuple[str, str | None]] = []
    hooks = Hooks(
        lambda queue, job_id: gone.append((queue, job_id)), lambda: unwritten.append(True)
    )
    one = Acts(client, "t", Actor("cli"), FileLog(tmp_path, "redis"), hooks=hooks)
    one.one("remove", "q", "a")
    assert (unwritten, gone) == ([True], [("q", "a")])
    (*_, drained) = one.sweep("drain", "q", one.select("drain", "q"))
    assert (drained.done, gone[1:], len(unwritten)) == (1, [("q", None)], 2)
    assert [entry.act for entry in log(client)] == ["drain", "remove"]


def test_nothing_secret_is_in_the_log(client: RedisClient, redis_client: redis.Redis) -> None:
    add(client, "a")
    one = acts(client)
    one.one("cancel", "q", "a")
    one.one("remove", "q", "a")
    for key in redis_client.keys(f"{BASE}au:*"):
        stored: Any = redis_client.hgetall(key)
        assert "hush" not in str(stored)


def test_a_broken_entry_hides_no_other(client: RedisClient, redis_client: redis.Redis) -> None:
    one = acts(client)
    for _ in range(3):
        one.pause("q", True)
    first, second, _third = log(client)
    redis_client.hset(f"{BASE}au:{first.id}", "e", "{")
    redis_client.hset(f"{BASE}au:{second.id}", "n", "many")
    assert [entry.count for entry in log(client)] == [0, 1]


def test_when_redis_is_away_nothing_is_said_to_be_done(redis_url: str, client: RedisClient) -> None:
    add(client, "a")
    kept = Kept()
    with FlakyProxy(redis_url) as proxy:
        away = RedisClient(proxy.url)
        proxy.cut_request(lambda request: True, times=1_000_000)
        with pytest.raises(RedisUnavailable):
            acts(away, place=kept).one("cancel", "q", "a")
        away.close()
    assert kept.entries == []
    assert log(client) == []
    assert JobReader(client, "t").status("q", "a") is State.WAITING
