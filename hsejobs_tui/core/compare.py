"""Two jobs side by side: the fields in which they differ, then those in which they agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hsejobs.control import views
from hsejobs.model import JobRecord
from hsejobs_tui.core.text import clock

#: Lines of the comparison.
MOST = 500
_TIMES = ("created_at", "processed_at", "finished_at", "run_at")


@dataclass(frozen=True, slots=True)
class Line:
    """One field; ``first`` and ``second`` are None where a job does not have it."""

    field: str
    first: str | None
    second: str | None

    @property
    def differs(self) -> bool:
        return self.first != self.second


def lines(first: JobRecord, second: JobRecord) -> list[Line]:
    """All fields of two masked jobs: those that differ before the others, each in the order of a job."""
    a, b = dict(_flat(first)), dict(_flat(second))
    found = [Line(name, a.get(name), b.get(name)) for name in {**a, **b}]
    return sorted(found, key=lambda one: not one.differs)[:MOST]


def _flat(job: JobRecord) -> Iterator[tuple[str, str]]:
    for name, value in views.public(job).items():
        if name in ("id", "errors", "data", "result"):
            continue
        if name.endswith("At"):
            continue
        yield from _leaves(name, value)
    for name in _TIMES:
        yield name.removesuffix("_at"), clock(getattr(job, name))
    yield "waited", _span(job.created_at, job.processed_at)
    yield "ran", _span(job.processed_at, job.finished_at)
    yield from _leaves("data", job.data)
    yield from _leaves("result", job.result)
    yield "log lines", str(job.log_count)
    for error in job.errors[-3:]:
        head = f"attempt {error.get('attempt')}"
        yield f"{head} error", str(error.get("error"))
        trace = str(error.get("traceback") or "").strip().splitlines()
        yield f"{head} traceback", trace[-1] if trace else "-"


def _span(start: int | None, end: int | None) -> str:
    from hsejobs_tui.core.text import duration

    return duration(max(0, end - start)) if start and end else "-"


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            yield from _leaves(f"{name}[{at}]", inner)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
