"""Waiting by Redis' clock."""

from __future__ import annotations

import time

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


def room_in_minute(client: RedisClient) -> int:
    """The Redis minute since the epoch, which lasts 10 s more: what a test then does falls into it."""
    while (rest := 60_000 - redis_ms(client) % 60_000) < 10_000:
        time.sleep(rest / 1000)
    return redis_ms(client) // 60_000
