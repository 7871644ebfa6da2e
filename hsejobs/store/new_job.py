"""A job that is complete and can be added."""

from __future__ import annotations

import os
from typing import NamedTuple

from hsejobs.store.scripts import Arg


class NewJob(NamedTuple):
    """A complete, immutable job to add. Times in ms; JSON as bytes."""

    id: str
    name: str
    payload: bytes
    priority: int
    attempts: int
    backoff: int
    timeout: int
    delay: int = 0
    organization_id: str | None = None
    user_id: str | None = None
    extras: bytes = b""
    signature: str = ""
    #: The request id and, after a space, the ``traceparent`` of the request that adds the job.
    trace: str = ""
    #: The role of the caller who added it over HTTP; '' for the command line, Python and the system.
    role: str = ""
    #: By which its task's limits count it; '' for none.
    key: str = ""
    #: The most waiting and delayed jobs that its organization may have in the queue; 0: not limited.
    tenant_backlog: int = 0
    #: The job that was running when it was added, and the first of their family: see `model.Relative`.
    family: str = ""
    #: Distinguishes this add from others with the same id; '' when the id is new.
    nonce: str = ""

    def shared(self) -> tuple[Arg, ...]:
        """The script arguments that are given once for jobs that share them."""
        return (
            self.name,
            self.priority,
            self.delay,
            self.attempts,
            self.backoff,
            self.timeout,
            self.extras,
            self.tenant_backlog,
        )

    def owner(self) -> tuple[Arg, ...]:
        """The script arguments that jobs of one owner share."""
        return (
            self.organization_id or "",
            self.user_id or "",
            # One field for both, so that a claim has no extra read for jobs without a trace.
            f"{self.signature} {self.trace}" if self.trace else self.signature,
            self.role,
            self.key,
            self.family,
        )

    def own(self) -> tuple[Arg, ...]:
        """The script arguments that are not shared: the owner's, and the job's own."""
        return (*self.owner(), self.id, self.nonce, self.payload)

    @property
    def rest(self) -> tuple[object, ...]:
        """All but the name and what each job has of its own: the id, the payload and the nonce."""
        return self[3:-1]


def new_nonce() -> str:
    """Eleven random hexadecimal characters."""
    return os.urandom(6).hex()[:11]
