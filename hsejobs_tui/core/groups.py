"""Failures in groups: errors that differ in numbers, ids and addresses only are one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hsejobs.model import JobRecord
from hsejobs.store.write import Seen
from hsejobs_tui.core.view import kind

#: Ids kept of one group, so that an act can reach them.
IDS_KEPT = 200_000
_PARTS = (
    # From the first character on and possessive: a long word without an @ is looked at once.
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.-]+"), "<address>"),
    (re.compile(r"\bhttps?://[^\s'\"<>]+"), "<url>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.I), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{12,}\b", re.I), "<hex>"),
    (re.compile(r"'[^']{1,200}'|\"[^\"]{1,200}\""), "<text>"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "<n>"),
)


def normalized(error: str) -> str:
    """The first line of an error without what differs from job to job."""
    line = error[:1000].strip().partition("\n")[0]
    for pattern, name in _PARTS:
        line = pattern.sub(name, line)
    return line[:300] or "(no text)"


@dataclass(slots=True)
class Group:
    """Failed jobs of a queue with the same kind and normalized error. Times in ms.

    ``code``: the job's code, or the class of its exception.
    """

    queue: str
    code: str
    error: str
    count: int = 0
    first: int = 0
    last: int = 0
    sample: str = ""
    sample_error: str = ""
    #: The jobs as they were seen, and whether they are all that there were.
    bound: list[Seen] = field(default_factory=list)
    over: bool = False
    #: Whether the gathering ended with an error before that.
    broken: bool = False

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return f"{self.queue}\0{self.code}\0{self.error}"

    def add(self, job: JobRecord) -> None:
        """Counts one more job in."""
        at = job.finished_at or job.created_at
        self.count += 1
        self.first = min(self.first or at, at)
        if at >= self.last:
            self.last, self.sample, self.sample_error = at, job.id, job.failed_reason or ""
        if len(self.bound) < IDS_KEPT:
            self.bound.append((job.id, job.version))


def gather(groups: dict[str, Group], jobs: list[JobRecord]) -> None:
    """Sorts failed jobs into ``groups``."""
    for job in jobs:
        group = Group(job.queue, kind(job), normalized(job.failed_reason or ""))
        groups.setdefault(group.key, group).add(job)
