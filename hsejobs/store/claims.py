"""What a worker gets of a job that it has claimed, and what it hands in of one that it completed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

from hsejobs.model import DEFAULT_PRIORITY, LONGEST_MS, whole_number

#: How the words begin that a claim has besides: those with the value of a field of the job's record, and the
#: one of a revoked job.
ORGANIZATION, USER, STALLS, EXTRAS, SIGNATURE, KEY = b"o", b"u", b"l", b"x", b"s", b"k"
FIELD_OF = {
    ORGANIZATION: "o",
    USER: "u",
    STALLS: "sl",
    EXTRAS: "x",
    SIGNATURE: "sg",
    KEY: "ky",
}
REVOKED = b"r"


class Claim:
    """A job that a worker has claimed. ``timeout`` and ``backoff`` are in ms; ``attempt`` counts from 1."""

    __slots__ = (
        "_created",
        "attempt",
        "attempts",
        "backoff",
        "extras",
        "id",
        "key",
        "name",
        "organization_id",
        "payload",
        "priority",
        "revoked",
        "signature",
        "stalls",
        "timeout",
        "token",
        "trace",
        "user_id",
    )

    def __init__(
        self,
        head: bytes,
        job_id: bytes | None,
        payload: bytes | None,
        token: str,
        more: Sequence[bytes] = (),
    ) -> None:
        """``head``, ``job_id``, ``payload`` and ``more`` as lib/claim.lua makes them."""
        shared, _, self._created = head.rpartition(b"\n")
        self.id = job_id.decode() if job_id else ""
        self.token = token
        self.name, self.attempt, self.attempts, self.backoff, self.timeout, self.priority = (
            _options(shared)
        )
        self.payload = payload or b""
        self.organization_id: str | None = None
        self.user_id: str | None = None
        self.key: str | None = None
        self.stalls = 0
        self.extras = self.revoked = False
        self.signature = self.trace = ""
        if more:
            self._more(more)

    def _more(self, words: Sequence[bytes]) -> None:
        for word in words:
            kind, value = word[:1], word[1:]
            if kind == ORGANIZATION:
                self.organization_id = value.decode() or None
            elif kind == USER:
                self.user_id = value.decode() or None
            elif kind == SIGNATURE:
                self.signature, _, self.trace = value.decode().partition(" ")
            elif kind == KEY:
                self.key = value.decode() or None
            elif kind == STALLS:
                self.stalls = whole_number(value) or 0
            elif kind == EXTRAS:
                self.extras = True
            elif kind == REVOKED:
                self.revoked = True

    @property
    def created_at(self) -> int:
        """When the job was added, in ms since the epoch. Few tasks ask for it."""
        return whole_number(self._created) or 0


#: What most jobs of a task share is read once: name, attempt, attempts, backoff, timeout and priority.
@lru_cache(maxsize=256)
def _options(shared: bytes) -> tuple[str, int, int, int, int, int]:
    made, name, *numbers = shared.split(b"\n")
    if len(numbers) != 4:
        # One of the fields is broken, and it is unknown which.
        numbers = [b""] * 4
    attempts, backoff, timeout, priority = map(whole_number, numbers)
    return (
        name.decode(),
        max(0, whole_number(made[1:]) or 0) + 1,
        attempts or 1,
        backoff or 0,
        min(LONGEST_MS, max(0, timeout or 0)),
        priority or DEFAULT_PRIORITY,
    )


#: The digit 0 as a byte: the first one of a head says how many words follow the payload.
_ZERO = ord("0")


def read_claims(rows: Sequence[bytes], token: str) -> list[Claim]:
    """The jobs that a script has claimed. Each is a head, id, payload, and the words that the head counts."""
    claims = []
    at, count = 0, len(rows)
    while at < count:
        head, job_id, payload = rows[at : at + 3]
        end = at + 3 + head[0] - _ZERO
        claims.append(Claim(head, job_id, payload, token, rows[at + 3 : end]))
        at = end
    return claims


def read_step(reply: Any, token: str) -> tuple[str, list[Claim]]:
    """The reply of ``complete``: one letter per finished job, and the jobs that were claimed."""
    payload = None
    if isinstance(reply, list):
        if len(reply) > 2:
            return reply[-1].decode(), read_claims(reply[:-1], token)
        reply, payload = reply
    letters, _, rest = reply.partition(b"\n")
    if not rest:
        return letters.decode(), []
    letters, _, sizes = letters.partition(b" ")
    at = len(rest) - int(sizes[1:])
    job_id, *more = rest[:at].split(b"\n", 1 + sizes[0] - _ZERO)
    head = more.pop()
    return letters.decode(), [Claim(head, job_id, payload or rest[at:], token, more)]


def step_reply(letters: str, rows: Sequence[Sequence[bytes]]) -> list[bytes] | bytes:
    """What complete.lua replies: a letter per finished job, and the claimed jobs as in `claim_row`."""
    return [*chain.from_iterable(rows), letters.encode()] if rows else letters.encode()


def claim_row(
    job_id: str,
    name: str,
    options: Sequence[int],
    payload: bytes = b"",
    *,
    created_at: int = 0,
    words: Sequence[bytes] = (),
) -> list[bytes]:
    """A claimed job as lib/claim.lua writes it.

    ``options``: attempts made, attempts, backoff, timeout, priority.
    """
    made, *numbers = options
    head = "\n".join([f"{len(words)}{made}", name, *map(str, [*numbers, created_at])])
    return [head.encode(), job_id.encode(), payload, *words]


def new_claim(job_id: str, token: str, *row: Any, **more: Any) -> Claim:
    """A claim that no script has made; the arguments are those of `claim_row`."""
    return read_claims(claim_row(job_id, *row, **more), token)[0]


#: The words of each kind of jobs, which stand before the jobs: token, task, organization and key.
KIND_WORDS = 4


@dataclass(slots=True)
class Done:
    """A completed job: id, token, run time in us, and result as JSON; then what its worker has of the claim.

    Without the ``name`` of its task, Redis reads organization, name and key from the job's record.
    """

    id: str
    token: str
    run_us: int
    result: bytes
    organization_id: str | None = field(default=None, compare=False)
    trace: str = field(default="", compare=False)
    name: str = field(default="", compare=False)
    key: str | None = field(default=None, compare=False)
