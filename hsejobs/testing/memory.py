"""The store in memory: what the scripts do, in Python, for one program and without Redis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from hsejobs.errors import JobsError
from hsejobs.store import adds
from hsejobs.store.claims import KIND_WORDS
from hsejobs.store.client import PATIENCE, RedisClient
from hsejobs.store.new_job import NewJob
from hsejobs.store.scripts import ADD, Arg, Script
from hsejobs.testing.acting import Acting
from hsejobs.testing.commands import Commands
from hsejobs.testing.records import MemoryQueue, raw, text, whole
from hsejobs.testing.running import Running
from hsejobs.testing.working import Working

R = TypeVar("R")
T = TypeVar("T", bound=tuple[Script, Any])


class MemoryClient(Working, Running, Acting, RedisClient):
    """Runs the transitions on dictionaries. ``clock`` returns the time in us since the epoch.

    Not thread-safe. Turns of organizations, limits and leases of other programs have no part in it: jobs are
    claimed by priority and order of arrival.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__("redis://memory")
        self._clock, self._last = clock, 0
        self.queues: dict[str, MemoryQueue] = defaultdict(MemoryQueue)
        self.keys: dict[str, Any] = {}

    def now_us(self) -> int:
        """The time in us: later with each call, so that what ends later sorts later."""
        self._last = max(self._last + 1, self._clock())
        return self._last

    def run(
        self, script: Script, base: str, args: Sequence[Arg] = (), *, patience: float = PATIENCE
    ) -> Any:
        """As `RedisClient.run`. Raises JobsError for a script that has no part in tests."""
        act = getattr(self, f"_do_{script.name}", None)
        if act is None:
            raise JobsError(f"{script.name} does not work in hsejobs.testing: use a real Redis")
        self._us = self.now_us()
        self._ms = self._us // 1000
        shared = dict(zip(script.fixed, args, strict=False))
        first, size = len(script.fixed), len(script.each)
        # The kinds of jobs that have ended stand before the jobs.
        kinds = args[first : first + KIND_WORDS * whole(shared.get("kinds", 0))]
        rest = args[first + len(kinds) :]
        items = [
            dict(zip(script.each, rest[at : at + size], strict=True))
            for at in range(0, len(rest), size or 1)
        ]
        for item in items if kinds else ():
            item["its_token"] = kinds[KIND_WORDS * (whole(item["kind"]) - 1)]
        return act(self.queues[base], shared, items)

    add = run

    def add_one(self, base: str, job: NewJob) -> Any:
        return self.run(ADD, base, adds.args((ADD, [job])))

    def add_many(
        self,
        base: str,
        calls: Iterable[T],
        args_of: Callable[[T], Sequence[Arg]],
        result_of: Callable[[T, Any], R],
    ) -> list[R]:
        return [result_of(call, self.run(call[0], base, args_of(call))) for call in calls]

    def batch(
        self, calls: Sequence[tuple[Script | None, Sequence[Arg]]], *, patience: float = PATIENCE
    ) -> list[Any]:
        return [self._single(script, words, patience) for script, words in calls]

    def check_format(self) -> None:
        """The records are always of this release."""

    def ping(self, *, patience: float = 1.0) -> None:
        """Nothing can be away."""

    def close(self) -> None:
        """Nothing is open."""

    def command(self, *words: Arg, patience: float = PATIENCE) -> Any:
        """The plain commands of the readers and of Huey's storage."""
        name, key, *rest = words
        base, _, suffix = str(key).rpartition("}:")
        kind, _, name_of_key = suffix.partition(":")
        queue = self.queues[f"{base}}}:"] if base else MemoryQueue()
        return Commands(self, queue, str(key), kind, name_of_key).run(str(name), rest)

    # -- readers

    def _do_page(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> list[Any]:
        only, reverse = raw(shared["organization"]), shared["reverse"] in (1, "1")
        jobs = [
            job for job in queue.in_state(text(shared["state"])) if not only or job.get("o") == only
        ]
        total = len(jobs)
        if reverse:
            jobs.reverse()
        last = (whole(shared["cursor_score"]), text(shared["cursor_id"]))
        if last[1]:
            jobs = [job for job in jobs if (job.order < last if reverse else job.order > last)]
        shown = jobs[: whole(shared["limit"])]
        more = len(jobs) > len(shown)
        following = (raw(shown[-1].score), raw(shown[-1].id)) if more else (b"", b"")
        return [total, int(queue.paused), *following, *(job.row() for job in shown)]

    def _do_stats(self, queue: MemoryQueue, shared: dict[str, Arg], _: Any) -> list[Any]:
        only = raw(shared["organization"])
        counts = [
            sum(not only or job.get("o") == only for job in queue.in_state(state))
            for state in "wadcf"
        ]
        minutes: list[Any] = [[] for _ in range(whole(shared["minutes"]))]
        return [*counts, int(queue.paused), -1, -1, 1, self._ms, [], *minutes]

    # -- descriptions, which no one reads

    def _do_describe(self, *_: Any) -> list[Any]:
        return [self._ms, b"", b"", [], []]

    def _do_register(self, *_: Any) -> int:
        return 1

    # -- circuits: always closed

    def _do_circuit_enter(self, *_: Any) -> list[Any]:
        return [b"c", -1]

    def _do_circuit_report(self, *_: Any) -> bytes:
        return b"c"
