"""The window of time that all screens show: its length and its end."""

from __future__ import annotations

from typing import NamedTuple

from hsejobs.model import iso_time

_MINUTE = 60_000
#: The lengths, by name, in ms.
LENGTHS = {
    "15m": 15 * _MINUTE,
    "1h": 60 * _MINUTE,
    "3h": 180 * _MINUTE,
    "24h": 1_440 * _MINUTE,
    "7d": 7 * 1_440 * _MINUTE,
    "30d": 30 * 1_440 * _MINUTE,
}


class TimeWindow(NamedTuple):
    """A window of time. ``end``: ms since the epoch; None while it ends now and moves with the clock."""

    name: str = "1h"
    end: int | None = None

    @property
    def length(self) -> int:
        """The length in ms."""
        return LENGTHS[self.name]

    def bounds(self, now: int) -> tuple[int, int]:
        """Its start and end in ms, at Redis time ``now``."""
        end = now if self.end is None else min(self.end, now)
        return end - self.length, end

    def where(self, now: int) -> str:
        """The filter for the jobs that ended in it, or were added and have not ended."""
        if self.end is None:
            return f"since={self.name}"
        start, end = map(iso_time, self.bounds(now))
        return f"since={start} until={end}"

    def zoom(self, by: int, now: int) -> TimeWindow:
        """The next longer (1) or shorter (-1) window around the same middle, or the same at the limits."""
        names = list(LENGTHS)
        name = names[max(0, min(len(names) - 1, names.index(self.name) + by))]
        if self.end is None or name == self.name:
            return TimeWindow(name, self.end)
        start, end = self.bounds(now)
        return _ending(name, (start + end + LENGTHS[name]) // 2, now)

    def shift(self, by: int, now: int) -> TimeWindow:
        """The window half its length earlier (-1) or later (1); at most until now."""
        return _ending(self.name, self.bounds(now)[1] + by * self.length // 2, now)

    def around(self, start: int, end: int, now: int) -> TimeWindow:
        """The shortest window that holds a span in ms; around a moment, one of this length."""
        return self.holding(start, end, now) if end > start else self.centered(start, now)

    def centered(self, moment: int, now: int) -> TimeWindow:
        """The window around a moment in ms."""
        return _ending(self.name, moment + self.length // 2, now)

    def live(self) -> TimeWindow:
        """The window that ends now."""
        return TimeWindow(self.name)

    @staticmethod
    def holding(start: int, end: int, now: int) -> TimeWindow:
        """The shortest window that holds this time, in ms, around its middle; at most the longest."""
        length = end - start
        name = next((one for one, ms in LENGTHS.items() if ms >= length), "30d")
        if LENGTHS[name] == length:
            return _ending(name, end, now)
        return TimeWindow(name).centered((start + end) // 2, now)


def _ending(name: str, end: int, now: int) -> TimeWindow:
    end = max(end, now - LENGTHS["30d"] + LENGTHS[name])
    return TimeWindow(name) if end >= now else TimeWindow(name, end)
