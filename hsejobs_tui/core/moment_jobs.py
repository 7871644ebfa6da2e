"""The jobs of a span: in which queue and state they are, and the filter that finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hsejobs.model import State, iso_time
from hsejobs.store.minutes import Minute
from hsejobs_tui.core.insight import Bin, activity, added_up
from hsejobs_tui.core.parts import of_error, quoted


def busiest(
    by_queue: Mapping[str, Sequence[Bin]], queues: Sequence[str], start: int, end: int
) -> tuple[str, Minute, int] | None:
    """The queue with the most failures in the span, or the busiest, and its counters; None if none.

    Last, the number of the queues of which it is the first: those that had failures, or any jobs.
    ``by_queue``: the steps of what is chosen, in each queue.
    """
    found: list[tuple[str, Minute]] = []
    for queue, steps in by_queue.items():
        if queue in queues:
            total = added_up(one.counters for one in steps if start <= one.at < end)
            found.append((queue, total))
    name, total = max(
        found, key=lambda pair: (pair[1].failed, activity(pair[1])), default=("", Minute())
    )
    if not activity(total):
        return None
    some = sum(bool(one.failed if total.failed else activity(one)) for _, one in found)
    return name, total, some


def state_of(total: Minute) -> State:
    """The state in which the jobs of a span are looked for: failed before completed before waiting."""
    if total.failed:
        return State.FAILED
    return State.COMPLETED if total.ended else State.WAITING


def query(start: int, end: int, division: str = "queue", part: str | None = None) -> str | None:
    """The filter for the jobs of a span, of one task, error or tenant if given.

    None for a part that no filter finds: the jobs of all would be listed in its stead.
    """
    terms = [f"since={iso_time(start)}", f"until={iso_time(end)}"]
    if division != "queue" and part is not None:
        if not part:
            return None
        if division == "error":
            terms.append(of_group(part))
        else:
            terms.append(f"{'name' if division == 'task' else 'org'}={quoted(part)}")
    return " ".join(terms)


def of_group(name: str) -> str:
    """The filter of a group of errors, ``code text``: the code that every exception has says nothing."""
    code, _, text = name.partition(" ")
    return (of_error("", text) if code == "error" else "") or of_error(code, text)
