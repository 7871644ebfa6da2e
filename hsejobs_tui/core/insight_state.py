"""The state of the Insight screen: what is chosen of a window, its cursor and its selected span."""

from __future__ import annotations

from dataclasses import replace

from hsejobs.control.findings import Chosen
from hsejobs_tui.core.insight import DIVISIONS, Bin, Part, Window, chosen, merged, part_rank
from hsejobs_tui.core.steady import COUNT, Places


class InsightState:
    """What is shown of a window. ``queue`` and ``part`` None: all.

    The span has two ends; the later one is None while the span grows with the cursor. Times in ms.
    """

    def __init__(self, queue: str | None, division: str, part: str | None) -> None:
        self.queue, self.division, self.part = queue, division, part
        self.cursor: int | None = None
        self.span: tuple[int, int | None] | None = None
        self.window: Window | None = None
        self._places: Places[str] = Places(COUNT)
        #: The steps of the chosen part in each queue, None while they are read; not used for queues.
        self.steps: dict[str, list[Bin]] | None = None
        self.bins: list[Bin] = []
        #: The length of a bin.
        self.width = 60_000

    # -- what is chosen

    @property
    def parts(self) -> list[Part]:
        """The parts of the window, the busiest first; none before it is read by what divides it now."""
        return self.window.parts if self.window is not None and self.divided else []

    @property
    def divided(self) -> bool:
        """Whether the window that was read is divided by what is chosen."""
        return self.window is not None and self.window.division == self.division

    @property
    def only(self) -> Chosen | None:
        """The task, error or tenant that is chosen."""
        return chosen(self.division, self.part)

    @property
    def known(self) -> bool:
        """Whether the steps of what is chosen are read: before, they are not nothing."""
        return self.window is not None and (self.only is None or self.steps is not None)

    @property
    def by_queue(self) -> dict[str, list[Bin]]:
        """The steps of what is chosen in each queue."""
        if self.only is not None:
            return self.steps or {}
        return self.window.queues if self.window is not None else {}

    @property
    def key(self) -> str | None:
        """The key of the chosen part."""
        return self.queue if self.division == "queue" else self.part

    @property
    def times(self) -> bool:
        """Whether the history has times and jobs of what is chosen; of an error, it has failures only."""
        return self.division != "error" or self.part is None

    def choose(self, by: int) -> None:
        """Chooses another part, ``by`` places further down the list; the first is all of them."""
        keys = [None, *(one.key for one in self.parts)]
        at = keys.index(self.key) if self.key in keys else 0
        key = keys[max(0, min(len(keys) - 1, at + by))]
        if self.division == "queue":
            self.queue = key
        else:
            self.part = key

    def divide(self) -> None:
        """Divides by the next thing."""
        self.division = DIVISIONS[(DIVISIONS.index(self.division) + 1) % len(DIVISIONS)]
        self.part = None

    def arranged(self, window: Window, about: object) -> Window:
        """The window with its parts in their order; ``about``: what was asked for."""
        parts = self._places.order(window.parts, lambda one: one.key, part_rank, about)
        return replace(window, parts=parts)

    def show(self, window: Window, cells: int) -> None:
        """Shows a window in that many cells: makes the bins of what is chosen."""
        self.window = window
        self.width = window.width(cells)
        key = self.key
        if self.division == "error" and key is not None:
            # Another screen knows the text of an error alone, and not its code.
            same = (one.key for one in self.parts if key in (one.key, one.key.partition(" ")[2]))
            self.part = key = next(same, key)
        if key is None:
            steps = window.whole
        elif self.division == "queue":
            steps = window.queues.get(key, [])
        else:
            steps = merged(self.by_queue.values())
        self.bins = window.bins(steps, self.width)

    # -- the cursor and the span

    @property
    def step(self) -> int | None:
        """The start of the bin under the cursor."""
        return None if self.cursor is None else self.cursor - self.cursor % self.width

    @property
    def focus(self) -> tuple[int, int]:
        """The selected span, the bin under the cursor, or the whole window: its start and its end."""
        step = self.step
        if self.span is not None:
            first, last = self.span
            if last is None:
                last = (first if step is None else step) + self.width
                if step is not None and step < first:
                    first, last = step, first + self.width
            first, last = min(first, last), max(first, last)
            return first - first % self.width, last + -last % self.width
        if step is not None:
            return step, step + self.width
        return (self.window.start, self.window.end) if self.window is not None else (0, 0)

    @property
    def selected(self) -> bool:
        """Whether the focus is a part of the window."""
        return self.cursor is not None or self.span is not None

    def place(self, at: int, now: int) -> None:
        """Puts the cursor at a moment, within the window and not after ``now``."""
        if self.bins:
            last = max((one.at for one in self.bins if one.at <= now), default=self.bins[0].at)
            self.cursor = max(self.bins[0].at, min(at, last))

    def move(self, by: int, now: int) -> None:
        """Moves the cursor by bins; the first move comes from the end at which it begins."""
        if not self.bins:
            return
        step = self.step
        if step is None:
            outside = self.bins[-1].at + self.width if by < 0 else self.bins[0].at - self.width
            step = min(outside, now - now % self.width + self.width)
        self.place(step + by * self.width, now)

    def begin(self, now: int) -> None:
        """Begins a span at the cursor."""
        if self.cursor is None:
            self.move(-1, now)
        if (step := self.step) is not None:
            self.span = (step, None)

    def end(self, now: int) -> None:
        """Ends the span at the cursor; without a beginning it is the bin under the cursor."""
        if self.cursor is None:
            self.move(-1, now)
        if (step := self.step) is None:
            return
        first = step if self.span is None else self.span[0]
        first, last = min(first, step), max(first, step)
        self.span = (first, last + self.width)

    def close(self) -> bool:
        """Ends the span, or removes the cursor; False if there is neither."""
        if self.span is not None:
            self.span = None
        elif self.cursor is not None:
            self.cursor = None
        else:
            return False
        return True
