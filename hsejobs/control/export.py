"""Jobs as CSV or as lines of JSON, in pieces: an export of any size needs the memory of one page."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from hsejobs import codec
from hsejobs.cells import csv_rows
from hsejobs.control import views
from hsejobs.control.search import Search
from hsejobs.errors import InvalidOption
from hsejobs.model import JobRecord, iso_time
from hsejobs.store.pages import BRIEF
from hsejobs.store.read import JobReader

#: The media type of each format.
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
FORMATS = tuple(MEDIA_TYPES)
#: Pages that are read for one piece at most, and bytes after which no further one is.
PAGES, PIECE = 8, 262_144
#: The columns of CSV; `data` is JSON.
COLUMNS = (
    "id",
    "queue",
    "name",
    "status",
    "organizationId",
    "userId",
    "priority",
    "attemptsMade",
    "attempts",
    "code",
    "failedReason",
    "createdAt",
    "processedAt",
    "finishedAt",
    "runAt",
    "data",
)


def check_format(form: str, known: tuple[str, ...]) -> str:
    """The format if it is one of these. Raises InvalidOption."""
    if form not in known:
        raise InvalidOption("format", f"must be {', '.join(known[:-1])} or {known[-1]}")
    return form


def needs(form: str) -> dict[str, Any]:
    """What a search for this format, or for a table, reads of each job: arguments of ``search.prepare``."""
    return {} if form == "jsonl" else {"errors": BRIEF, "results": False}


def pieces(
    search: Search,
    reader: JobReader,
    form: str,
    *,
    limit: int | None = None,
    cursor: str | None = None,
) -> Iterator[bytes]:
    """Yields the matching jobs from the cursor on, at most ``limit``, some pages at a time; CSV has a header.

    A line of JSON is the job's public object. A CSV cell begins like no formula. The search must read
    ``whole`` jobs, as ``needs`` tells.
    """
    if form == "csv":
        yield csv_rows([COLUMNS])
    left = math.inf if limit is None else limit
    following = cursor
    while left > 0:
        lines: list[bytes] = []
        with contextlib.closing(search.ahead(reader, PAGES, following)) as steps:  # type: ignore[type-var]
            for step in steps:
                jobs = step.jobs if len(step.jobs) <= left else step.jobs[: int(left)]
                left -= len(jobs)
                following = step.next
                if form == "csv":
                    lines.append(csv_rows([_row(search, job) for job in jobs]))
                else:
                    shown = (views.visible(job, search.actor) for job in jobs)
                    lines += [codec.dumps(one) + b"\n" for one in shown]
                if left <= 0 or sum(map(len, lines)) >= PIECE:
                    break
        # Empty ones, too: they let the caller notice that no one reads any more.
        yield b"".join(lines)
        if following is None:
            return


def _row(search: Search, job: JobRecord) -> tuple[object, ...]:
    readable = search.actor.may_read_contents(job.organization_id, job.user_id)
    return (
        job.id,
        job.queue,
        job.name,
        job.status.value,
        job.organization_id,
        job.user_id,
        job.priority,
        job.attempts_made,
        job.attempts,
        job.code if readable else None,
        job.failed_reason if readable else None,
        iso_time(job.created_at),
        iso_time(job.processed_at),
        iso_time(job.finished_at),
        iso_time(job.run_at),
        codec.dumps(job.data).decode() if readable and job.data is not None else None,
    )
