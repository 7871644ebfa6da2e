"""Reads for live displays: everything that a refresh needs, in one pipeline."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hsejobs.errors import RedisRefused
from hsejobs.model import JobRecord, State
from hsejobs.store import keys, registry, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.minutes import Minute, minute_of, pairs
from hsejobs.store.read import QueueStats, stats_of
from hsejobs.store.records import record_of
from hsejobs.store.registry import QueueInfo

#: Leases of a queue that are read: of the jobs whose leases end first.
LEASES = 1_000
#: Seconds for which a read is retried before it fails: the next refresh comes soon.
PATIENCE = 0.5


class Server(NamedTuple):
    """The Redis server, from INFO; memory in bytes. Missing values are '' or 0."""

    version: str
    used_memory: int
    maxmemory: int
    clients: int
    policy: str


@dataclass(slots=True)
class Snapshot:
    """All queues at one time. ``cost``: the number of commands sent and the ms that they took."""

    queues: list[QueueStats]
    infos: dict[str, QueueInfo]
    server: Server | None
    workers: dict[str, list[dict[str, Any]]]
    cost: tuple[int, float]
    #: The number of jobs stalled for too long, by queue; the stored alerts, by rule and queue.
    stalled: dict[str, int] = field(default_factory=dict)
    alerts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    #: Redis time in ms.
    now: int = 0


@dataclass(slots=True)
class Window:
    """The jobs of a state from position ``offset``; ``place`` is the anchor's position, None if gone.

    A row is None if its record was removed meanwhile. ``now`` is Redis time in ms.
    """

    total: int
    paused: bool
    offset: int
    place: int | None
    now: int
    rows: list[JobRecord | None]


class LiveReader:
    """Reads queues, jobs and consumers, limited to ``organization_id``. Creating one does no I/O."""

    def __init__(
        self, client: RedisClient, prefix: str, organization_id: str | None = None
    ) -> None:
        self.redis = client
        self.prefix = prefix
        self.organization_id = organization_id
        self._names: list[str] = []
        self._no_info = False
        self._minutes: dict[str, Minutes] = {}
        self._infos: dict[str, tuple[Sequence[Any], QueueInfo]] = {}

    def _base(self, queue: str) -> str:
        return keys.base(self.prefix, queue)

    def snapshot(
        self, *, minutes: int = 60, stalled_ms: int = 30_000, patience: float = PATIENCE
    ) -> Snapshot:
        """Every queue's stats, description, consumers and stalled jobs, in one round trip.

        The first call, and one that finds a new queue, takes two. With an organization, it contains
        no consumers, alerts or server data.
        """
        started = time.perf_counter()
        org = self.organization_id
        sent = 0
        while True:
            names = self._names
            calls: list[tuple[scripts.Script | None, Sequence[scripts.Arg]]] = [
                (None, ("SMEMBERS", keys.queues(self.prefix)))
            ]
            if org is None:
                calls.append((None, ("HVALS", keys.alerts(self.prefix))))
                if not self.redis.cluster and not self._no_info:
                    calls.append((None, ("INFO",)))
            fixed = len(calls)
            for name in names:
                base = self._base(name)
                calls.append((scripts.STATS, (base, org or "", minutes)))
                calls.append((scripts.DESCRIBE, (base,)))
                if org is None:
                    calls.append((scripts.WORKERS, (base,)))
                    # By Redis time, which this process does not know on the first read.
                    calls.append((scripts.OVERDUE, (base, stalled_ms)))
            if not names:
                # Circuits and alerts need Redis time even if there are no queues.
                calls.append((scripts.WORKERS, (keys.circuits(self.prefix),)))
            try:
                replies = self.redis.batch(calls, patience=patience)
            except RedisRefused:
                # The server data are optional: some users may not call INFO.
                if self._no_info:
                    raise
                self._no_info = True
                continue
            sent += len(calls)
            found = sorted(name.decode() for name in replies[0])
            if found == names:
                break
            self._names = found
            self._minutes = {name: self._minutes.get(name) or Minutes() for name in found}
            self._infos = {name: one for name, one in self._infos.items() if name in found}
        step = 4 if org is None else 2
        rows = [replies[at : at + step] for at in range(fixed, fixed + step * len(names), step)]
        stats = [
            stats_of(name, row[0], self._minutes[name].decode)
            for name, row in zip(names, rows, strict=True)
        ]
        now = max((one.now for one in stats), default=0) or int(replies[-1][0])
        kept = [json.loads(text) for text in replies[1]] if org is None else []
        return Snapshot(
            stats,
            {name: self._info(name, row[1]) for name, row in zip(names, rows, strict=True)},
            _server(replies[2]) if fixed > 2 else None,
            {name: _workers(row[2]) for name, row in zip(names, rows, strict=True)}
            if org is None
            else {},
            (sent, (time.perf_counter() - started) * 1000),
            {name: row[3] for name, row in zip(names, rows, strict=True)} if org is None else {},
            {(one["rule"], one["queue"] or ""): one for one in kept},
            now,
        )

    def _info(self, name: str, reply: Sequence[Any]) -> QueueInfo:
        """A queue's description; that of the last snapshot if Redis says the same."""
        said = reply[1:]
        known = self._infos.get(name)
        if known is not None and known[0] == said:
            return known[1]
        found = registry.described(reply)
        info = found.info or QueueInfo(name)
        if not found.foreign:
            # A description of 0.1.0 is as new as the reply.
            self._infos[name] = (said, info)
        return info

    def window(
        self,
        queue: str,
        state: State,
        *,
        offset: int = 0,
        limit: int = 100,
        reverse: bool = False,
        anchor: str | None = None,
        anchor_row: int = 0,
    ) -> Window:
        """Up to ``limit`` (at most 200) jobs by position, with ``anchor`` in row ``anchor_row``."""
        reply = self.redis.run(
            scripts.WINDOW,
            self._base(queue),
            (
                state.letter,
                keys.tenant(self.organization_id),
                int(reverse),
                offset,
                limit,
                anchor or "",
                anchor_row,
                1,
            ),
            patience=PATIENCE,
        )
        total, paused, first, place, now = reply[:5]
        rows = [record_of(queue, row) if row[1] else None for row in reply[5:]]
        for row in rows:
            if row is not None:
                row.paused = bool(paused)
        return Window(total, bool(paused), first, place if place >= 0 else None, now, rows)

    def jobs(self, queue: str, ids: Sequence[str]) -> list[JobRecord | None]:
        """These jobs without payloads, in one round trip; None for each that does not exist."""
        org = keys.tenant(self.organization_id)
        replies = self.redis.run_many(
            [(scripts.JOB, self._base(queue), (org, one, 0)) for one in ids], patience=PATIENCE
        )
        return [record_of(queue, row) if row else None for row in replies]

    def running(
        self, wanted: Mapping[str, Sequence[str]], limit: int
    ) -> list[tuple[JobRecord, int | None]]:
        """Active jobs of these queues with the end of their leases (ms), without payloads, in one pipeline.

        Of each queue, the ``limit`` jobs whose leases end first, and those with the given ids.
        """
        org = keys.tenant(self.organization_id)
        calls: list[tuple[scripts.Script | None, Sequence[scripts.Arg]]] = []
        letter, size = State.ACTIVE.letter, min(200, limit)
        for queue, ids in wanted.items():
            base = self._base(queue)
            index = keys.index(base, State.ACTIVE, self.organization_id)
            calls.append((None, ("ZRANGE", index, 0, LEASES - 1, "WITHSCORES")))
            calls.append((scripts.WINDOW, (base, letter, org, 0, 0, size, "", 0, 1)))
            calls += [(scripts.JOB, (base, org, one, 0)) for one in ids]
        replies = iter(self.redis.batch(calls, patience=PATIENCE) if calls else ())
        found: dict[tuple[str, str], tuple[JobRecord, int | None]] = {}
        for queue, ids in wanted.items():
            leases = {name.decode(): int(float(end)) for name, end in _scores(next(replies))}
            rows = [*next(replies)[5:], *(next(replies) for _ in ids)]
            for job in (record_of(queue, row) for row in rows if row and row[1]):
                if job.status is State.ACTIVE:
                    found[queue, job.id] = job, leases.get(job.id)
        return list(found.values())


class Minutes:
    """Decodes a queue's minutes. Those that did not change since the last reply stay the same objects: from
    one second to the next, one of the minutes changes, and in a quiet queue none.
    """

    def __init__(self) -> None:
        self._newest = 0
        self._known: list[tuple[Any, Minute]] = []

    def decode(self, reply: Sequence[Any]) -> list[Minute]:
        """The minutes in a reply of ``lua/stats.lua``, newest first."""
        newest = reply[9] // 60_000
        moved, self._newest = newest - self._newest, newest
        known, found = self._known, []
        for back, hashed in enumerate(reply[12:]):
            before = known[back - moved] if 0 <= back - moved < len(known) else None
            if before is None or before[0] != hashed:
                before = (hashed, minute_of(pairs(hashed)))
            found.append(before)
        self._known = found
        return [minute for _, minute in found]


def _scores(reply: Sequence[Any]) -> list[tuple[bytes, bytes]]:
    return list(zip(reply[::2], reply[1::2], strict=True))


def _server(raw: Any) -> Server:
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    info = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def number(name: str) -> int:
        return int(info.get(name) or 0)

    version = info.get("valkey_version")
    return Server(
        f"Valkey {version}" if version else f"Redis {info.get('redis_version', '?')}",
        number("used_memory"),
        number("maxmemory"),
        number("connected_clients"),
        info.get("maxmemory_policy", ""),
    )


def _workers(reply: Sequence[Any]) -> list[dict[str, Any]]:
    now, found = int(reply[0]), []
    for text, seen in zip(reply[1::2], reply[2::2], strict=True):
        record = json.loads(text)
        record["heartbeatAge"] = max(0, now - int(float(seen)))
        found.append(record)
    return found
