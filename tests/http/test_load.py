"""Every 202 is a job that exists, even when the server is stopped under load."""

from __future__ import annotations

import asyncio
import threading

import redis

from benchmarks.http import load
from tests.http.conftest import Shim, token
from tests.support import wait_until


def test_accepted_jobs_exist_after_a_stop_under_load(shim: Shim, redis_client: redis.Redis) -> None:
    found: list[str] = []

    def run() -> None:
        found.extend(asyncio.run(load(shim.url, token(), 20))[1])

    loader = threading.Thread(target=run)
    loader.start()
    wait_until(lambda: redis_client.zcard("hsejobs:{email}:waiting") > 1000, 20, "the load")
    shim.process.terminate()
    assert shim.process.wait(20) == 0
    loader.join(30)
    assert len(found) > 500
    missing = [one for one in found if not redis_client.exists(f"hsejobs:{{email}}:j:{one}")]
    assert missing == []
