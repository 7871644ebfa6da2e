"""Consumers serve the metrics themselves: one on a machine, and another one when it ends."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from hsejobs.settings import load_settings
from hsejobs.store.client import RedisClient
from hsejobs.watch import metrics_server
from hsejobs.watch.metrics import CONTENT_TYPE
from hsejobs.watch.metrics_server import MetricsServer
from tests.store.test_acts import Store
from tests.support import wait_until
from tests.support.server import Server, free_port

TOKEN, OTHER = "sesame", "poppy"


@pytest.fixture
def store(redis_url: str) -> Iterator[Store]:
    found = Store(redis_url)
    yield found
    found.redis.close()


def ask(port: int, path: str = "/metrics", key: str = TOKEN) -> httpx.Response | None:
    try:
        return httpx.get(
            f"http://127.0.0.1:{port}{path}",
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
        )
    except httpx.TransportError:
        return None


def test_one_serves_and_another_takes_over(
    store: Store, redis_server: Server, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "TAKE_OVER", 0.1)
    port = free_port()
    env = {
        "QUEUE_REDIS_URL": redis_url,
        "QUEUE_REDIS_PREFIX": "t",
        "JOBS_WORKER_METRICS_PORT": str(port),
    }
    store.add("a")
    store.redis.command("SADD", "t:queues", "q")
    client = RedisClient(redis_url)
    # Each has a token of its own, so that the answer tells which one serves.
    first, second = (
        MetricsServer(client, load_settings({**env, "JOBS_METRICS_TOKEN": key}), "q")
        for key in (TOKEN, OTHER)
    )
    first.start()
    try:
        wait_until(lambda: ask(port) is not None, 10, "the first to serve")
        second.start()
        answer = ask(port)
        assert answer is not None
        assert answer.status_code == 200
        assert answer.headers["content-type"] == CONTENT_TYPE
        assert 'hsejobs_jobs_added_total{queue="q"} 1' in answer.text
        wrong, elsewhere = ask(port, key="no"), ask(port, "/")
        assert wrong is not None
        assert wrong.status_code == 401
        assert elsewhere is not None
        assert elsewhere.status_code == 404
        first.stop()

        def taken_over() -> bool:
            answer = ask(port, key=OTHER)
            return answer is not None and answer.status_code == 200

        wait_until(taken_over, 10, "the second to take over")
        redis_server.stop()
        away = ask(port, key=OTHER)
        assert away is not None
        assert away.status_code == 503
        redis_server.start()
    finally:
        first.stop()
        second.stop()
        client.close()


def test_without_a_port_nothing_is_served(store: Store, redis_url: str) -> None:
    server = MetricsServer(store.redis, load_settings({"QUEUE_REDIS_URL": redis_url}), "q")
    server.start()
    assert server.settings.worker_metrics_port is None
    server.stop()
