"""Where a report that is written from front to back begins: at the start, or after some rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.shared.saving import PIECES

if TYPE_CHECKING:
    from tasks.reports.content import Part


@dataclass(slots=True)
class Place:
    """A list of the report, and the last of its rows that was read; ``part`` is '' at the start.

    ``rows`` is how many were read of all lists, ``total`` how many there are.
    """

    total: int
    part: str = ""
    last: list[Any] | None = None
    rows: int = 0
    _since_border: int = field(default=0, repr=False)
    _pending: str = field(default="", repr=False)

    @classmethod
    def of(cls, position: dict[str, Any] | None, total: int) -> Place:
        """Return the place that ``position`` described, or the start."""
        if position is None:
            return cls(total)
        place = cls(position["total"], position["part"], position["last"], position["rows"])
        place._pending = place.part
        return place

    @property
    def at_start(self) -> bool:
        """Whether nothing was written by an earlier attempt."""
        return not self._pending

    def complete(self, part: Part) -> bool:
        """Return whether an earlier attempt read all rows of a list; call it for each, in order."""
        return bool(self._pending) and self._pending != part.key

    def begun(self, part: Part) -> bool:
        """Return whether an earlier attempt read some rows of a list."""
        return self._pending == part.key

    def enter(self, part: Part) -> list[Any] | None:
        """Begin to read a list; return the last row that an earlier attempt read."""
        last = self.last if self._pending == part.key else None
        self.part, self._pending = part.key, ""
        return last

    def read(self, row: dict[str, Any], date: str, rows: int) -> bool:
        """Take the last row of a batch; return whether a piece ends after it."""
        self.last = [row[date], row["id"]]
        self.rows += rows
        self._since_border += rows
        if self._since_border * PIECES < self.total:
            return False
        self._since_border = 0
        return True

    def position(self) -> dict[str, Any]:
        """Return what ``of`` needs; JSON."""
        return {"part": self.part, "last": self.last, "rows": self.rows, "total": self.total}
