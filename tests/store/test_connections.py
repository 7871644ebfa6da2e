"""The connections that a process keeps, however often they break, with any number of threads."""

from __future__ import annotations

import threading

import pytest

from hsejobs.errors import RedisUnavailable
from hsejobs.store.client import RedisClient
from tests.support.server import Server

#: More than any pool of redis-py allows by itself.
OFTEN = 150


def test_a_long_outage_does_not_use_connections_up(redis_server: Server) -> None:
    client = RedisClient(redis_server.user_url)
    client.ping()
    redis_server.stop()
    for _ in range(OFTEN):
        with pytest.raises(RedisUnavailable):
            client.command("PING", patience=0)
    redis_server.start()
    client.ping()
    client.close()


def test_threads_that_come_and_go_do_not_use_connections_up(redis_server: Server) -> None:
    client = RedisClient(redis_server.user_url)
    answered = []

    def visit() -> None:
        answered.append(client.command("PING"))
        client.close()

    for _ in range(OFTEN):
        thread = threading.Thread(target=visit)
        thread.start()
        thread.join()
    assert len(answered) == OFTEN
