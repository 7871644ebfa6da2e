"""The meaning of each error of Redis, sent by a real server, through every door of the store.

The kind: errors told apart by their text, or by a list that is not compared with a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from hsejobs.errors import JobsError, RedisFull, RedisRefused, RedisUnavailable, Refused
from hsejobs.model import State
from hsejobs.store import scripts
from hsejobs.store.audits import begin
from hsejobs.store.client import RedisClient
from hsejobs.store.holds import Holds
from hsejobs.store.read import JobReader
from hsejobs.store.replies import CODES, Reply, classify, code_of, explained
from hsejobs.store.shares import Shares
from hsejobs.store.work import Done, WorkerStore
from hsejobs.store.write import Cancel, JobWriter, NewJob
from tests.support import wait_until
from tests.support.faults import FAULTS, REFUSING, full, no_rights, read_only, require_questions
from tests.support.server import USER, Server

#: The code that a server sends in each fault, and our error for it.
SAYS = {
    "read only": ("READONLY", RedisUnavailable),
    "master down": ("MASTERDOWN", RedisUnavailable),
    "no replicas": ("NOREPLICAS", RedisUnavailable),
    "misconf": ("MISCONF", RedisUnavailable),
    "no rights": ("NOPERM", RedisRefused),
    "password changed": ("WRONGPASS", RedisRefused),
    "loading": ("LOADING", RedisUnavailable),
    "busy": ("BUSY", RedisUnavailable),
    "full": ("OOM", RedisFull),
}


def job(name: str) -> NewJob:
    return NewJob(name, "t.task", b"{}", 3, 3, 1000, 0)


@pytest.fixture
def client(redis_url: str) -> Iterator[RedisClient]:
    made = RedisClient(redis_url)
    yield made
    made.close()


@pytest.mark.parametrize("name", SAYS)
def test_a_server_says_it(redis_server: Server, client: RedisClient, name: str) -> None:
    writer, (code, kind) = JobWriter(client, "t"), SAYS[name]
    writer.add("q", job("before"))
    with FAULTS[name](redis_server):
        with pytest.raises(kind) as caught:
            client.run(
                scripts.ADD, writer._base("q"), (*job("x").shared(), *job("x").own()), patience=0.2
            )
        assert type(caught.value) is kind
        said = caught.value.__cause__
        assert said is not None
        assert code_of(said) == code
        assert classify(said) is CODES[code]
        # What was refused in between is refused before anything is asked of the scripts, too.
        with pytest.raises(kind):
            writer.check_adds(["q"])
    writer.check_adds(["q"])
    assert writer.add("q", job("x")).created
    assert JobReader(client, "t").stats(["q"])[0].waiting == 2


@pytest.mark.parametrize("name", sorted(REFUSING))
def test_an_add_is_taken_or_not_and_never_halved(
    redis_server: Server, client: RedisClient, name: str
) -> None:
    """Whatever was answered, the record is whole or absent; and it works again at once."""
    writer, reader = JobWriter(client, "t"), JobReader(client, "t")
    writer.add("q", job("before"))
    with REFUSING[name](redis_server), pytest.raises(RedisUnavailable):
        client.run(
            scripts.ADD, writer._base("q"), (*job("x").shared(), *job("x").own()), patience=0
        )
    writer.add("q", job("x"))
    assert reader.stats(["q"])[0].waiting == 2


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
        # Redis 6.2 puts it in the middle.
        (
            "ERR Error running script (call to f_ab): @user_script:9: -READONLY You can't",
            "READONLY",
        ),
        ("Error running script (call to f_ab): @user_script:9: @user_script: 9: -OOM cmd", "OOM"),
        ("NOREPLICAS Not enough good replicas to write. script: on @user_script:1.", "NOREPLICAS"),
        ("ACL failure in script: User u has no permissions to run the 'zadd' command", "NOPERM"),
        ("The user executing the script can't run this command or subcommand", "NOPERM"),
        (
            "Error running script (call to f_ab): @user_script:9: @user_script: 9: "
            "The user executing the script can't run this command or subcommand",
            "NOPERM",
        ),
        ("unknown command 'FOO'", ""),
    ],
)
def test_the_code_is_found_anywhere_in_the_text(text: str, code: str) -> None:
    assert code_of(redis.ResponseError(text)) == code


def test_errors_without_a_code_are_classified_too() -> None:
    assert classify(redis.exceptions.RedisClusterException("no node")) is Reply.PASSING
    assert classify(OSError("gone")) is Reply.PASSING
    assert classify(redis.ConnectionError("max number of clients reached")) is Reply.PASSING
    assert classify(redis.ResponseError("unknown command")) is Reply.FAULT
    assert type(explained(redis.ResponseError("unknown command"))) is JobsError
    assert classify(TypeError()) is None


def test_the_missing_right_is_named(redis_server: Server, client: RedisClient) -> None:
    with redis_server.client() as admin:
        require_questions(admin)
    with no_rights(redis_server), pytest.raises(RedisRefused, match=r"may not run \w+ on t:{q}:"):
        JobWriter(client, "t").add("q", job("x"))


# -- a script asks before its first write


def _state(server: Server) -> dict[bytes, bytes | None]:
    with server.client() as client:
        return {key: client.dump(key) for key in client.scan_iter("t:*")}


ENOUGH = [one for one in scripts.ALL if one.runs_when_full and not one.name.startswith("circuit")]


ENTRY = begin("q", None, who="ann", door="cli", act="retry").packed


def _calls(work: WorkerStore, writer: JobWriter) -> dict[str, Callable[[], bool]]:
    """Each script that works on a full server, called so that it has something to do."""
    _, claims = work.step([], 8, "token", 60_000)
    one, two, three, four, five, six, seven, eight = [(claim.id, claim.token) for claim in claims]
    work.redis.run(scripts.RULES, work.base, (f"k:{claims[0].name}", "0 - -"))
    return {
        "renew": lambda: work.renew([one], 60_000) == set(),
        "mark": lambda: work.mark(*one, "once", put=True) is True,
        "alone": lambda: work.alone(*one, begins=True) == 0,
        "complete": lambda: work.step([_done(one)], 1, "other", 60_000)[0] == "c",
        "fail": lambda: (
            work.fail(*two, code="error", error=b"{}", run_us=1, final=True, delay_ms=None)[0]
            == "f"
        ),
        "postpone": lambda: work.postpone(*three, 60_000)[0] == "d",
        "key": lambda: work.key(*eight, "k") is False,
        "rules": lambda: work.redis.run(scripts.RULES, work.base, ("l", "9")) == 1,
        "release": lambda: work.release([four]) == 1,
        "stall": lambda: work.stall([five], 3) == ["waiting"],
        "sweep": lambda: work.sweep(3).now > 0,
        "starting": lambda: work.redis.run(scripts.STARTING, work.base, ()) > 0,
        "heartbeat": lambda: work.heartbeat("w", b'{"state":"running"}', 20_000) == (False, ""),
        "order": lambda: writer.order("q", "quiet", ["w"]) == [1],
        "lock": lambda: work.lock("l", *six) is True,
        "await_lock": lambda: work.await_lock(*seven, "l") == "d",
        "unlock": lambda: work.unlock("l", *six) is True,
        "rate": lambda: work.rate("r", 1, 3_600_000_000, "nonce", six[0]) == 0,
        "audit": lambda: work.redis.run(scripts.AUDIT, work.base, (ENTRY, 1, "")) == 1,
        "retry": lambda: writer.retry_many("q", [two[0]], entry=ENTRY) == [],
        "promote": lambda: writer.promote_many("q", [three[0]]) == [],
        "cancel": lambda: writer.cancel_many("q", [two[0], six[0]], Cancel("ann", "late")) == [],
        "pause": lambda: writer.pause("q") is True,
        "tenant_set": lambda: Shares(writer.redis, "t").set("q", "org-1", paused=True) is True,
        "task_set": lambda: Holds(writer.redis, "t").set("q", "m.x", paused=True, who="a") is True,
        "remove": lambda: writer.remove("q", four[0]).id == four[0],
        "clean": lambda: writer.clean("q", State.COMPLETED, 0) == 1,
        "obliterate": lambda: writer.obliterate("q", force=True) >= 1,
    }


def _done(pair: tuple[str, str]) -> Done:
    return Done(*pair, 5, b'{"a": 1}')


def test_outcomes_and_the_ways_out_work_on_a_full_server(
    redis_server: Server, client: RedisClient
) -> None:
    work, writer = WorkerStore(client, "t", "q"), JobWriter(client, "t")
    for number in range(9):
        writer.add("q", job(f"j{number}"))
    calls = _calls(work, writer)
    assert {one.name for one in ENOUGH} == set(calls)
    with full(redis_server):
        for name, call in calls.items():
            assert call(), name
        with pytest.raises(RedisFull):
            writer.add("q", job("more"))


@pytest.mark.parametrize("command", ["zadd", "zrem", "hset", "rpush", "xadd", "zrange", "incrby"])
def test_without_one_right_no_script_does_half(
    redis_server: Server, client: RedisClient, command: str
) -> None:
    """Whichever right is missing, a script does all of its work, or nothing."""
    work, writer = WorkerStore(client, "t", "q"), JobWriter(client, "t")
    for number in range(9):
        writer.add("q", job(f"j{number}"))
    calls = _calls(work, writer)
    with redis_server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "admin", "on", "nopass", "~*", "&*", "+@all")
        admin.execute_command("AUTH", "admin", "x")
        require_questions(admin)
        admin.execute_command("ACL", "SETUSER", USER, f"-{command}")
        try:
            for name, call in calls.items():
                before = _state(redis_server)
                try:
                    call()
                except RedisRefused:
                    assert _state(redis_server) == before, name
                except Refused:
                    continue
        finally:
            admin.execute_command("ACL", "SETUSER", USER, f"+{command}")


def test_looking_works_on_a_read_only_and_on_a_full_server(
    redis_server: Server, client: RedisClient
) -> None:
    writer, reader = JobWriter(client, "t"), JobReader(client, "t")
    writer.add("q", job("a"))
    for fault in (read_only, full):
        with fault(redis_server):
            assert reader.stats(["q"])[0].waiting == 1
            assert reader.job("q", "a").id == "a"
            assert len(reader.page("q", State.WAITING).jobs) == 1
            assert writer.cleanable("q", State.WAITING, 0) == 1
            assert reader.workers(["q"]) == []


# -- connections that were silently dropped


def test_an_idle_connection_that_was_dropped_costs_one_retry(redis_server: Server) -> None:
    from tests.support.proxy import FlakyProxy

    with FlakyProxy(redis_server.url) as proxy:
        client = RedisClient(proxy.url, probe_after=0.0)
        client.command("SET", "t:x", "1")
        proxy.silence()
        assert client.command("GET", "t:x") == b"1"
        assert proxy.connections == 2
        client.close()


def test_a_server_that_became_a_replica_is_left_for_a_fresh_connection(
    redis_server: Server, client: RedisClient
) -> None:
    """A failover behind one address: what was connected must not stay with the old server."""
    writer = JobWriter(client, "t")
    writer.add("q", job("a"))
    with redis_server.client() as admin:
        before = admin.info("stats")["total_connections_received"]
        with read_only(redis_server), pytest.raises(RedisUnavailable):
            writer.add("q", job("b"))
        wait_until(
            lambda: admin.info("stats")["total_connections_received"] > before + 1,
            what="fresh connections",
        )
