"""A list of any length that draws only its visible rows and ties its cursor to a row key."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from hsejobs_tui.core.steady import Moves, Places
from hsejobs_tui.core.unread import READING
from hsejobs_tui.widgets import sorting
from hsejobs_tui.widgets.cells import segments
from hsejobs_tui.widgets.look import Look
from hsejobs_tui.widgets.row import Column as Column
from hsejobs_tui.widgets.row import Row as Row

#: List width in cells from which columns use their ``wide`` width.
WIDE = 110


class Rows(ScrollView, inherit_bindings=False, can_focus=True):
    """Rows by position, of which only some are loaded."""

    DEFAULT_CSS = "Rows { height: 1fr; scrollbar-size-vertical: 1; }"

    class Opened(Message):
        """Posted when a row is double-clicked."""

    class Missing(Message):
        """Posted when visible rows are not loaded."""

    class Moved(Message):
        """Posted when the cursor moves to another row."""

    def __init__(self, columns: Sequence[Column], empty: str, name: str | None = None) -> None:
        super().__init__(name=name)
        self.columns = columns
        #: Text for an empty list, once it is known to be empty; and what stands in its place before.
        self.empty, self.unread = empty, READING
        self.read = False
        self.total = 0
        self.cursor = 0
        #: Whether the cursor follows its key: from the first move on.
        self.anchored = False
        #: The removed row under the cursor: shown as an extra line that hides no other row.
        self.ghost: Row | None = None
        #: Keys selected for the next act, and whether all rows are selected.
        self.marked: set[str] = set()
        self.all_marked = False
        self.at: dict[int, Row] = {}
        self._given: Sequence[Row] = ()
        #: The column that sorts the list, and whether it was chosen twice; None: the screen's own order.
        self.order: tuple[int, bool] | None = None
        self._places: Places[str] = Places(Moves())
        #: Whether the next key chooses the column.
        self.choosing = False
        self._dimmed, self._key = False, ""
        #: The style of the lines that are being drawn, and the widths of their columns.
        self._base = Style()
        self._widths: list[tuple[int, Column, int]] = []
        self.look = Look()

    # -- content

    @property
    def dimmed(self) -> bool:
        """Whether the content may be stale."""
        return self._dimmed

    @dimmed.setter
    def dimmed(self, dimmed: bool) -> None:
        if dimmed is not self._dimmed:
            self._dimmed = dimmed
            self.refresh()

    @property
    def key(self) -> str | None:
        """The key under the cursor; None for an empty list or a removed row."""
        if self.ghost is not None:
            return None
        row = self.at.get(self.cursor)
        return row.key if row else None

    @property
    def page(self) -> int:
        """The number of rows that fit."""
        return max(1, self.size.height - 1)

    @property
    def first(self) -> int:
        """The first visible row."""
        return int(self.scroll_offset.y)

    def fill(self, rows: Sequence[Row], *, whole: bool = True) -> None:
        """Sets all rows; the cursor follows its key. ``whole``: no more rows will come."""
        self._given = rows
        rows = self._sorted(rows)
        places = {row.key: place for place, row in enumerate(rows)}
        place = places.get(self._key) if self.anchored else None
        self._put(len(rows), dict(enumerate(rows)), place, known=True, read=whole or bool(rows))

    def _sorted(self, rows: Sequence[Row]) -> Sequence[Row]:
        if self.order is None:
            return rows
        column, reverse = self.order
        values = {row.key: row.sort_value(column) for row in rows if row.line is None}
        keys = sorting.arranged(values, self._places, reverse=reverse)
        place = {key: n for n, key in enumerate(keys)}
        return sorted(rows, key=lambda row: place.get(row.key, len(place)))

    # -- sorting

    def choose(self) -> None:
        """Lets the next key choose the column that sorts the list."""
        self.choosing = True
        self._redrawn()

    def on_key(self, event: events.Key) -> None:
        """The key after ``s``: a column's letter, ``s`` for the screen's own order; others change nothing."""
        if not self.choosing:
            return
        event.stop()
        event.prevent_default()
        self.choosing = False
        shown = self._letters()
        if event.key == sorting.DEFAULT:
            self.order = None
        elif event.key in shown.values():
            column = next(n for n, letter in shown.items() if letter == event.key)
            again = self.order is not None and self.order[0] == column
            self.order = (column, again and self.order is not None and not self.order[1])
        self._places.forget()
        self.fill(self._given)
        self.look.forget()
        self._redrawn()

    def _redrawn(self) -> None:
        self.refresh()
        self.post_message(self.Moved())

    def _letters(self) -> dict[int, str]:
        """The letters of the visible columns, by position."""
        shown = [(n, column.title) for n, column, _ in self.widths()]
        found = sorting.letters([title for _, title in shown])
        return {n: letter for (n, _), letter in zip(shown, found, strict=True) if letter}

    def _titles(self) -> list[Text]:
        """The head: the sorting column with an arrow; while one is chosen, the letters are marked."""
        plain = self.app.has_class("-ascii")
        titles = [Text(one.title) for one in self.columns]
        if self.order is not None:
            column, reverse = self.order
            arrow = ("^" if plain else "▲") if reverse else ("v" if plain else "▼")
            titles[column] = Text(f"{arrow}{self.columns[column].title}", "bold underline")
        if self.choosing:
            for n, letter in self._letters().items():
                at = titles[n].plain.lower().index(letter)
                titles[n].stylize("bold reverse", at, at + 1)
        return titles

    def place(
        self, total: int, at: dict[int, Row], place: int | None, *, anchor: str | None
    ) -> None:
        """Sets some rows; ``place``: the new position of the key ``anchor``, None if it is gone.

        ``anchor`` None: no position was looked up. Since the read began, the cursor may have moved.
        """
        known = bool(anchor)
        if anchor != self._key:
            place = next((n for n, row in at.items() if row.key == self._key), None)
            known = place is not None
        self._put(total, at, place, known=known, read=True)

    def _put(
        self, total: int, at: dict[int, Row], place: int | None, *, known: bool, read: bool
    ) -> None:
        old = self.at.get(self.cursor)
        keys, cursor = {n: row.key for n, row in self.at.items()}, self.cursor
        seen = self._drawn_state()
        self.total, shift = total, 0
        self.read = self.read or read
        if self.read and not total:
            # What comes later was not there to be selected.
            self.all_marked = False
        if self.anchored and known and self._key:
            if place is not None:
                shift, self.cursor, self.ghost = place - self.cursor, place, None
            elif self.ghost is None and old is not None and old.key == self._key:
                self.ghost = Row(old.key, self._removed_cells(old.cells), True)
        self.at = at
        self.cursor = max(0, min(self.cursor, self.lines - 1))
        # A cursor that jumped to a row before it was loaded takes its key now.
        if not self.anchored or not self._key:
            self._key = self.key or ""
        self.virtual_size = Size(max(1, self.size.width - 1), self.lines + 1)
        if shift and self.first:
            self._scroll(self.first + shift)
        if any(n in keys and keys[n] != row.key for n, row in at.items()):
            self.look.note(keys, cursor)
        now = self._drawn_state()
        if now[0] != seen[0]:
            self.refresh()
            return
        # A full redraw each second is noticeable over SSH, so only changed lines are drawn.
        for y, (new, before) in enumerate(zip(now[1], seen[1], strict=True), 1):
            if new != before:
                self.refresh(Region(0, y, self.size.width, 1))

    def _removed_cells(self, cells: Sequence[Text | str]) -> list[Text | str]:
        """The cells, with ``gone`` in the first column that has room for it."""
        place = next((n for n, one in enumerate(self.columns) if one.width >= 4), 0)
        place = next((n for n, one in enumerate(self.columns) if one.gone), place)
        return [*cells[:place], "gone", *cells[place + 1 :]]

    @property
    def lines(self) -> int:
        """The number of lines: all rows and the removed row."""
        return self.total + (self.ghost is not None)

    def _at_line(self, line: int) -> Row | None:
        """The row of a line; None if it is not loaded."""
        if self.ghost is None or line < self.cursor:
            return self.at.get(line)
        return self.ghost if line == self.cursor else self.at.get(line - 1)

    def _row_of(self, line: int) -> int:
        """The row number of a line: below the removed row, one less than the line."""
        return line - (self.ghost is not None and line > self.cursor)

    def _drawn_state(self) -> tuple[object, list[object]]:
        """Comparable values that determine the whole list and each visible line."""
        first = self.first
        rows = [self._at_line(line) for line in range(first, min(self.lines, first + self.page))]
        return (
            (self.total, self.cursor, first, self.ghost is None, self.columns, self.placeholder),
            [row and row.drawn for row in rows],
        )

    @property
    def placeholder(self) -> str:
        """The text of a list without rows; never claims that it is empty before that is known."""
        return self.empty if self.read else f"{self.unread[0].upper()}{self.unread[1:]}"

    # -- moving: a key means the list that was seen

    def _meant(self, by: int) -> int | None:
        """Where the row is now that was ``by`` rows from the cursor; None if no other list was seen."""
        wanted = self.look.meant(self._key if self.anchored else None, by)
        return next((n for n, row in self.at.items() if row.key == wanted), None)

    def aim(self) -> None:
        """Before a command: puts a cursor that no one has moved on the row that was seen under it."""
        if not self.anchored and (place := self._meant(0)) is not None:
            self.go(place)

    def move(self, by: int) -> None:
        """Moves the cursor by a number of rows."""
        place = self._meant(by) if self.ghost is None else None
        self.go(self._row_of(self.cursor + by) if place is None else place)

    def go(self, row: int) -> None:
        """Moves the cursor to a row."""
        self.ghost = None
        self.cursor = max(0, min(row, self.total - 1))
        self.anchored = True
        self._key = self.key or ""
        first, page = self.first, self.page
        if self.cursor < first:
            self._scroll(self.cursor)
        elif self.cursor >= first + page:
            self._scroll(self.cursor - page + 1)
        self.refresh()
        self._ask()
        self.post_message(self.Moved())

    def reset(self) -> None:
        """Clears rows, cursor and selection, before another list is shown."""
        self.at, self.total, self.cursor, self._key, self.read = {}, 0, 0, "", False
        self.anchored, self.ghost, self.marked, self.all_marked = False, None, set(), False
        self.look.forget()
        self._places.forget()
        self._scroll(0)
        self.refresh()

    def mark(self, marked: set[str], *, every: bool = False) -> None:
        """Selects these keys, or with ``every`` all rows."""
        self.marked, self.all_marked = marked, every
        self.refresh()

    def _scroll(self, first: int) -> None:
        # Forced, because a list that was just filled has no scroll bar before its next layout.
        self.scroll_to(y=max(0, first), animate=False, immediate=True, force=True)

    def _ask(self) -> None:
        last = min(self.total, self.first + self.page) - 1
        wanted = {self.first, max(self.first, last), self.cursor} if self.total else ()
        if any(row not in self.at for row in wanted):
            self.post_message(self.Missing())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Requests missing rows after scrolling."""
        super().watch_scroll_y(old_value, new_value)
        self._ask()

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a double click opens the row."""
        row = self.first + event.y - 1
        if event.y >= 1 and row < self.lines:
            self.go(self._row_of(row))
            if event.chain == 2:
                self.post_message(self.Opened())

    def on_resize(self) -> None:
        """Adapts the column widths, and keeps the cursor in view if it was moved."""
        self.virtual_size = Size(max(1, self.size.width - 1), self.lines + 1)
        if self.anchored and self.cursor >= self.first + self.page:
            self._scroll(self.cursor - self.page + 1)
        self.refresh()

    # -- drawing

    def widths(self) -> list[tuple[int, Column, int]]:
        """(position, column, cells) of the columns that are visible at this width."""
        room = self.scrollable_content_region.width - 2
        # The full width, so that the scroll bar does not toggle columns.
        whole = self.size.width
        shown = [(n, one) for n, one in enumerate(self.columns) if whole >= one.above]
        cells = [(whole >= WIDE and one.wide) or one.width for _, one in shown]
        flexible = cells.count(0) or 1
        rest = max(4, (room - sum(cells) - len(shown) + 1) // flexible)
        return [(n, one, width or rest) for (n, one), width in zip(shown, cells, strict=True)]

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draws lines; their style and widths, which take long to find, are the same for all of them."""
        self._base, self._widths = self.rich_style, self.widths()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Draws one line: the header, a row, or a blank line."""
        width = self.size.width
        if y == 0:
            return self._line(self._titles(), "  ", Style(bold=True))
        row = self.first + y - 1
        if row >= self.lines:
            if not self.lines and y == 1:
                return self._strip([f"  {self.placeholder}"], Style())
            return Strip.blank(width, self._base)
        cursor = row == self.cursor
        found = self._at_line(row)
        # Stale rows and removed rows use one color; the cursor only changes the background.
        faded = self.dimmed or bool(found and found.dim)
        style = Style(bold=cursor)
        if faded:
            style += self.app.console.get_style("dim")
        if cursor and self.has_focus:
            style += self.app.console.get_style("cursor")
        if found is None:
            return self._strip(["  ..."], Style())
        mark = "> " if cursor else "  "
        if self.all_marked or found.key in self.marked:
            mark = mark[0] + "*"
        if found.line is not None:
            return self._strip([mark, found.line], style)
        return self._line(found.cells, mark, style, plain=faded)

    def _line(
        self, cells: Sequence[Text | str], mark: str, style: Style, *, plain: bool = False
    ) -> Strip:
        line: list[Text | str] = [mark]
        crop = self.app.has_class("-ascii")
        for place, column, width in self._widths:
            cell = cells[place] if place < len(cells) else ""
            if plain and isinstance(cell, Text):
                cell = cell.plain
            used = cell_len(cell if isinstance(cell, str) else cell.plain)
            if used > width:
                cell = cell.copy() if isinstance(cell, Text) else Text(cell)
                cell.truncate(width, overflow="crop" if crop else "ellipsis")
                used = cell.cell_len
            blank = " " * (width - used)
            if column.right:
                line += [blank, cell, " "]
            else:
                # What fills the column has the style of its cell.
                line += [cell, Text(blank, cell.style) if isinstance(cell, Text) else blank, " "]
        return self._strip(line, style)

    def _strip(self, parts: Sequence[Text | str], style: Style) -> Strip:
        base = self._base + style
        strip = Strip(list(segments(parts, base, self.app.console)))
        return strip.adjust_cell_length(self.size.width, base)
