"""Puts a waiting job before all others."""

from __future__ import annotations

import redis

from hsejobs.store.keys import PRIORITY_SPAN


def put_first(client: redis.Redis, base: str, job_id: str, organization: str = "") -> None:
    """Gives the job the first place of priority 1, and its organization ('' for none) the first turn."""
    places = [f"o:waiting:{organization}"] if organization else ["unowned"]
    if organization or client.hexists(base + "share", "on"):
        for name in places:
            client.zadd(base + name, {job_id: PRIORITY_SPAN})
        client.zadd(base + "turns", {f"1{organization}": 0})
    client.zadd(base + "waiting", {job_id: PRIORITY_SPAN})
