"""What every act needs: the rights of its actor, and its entry in the audit log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from hsejobs.control.act_table import ACTS
from hsejobs.control.actors import Actor
from hsejobs.control.audit import Log
from hsejobs.control.progress import Clock, Removals
from hsejobs.errors import JobsError, Refused
from hsejobs.store.audits import AuditStore, Record, begin
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import JobWriter

#: Seconds to wait for the entry that is copied to the second place of the audit log.
COPY_PATIENCE = 0.5


@dataclass(slots=True)
class Hooks:
    """Callbacks of an interface.

    ``removed`` is called with the queue, and the job's id if it was a single job, once jobs are
    removed and cannot be restored, to remove their files. ``unwritten`` is called when the copy of an
    audit log entry could not be written.
    """

    removed: Callable[[str, str | None], None] | None = None
    unwritten: Callable[[], None] | None = None


class Acting:
    """One actor, and the store that it acts on."""

    def __init__(
        self,
        client: RedisClient,
        prefix: str,
        actor: Actor,
        log: Log,
        *,
        read_only: bool = False,
        undo: bool = False,
        hooks: Hooks | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.redis, self.prefix = client, prefix
        self.actor, self.org = actor, actor.organization_id
        self._log, self._hooks = log, hooks or Hooks()
        self._audit = AuditStore(client, prefix)
        self._read_only = read_only
        self._writer, self._reader = JobWriter(client, prefix), JobReader(client, prefix)
        self._removals = Removals(clock) if undo else None

    def check(self, act: str) -> JobWriter:
        """Returns the job writer if the actor may perform the action.

        Raises Forbidden; Refused in a session that is read-only or limited to one organization.
        """
        self.actor.need(ACTS[act].role)
        if self._read_only:
            raise Refused("this session is read-only")
        if ACTS[act].whole and self.org is not None:
            raise Refused(
                "this affects the jobs of all organizations; this session is limited to one"
            )
        return self._writer

    @contextmanager
    def recorded(
        self,
        act: str,
        queue: str | None,
        *,
        where: str = "",
        reason: str | None = None,
        organization_id: str | None = None,
        erased: str | None = None,
        together: str = "",
    ) -> Iterator[Record]:
        """The entry of an act in the audit log, for the scripts of the act; they write it.

        ``queue`` None: the act is on no queue. ``where``: what it is about, if that is no list of ids.
        ``organization_id``: whom it concerns, if that is known. ``erased``: the organization that the
        act erases, which only the copy names. ``together``: as in `AuditEntry`. Raises as `check`.
        """
        self.check(act)
        actor = self.actor
        owner = actor.organization_id or organization_id
        fixed = {"who": actor.who, "door": actor.door, "act": act, "where": where}
        record = begin(queue, owner, together=together, reason=reason, **fixed)
        try:
            yield record
        finally:
            # Redis has the entry. When Redis does not answer, the copy is not worth a second wait.
            with suppress(JobsError):
                entry = self._audit.get(record, patience=COPY_PATIENCE)
                owner = erased or owner or (entry.organization_id if entry else None)
                if entry and not self._log.append(entry, owner) and self._hooks.unwritten:
                    self._hooks.unwritten()

    def _removed(self, queue: str, job_id: str | None = None) -> None:
        # A job that can be restored keeps its file; the cleanup removes it later.
        if self._removals is None and self._hooks.removed is not None:
            self._hooks.removed(queue, job_id)

    def write_entry(self, record: Record, count: int, job_id: str = "") -> None:
        """Writes the entry of an act whose work is not in Redis, or updates its count."""
        self._audit.write(record, count, job_id)
