"""Groups of failures: failed jobs with the same code and the same normalized error."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hsejobs.error_groups import group_of
from hsejobs.model import JobRecord
from hsejobs.store.write import Seen
from hsejobs_tui.core.view import kind

#: Maximum number of job ids kept per group for acts.
IDS_KEPT = 200_000
#: The newest minutes whose failures are counted: a day.
MINUTES = 1_440
#: How many of the newest jobs of a group are kept.
NEWEST = 30


@dataclass(slots=True)
class Group:
    """Failed jobs of a queue with the same code and normalized error. Times in ms.

    ``code``: the job's error code, or the class of its exception; ``raw``: its code in either case,
    as the history has it.
    """

    queue: str
    code: str
    error: str
    raw: str = ""
    count: int = 0
    first: int = 0
    last: int = 0
    sample: str = ""
    sample_error: str = ""
    #: Ids and versions of the jobs, and whether all jobs have been read.
    bound: list[Seen] = field(default_factory=list)
    over: bool = False
    #: Whether an error ended the reading early.
    broken: bool = False
    #: How many of the jobs each organization ('' for none) and task has, and how many failed in each
    #: minute since the epoch, of the newest ``MINUTES``.
    orgs: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    minutes: Counter[int] = field(default_factory=Counter)
    #: The newest jobs: when each failed, its id, organization and task.
    newest: list[tuple[int, str, str, str]] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Queue, error code and error text, separated by NUL."""
        return f"{self.queue}\0{self.code}\0{self.error}"

    def add(self, job: JobRecord) -> None:
        """Adds a job to the group."""
        at = job.finished_at or job.created_at
        self.count += 1
        self.first = min(self.first or at, at)
        if at >= self.last:
            self.last, self.sample, self.sample_error = at, job.id, job.failed_reason or ""
        self.orgs[job.organization_id or ""] += 1
        self.tasks[job.name] += 1
        if len(self.newest) < NEWEST:
            self.newest.append((at, job.id, job.organization_id or "", job.name))
        minute = at // 60_000
        # The newest come first, as they are listed.
        if minute > self.last // 60_000 - MINUTES:
            self.minutes[minute] += 1
        if len(self.bound) < IDS_KEPT:
            self.bound.append((job.id, job.version))


def gather(groups: dict[str, Group], jobs: list[JobRecord]) -> None:
    """Adds failed jobs to their groups in ``groups``."""
    for job in jobs:
        raw, _, text = group_of(job).partition(" ")
        group = Group(job.queue, kind(job), text, raw)
        groups.setdefault(group.key, group).add(job)
