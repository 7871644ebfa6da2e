"""What an add sends and gets back: the arguments of the script, its calls, the result for each job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hsejobs.errors import BacklogFull
from hsejobs.model import STATE_OF_LETTER, State
from hsejobs.store.new_job import NewJob
from hsejobs.store.scripts import ADD, ADD_ALIKE, Arg, Script
from hsejobs.store.words import packed

#: Jobs and payload bytes in one call of a bulk add.
CHUNK, CHUNK_BYTES = 100, 4_000_000
#: Jobs in the first call of many: Redis waits for nothing but these.
FIRST = 20


@dataclass(slots=True)
class Added:
    """The result of an add: whether it created the job, and the job's state."""

    id: str
    created: bool
    status: State


#: Some jobs that one call adds, and the script that it runs.
Call = tuple[Script, list[NewJob]]


def args(call: Call) -> list[Arg]:
    """The arguments of a call."""
    script, jobs = call
    words = list(jobs[0].shared())
    if script is ADD_ALIKE:
        words += jobs[0].owner()
        for job in jobs:
            words += (job.id, job.nonce, job.payload)
    else:
        for job in jobs:
            words += job.own()
    return words


def line(base: str, job: NewJob) -> bytes:
    """The encoded command that adds one job to the queue with this base.

    Jobs of one task mostly differ in their id and payload alone: the words before these are encoded once.
    """
    if job.trace or job.family or job.extras:
        return packed(("EVALSHA", ADD.sha, 1, base, *args((ADD, [job]))))[0]
    own_id, nonce, payload = job.id.encode(), job.nonce.encode(), job.payload
    return b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
        _beginning(base, job.name, job.rest),
        len(own_id),
        own_id,
        len(nonce),
        nonce,
        len(payload),
        payload,
    )


@lru_cache(maxsize=256)
def _beginning(base: str, name: str, rest: tuple[Any, ...]) -> bytes:
    """The encoded command up to the id."""
    blank = NewJob("", name, b"", *rest)
    command = packed(("EVALSHA", ADD.sha, 1, base, *args((ADD, [blank]))))[0]
    return command.removesuffix(b"$0\r\n\r\n" * 3)


def calls(jobs: Iterable[NewJob], first: int = CHUNK) -> Iterator[Call]:
    """The calls that add the jobs, in order; the jobs of a call have the same shared values.

    ``first``: jobs of the first call; each of the next ones has up to twice as many, up to ``CHUNK``.
    """
    chunk: list[NewJob] = []
    size, alike, most = 0, True, min(first, CHUNK)
    name, rest = "", tuple[object, ...]()
    for job in jobs:
        if chunk:
            same = job.rest == rest and job.name == name
            full = len(chunk) >= most or size + len(job.payload) > CHUNK_BYTES
            if full or not (same or job.shared() == chunk[0].shared()):
                yield _script(chunk, alike), chunk
                chunk, size, alike, most = [], 0, True, min(2 * most, CHUNK)
            elif not same:
                alike = False
        if not chunk:
            name, rest = job.name, job.rest
        chunk.append(job)
        size += len(job.payload) + len(job.extras)
    if chunk:
        yield _script(chunk, alike), chunk


def commands(base: str, jobs: Iterable[NewJob]) -> Iterator[tuple[list[NewJob], list[Arg]]]:
    """The commands that add the jobs to the queue with this base, each with its own jobs."""
    for call in calls(jobs):
        yield call[1], ["EVALSHA", call[0].sha, 1, base, *args(call)]


def _script(jobs: Sequence[NewJob], alike: bool) -> Script:
    # For one job, `add` asks for fewer rights.
    return ADD_ALIKE if alike and len(jobs) > 1 else ADD


#: The replies of lib/add for a job: whether it was created, and its state.
_ANSWERS = {
    f"{made}{letter}".encode(): (bool(made), state)
    for made in (0, 1)
    for letter, state in STATE_OF_LETTER.items()
}


def results(queue: str, jobs: Sequence[NewJob], reply: bytes) -> list[Added | BacklogFull]:
    """The result of each job's add, from the reply of the script."""
    words = reply.split()
    return [result(queue, job, word) for job, word in zip(jobs, words, strict=True)]


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
