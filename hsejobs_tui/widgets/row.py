"""The columns and rows of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.text import Text

from hsejobs_tui.widgets import sorting


class Column(NamedTuple):
    """A column. ``width`` in cells, 0 for the remaining space; hidden below ``above`` cells.

    ``wide``: its width when the list is at least ``WIDE`` cells wide; 0 for no change. ``gone``: it says
    of a removed row that it is gone; by default the first one with room for it does.
    """

    title: str
    width: int
    above: int = 0
    right: bool = False
    wide: int = 0
    gone: bool = False


@dataclass(slots=True)
class Row:
    """A row: its key, and one cell per column. ``dim``: the item no longer exists.

    ``line``: one text instead of the cells; such a row stays last. ``values``: what the cells are sorted
    by; without one, by the number or the text that the cell shows.
    """

    key: str
    cells: Sequence[Text | str] = field(default_factory=list)
    dim: bool = False
    line: Text | None = None
    values: Sequence[float | str | None] = ()

    @property
    def drawn(self) -> object:
        """A comparable value of all that is drawn of it."""
        shown = self.cells if self.line is None else [self.line]
        # Rich treats two Texts as equal when only their base style differs.
        values = [
            (one.plain, str(one.style), one.spans) if isinstance(one, Text) else one
            for one in shown
        ]
        return self.key, self.dim, values

    def sort_value(self, column: int) -> float | str | None:
        """What the row is sorted by in a column."""
        given = self.values[column] if column < len(self.values) else None
        if given is not None or column >= len(self.cells):
            return given
        return sorting.value_of(str(self.cells[column]))
