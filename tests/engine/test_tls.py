"""Idle workers over TLS: a session's ticket wakes them, and is no reply."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from hsejobs.engine.runtime import reset_runtime
from tests.engine import jobs
from tests.engine.conftest import Consumer
from tests.support import wait_until
from tests.support.certificates import Certificates
from tests.support.server import Server, binary_of, free_port


def test_an_idle_worker_waits_on_one_connection(
    trial: Path, consumer: Callable[..., Consumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Certificates.shared()
    with Server(binary_of("redis"), port=free_port(), certificates=made) as server:
        # Without a login nothing is read before the first wait, so the ticket is still to come.
        monkeypatch.setenv("QUEUE_REDIS_URL", server.url)
        reset_runtime()
        jobs.huey._registered = None
        one = consumer("-w", "3", JOBS_LOG_FORMAT="json")
        wait_until(lambda: "processor started" in one.log.read_text(), what="the consumer")
        with server.client() as client:
            wait_until(lambda: len(waiting(client)) == 3, what="workers that wait")
            first, waits = waiting(client), blpops(client)
            wait_until(lambda: blpops(client) >= waits + 6, what="workers that wait again")
            wait_until(lambda: waiting(client) == first, 1, "the same connections")
        assert jobs.echo.add({"n": 1, "say": "hi"}).wait(20) == "hi"
        assert one.stop() == 0
        lines = [json.loads(x) for x in one.log.read_text().splitlines() if x.startswith("{")]
        assert [line for line in lines if line["event"] in ("redis away", "duty failed")] == []


def blpops(client: redis.Redis) -> int:
    return int(client.info("commandstats").get("cmdstat_blpop", {}).get("calls", 0))


def waiting(client: redis.Redis) -> set[str]:
    """The connections on which a worker waits for the bell."""
    return {one["id"] for one in client.client_list() if one["cmd"] == "blpop"}
