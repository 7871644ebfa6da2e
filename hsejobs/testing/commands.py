"""The plain commands that readers and Huey's storage send, on the queues in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hsejobs.errors import JobsError
from hsejobs.model import State
from hsejobs.store.scripts import Arg
from hsejobs.testing.records import MemoryJob, MemoryQueue, raw, text, whole

if TYPE_CHECKING:
    from hsejobs.testing.memory import MemoryClient


class Commands:
    """One plain command on a key of a queue."""

    def __init__(
        self, client: MemoryClient, queue: MemoryQueue, key: str, kind: str, name: str
    ) -> None:
        self.client, self.queue, self.key, self.kind, self.name = client, queue, key, kind, name

    def run(self, command: str, rest: list[Any]) -> Any:
        """The reply. Raises JobsError for a command that tests do not need."""
        act = getattr(self, f"_{command.lower()}", None)
        if act is None:
            raise JobsError(f"{command} does not work in hsejobs.testing: use a real Redis")
        return act(*rest)

    @property
    def _job(self) -> MemoryJob | None:
        return self.queue.jobs.get(self.name)

    def _hash(self) -> dict[str, bytes]:
        if self.kind == "j":
            return self._job.hash if self._job else {}
        if self.kind in ("revoked", "slots"):
            own: dict[str, bytes] = getattr(self.queue, self.kind)
            return own
        found: dict[str, bytes] = self.client.keys.setdefault(self.key, {})
        return found

    def _hget(self, field: Arg) -> bytes | None:
        return self._hash().get(text(field))

    def _hmget(self, *fields: Arg) -> list[bytes | None]:
        return [self._hget(field) for field in fields]

    def _hgetall(self) -> list[bytes]:
        return [word for name, value in self._hash().items() for word in (raw(name), value)]

    def _hset(self, *pairs: Arg) -> int:
        self._hash().update(
            {text(name): raw(value) for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
        )
        return 1

    def _hsetnx(self, field: Arg, value: Arg) -> int:
        there = text(field) in self._hash()
        return 0 if there else self._hset(field, value)

    def _hdel(self, *fields: Arg) -> int:
        return sum(self._hash().pop(text(field), None) is not None for field in fields)

    def _get(self) -> bytes | None:
        job = self._job
        if self.kind == "x":
            return job.extras if job else None
        if self.kind == "cp":
            return job.checkpoint if job else None
        found: bytes | None = self.client.keys.get(self.key)
        return found

    def _set(self, value: Arg, *_: Arg) -> bytes:
        self.client.keys[self.key] = raw(value)
        return b"OK"

    def _del(self) -> int:
        return int(self.client.keys.pop(self.key, None) is not None)

    _unlink = _del

    def _exists(self) -> int:
        return int(self.key in self.client.keys)

    def _expire(self, *_: Arg) -> int:
        return 1

    def _incrby(self, by: Arg) -> int:
        value = whole(self.client.keys.get(self.key)) + whole(by)
        self.client.keys[self.key] = raw(value)
        return value

    def _sadd(self, *members: Arg) -> int:
        found: set[bytes] = self.client.keys.setdefault(self.key, set())
        fresh = {raw(member) for member in members} - found
        found |= fresh
        return len(fresh)

    def _scard(self) -> int:
        return len(self.client.keys.get(self.key, ()))

    def _zcard(self) -> int:
        states = {state.value: state.letter for state in State}
        return len(self.queue.in_state(states[self.kind])) if self.kind in states else 0

    def _zcount(self, *_: Arg) -> int:
        return len(self.queue.rates.get(self.name, {}))

    def _zadd(self, *_: Arg) -> int:
        return 0

    _zrem = _lpush = _zadd

    def _lrange(self, *_: Arg) -> list[bytes]:
        return list(self._job.logs) if self.kind == "l" and self._job else []

    def _smembers(self) -> set[bytes]:
        return set(self._job.marks) if self._job else set()

    def _time(self) -> list[int]:
        return list(divmod(self.client.now_us(), 1_000_000))
