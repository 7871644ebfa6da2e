"""Waiting by Redis' clock."""

from __future__ import annotations

from hsejobs.store.client import RedisClient


def redis_ms(link: RedisClient) -> int:
    """The Redis time in ms."""
    seconds, micros = link.command("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


def tick(link: RedisClient) -> None:
    """Waits for the next millisecond of Redis, so that later actions get a later time."""
    before = redis_ms(link)
    while redis_ms(link) <= before:
        pass
