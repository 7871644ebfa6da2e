"""A shim computes the keys of jobs if it has the code of their task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis

from tests.http.conftest import Shim, running


def key_of(client: redis.Redis, shim: Shim, call: dict[str, str]) -> Any:
    answer = shim.ask("POST", "/keyed", "operator", "org-1", json=call)
    assert answer.status_code == 202, answer.text
    return client.hget(f"hsejobs:{{keyed}}:j:{answer.json()['jobId']}", "ky")


def test_a_key_needs_the_code(tmp_path: Path, redis_url: str, redis_client: redis.Redis) -> None:
    with running(tmp_path, QUEUE_APP="tests.engine.keyed_jobs") as shim:
        assert key_of(redis_client, shim, {"host": "web"}) == b"web org-1"
        refused = shim.ask("POST", "/keyed", "operator", "org-1", json={"host": "raise"})
        assert refused.status_code == 422, refused.text
        assert "the key function of tests.engine.keyed_jobs.call failed" in refused.text
    with running(tmp_path) as shim:
        assert key_of(redis_client, shim, {"host": "web"}) is None
