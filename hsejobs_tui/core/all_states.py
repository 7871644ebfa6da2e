"""The jobs of all states as one list: state after state, by position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hsejobs.model import JobRecord, State
from hsejobs.store.read_live import Window
from hsejobs_tui.core.source import HITS_KEPT, Hits, LiveSource
from hsejobs_tui.core.view import AHEAD

#: The order of the list: what runs, what comes, what ended.
ORDER = (State.ACTIVE, State.WAITING, State.DELAYED, State.FAILED, State.COMPLETED)


def window(
    source: LiveSource,
    queue: str,
    *,
    offset: int,
    limit: int,
    reverse: bool = False,
    anchor: str | None = None,
    anchor_row: int = 0,
) -> Window:
    """As `LiveSource.window`, of all states. ``reverse``: each state in the opposite order.

    An anchor that changed its state is found there. Blocks; takes two round trips, or one for each state
    that the window touches.
    """
    stats = source.stats(queue)
    counts = [getattr(stats, state.value) for state in ORDER]
    starts = [sum(counts[:n]) for n in range(len(ORDER))]
    total = sum(counts)
    place = _place(source, queue, anchor, starts, reverse)
    if place is not None:
        offset = place - anchor_row
    offset = max(0, min(offset, total - limit))
    rows: list[JobRecord | None] = []
    now, paused = stats.now, stats.is_paused
    for state, start, count in zip(ORDER, starts, counts, strict=True):
        first = max(0, offset + len(rows) - start)
        left = min(limit - len(rows), count - first)
        if left <= 0:
            continue
        seen = source.window(
            queue, state, offset=first, limit=left, reverse=_backwards(state, reverse)
        )
        # Jobs that moved meanwhile leave holes: positions must not shift.
        rows += [*seen.rows[:left], *[None] * (left - len(seen.rows))]
        now = seen.now
    return Window(total, paused, offset, place, now, rows)


def _backwards(state: State, reverse: bool) -> bool:
    return (state not in AHEAD) is not reverse


def _place(
    source: LiveSource, queue: str, anchor: str | None, starts: Sequence[int], reverse: bool
) -> int | None:
    if anchor is None:
        return None
    (job,) = source.jobs(queue, [anchor])
    if job is None:
        return None
    seen = source.window(
        queue, job.status, offset=0, limit=1, reverse=_backwards(job.status, reverse), anchor=anchor
    )
    return None if seen.place is None else starts[ORDER.index(job.status)] + seen.place


def merged(found: Mapping[State, Hits]) -> Hits | None:
    """The hits of all states as one; None before the first."""
    parts = [found[state] for state in ORDER if state in found]
    if not parts:
        return None
    whole = Hits(parts[0].queue, parts[0].state)
    for one in parts:
        whole.total += one.total
        whole.seen += one.seen
        whole.count += one.count
        whole.jobs += one.jobs[: max(0, HITS_KEPT - len(whole.jobs))]
        whole.excerpts |= one.excerpts
    whole.done = len(parts) == len(ORDER) and all(one.done for one in parts)
    return whole
