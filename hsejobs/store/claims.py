"""What a worker gets of a job that it has claimed, and what it hands in of one that it completed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from hsejobs.model import DEFAULT_PRIORITY, LONGEST_MS, whole_number


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

    def __init__(self, row: Sequence[bytes | None], token: str) -> None:
        (
            name,
            made,
            attempts,
            backoff,
            timeout,
            organization,
            user,
            stalls,
            _,
            created,
            priority,
            extras,
            signature,
            revoked,
            job_id,
            payload,
            key,
        ) = row
        self.id = job_id.decode() if job_id else ""
        self.token = token
        self.name = _text(name) if name else ""
        self.attempt, self.attempts, self.backoff, self.timeout, self.priority = _options(
            made, attempts, backoff, timeout, priority
        )
        self.organization_id = organization.decode() if organization else None
        self.user_id = user.decode() if user else None
        self.stalls = (whole_number(stalls) or 0) if stalls else 0
        self._created = created
        self.extras = bool(extras)
        self.signature = self.trace = ""
        if signature:
            self.signature, _, self.trace = signature.decode().partition(" ")
        self.revoked = revoked == b"revoked"
        self.payload = payload or b""
        self.key = key.decode() if key else None

    @property
    def created_at(self) -> int:
        """When the job was added, in ms since the epoch. Few tasks ask for it."""
        return whole_number(self._created) or 0


#: The names of tasks, and the attempts and options of jobs, which most jobs share.
_text = lru_cache(maxsize=256)(bytes.decode)


@lru_cache(maxsize=256)
def _options(
    made: bytes | None,
    attempts: bytes | None,
    backoff: bytes | None,
    timeout: bytes | None,
    priority: bytes | None,
) -> tuple[int, int, int, int, int]:
    return (
        max(0, whole_number(made) or 0) + 1,
        whole_number(attempts) or 1,
        whole_number(backoff) or 0,
        min(LONGEST_MS, max(0, whole_number(timeout) or 0)),
        whole_number(priority) or DEFAULT_PRIORITY,
    )


@dataclass(slots=True)
class Done:
    """A completed job: id, token, run time in us, and result as JSON; for its line in the log, the
    organization and the trace, where they are known.
    """

    id: str
    token: str
    run_us: int
    result: bytes
    organization_id: str | None = field(default=None, compare=False)
    trace: str = field(default="", compare=False)
