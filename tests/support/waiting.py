"""Waiting for Redis' own clock."""

from __future__ import annotations

from hsejobs.store.client import RedisClient


def redis_ms(link: RedisClient) -> int:
    """Redis time in ms."""
    seconds, micros = link.command("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


def tick(link: RedisClient) -> None:
    """Returns in a later millisecond of Redis: what is done next happens after what was done before."""
    before = redis_ms(link)
    while redis_ms(link) <= before:
        pass
