"""The jobs of a queue in memory, with the fields of their records in Redis (docs/redis-keys.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hsejobs.model import DEFAULT_PRIORITY, whole_number

#: As in the scripts: a place is the priority times this, plus a number.
_SPAN = 2**50


def raw(value: Any) -> bytes:
    """What Redis stores of an argument."""
    return value if isinstance(value, bytes) else str(value).encode()


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def whole(value: Any) -> int:
    """An integer from a field or an argument, 0 if it has none."""
    return whole_number(value) or 0


class MemoryJob:
    """One job: ``hash`` is its record, the rest are the keys beside it."""

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        self.hash: dict[str, bytes] = {}
        self.payload = self.extras = b""
        self.result: bytes = b""
        self.checkpoint: bytes | None = None
        self.errors: list[bytes] = []
        self.logs: list[bytes] = []
        self.marks: set[bytes] = set()
        #: Its score in the index of its state, and the ms at which its lease ends.
        self.score = self.lease = 0
        #: Its number among those that were added.
        self.added = 0

    def get(self, name: str) -> bytes | None:
        return self.hash.get(name)

    def set(self, **fields: Any) -> None:
        self.hash |= {name: raw(value) for name, value in fields.items()}

    def drop(self, *names: str) -> None:
        for name in names:
            self.hash.pop(name, None)

    @property
    def state(self) -> str:
        return text(self.hash.get("st", b"f"))

    @property
    def priority(self) -> int:
        return whole(self.get("p")) or DEFAULT_PRIORITY

    @property
    def order(self) -> tuple[int, str]:
        return (self.score, self.id)

    @property
    def version(self) -> str:
        return self.state if self.state == "a" else f"{self.state}{self.score}"

    def flat(self) -> list[bytes]:
        return [word for name, value in self.hash.items() for word in (raw(name), value)]

    def beside(self) -> list[Any]:
        """What a removal returns after the record."""
        values = [self.payload, self.extras, self.result, self.errors, self.logs]
        return [*values, list(self.marks), self.checkpoint or b"", b"", b""]

    def row(self) -> list[Any]:
        """As lib/record.lua returns it."""
        fields = [*self.flat(), b"v", raw(self.version)]
        return [raw(self.id), fields, self.payload, self.result, list(self.errors)]


@dataclass
class MemoryQueue:
    """One queue: its jobs by id, and what belongs to all of them."""

    jobs: dict[str, MemoryJob] = field(default_factory=dict)
    #: The same by the letter of the state.
    states: dict[str, dict[str, MemoryJob]] = field(
        default_factory=lambda: {letter: {} for letter in "wadcf"}
    )
    removed: dict[str, MemoryJob] = field(default_factory=dict)
    paused: bool = False
    number: int = 0
    slots: dict[str, bytes] = field(default_factory=dict)
    revoked: dict[str, bytes] = field(default_factory=dict)
    #: By lock: id and token of the holder ('' outside a job), and the ms at which it is free again
    #: (0: never).
    locks: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    #: By rate limit: when each block began, in us.
    rates: dict[str, dict[str, int]] = field(default_factory=dict)

    def place(self, priority: int) -> int:
        """The place of a job that begins to wait now."""
        self.number += 1
        return priority * _SPAN + self.number

    def in_state(self, state: str) -> list[MemoryJob]:
        """The jobs of a state, in the order of its index."""
        return sorted(self.states[state].values(), key=lambda job: job.order)

    def move(self, job: MemoryJob, state: str) -> None:
        """Puts a job into a state, from whatever it was in."""
        self.states[job.state].pop(job.id, None)
        job.set(st=state)
        self.states[state][job.id] = job

    def drop(self, job: MemoryJob) -> None:
        """Takes a job away."""
        del self.jobs[job.id], self.states[job.state][job.id]
