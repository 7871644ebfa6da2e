"""The jobs of a span: in which queue and state they are, and the filter that finds them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hsejobs.model import State, iso_time
from hsejobs.store.minutes import Minute
from hsejobs_tui.core.insight import Window, activity, added_up

#: The shortest literal part of an error that is searched for.
_LEAST = 4


def busiest(
    window: Window, queues: Sequence[str], start: int, end: int
) -> tuple[str, Minute] | None:
    """The queue with the most failures in the span, or the busiest, and its counters; None if none."""
    found: list[tuple[str, Minute]] = []
    for queue, steps in window.queues.items():
        if queue in queues:
            total = added_up(one.counters for one in steps if start <= one.at < end)
            found.append((queue, total))
    name, total = max(
        found, key=lambda pair: (pair[1].failed, activity(pair[1])), default=("", Minute())
    )
    return (name, total) if activity(total) else None


def state_of(total: Minute) -> State:
    """The state in which the jobs of a span are looked for: failed before completed before waiting."""
    if total.failed:
        return State.FAILED
    return State.COMPLETED if total.ended else State.WAITING


def query(start: int, end: int, division: str = "queue", part: str | None = None) -> str:
    """The filter for the jobs of a span, of one task, error or tenant if given."""
    terms = [f"since={iso_time(start)}", f"until={iso_time(end)}"]
    if part:
        if division == "task":
            terms.append(f'name="{part}"')
        elif division == "tenant" and '"' not in part:
            terms.append(f'org="{part}"')
        elif division == "error":
            terms += of_error(part)
    return " ".join(terms)


def of_error(part: str) -> list[str]:
    """Terms for a group of errors, ``code text``: its code, and the longest text that is the same in all."""
    code, _, text = part.partition(" ")
    terms = [f'code="{code}"'] if code and code != "error" else []
    literal = max(re.split(r'<\w+>|"', text), key=len, default="").strip()
    return [*terms, f'error~"{literal}"'] if len(literal) >= _LEAST else terms
