"""Tests of the test support."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hsejobs.redis_url import parse_redis_url
from tests.support import skip_or_fail, wait_until
from tests.support.cluster import Cluster
from tests.support.programs import SHOWN, logs_of, wait_for_log
from tests.support.proxy import FlakyProxy
from tests.support.sentinel import SentinelSet
from tests.support.server import Server

ROOT = Path(__file__).parents[1]


def impatient(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0))


def test_wait_until_returns_the_value_or_names_what() -> None:
    values = iter([0, "", "there"])
    assert wait_until(lambda: next(values)) == "there"
    with pytest.raises(AssertionError, match=r"the moon: not within 0\.01 s"):
        wait_until(lambda: None, timeout=0.01, what="the moon")


def test_a_missing_server_is_a_skip_here_and_a_failure_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no server"):
        skip_or_fail("no server")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no server"):
        skip_or_fail("no server")


def test_the_environment_is_bare(tmp_path: Path) -> None:
    assert os.environ["JOBS_HOME"] == str(tmp_path)
    assert not [name for name in os.environ if name.startswith(("QUEUE_", "SMTP_"))]


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_redis_empty(turn: int, redis_server: Server, redis_url: str) -> None:
    assert os.environ["QUEUE_REDIS_URL"] == redis_url
    assert len(parse_redis_url(redis_url).path) < 100
    with redis_server.client() as client:
        assert client.dbsize() == 0
        client.set("left", turn)


def test_a_killed_server_keeps_its_data_when_append_only(redis_server: Server) -> None:
    redis_server.restart(appendonly=True)
    with redis_server.client() as client:
        client.set("kept", 1)
    first = redis_server.pid
    redis_server.kill()
    assert not redis_server.running
    with impatient(redis_server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    redis_server.start()
    assert redis_server.pid != first
    with redis_server.client() as client:
        assert client.get("kept") == b"1"
    redis_server.reset()
    redis_server.restart()
    with redis_server.client() as client:
        assert client.dbsize() == 0


def test_a_frozen_server_answers_nothing_until_thawed(redis_server: Server) -> None:
    with redis.Redis.from_url(
        redis_server.url, socket_timeout=0.05, retry=Retry(NoBackoff(), 0)
    ) as client:
        client.ping()
        redis_server.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        redis_server.thaw()
        assert client.ping()


@pytest.fixture
def proxy(redis_server: Server):
    with FlakyProxy(redis_server.url) as proxy:
        yield proxy


def test_the_proxy_forwards(proxy: FlakyProxy) -> None:
    with impatient(proxy.url) as client:
        client.set("big", b"x\r\n" * 100_000)
        assert client.get("big") == b"x\r\n" * 100_000
        client.hset("h", mapping={"a": "1", "b": "2"})
        with client.pipeline() as pipe:
            answers = pipe.get("none").hgetall("h").lrange("none", 0, -1).incr("n").execute()
        assert answers == [None, {b"a": b"1", b"b": b"2"}, [], 1]
        assert client.eval("return {1, {'two', false}}", 0) == [1, [b"two", None]]
    assert proxy.cuts == 0
    assert proxy.connections == 1


@pytest.mark.parametrize("after_bytes", [0, 2, 10_000])
def test_a_request_with_a_cut_reply_was_executed(
    proxy: FlakyProxy, redis_client: redis.Redis, after_bytes: int
) -> None:
    proxy.cut_reply(match=b"INCR", after_bytes=after_bytes)
    with impatient(proxy.url) as client:
        if after_bytes < 4:
            with pytest.raises(redis.ConnectionError):
                client.incr("n")
        else:
            assert client.incr("n") == 1
        assert redis_client.get("n") == b"1"
        wait_until(lambda: proxy.cuts == 1, what="the cut")
        with impatient(proxy.url) as second:
            assert second.incr("n") == 2
    assert proxy.cuts == 1


def test_a_cut_request_never_reached_the_server(
    proxy: FlakyProxy, redis_client: redis.Redis
) -> None:
    proxy.cut_request(match=lambda request: b"INCR" in request, times=2)
    with impatient(proxy.url) as client:
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                client.incr("n")
        assert redis_client.get("n") is None
        assert client.incr("n") == 1


def test_the_cut_hits_the_chosen_request(proxy: FlakyProxy, redis_client: redis.Redis) -> None:
    proxy.cut_reply(match=b"INCR", skip=2)
    with impatient(proxy.url) as client, client.pipeline(transaction=False) as pipe:
        for _ in range(3):
            pipe.incr("n")
        with pytest.raises(redis.ConnectionError):
            pipe.execute()
    assert redis_client.get("n") == b"3"


def test_a_blocked_client_is_disconnected(proxy: FlakyProxy) -> None:
    with impatient(proxy.url) as client:
        client.ping()
        proxy.down()
        with pytest.raises(redis.ConnectionError):
            client.blpop(["none"], timeout=60)
        with pytest.raises(redis.ConnectionError):
            client.ping()
        proxy.up()
        assert client.ping()


def test_pushed_messages_pass(proxy: FlakyProxy, redis_client: redis.Redis) -> None:
    with impatient(proxy.url) as client, client.pubsub() as feed:
        feed.subscribe("news")
        wait_until(lambda: feed.get_message(timeout=1), what="the subscription")
        redis_client.publish("news", "hello")
        message = wait_until(lambda: feed.get_message(timeout=1), what="the message")
        assert message["data"] == b"hello"


def test_a_cluster_serves_all_slots(cluster: Cluster) -> None:
    client = cluster.client()
    try:
        for index in range(30):
            client.set(f"k{index}", index)
        assert all(client.get(f"k{index}") == b"%d" % index for index in range(30))
    finally:
        client.close()
    sizes = []
    for node in cluster.nodes:
        with node.client() as one:
            sizes.append(one.dbsize())
    assert sum(sizes) == 30
    assert all(sizes)
    cluster.flush()
    with cluster.nodes[0].client() as one:
        assert one.dbsize() == 0


def test_sentinels_replace_a_killed_primary(sentinels: SentinelSet) -> None:
    old = sentinels.primary
    with old.client() as client:
        client.set("kept", 1)
        assert client.wait(1, 5000) == 1
    new = sentinels.fail_over()
    assert new is not old
    assert sentinels.primary is new
    with new.client() as client:
        assert client.get("kept") == b"1"
        client.set("kept", 2)


def test_a_program_that_ends_shows_its_log_at_once(tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", "raise SystemExit('the port is taken')"],
            stdout=file,
            stderr=file,
        )
    process.wait()
    with pytest.raises(AssertionError, match=r"(?s)ended with 1:.*the port is taken"):
        wait_for_log(process, log, "processor started")
    assert list(logs_of({"tmp_path": tmp_path, "other": 1})) == [("up.log", log.read_text())]
    assert list(logs_of({"found": process, "log": log})) == [("up.log", log.read_text())]


FAILING = """
import subprocess, sys

def test_it(tmp_path):
    with (tmp_path / "consumer.log").open("wb") as log:
        code = "print('x' * 9_000 + ' the last words of a child')"
        subprocess.run([sys.executable, "-c", code], stdout=log, check=True)
    assert False, "the test's own reason"
"""


def test_a_failure_shows_the_end_of_what_its_programs_wrote(tmp_path: Path) -> None:
    file = tmp_path / "test_failing.py"
    file.write_text(FAILING)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "0",
            "-p",
            "tests.conftest",
            "-p",
            "no:cacheprovider",
            "-c",
            str(ROOT / "pyproject.toml"),
            "--rootdir",
            str(tmp_path),
            "--basetemp",
            str(tmp_path / "base"),
            str(file),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the test's own reason" in done.stdout
    assert "end of consumer.log" in done.stdout
    assert "the last words of a child" in done.stdout
    # Only the end of a log of 9 kB is shown.
    assert SHOWN // 2 < done.stdout.count("x") < SHOWN + 1_000


def test_programs_of_a_test_share_nothing_with_the_machine(tmp_path: Path) -> None:
    assert (os.environ["JOBS_HOME"], os.environ["JOBS_HTTP_PORT"]) == (str(tmp_path), "0")
    assert {name: os.environ[name] for name in os.environ if name.startswith(("LC_", "LANG"))} == {
        "LC_ALL": "C.UTF-8"
    }
