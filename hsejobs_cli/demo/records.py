"""Writes the records of the demo's jobs, with their places in the indexes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hsejobs import codec
from hsejobs.model import DEFAULT_PRIORITY, FINISHED, Relative, State, job_id_of
from hsejobs.store import keys
from hsejobs_cli.demo.pipe import Pipe

#: The longest result that is in the record itself, in bytes.
_SMALL = 64


@dataclass(slots=True)
class DemoJob:
    """A job to write. Times in ms since the epoch; ``task``: its full name."""

    queue: str
    task: str
    state: State
    org: str | None
    created: int
    payload: Any
    id: str = ""
    user: str | None = None
    started: int | None = None
    finished: int | None = None
    run_at: int | None = None
    priority: int = DEFAULT_PRIORITY
    made: int = 0
    attempts: int = 3
    backoff: int = 5_000
    timeout: int = 0
    result: Any = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    progress: float = 0.0
    message: str = ""
    token: str = ""
    request: str = ""
    parent: DemoJob | None = None
    root: DemoJob | None = None
    #: Further fields of the record.
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def relative(self) -> Relative:
        return Relative(self.queue, self.id)


class Records:
    """Writes jobs; ``prefix``: of the keys. The ids are those that the times would have given."""

    def __init__(self, pipe: Pipe, prefix: str, rng: random.Random) -> None:
        self.pipe, self.prefix, self.rng = pipe, prefix, rng
        self._numbers: dict[str, int] = {}
        self._turns: set[tuple[str, str]] = set()
        self._events: dict[str, list[tuple[int, str, str]]] = {}

    def name(self, job: DemoJob) -> DemoJob:
        """Gives a job its id."""
        job.id = job.id or job_id_of(job.created, self.rng.getrandbits(39))
        return job

    def write(self, job: DemoJob) -> DemoJob:
        """Writes a job; returns it with its id."""
        self.name(job)
        base = keys.base(self.prefix, job.queue)
        fields: dict[str, Any] = {
            "st": job.state.letter,
            "n": job.task,
            "p": job.priority,
            "o": job.org,
            "u": job.user,
            "ct": job.created,
            "am": job.made,
            "ax": job.attempts,
            "bo": job.backoff,
            "to": job.timeout,
            "pt": job.started,
            "ft": job.finished if job.state in FINISHED else None,
            "ra": job.run_at if job.state is State.DELAYED else None,
            "tk": job.token or None,
            "pg": job.progress or None,
            "pm": job.message or None,
            "lc": len(job.logs) or None,
            "ec": job.errors[-1]["code"] if job.errors else None,
            "sg": f" {job.request}" if job.request else None,
            "fa": self._family(job),
            **job.more,
        }
        score = self._score(base, job, fields)
        self._values(base, job, fields)
        words = [part for pair in fields.items() if pair[1] is not None for part in pair]
        self.pipe.add("HSET", keys.of(base, "job", job.id), *words)
        self.pipe.add("ZADD", keys.index(base, job.state), score, job.id)
        if job.org is not None:
            self.pipe.add("ZADD", keys.index(base, job.state, job.org), score, job.id)
            self.pipe.add("ZADD", keys.of(base, "orgs"), "GT", job.created // 60_000, job.org)
        self._happened(job)
        return job

    def _values(self, base: str, job: DemoJob, fields: dict[str, Any]) -> None:
        self.pipe.add("SET", keys.of(base, "payload", job.id), codec.dumps(job.payload))
        if job.result is not None:
            text = codec.dumps(job.result)
            if len(text) > _SMALL:
                self.pipe.add("SET", keys.of(base, "result", job.id), text)
            else:
                fields["r"] = text
        if job.errors:
            texts = [codec.dumps(one) for one in job.errors]
            self.pipe.add("RPUSH", keys.of(base, "errors", job.id), *texts)
        if job.logs:
            self.pipe.add("RPUSH", keys.of(base, "logs", job.id), *job.logs)

    def _score(self, base: str, job: DemoJob, fields: dict[str, Any]) -> int:
        if job.state is State.WAITING:
            return self._place(base, job, fields)
        if job.state in FINISHED:
            return (job.finished or job.created) * 1000 + self.rng.randrange(1000)
        # Of an active job: when its lease ends.
        return job.run_at or 0

    def _place(self, base: str, job: DemoJob, fields: dict[str, Any]) -> int:
        """The next place in the line, and the turn of its organization."""
        number = self._numbers[job.queue] = self._numbers.get(job.queue, 0) + 1
        place = job.priority * keys.PRIORITY_SPAN + number
        fields["sc"] = place
        self.pipe.add("SET", keys.of(base, "seq"), number)
        member = f"{job.priority}{job.org or ''}"
        if (job.queue, member) not in self._turns:
            self._turns.add((job.queue, member))
            self.pipe.add("HSET", keys.of(base, "share"), "on", 1)
            score = place if job.queue == "crm-sync" else job.priority * keys.PRIORITY_SPAN
            self.pipe.add("ZADD", keys.of(base, "turns"), score, member)
        if job.org is None:
            self.pipe.add("ZADD", keys.of(base, "unowned"), place, job.id)
        return place

    def _family(self, job: DemoJob) -> str | None:
        parent = job.parent
        if parent is None:
            return None
        root = None if job.root is None else job.root.relative
        family = parent.relative.of_child(parent.org, root, job.org)
        name = keys.of(keys.base(self.prefix, job.queue), "kids", str(parent.relative))
        self.pipe.add("ZADD", name, job.created, job.id)
        return family

    # -- the feed of events

    def _happened(self, job: DemoJob) -> None:
        line = job.id if job.org is None else f"{job.id}\t{job.org}"
        first = "delayed" if job.state is State.DELAYED and not job.made else "waiting"
        found = self._events.setdefault(job.queue, [])
        found.append((job.created, first, line))
        if job.started is not None:
            found.append((job.started, "active", line))
        if job.state in FINISHED and job.finished is not None:
            found.append((job.finished, job.state.value, line))
        elif job.state is State.DELAYED and job.errors:
            found.append((job.errors[-1]["failedAt"], "retrying", line))

    def note(self, queue: str, at: int, kind: str) -> None:
        """Adds an event of a whole queue, such as a pause."""
        self._events.setdefault(queue, []).append((at, kind, "-"))

    def write_events(self, since: int, until: int, most: int = 400) -> None:
        """Writes the newest events of each queue to its feed."""
        for queue, found in self._events.items():
            key = keys.of(keys.base(self.prefix, queue), "events")
            newest = sorted(one for one in found if since <= one[0] <= until)[-most:]
            for number, (at, kind, line) in enumerate(newest, 1):
                self.pipe.add("XADD", key, f"{at}-{number}", kind, line)


def traceback_of(frames: Iterable[tuple[str, int, str, str]], error: str) -> str:
    """A traceback as Python prints it."""
    lines = ["Traceback (most recent call last):"]
    for file, number, function, source in frames:
        lines += [f'  File "{file}", line {number}, in {function}', f"    {source}"]
    return "\n".join([*lines, error]) + "\n"
