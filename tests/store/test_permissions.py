"""The least rights: which they are, what needs them, and that testing them changes nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from hsejobs.errors import RedisRefused
from hsejobs.model import State
from hsejobs.store import permissions, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.work import Done, WorkerStore
from hsejobs.store.write import JobWriter, NewJob
from tests.support.cluster import Cluster
from tests.support.faults import require_questions
from tests.support.server import PASSWORD, USER, Server

ROOT = Path(__file__).parents[2]
#: Said by redis-py when it connects or subscribes; no text of ours has them.
BY_REDIS_PY = {"SELECT", "SUBSCRIBE"}
#: Words of other protocols, of Lua's own tables or of error codes, in files that speak to Redis too.
NO_COMMANDS = {"KEYS", "READONLY", "AUTH"}


def scripted() -> set[str]:
    """The commands that our Lua calls."""
    found: set[str] = set()
    for path in (ROOT / "hsejobs/store/lua").rglob("*.lua"):
        text = path.read_text()
        for call in re.finditer(r"(?:redis\.p?call|soft)\(([^,)]*)", text):
            what = call[1]
            if what == "...":
                continue
            if what.isidentifier():
                defined = re.search(rf"^ *local [^=]*\b{what}\b[^=]*= (.*)$", text, re.MULTILINE)
                assert defined, f"{path.name}: which command is {call[0]}?"
                what = defined[1]
            names = set(re.findall(r"'([A-Z]+)'", what))
            assert names, f"{path.name}: which command is {call[0]}?"
            found |= names
    return found


def sent(known: set[str]) -> set[str]:
    """Texts in our Python that are the name of a command."""
    found: set[str] = set()
    for folder in ("hsejobs/store", "hsejobs/engine", "hsejobs_cli"):
        for path in (ROOT / folder).rglob("*.py"):
            # `hsejobs chaos` disrupts a server with additional rights: see docs/chaos.md.
            if "chaos" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and node.value in known:
                    found.add(str(node.value))
    return found - NO_COMMANDS


@pytest.fixture
def client(redis_url: str) -> Iterator[RedisClient]:
    made = RedisClient(redis_url)
    yield made
    made.close()


def test_the_rule_has_what_is_used_and_nothing_else(redis_client: redis.Redis) -> None:
    known = {name.upper() for name in redis_client.command()}
    used = scripted() | sent(known) | BY_REDIS_PY
    assert {name.upper() for name in permissions.COMMANDS} == used - {
        name.upper() for name in permissions.OPTIONAL
    }


def test_the_rules_are_documented() -> None:
    text = (ROOT / "docs" / "redis.md").read_text()
    for rule in (
        permissions.rule("hsejobs"),
        permissions.rule("hsejobs", cluster=True),
        permissions.sentinel_rule(),
    ):
        assert rule in text


def test_the_least_user_lacks_nothing(redis_client: redis.Redis, client: RedisClient) -> None:
    # Other tests of this server take rights from the user.
    redis_client.acl_log_reset()
    assert permissions.try_permissions(client, "hsejobs") == permissions.Permissions()
    assert redis_client.keys("*") == []
    assert denials(redis_client) == []


@pytest.mark.parametrize("name", permissions.COMMANDS)
def test_each_command_that_is_missing_is_named(
    redis_server: Server, redis_client: redis.Redis, client: RedisClient, name: str
) -> None:
    with without(redis_client, f"-{name}"):
        found = permissions.try_permissions(client, "hsejobs")
    wanted = found.slower if name in permissions.FASTER else found.missing
    assert wanted == [f"+{name}"] == found.missing + found.slower
    assert found.untried == (["hsetnx", "lpush", "rpush", "sadd"] if name == "set" else [])
    for key in redis_client.keys("*"):
        assert 0 < redis_client.pttl(key) <= permissions.KEY_TTL_MS


def test_keys_and_channels_that_are_missing_are_named(
    redis_client: redis.Redis, client: RedisClient
) -> None:
    with without(redis_client, "resetchannels"):
        assert permissions.try_permissions(client, "hsejobs").missing == ["&hsejobs:*"]
    with without(redis_client, "resetkeys", "~hsejobs:{*"):
        assert permissions.try_permissions(client, "hsejobs").missing == ["~hsejobs:*"]
    with without(redis_client, "resetkeys", "~other:*", "-get", "-publish"):
        found = permissions.try_permissions(client, "hsejobs")
        assert sorted(found.missing) == ["+get", "+publish", "~hsejobs:*"]
    assert redis_client.keys("*") == []


def test_a_full_and_a_read_only_server_allow_as_much(
    redis_server: Server, redis_client: redis.Redis, client: RedisClient
) -> None:
    redis_client.config_set("maxmemory", "1mb")
    try:
        assert permissions.try_permissions(client, "hsejobs") == permissions.Permissions()
    finally:
        redis_client.config_set("maxmemory", "0")
    redis_client.replicaof("127.0.0.1", "1")
    try:
        assert permissions.try_permissions(client, "hsejobs") == permissions.Permissions()
        with without(redis_client, "-zadd"):
            assert permissions.try_permissions(client, "hsejobs").missing == ["+zadd"]
    finally:
        redis_client.replicaof("NO", "ONE")
    assert redis_client.keys("*") == []


def test_a_cluster_needs_more(cluster: Cluster) -> None:
    client = RedisClient(cluster.url)
    assert permissions.try_permissions(client, "hsejobs") == permissions.Permissions()
    for name in permissions.CLUSTER_COMMANDS:
        for node in cluster.nodes:
            with node.client() as admin:
                admin.acl_setuser(USER, enabled=True, commands=[f"-{name}"])
        missing = [] if name == "cluster|slots" else [f"+{name}"]
        try:
            if missing:
                assert permissions.try_permissions(client, "hsejobs").missing == missing
        finally:
            for node in cluster.nodes:
                with node.client() as admin:
                    admin.acl_setuser(USER, enabled=True, commands=[f"+{name}"])
    for node in cluster.nodes:
        with node.client() as admin:
            assert admin.keys("*") == []


def test_an_announcement_that_is_refused_refuses_no_job(
    redis_client: redis.Redis, client: RedisClient
) -> None:
    """PUBLISH is advisory in every script: the job is there, so the add must not say otherwise."""
    writer, reader = JobWriter(client, "hsejobs"), JobReader(client, "hsejobs")
    with without(redis_client, "resetchannels"):
        for number in range(2):
            new = NewJob(f"j{number}", "m.task", b"{}", 3, 1, 0, 0, delay=60_000 - number)
            assert writer.add("q", new).created
        removed = writer.remove("q", "j1")
        writer.restore(removed)
    with without(redis_client, "-publish"):
        assert writer.add("q", NewJob("j2", "m.task", b"{}", 3, 1, 0, 0, delay=1000)).created
    assert reader.page("q", State.DELAYED).total == 3


def test_no_script_depends_on_an_announcement() -> None:
    for path in (ROOT / "hsejobs/store/lua").rglob("*.lua"):
        assert "redis.call('PUBLISH'" not in path.read_text(), path.name


ORG = {"organization_id": "one"}
#: Adds that take different paths through their script: the jobs of a call, and the states of the queue.
#: Those of the first two are added by lib/one, except in a plain FIFO, in a paused queue, or at a limit.
ADDS: list[tuple[str, list[dict[str, Any]]]] = [
    ("new turns paused", [{}]),
    ("new turns fifo parked", [ORG]),
    ("new", [{"organization_id": "one", "tenant_backlog": 9}]),
    ("new", [{"delay": 1000}]),
    ("new", [{"delay": 1000, **ORG}]),
    ("new", [{"extras": b"x", "family": "p", "key": "k"}]),
    ("new turns paused", [{}] * 2),
    ("new turns parked", [ORG] * 2),
    ("turns", [{}, ORG, {"organization_id": "two"}]),
]


def _prepare(client: Any, state: str) -> None:
    client.flushdb()
    base = "hsejobs:{q}:"
    if state in ("turns", "fifo", "parked"):
        rules: dict[str, str] = {"on": "1", "f": "0" if state == "fifo" else "1"}
        client.hset(f"{base}share", mapping=rules | ({"p": "1"} if state == "parked" else {}))
    if state == "parked":
        client.zadd(f"{base}turns:parked", {"3one": 1.0})
    if state == "paused":
        client.set(f"{base}paused", "older")


def _contents(client: Any) -> dict[bytes, Any]:
    """The keys, and what they hold except for times. The number of the minute may change meanwhile."""
    found: dict[bytes, Any] = {}
    for key in sorted(client.keys("*")):
        kind = client.type(key)
        name = re.sub(rb"(:m):[0-9]+", rb"\1", key)
        if kind == b"hash":
            fields = {re.sub(rb"^([rw])[0-9]+", rb"\1", one) for one in client.hkeys(key)}
            found[name] = sorted(fields.union(*(found[name][:1] if name in found else ())))
        elif kind == b"zset":
            found[name] = sorted(client.zrange(key, 0, -1))
        elif kind == b"stream":
            found[name] = [fields for _, fields in client.xrange(key)]
        else:
            found[name] = kind
        found[name] = (found[name], client.ttl(key) > 0)
    return found


def _without_each(
    client: Any, text: str, prepare: Callable[[], None], act: Callable[[], object]
) -> set[str]:
    """Acts without each command of a script: all must be done, or nothing. Returns those not needed."""
    spared = set()
    prepare()
    act()
    whole = _contents(client)
    for right in sorted({*re.findall(r"(?:call|try)\('([A-Z]+)'", text)} - {"PUBLISH", "TIME"}):
        prepare()
        before = _contents(client)
        client.execute_command("ACL", "SETUSER", USER, f"-{right}")
        try:
            act()
            spared.add(right)
        except RedisRefused:
            assert _contents(client) == before, right
        else:
            assert _contents(client) == whole, right
        finally:
            client.execute_command("ACL", "SETUSER", USER, f"+{right}")
    return spared


@pytest.mark.parametrize("adds", ADDS, ids=str)
def test_an_add_without_a_right_adds_all_or_nothing(
    redis_client: redis.Redis, client: RedisClient, adds: tuple[str, list[dict[str, Any]]]
) -> None:
    """Most calls do not ask for all rights of their script: those that they leave out, they do not need."""
    require_questions(redis_client)
    writer = JobWriter(client, "hsejobs")
    jobs = [NewJob(f"j{n}", "m.t", b"{}", 3, 1, 0, 0, **one) for n, one in enumerate(adds[1])]
    spared = set()
    for state in adds[0].split():
        spared |= _without_each(
            redis_client,
            scripts.ADD.text + scripts.ADD_ALIKE.text,
            lambda state=state: _prepare(redis_client, state),  # type: ignore[misc]
            lambda: writer.add_each("q", jobs),
        )
    assert ("ZRANGE" in spared) == (adds in ADDS[:2])


@pytest.mark.parametrize("owner", [{}, ORG], ids=str)
@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("named", [False, True])
def test_a_step_without_a_right_does_all_or_nothing(
    redis_client: redis.Redis, client: RedisClient, owner: dict[str, Any], more: int, named: bool
) -> None:
    """As for adds; ``more``: another job waits, so that a step that completes one claims the next."""
    require_questions(redis_client)
    writer, work = JobWriter(client, "hsejobs"), WorkerStore(client, "hsejobs", "q")
    jobs = [NewJob(f"j{n}", "m.t", b"{}", 3, 1, 0, 0, **owner) for n in range(1 + more)]

    def add() -> None:
        _prepare(redis_client, "new")
        writer.add_each("q", jobs)

    def claim() -> None:
        add()
        work.step([], 1, "token", 60_000)

    text = scripts.COMPLETE.text
    spared = _without_each(redis_client, text, add, lambda: work.step([], 1, "token", 60_000))
    assert {"LRANGE", "UNLINK", "ZSCORE"} <= spared
    # Of one whose task the caller does not know, the record is read.
    org, name = (owner.get("organization_id"), "m.t") if named else (None, "")
    done = Done("j0", "token", 5, b'{"a": 1}', org, name=name)
    spared = _without_each(redis_client, text, claim, lambda: work.step([done], 1, "next", 60_000))
    assert bool(spared) == named


def denials(client: redis.Redis) -> list[str]:
    """The commands that Redis logged as refused to the least user."""
    return [str(entry["object"]) for entry in client.acl_log() if entry["username"] == USER]


class without:
    """Takes rights from the least user for a while."""

    def __init__(self, client: redis.Redis, *words: str) -> None:
        self.client, self.words = client, words
        self.ask: Callable[..., object] = client.execute_command

    def __enter__(self) -> None:
        self.ask("ACL", "SETUSER", USER, *self.words)

    def __exit__(self, *_: object) -> None:
        self.ask("ACL", "LOAD")
        self.ask("ACL", "LOG", "RESET")
        assert PASSWORD not in self.words
