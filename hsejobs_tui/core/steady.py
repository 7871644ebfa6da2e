"""Lists in the order of figures that move: rows that are about equal keep their places.

Rows that change their places for differences that do not matter cannot be read, nor met by a key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class Moves(NamedTuple):
    """How a figure moves. ``least``: by how much it must be larger to be clearly larger than another.

    ``none``: up to which value it does not count; what counts is clearly larger than what does not.
    ``part``: by which part of the other it must be larger, too.
    """

    least: float = 0.0
    none: float = 0.0
    part: float = 0.25

    def clearly(self, one: float, other: float) -> bool:
        """Whether a figure is clearly larger than another one."""
        return one - other > self.part * abs(other) + (
            self.least if other > self.none else self.none
        )

    def counts(self, value: float) -> float:
        """The figure, or 0 if it does not count."""
        return 0.0 if abs(value) <= self.none else value


#: How a number of jobs, attempts or errors moves.
COUNT = Moves(2)
#: How a share from 0 to 1 moves: not much is left above a large one.
SHARE = Moves(0.03, 0.01, 0.1)


class Rank(NamedTuple):
    """Where a row belongs: by ``group``, the least first; by ``figures``, the largest first; by ``tie``.

    Figures move; a row whose group changes goes to its new place at once.
    """

    group: tuple[int, ...] = ()
    figures: tuple[float, ...] = ()
    tie: tuple[object, ...] = ()


class Places(Generic[Key]):
    """The order in which a list is shown, from which the next one follows. ``moves``: of each figure."""

    def __init__(self, *moves: Moves) -> None:
        self._moves = moves
        self._shown: dict[Key, tuple[int, tuple[int, ...]]] = {}
        self._about: object = None

    def order(
        self,
        items: Iterable[Item],
        key: Callable[[Item], Key],
        rank: Callable[[Item], Rank],
        about: object = None,
    ) -> list[Item]:
        """The rows as they are shown, but none below one that it is clearly above; new ones by their rank.

        The first figure that counts in either of two rows decides between them. ``about``: what is listed;
        another list begins in the order of the ranks.
        """
        if about != self._about:
            self._shown, self._about = {}, about
        kept: list[tuple[int, Rank, Item]] = []
        fresh: list[tuple[Rank, Item]] = []
        for one in items:
            its, shown = rank(one), self._shown.get(key(one))
            if shown is not None and shown[1] == its.group:
                kept.append((shown[0], its, one))
            else:
                fresh.append((its, one))
        kept.sort(key=lambda row: row[0])
        fresh.sort(key=lambda row: self._exact(row[0]))
        found: list[tuple[Rank, Item]] = []
        lowest: Rank | None = None
        for _, its, one in kept:
            # A row that is not clearly above the lowest is not above any.
            if lowest is not None and self._above(its, lowest):
                at = next(n for n, (other, _) in enumerate(found) if self._above(its, other))
                found.insert(at, (its, one))
            else:
                found.append((its, one))
            if lowest is None or self._exact(lowest) < self._exact(its):
                lowest = its
        if found:
            for its, one in fresh:
                exact = self._exact(its)
                later = (n for n, (other, _) in enumerate(found) if self._exact(other) > exact)
                found.insert(next(later, len(found)), (its, one))
        else:
            found = fresh
        self._shown = {key(one): (n, its.group) for n, (its, one) in enumerate(found)}
        return [one for _, one in found]

    def forget(self) -> None:
        """Lets the next order be that of the ranks."""
        self._shown = {}

    def _exact(self, rank: Rank) -> tuple[object, ...]:
        counted = zip(self._moves, rank.figures, strict=True)
        return (rank.group, [-moves.counts(value) for moves, value in counted], rank.tie)

    def _above(self, one: Rank, other: Rank) -> bool:
        if one.group != other.group:
            return one.group < other.group
        for moves, mine, its in zip(self._moves, one.figures, other.figures, strict=True):
            if moves.counts(mine) or moves.counts(its):
                return moves.clearly(mine, its)
        return False
