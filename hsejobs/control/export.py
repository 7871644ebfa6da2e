"""Jobs as CSV or as lines of JSON, in pieces: an export of any size needs the memory of one page."""

from __future__ import annotations

from collections.abc import Iterator

from hsejobs import codec
from hsejobs.cells import csv_rows
from hsejobs.control import views
from hsejobs.control.search import Search
from hsejobs.errors import InvalidOption
from hsejobs.model import JobRecord, iso_time
from hsejobs.store.read import JobReader

#: The media type of each format.
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
FORMATS = tuple(MEDIA_TYPES)
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


def pieces(
    search: Search,
    reader: JobReader,
    form: str,
    *,
    limit: int | None = None,
    cursor: str | None = None,
) -> Iterator[bytes]:
    """Yields the matching jobs from the cursor on, at most ``limit``, a page at a time; CSV has a header.

    A line of JSON is the job's public object. A CSV cell begins like no formula. The search must read
    ``whole`` jobs, and for JSON all ``errors``.
    """
    if form == "csv":
        yield csv_rows([COLUMNS])
    left = limit
    for step in search.steps(reader, cursor):
        jobs = step.jobs if left is None else step.jobs[:left]
        if jobs and form == "csv":
            yield csv_rows([_row(search, job) for job in jobs])
        elif jobs:
            shown = (views.visible(job, search.actor) for job in jobs)
            yield b"".join(codec.dumps(one) + b"\n" for one in shown)
        else:
            # Lets the caller notice between pages that no one reads any more.
            yield b""
        if left is not None:
            left -= len(jobs)
            if left <= 0:
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
