"""What an add sends and gets back: the arguments of the script, its calls, the result for each job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hsejobs.errors import BacklogFull
from hsejobs.model import STATE_OF_LETTER, State
from hsejobs.store.scripts import Arg

if TYPE_CHECKING:
    from hsejobs.store.new_job import NewJob

#: Jobs and payload bytes in one call of a bulk add.
CHUNK, CHUNK_BYTES = 100, 4_000_000


@dataclass(slots=True)
class Added:
    """The result of an add: whether it created the job, and the job's state."""

    id: str
    created: bool
    status: State


def args(jobs: Sequence[NewJob]) -> list[Arg]:
    """The arguments of a call that adds jobs with the same shared values."""
    words = list(jobs[0].shared())
    for job in jobs:
        words += job.own()
    return words


def chunks(jobs: Sequence[NewJob]) -> Iterator[list[NewJob]]:
    """Splits jobs into calls, in order; the jobs of a call have the same shared values."""
    chunk: list[NewJob] = []
    size, shared = 0, None
    for job in jobs:
        full = len(chunk) >= CHUNK or size + len(job.payload) > CHUNK_BYTES
        its = job.shared()
        if chunk and (full or its != shared):
            yield chunk
            chunk, size = [], 0
        shared = its
        chunk.append(job)
        size += len(job.payload) + len(job.extras)
    if chunk:
        yield chunk


#: The replies of lib/add for a job: whether it was created, and its state.
_ANSWERS = {
    f"{made}{letter}".encode(): (bool(made), state)
    for made in (0, 1)
    for letter, state in STATE_OF_LETTER.items()
}


def result(queue: str, job: NewJob, reply: bytes) -> Added | BacklogFull:
    """The result of a job's add, from the reply of lib/add."""
    if reply[:1] == b"q":
        return BacklogFull(queue, int(reply[1:]), job.tenant_backlog)
    return Added(job.id, *_ANSWERS[reply])


def accepted(results: Sequence[Added | BacklogFull]) -> list[Added]:
    """The results if no job was refused. Raises the first refusal; for several jobs, with all results."""
    found = [one for one in results if isinstance(one, Added)]
    if len(found) == len(results):
        return found
    refusal = next(one for one in results if isinstance(one, BacklogFull))
    if len(results) > 1:
        refusal = refusal.among(results)
    raise refusal
