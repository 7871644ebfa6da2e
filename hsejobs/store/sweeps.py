"""The actions on all jobs of a state or of a queue: clean, drain, obliterate.

Each is limited to the time (Redis ms) at which it was requested: jobs that entered their state later
are left alone. Each script call handles at most 500 jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs.errors import InvalidOption, QueueBusy
from hsejobs.model import State
from hsejobs.store import keys, scripts
from hsejobs.store.scripts import Arg, Script

#: A job as the user saw it: its id, and its ``version`` at that time ('' for any).
Seen = tuple[str, str]
#: Jobs in one call of a script.
CHUNK = 500
#: How often a clean in several steps goes through the list: positions shift while workers take jobs.
PASSES = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """What the user was asked to confirm: the number of jobs, and the time (Redis ms) that limits it."""

    count: int
    at: int
    #: The jobs themselves with their versions, if not all that match at that time are meant.
    jobs: tuple[Seen, ...] | None = None


class Sweeps:
    """The part of ``JobWriter`` that acts on whole states.

    ``as_of``: the time (Redis ms) that limits the action; None: the time of the first step.
    """

    def _run(self, script: Script, queue: str, *args: Arg) -> Any:
        raise NotImplementedError

    def clean(
        self,
        queue: str,
        state: State,
        grace_ms: int,
        *,
        organization_id: str | None = None,
        limit: int | None = None,
        as_of: int | None = None,
    ) -> int:
        """Removes a state's jobs older than ``grace_ms``; returns how many.

        Raises InvalidOption for active jobs.
        """
        return sum(self.clean_steps(queue, state, grace_ms, organization_id, limit, as_of))

    def clean_steps(
        self,
        queue: str,
        state: State,
        grace_ms: int,
        organization_id: str | None = None,
        limit: int | None = None,
        as_of: int | None = None,
        *,
        spare_files: bool = False,
        jobs: Sequence[Seen] | None = None,
        entry: str = "",
    ) -> Iterator[int]:
        """Cleans in steps of at most 500 jobs; yields how many each step removed.

        ``spare_files``: jobs whose file has not expired are left alone. ``jobs``: of only these,
        those that have not changed. ``entry``: for the audit log.
        """
        check_cleanable(state)
        args = (state.letter, keys.tenant(organization_id), grace_ms)
        if jobs is not None:
            yield from self._clean_listed(queue, args, as_of, jobs, entry)
            return
        moment: Arg = "" if as_of is None else as_of
        left = limit
        for _ in range(PASSES):
            offset, ended, steps, done = 0, 0, 0, 0
            while not ended and (left is None or left > 0):
                step = CHUNK if left is None else min(CHUNK, left)
                removed, offset, ended, moment = self._run(
                    scripts.CLEAN, queue, *args, moment, step, offset, 0, int(spare_files), entry
                )
                steps, done = steps + 1, done + removed
                left = None if left is None else left - removed
                yield removed
            if steps <= 1 or not done or left == 0:
                return

    def _clean_listed(
        self,
        queue: str,
        args: Sequence[Arg],
        as_of: int | None,
        jobs: Sequence[Seen],
        entry: str,
    ) -> Iterator[int]:
        moment: Arg = "" if as_of is None else as_of
        for chunk in scripts.chunks(list(jobs), CHUNK):
            words = [word for pair in chunk for word in pair]
            yield self._run(scripts.CLEAN, queue, *args, moment, CHUNK, 0, 0, 0, entry, *words)[0]

    def select_clean(
        self,
        queue: str,
        state: State,
        grace_ms: int,
        organization_id: str | None = None,
        limit: int | None = None,
    ) -> Selection:
        """How many jobs a clean would remove now, and the time that limits it.

        ``limit``: at most that many; which ones is then part of the selection.
        """
        check_cleanable(state)
        args = (state.letter, keys.tenant(organization_id), grace_ms)
        count, offset, ended = 0, 0, 0
        jobs: list[Seen] = []
        moment: Arg = ""
        how = 1 if limit is None else 2
        while not ended and (limit is None or count < limit):
            found, offset, ended, moment, *listed = self._run(
                scripts.CLEAN, queue, *args, moment, 1000, offset, how, 0, ""
            )
            count += found
            texts = [text.decode() for text in listed]
            jobs += zip(texts[::2], texts[1::2], strict=True)
        if limit is None or count <= limit:
            return Selection(count, int(moment))
        return Selection(limit, int(moment), tuple(jobs[:limit]))

    def cleanable(
        self, queue: str, state: State, grace_ms: int, organization_id: str | None = None
    ) -> int:
        """How many jobs a clean would remove now."""
        return self.select_clean(queue, state, grace_ms, organization_id).count

    def drain(self, queue: str, *, as_of: int | None = None) -> int:
        """Removes waiting and delayed jobs, keeps the pause flag; returns how many."""
        return sum(self.drain_steps(queue, as_of=as_of))

    def drain_steps(
        self, queue: str, *, as_of: int | None = None, entry: str = ""
    ) -> Iterator[int]:
        """Drains in steps; yields how many each step removed."""
        # Delayed first: a job that becomes due meanwhile is then found among the waiting.
        return self._sweep_away(queue, "dw", force=True, whole=False, as_of=as_of, entry=entry)

    def obliterate(self, queue: str, *, force: bool = False, as_of: int | None = None) -> int:
        """Removes every job; returns how many. If none was added meanwhile, resets tenants and pause.

        The history stays. Raises QueueBusy while jobs run, unless ``force``.
        """
        return sum(self.obliterate_steps(queue, force=force, as_of=as_of))

    def obliterate_steps(
        self, queue: str, *, force: bool = False, as_of: int | None = None, entry: str = ""
    ) -> Iterator[int]:
        """Obliterates in steps; yields how many each step removed."""
        # Delayed before waiting, waiting before active: a job that moves on meanwhile is found again.
        return self._sweep_away(queue, "dwacf", force=force, whole=True, as_of=as_of, entry=entry)

    def _sweep_away(
        self, queue: str, states: str, *, force: bool, whole: bool, as_of: int | None, entry: str
    ) -> Iterator[int]:
        moment: Arg = "" if as_of is None else as_of
        ended, state, offset = 0, 1, 0
        while not ended:
            removed, ended, *where = self._run(
                scripts.OBLITERATE,
                queue,
                states,
                int(force),
                CHUNK,
                int(whole),
                moment,
                state,
                offset,
                entry,
            )
            if removed < 0:
                raise QueueBusy(
                    f"{ended} jobs of {queue!r} are active: pause the queue and wait, or use force"
                )
            moment, state, offset = where[:3]
            yield removed


def check_cleanable(state: State) -> None:
    """Raises InvalidOption for a state whose jobs cannot be cleaned."""
    if state is State.ACTIVE:
        raise InvalidOption("status", "active jobs cannot be cleaned; wait until they end")
