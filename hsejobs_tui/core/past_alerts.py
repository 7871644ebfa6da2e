"""Alerts that are over: those kept with their peak, and those that only the history's marks tell of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hsejobs.store.marks import Mark
from hsejobs_tui.core.alerts import Alert
from hsejobs_tui.core.source import LiveSource

#: How the mark of an alert that ended goes on after the rule.
_ENDED = " ended: "


def read(source: LiveSource, bounds: tuple[int, int]) -> list[Mark]:
    """The marks of alerts in a window of time. Raises RedisUnavailable."""
    return [one for one in source.marks(*bounds) if one.kind == "alert"]


def over(kept: Sequence[Alert], marks: Iterable[Mark], bounds: tuple[int, int]) -> list[Alert]:
    """The alerts that ended in the window, the newest first. ``kept``: those with their peak."""
    start, end = bounds
    found = [one for one in kept if start <= (one.ended or 0) <= end]
    known = {(one.rule, one.queue, (one.ended or 0) // 60_000) for one in found}
    begun: dict[tuple[str, str], Mark] = {}
    for mark in marks:
        queue = mark.queue or ""
        rule, ended, message = mark.text.partition(_ENDED)
        if not ended:
            rule, _, message = mark.text.partition(": ")
            begun[rule, queue] = mark
            continue
        began = begun.pop((rule, queue), None)
        # The mark is written some ms after the time that the alert keeps.
        if any((rule, queue, mark.at // 60_000 - by) in known for by in (0, 1)):
            continue
        worst = began.text.partition(": ")[2] if began else message
        since = began.at if began else None
        found.append(Alert("ended", rule, queue, worst, "", since, mark.at, worst=worst))
    return sorted(found, key=lambda one: -(one.ended or 0))
