"""The report of an incident: what a span of time shows, on one page with a picture, as files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from hsejobs.control import audit, history
from hsejobs.control.actors import Actor
from hsejobs.control.findings import Chosen, Finder, Findings
from hsejobs.control.incident_chart import picture
from hsejobs.control.incident_page import Facts, page
from hsejobs.error_groups import group_of
from hsejobs.errors import InvalidOption
from hsejobs.model import State, iso_time
from hsejobs.store.client import RedisClient
from hsejobs.store.pages import cursor_before
from hsejobs.store.read import JobReader
from hsejobs.store.registry import QueueInfo

#: The directory of reports in ``JOBS_HOME``; the most acts in one.
FOLDER, MOST_ACTS = "reports", 200
#: Failed jobs of the span that are looked at for an example of each error.
_EXAMPLES = 200
#: How much of the time before and after the span the picture shows, as a part of its length.
_AROUND = 0.5
_LEAST_PICTURE = 3_600_000


@dataclass(frozen=True, slots=True)
class Report:
    """A page in Markdown and its picture in SVG; ``name``: of their files, without an ending."""

    name: str
    page: str
    picture: str


def gather(
    client: RedisClient,
    prefix: str,
    queues: Sequence[str],
    start: int,
    end: int,
    actor: Actor,
    infos: Mapping[str, QueueInfo],
    only: Chosen | None = None,
) -> Report:
    """Reads what happened in these queues from ``start`` to ``end`` (Redis ms) and writes it down.

    ``only``: the figures, errors, tenants and jobs are those of this part.
    Secrets are masked, as in every view. Raises Forbidden, InvalidOption, RedisUnavailable.
    """
    if not queues:
        raise InvalidOption("queue", "must be one that there is")
    finder, now = Finder(client, prefix, actor), history.now(client, prefix)
    found = finder.read(queues, start, end, only)
    around = max(int(found.length * _AROUND), (_LEAST_PICTURE - found.length) // 2)
    oldest = now - 30 * 86_400_000
    wanted = history.span(
        now,
        iso_time(max(oldest, found.start - around)),
        iso_time(min(now, found.end + around)),
    )
    whole = finder.past(queues, wanted, only, marks=True)
    acts = audit.entries(
        client,
        prefix,
        list(infos),
        organization_id=actor.organization_id,
        since=found.start,
        until=found.end,
    )
    kept = [one for one in islice(acts, MOST_ACTS) if one.queue in (None, *queues)]
    reader = JobReader(client, prefix)
    name = _name(queues, found)
    waited, ran = (
        finder.jobs(queues, found.start, found.end, waiting=one, only=only) for one in (True, False)
    )
    facts = Facts(
        queues=list(queues),
        every=len(queues) == len(infos),
        organization_id=actor.organization_id,
        only=only,
        found=found,
        history=whole,
        acts=kept[::-1],
        jobs=waited,
        waited=waited.slowest,
        ran=ran.slowest,
        examples=_examples(reader, found, queues, actor, only),
        standing=reader.stats(queues, actor.organization_id),
        written_at=now,
        written_by=actor.who,
        picture=f"{name}.svg",
    )
    return Report(name, page(facts), picture(whole, found))


def _examples(
    reader: JobReader,
    found: Findings,
    queues: Sequence[str],
    actor: Actor,
    only: Chosen | None,
) -> dict[str, str]:
    """The id of a job for each group of errors, by ``queue code text``."""
    ids: dict[str, str] = {}
    org = actor.organization_id or (only.organization_id if only else None)
    for queue in queues:
        jobs = reader.page(
            queue,
            State.FAILED,
            limit=_EXAMPLES,
            cursor=cursor_before(queue, State.FAILED, found.end),
            organization_id=org,
            payload_bytes=0,
            errors=1,
        ).jobs
        for job in jobs:
            if (job.finished_at or 0) < found.start:
                break
            if only is None or only.has(job):
                ids.setdefault(f"{queue} {group_of(job)}", job.id)
    return ids


def _name(queues: Sequence[str], found: Findings) -> str:
    at = datetime.fromtimestamp(found.start / 1000, UTC).strftime("%Y%m%d-%H%M")
    about = re.sub(r"[^A-Za-z0-9_-]", "_", queues[0])[:60] if len(queues) == 1 else "all"
    return f"incident-{at}-{about}"


def write(home: Path, report: Report) -> Path:
    """Writes the page and its picture to ``reports`` in ``home``, mode 0600; returns the page's path.

    Never replaces a file: a second report of the same time has a number. Raises OSError.
    """
    folder = home / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = 1
    while True:
        name = report.name if number == 1 else f"{report.name}-{number}"
        path, drawn = folder / f"{name}.md", folder / f"{name}.svg"
        if drawn.exists():
            number += 1
            continue
        try:
            _create(path, report.page.replace(f"{report.name}.svg", drawn.name))
            _create(drawn, report.picture)
        except FileExistsError:
            number += 1
            continue
        return path


def _create(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(text)
