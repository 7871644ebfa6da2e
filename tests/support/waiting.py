"""Waiting by Redis' clock."""

from __future__ import annotations

from hsejobs.store.client import RedisClient


def redis_ms(client: RedisClient) -> int:
    """The Redis time in ms."""
    seconds, micros = client.command("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


def tick(client: RedisClient) -> None:
    """Waits for the next millisecond of Redis, so that later actions get a later time."""
    before = redis_ms(client)
    while redis_ms(client) <= before:
        pass
