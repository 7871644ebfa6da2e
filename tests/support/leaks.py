"""Finds leaked keys: every key in Redis must belong to a job or expire."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import redis

from hsejobs.model import STATE_OF_LETTER, State
from hsejobs.store.keys import SUFFIXES, alerts, circuits, lock, queues

_BESIDE = ("payload", "extras", "result", "errors", "logs", "marks", "checkpoint")
#: Keys of the queue itself, of which there is at most one each.
_STAY = {
    "queue",
    "releases",
    "releases:seen",
    "masks",
    "paused",
    "seq",
    "bell",
    "events",
    "slots",
    "lastruns",
    "lastends",
    "workers",
    "gone",
    "orgs",
    "ended",
    "unowned",
    "turns",
    "turns:rested",
    "turns:parked",
    "turns:keys",
    "share",
    "tenants",
    "tasks",
    "history",
}
_EXPIRE = (
    "audit",
    "auditorg",
    "entry",
    "sentback",
    "minute",
    "busiest",
    "errorminute",
    "sample",
    "period",
    "names",
    "totals",
    "notes",
    "latest",
    "orgswalk",
    "worker",
    "lastseen",
    "starting",
    "order",
    "counter",
    "members",
    "revoked",
    "ownbell",
    "resent",
    "claims",
    "newevents",
    "starts",
    "keystarts",
    "rate",
    "line",
    "expected",
)
#: Sorted sets of jobs that do not depend on their states.
_OF_JOBS = tuple(
    SUFFIXES[name] for name in ("waiters", "keyactive", "keywaits", "taskwaits", "kids")
)
_BASE = re.compile(r"(?P<base>[^{}]+:\{[^{}]+\}:)(?P<rest>.*)", re.DOTALL)

Index = dict[str, float]


def find_leaks(client: redis.Redis, prefix: str) -> list[str]:
    """The problems of the keys below *prefix*, one sentence each; empty if there are none.

    Every key of a job must have a record, every record a payload, every index exactly the jobs
    in its state. Every other key must have a time to live or be one of the queue's own keys.
    """
    found: list[str] = []
    rooms: dict[str, set[str]] = defaultdict(set)
    for raw in client.scan_iter(count=1000):
        key = raw.decode()
        match = _BASE.fullmatch(key)
        if key in (queues(prefix), alerts(prefix)) or key.startswith(lock(prefix, "")):
            continue
        if match is None or not key.startswith(f"{prefix}:"):
            found.append(f"{key}: no name of ours")
        else:
            rooms[match["base"]].add(match["rest"])
    breakers = circuits(prefix)
    found += _circuit_problems(client, breakers, rooms.pop(breakers, set()))
    for base, rests in rooms.items():
        found += [f"{base} {text}" for text in _Room(client, base, rests).problems()]
    return sorted(found)


def _circuit_problems(client: redis.Redis, base: str, rests: set[str]) -> list[str]:
    """Checks that each circuit is listed, and has a time to live unless it is open manually."""
    found = []
    start, names = SUFFIXES["circuit"], SUFFIXES["circuits"]
    pairs: Any = client.zrange(base + names, 0, -1, withscores=True)
    listed = dict(pairs)
    for rest in sorted(rests - {names}):
        name = rest.removeprefix(start)
        if rest.startswith((SUFFIXES["audit"], SUFFIXES["entry"])):
            found += [f"{base} {rest}: never expires"] if client.ttl(base + rest) == -1 else []
            continue
        if not rest.startswith(start):
            found.append(f"{base} {rest}: no name of ours")
            continue
        manual, ttl = client.hget(base + rest, "s") == b"h", client.pttl(base + rest)
        if ttl == -2:  # it expired between the two reads
            continue
        if manual != (ttl == -1):
            found.append(
                f"{base} {rest}: {'expires while open manually' if manual else 'never expires'}"
            )
        if listed.get(name.encode(), 0.0) == 0.0:
            found.append(f"{base} {rest}: not in the list of circuits")
        elif manual != (listed[name.encode()] == float("inf")):
            found.append(f"{base} {rest}: forgotten from the list at another time")
    return found


class _Room:
    def __init__(self, client: redis.Redis, base: str, rests: set[str]) -> None:
        self.rests = rests
        start, states = SUFFIXES["job"], {state.value for state in State} | {SUFFIXES["cancels"]}
        self.jobs: dict[str, dict[str, str]] = {}
        self.indexes: dict[str, Index] = {}
        self.ttls: dict[str, int] = {}
        self.values: dict[str, str] = {}
        self.waiters: dict[str, Index] = {}
        pipeline: Any = client.pipeline(transaction=False)
        order = sorted(rests)
        for rest in order:
            if rest.startswith(start):
                pipeline.hgetall(base + rest)
            elif rest in states or rest.startswith((SUFFIXES["org"], *_OF_JOBS)):
                pipeline.zrange(base + rest, 0, -1, withscores=True)
            elif rest.startswith(SUFFIXES["value"]):
                pipeline.get(base + rest)
            else:
                pipeline.ttl(base + rest)
            if rest.startswith(SUFFIXES["value"]):
                pipeline.ttl(base + rest)
        replies = iter(pipeline.execute())
        for rest in order:
            if rest.startswith(start):
                self.jobs[rest.removeprefix(start)] = _text(next(replies))
            elif rest.startswith(_OF_JOBS):
                self.waiters[rest] = {one.decode(): score for one, score in next(replies)}
            elif rest in states or rest.startswith(SUFFIXES["org"]):
                self.indexes[rest] = {one.decode(): score for one, score in next(replies)}
            else:
                if rest.startswith(SUFFIXES["value"]):
                    self.values[rest] = (next(replies) or b"").decode("utf-8", "replace")
                self.ttls[rest] = next(replies)

    def problems(self) -> list[str]:
        found = [text for rest in self.ttls if (text := self._problem(rest))]
        found += [
            f"{job_id}: a record without a payload"
            for job_id in self.jobs
            if SUFFIXES["payload"] + job_id not in self.rests
        ]
        found += [
            f"{rest}: {job_id} waits for it, and does not exist"
            for rest, waiting in self.waiters.items()
            for job_id in waiting
            if job_id not in self.jobs
        ]
        return found + self._index_problems()

    def _problem(self, rest: str) -> str | None:
        if rest in _STAY:
            return None
        for name in _BESIDE:
            if rest.startswith(SUFFIXES[name]):
                owner = rest.removeprefix(SUFFIXES[name])
                return None if owner in self.jobs else f"{rest}: its job does not exist"
        if rest.startswith(SUFFIXES["keytimes"]):
            line = SUFFIXES["keywaits"] + rest.removeprefix(SUFFIXES["keytimes"])
            return None if line in self.rests else f"{rest}: its line is empty"
        # -2: the key expired between the two reads.
        expires = self.ttls[rest] != -1
        if rest.startswith(tuple(SUFFIXES[name] for name in _EXPIRE)):
            return None if expires else f"{rest}: never expires"
        if rest in self.values:
            return None if expires or self._is_lock(rest) else f"{rest}: a value that never expires"
        return f"{rest}: no name of ours"

    def _is_lock(self, rest: str) -> bool:
        """Whether the value is a lock held by a job of the queue."""
        holder, _, token = self.values[rest].partition(" ")
        return bool(token) and holder in self.jobs

    def _index_problems(self) -> list[str]:
        want: dict[str, set[str]] = defaultdict(set)
        for job_id, job in self.jobs.items():
            if job.get("st") not in STATE_OF_LETTER:
                return [f"{job_id}: half a record: {sorted(job)}"]
            state = STATE_OF_LETTER[job["st"]].value
            want[state].add(job_id)
            if state == State.ACTIVE and "cl" in job:
                want[SUFFIXES["cancels"]].add(job_id)
            if "o" in job:
                want[f"{SUFFIXES['org']}{state}:{job['o']}"].add(job_id)
        found = []
        for name in sorted(self.indexes.keys() | want.keys()):
            index = self.indexes.get(name, {})
            if index.keys() != want[name]:
                found.append(f"{name}: holds {sorted(index)}, in that state: {sorted(want[name])}")
            if name.startswith(SUFFIXES["org"]):
                whole = self.indexes.get(name.split(":")[1], {})
                if any(whole.get(job_id) != score for job_id, score in index.items()):
                    found.append(f"{name}: other scores than in the whole index")
        return found


def _text(flat: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode("utf-8", "replace") for name, value in flat.items()}
