"""Reads a job with the facts that decide when it runs, in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hsejobs.errors import JobNotFound
from hsejobs.model import JobRecord, whole_number
from hsejobs.store import keys, scripts
from hsejobs.store.client import PATIENCE
from hsejobs.store.minutes import pairs
from hsejobs.store.pages import WHOLE
from hsejobs.store.read import JobReader, job_of


@dataclass(frozen=True, slots=True)
class Party:
    """Jobs of one organization, or of none, that start before another job.

    ``cost``: the expected run time of each in us; ``limit``: how many may run at once, None for no limit;
    ``waiting``: all its waiting jobs; ``same``: those of this priority. ``better``: it is better than that
    of the other job. ``times``: for how many organizations it stands.
    """

    jobs: int
    cost: int
    limit: int | None
    running: int
    paused: bool
    waiting: int
    weight: float = 1.0
    better: bool = False
    same: int = 0
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What ``lua/why.lua`` found about a job that has not ended."""

    values: dict[str, str]
    parties: list[Party] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        return self.values.get(name)

    def number(self, name: str) -> int | None:
        return whole_number(self.values.get(name))

    def flag(self, name: str) -> bool:
        return self.values.get(name) == "1"


def read(
    reader: JobReader,
    queue: str,
    job_id: str,
    organization_id: str | None = None,
    *,
    limit: int = WHOLE,
    patience: float = PATIENCE,
) -> tuple[JobRecord, Facts | None]:
    """As `JobReader.job`, with the facts; None for a job that has ended. Raises JobNotFound."""
    base, org = keys.base(reader.prefix, queue), keys.tenant(organization_id)
    job, why = reader.redis.run_many(
        [(scripts.JOB, base, (org, job_id, limit)), (scripts.WHY, base, (org, job_id))],
        patience=patience,
    )
    if job is None:
        raise JobNotFound(f"there is no job {job_id!r} in queue {queue!r}")
    return job_of(queue, job), _facts(why)


def _facts(reply: Sequence[Any]) -> Facts | None:
    if not reply:
        return None
    values = {name.decode(): _text(value) for name, value in pairs(reply[0]).items()}
    flat = [whole_number(value) if value != b"" else None for value in reply[1]]
    parties = [
        Party(
            flat[at] or 0,
            flat[at + 1] or 0,
            flat[at + 2],
            flat[at + 3] or 0,
            bool(flat[at + 4]),
            flat[at + 5] or 0,
            (flat[at + 6] or 0) / 1000,
            bool(flat[at + 7]),
            flat[at + 8] or 0,
            (flat[at + 9] or 0) / 1000,
        )
        for at in range(0, len(flat), 10)
    ]
    return Facts(values, parties)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
