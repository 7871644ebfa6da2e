"""How many jobs of other organizations start before one that waits, where turns and limits both decide.

The workers are shared like a fluid: organizations with waiting jobs get them by weight, none more than its
limit, better priorities first. Whenever one has no more jobs, the others get what it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsejobs.store.waits import Party

#: Below this, a line has no jobs left, and a worker is not free.
_NONE = 1e-9


@dataclass(slots=True)
class Line:
    """Waiting jobs of an organization: how many, the mean run time of each in us, how many may run."""

    jobs: float
    cost: float
    weight: float
    limit: float
    better: bool = False


def shared(own: Line, parties: Sequence[Party], slots: int, rest: int) -> float:
    """How many jobs of others start while those of ``own`` do. ``rest``: all waiting jobs of others."""
    others = [
        Line(
            one.same * one.times,
            max(1, one.cost),
            one.weight * one.times,
            slots if one.limit is None else one.limit * one.times,
            one.better,
        )
        for one in parties
        if not one.paused
    ]
    counted = sum(one.jobs for one in others)
    lower = max(0.0, rest - counted)
    begun = 0.0
    # Each step ends a line.
    for _ in range(len(others) + 1):
        lines = [one for one in (own, *others) if one.jobs > _NONE]
        if own.jobs <= _NONE:
            break
        workers, free = _workers(lines, slots)
        step = min(
            one.jobs * one.cost / n for one, n in zip(lines, workers, strict=True) if n > _NONE
        )
        for one, n in zip(lines, workers, strict=True):
            jobs = min(one.jobs, n * step / one.cost)
            one.jobs -= jobs
            begun += jobs if one is not own else 0.0
        # Workers that none of these may have run jobs of worse priorities.
        jobs = min(lower, free * step / own.cost)
        lower, begun = lower - jobs, begun + jobs
    return begun


def _workers(lines: Sequence[Line], slots: int) -> tuple[list[float], float]:
    """How many workers each line has, and how many are left."""
    found, free = [0.0] * len(lines), float(slots)
    for better in (True, False):
        open_lines = [at for at, one in enumerate(lines) if one.better is better]
        while open_lines and free > _NONE:
            each = free / sum(lines[at].weight for at in open_lines)
            full = [at for at in open_lines if lines[at].limit <= lines[at].weight * each]
            for at in full or open_lines:
                found[at] = min(lines[at].limit, lines[at].weight * each)
                free -= found[at]
            open_lines = [at for at in open_lines if at not in full] if full else []
    return found, free
