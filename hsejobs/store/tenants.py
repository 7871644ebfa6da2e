"""Find and erase the data of one organization in Redis, in bounded steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hsejobs.errors import JobsError, RedisRefused, RedisUnavailable
from hsejobs.store import keys, scripts
from hsejobs.store.circuits import Circuits, organization_of_circuit
from hsejobs.store.client import RedisClient

#: Keys per scan step, events per step, ids per step.
KEYS, EVENTS, IDS = 500, 50, 500


@dataclass(slots=True)
class Traces:
    """The data of an organization that a walk over the keys found."""

    #: Ids of jobs by the queue's base, also of records that are not in any index.
    jobs: dict[str, list[str]] = field(default_factory=dict)
    #: Keys of counters, locks and values that contain its id.
    keys: list[str] = field(default_factory=list)
    circuits: list[str] = field(default_factory=list)
    #: Keys of the turns in the lines of jobs that wait for their key.
    lines: list[str] = field(default_factory=list)
    #: The number of heartbeats that name one of its jobs.
    heartbeats: int = 0
    #: The number of entries about it in what queues keep of all organizations.
    entries: int = 0

    @property
    def nothing(self) -> bool:
        """Whether nothing was found."""
        found = (
            self.jobs,
            self.keys,
            self.circuits,
            self.lines,
            self.heartbeats,
            self.entries,
        )
        return not any(found)


def _members(organization_id: str) -> list[str]:
    """The organization as a member of turns, one for each priority."""
    return [f"{priority}{organization_id}" for priority in range(1, 6)]


class Tenants:
    """Finds and erases an organization's data. All methods raise RedisUnavailable."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis, self.prefix = client, prefix

    def walk(self, organization_id: str) -> Iterator[Traces]:
        """Walks over all keys of the installation in steps; yields what each step found."""
        batch: list[str] = []
        for key in self._keys():
            batch.append(key)
            if len(batch) == KEYS:
                yield self._look(organization_id, batch)
                batch = []
        if batch:
            yield self._look(organization_id, batch)

    def _keys(self) -> Iterator[str]:
        import redis

        match = re.sub(r"([*?\[\]\\])", r"\\\1", self.prefix) + ":{*"
        try:
            for key in self.redis.driver.scan_iter(match=match, count=KEYS):
                yield key.decode("utf-8", "surrogateescape")
        except redis.RedisError as error:
            raise RedisUnavailable(f"Redis does not answer: {type(error).__name__}") from None

    def _look(self, organization_id: str, batch: list[str]) -> Traces:
        found = Traces()
        names = keys.SUFFIXES
        asked: list[tuple[str, str, str]] = []
        named = re.compile(rf"(?<![^:./ ]){re.escape(organization_id)}(?![^:./ ])")
        for key in batch:
            base, _, rest = key.partition("}:")
            base += "}:"
            kind = rest.partition(":")[0] + ":"
            if kind == names["job"]:
                asked.append((key, base, "job"))
            elif kind == names["worker"]:
                asked.append((key, base, "worker"))
            elif base == keys.circuits(self.prefix):
                name = rest.removeprefix(names["circuit"])
                if organization_of_circuit(name) == organization_id:
                    found.circuits.append(name)
            elif kind == names["minute"] and rest.count(":") > 1:
                # m:<minute>:<organization>
                if rest.split(":", 2)[2] == organization_id:
                    found.keys.append(key)
            elif rest == names["orgs"]:
                asked.append((key, base, "list"))
            elif rest == names["tenants"] or kind in (names["busiest"], names["sample"]):
                asked.append((key, base, "hash"))
            elif kind == names["names"]:
                asked.append((key, base, "name"))
            elif kind == names["keytimes"]:
                asked.append((key, base, "line"))
            elif kind == names["org"]:
                # o:<state>:<organization>
                if rest.split(":", 2)[2] == organization_id:
                    asked.append((key, base, "org"))
            elif kind in (names["value"], names["counter"], names["members"]) and named.search(
                rest.partition(":")[2]
            ):
                found.keys.append(key)
        self._ask(organization_id, asked, found)
        return found

    def _ask(self, organization_id: str, asked: list[tuple[str, str, str]], to: Traces) -> None:
        if not asked:
            return
        words: dict[str, Any] = {
            "job": lambda key: ("HGET", key, "o"),
            "worker": lambda key: ("GET", key),
            "org": lambda key: ("ZRANGE", key, 0, IDS - 1),
            "hash": lambda key: ("HGET", key, organization_id),
            "name": lambda key: ("HGET", key, "o" + organization_id),
            "list": lambda key: ("ZSCORE", key, organization_id),
            "line": lambda key: ("HMGET", key, *_members(organization_id)),
        }
        calls: list[tuple[Any, Any]] = [(None, words[kind](key)) for key, _, kind in asked]
        own = organization_id.encode()
        for (key, base, kind), reply in zip(asked, self._replies(calls), strict=True):
            if kind == "job" and reply == own:
                job_id = key.removeprefix(base + keys.SUFFIXES["job"])
                to.jobs.setdefault(base, []).append(job_id)
            elif kind == "org":
                to.jobs.setdefault(base, []).extend(one.decode() for one in reply or ())
            elif kind in ("hash", "name", "list") and reply is not None:
                to.entries += 1
            elif kind == "line" and any(one is not None for one in reply or ()):
                to.lines.append(key)
            elif kind == "worker" and reply and b'"' + own + b":" in reply:
                to.heartbeats += 1

    def _replies(self, calls: list[tuple[Any, Any]]) -> list[Any]:
        """The replies; None for a key of another type, which another program wrote."""
        try:
            return self.redis.batch(calls)
        except RedisUnavailable:
            raise
        except JobsError:
            replies: list[Any] = []
            for call in calls:
                try:
                    replies += self.redis.batch([call])
                except RedisUnavailable:
                    raise
                except JobsError:
                    replies.append(None)
            return replies

    def erase_jobs(self, base: str, organization_id: str, ids: list[str]) -> tuple[int, int]:
        """Removes records by id, in any index; returns how many, and how many still run."""
        removed = running = 0
        for chunk in scripts.chunks(ids, IDS):
            gone, busy = self.redis.run(scripts.ERASE, base, (organization_id, *chunk))
            removed, running = removed + gone, running + busy
        return removed, running

    def erase_keys(self, names: list[str]) -> None:
        if names:
            self.redis.batch([(None, ("UNLINK", name)) for name in names])

    def forget_lines(self, names: list[str], organization_id: str) -> None:
        """Removes the organization from the turns in lines of jobs that wait for their key."""
        if names:
            fields = _members(organization_id)
            self.redis.batch([(None, ("HDEL", name, *fields)) for name in names])

    def forget_entries(self, queue: str, organization_id: str) -> int:
        """Removes the organization from what a queue keeps of all of them; returns how many entries."""
        base = keys.base(self.prefix, queue)
        return int(self.redis.run(scripts.FORGET_TENANT, base, (organization_id,)))

    def forget_events(self, queue: str, organization_id: str) -> Iterator[None]:
        """Removes the organization's lines from a queue's event feed, step by step."""
        base = keys.base(self.prefix, queue)
        while not self.redis.run(scripts.FORGET_EVENTS, base, (organization_id, EVENTS)):
            yield

    def forget_circuits(self, names: list[str]) -> int:
        """Removes circuits; returns how many existed."""
        return sum(
            self.redis.run(scripts.CIRCUIT_FORGET, keys.circuits(self.prefix), chunk)
            for chunk in scripts.chunks(names, IDS)
        )

    def circuits(self, organization_id: str) -> list[dict[str, Any]]:
        """The public objects of the organization's circuits."""
        return [one.public() for one in Circuits(self.redis, self.prefix).all(organization_id)]

    def rewrite(self) -> str | None:
        """Makes the server rewrite its append-only file; returns the reason if it does not.

        The append-only file keeps the history of removed records until it is rewritten.
        """
        if self.redis.cluster:
            return "the nodes of a Cluster rewrite their files by themselves: see BGREWRITEAOF"
        if self._persistence().get("aof_enabled") != "1":
            return None
        try:
            self.redis.command("BGREWRITEAOF")
        except RedisRefused as error:
            return str(error)
        except RedisUnavailable:
            raise
        except JobsError as error:
            return None if "already in progress" in str(error) else str(error)
        return None

    def rewriting(self) -> bool:
        """Whether the server is still rewriting its append-only file."""
        found = self._persistence()
        return "1" in (found.get("aof_rewrite_in_progress"), found.get("aof_rewrite_scheduled"))

    def _persistence(self) -> dict[str, str]:
        text = self.redis.command("INFO", "persistence").decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
