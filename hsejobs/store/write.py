"""The writes of people and programs: add, retry, promote, cancel, remove, pause; `Sweeps` has the rest.

``entry``: the act's entry for the audit log (`store/audits.py`), which the scripts write; '' for none.

Every action is one script per chunk of jobs. The script checks the job's state and, if given, that
the job has not changed since it was seen. ``organization_id`` limits an action to one tenant:
another tenant's job is reported as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from hsejobs.errors import BacklogFull, Forbidden, JobActive, JobExists, JobNotFound, WrongState
from hsejobs.model import FINISHED, STATE_OF_LETTER, State
from hsejobs.store import adds, keys, scripts
from hsejobs.store.adds import Added
from hsejobs.store.client import RedisClient
from hsejobs.store.new_job import NewJob, new_nonce
from hsejobs.store.scripts import Arg, Script
from hsejobs.store.sweeps import CHUNK, Seen, Selection, Sweeps

__all__ = [
    "Added",
    "Cancel",
    "JobWriter",
    "NewJob",
    "RefusedJob",
    "Removed",
    "Seen",
    "Selection",
    "new_nonce",
]

#: Jobs that one call removes and returns copies of: the copies are lost if the reply is.
REMOVED_AT_ONCE = 100
#: ms for which an order to a consumer is kept: until its next heartbeat, also after a short outage.
ORDER_MS = 120_000
#: Seconds that replicas have to answer when only checking whether adds would be confirmed.
PROBE_REPLICAS = 0.5


@dataclass(frozen=True, slots=True)
class Cancel:
    """Who cancels jobs, and why. ``owner``: only jobs that this user added; None: all."""

    by: str
    reason: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """A copy of a removed job, for ``restore``. Kept only in memory."""

    queue: str
    id: str
    state: State
    organization_id: str | None
    copy: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RefusedJob:
    """Why an action refused a job: ``missing``, the letter of the job's state, ``forbidden`` (another
    user's), ``changed``, ``superseded`` (another job runs instead), or ``again`` (a running job that is
    cancelled already).

    ``changed``: the job has left its state and come back since it was seen, or was added later.
    """

    id: str
    found: str

    def error(self, act: str) -> Exception:
        """The refusal as an error to raise."""
        job, found = f"job {self.id!r}", self.found
        if found == "missing":
            return JobNotFound(f"there is no {job} in this queue")
        if found == "forbidden":
            return Forbidden(f"{job} is another user's; this needs the role admin")
        if found == "changed":
            return WrongState(f"{job} changed since it was shown; check it again", found)
        if found == "superseded":
            return WrongState(f"{job} is superseded: an edited copy runs instead", "failed")
        state = STATE_OF_LETTER.get(found, found)
        if act == "cancel" and state in FINISHED:
            return WrongState(f"{job} has ended already: it is {state}", str(state))
        if state == State.ACTIVE and act != "cancel":
            return JobActive(f"{job} is active: a worker is running it, wait until it ends")
        if act in ("cancel", "remove"):
            return WrongState(f"{job} is {state} now; check it again", str(state))
        wanted, done = {
            "retry": ("failed", "retried"),
            "promote": ("delayed", "promoted"),
            "supersede": ("failed", "superseded"),
        }[act]
        return WrongState(f"{job} is {state}; only {wanted} jobs can be {done}", str(state))


class JobWriter(Sweeps):
    """All writes except those of workers. Creating one does no I/O."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self.redis = client
        self.prefix = prefix

    def _base(self, queue: str) -> str:
        return keys.base(self.prefix, queue)

    def _run(self, script: Script, queue: str, *args: Arg) -> Any:
        return self.redis.run(script, self._base(queue), args)

    def add(self, queue: str, job: NewJob) -> Added:
        """Adds one job. If a job with this id exists, returns that one with ``created=False``.

        Raises BacklogFull when its organization has as many waiting and delayed jobs as it may have.
        """
        result = adds.result(queue, job, self.redis.add_one(self._base(queue), job))
        if isinstance(result, BacklogFull):
            raise result
        return result

    def add_each(self, queue: str, jobs: Sequence[NewJob]) -> list[Added | BacklogFull]:
        """Adds jobs in few round trips, each job atomically; an error stands for each that was refused."""

        base = self._base(queue)
        if len(jobs) <= 1:
            return [adds.result(queue, job, self.redis.add_one(base, job)) for job in jobs]
        found = self.redis.add_many(
            base,
            adds.calls(jobs, adds.FIRST if len(jobs) > 2 * adds.CHUNK else adds.CHUNK),
            adds.args,
            lambda call, reply: adds.results(queue, call[1], reply),
        )
        return list(chain.from_iterable(found))

    def add_many(self, queue: str, jobs: Sequence[NewJob]) -> list[Added]:
        """As `add_each`, but raises BacklogFull if one was refused; the others are added nevertheless."""
        return adds.accepted(self.add_each(queue, jobs))

    def check_adds(self, queues: Sequence[str]) -> None:
        """Raises the Redis error that an add to one of the queues would raise now; adds nothing."""
        shared = NewJob("", "", b"", 3, 1, 0, 0).shared()
        bases = [self._base(queue) for queue in queues]
        self.redis.run_many([(scripts.PROBE, base, shared) for base in bases], patience=0.5)
        if self.redis.wait_replicas and bases:
            self.redis.check_replicas(bases[0], PROBE_REPLICAS)

    def add_periodic(self, queue: str, job: NewJob, schedule: str, slot: int) -> Added | None:
        """Adds the run of a slot (minutes since the epoch); None if it was added before."""
        reply = self._run(scripts.PERIODIC, queue, *job.shared(), *job.own(), schedule, slot)
        return adds.accepted([adds.result(queue, job, reply)])[0] if reply else None

    def add_by_hand(
        self, queue: str, job: NewJob, *, schedule: str = "", last: str = "", entry: str = ""
    ) -> Added:
        """Adds a job that a person wrote, or a run of a schedule outside its slots, as its last run.

        ``last``: the id of the run that the person saw as the last one, ``-`` for none yet, '' for any.
        Raises BacklogFull; WrongState if there was another run since.
        """
        words = (*job.shared(), *job.own(), schedule, last, entry, "", "", "")
        reply = self._run(scripts.ACT_ADD, queue, *words)
        if reply == b"changed":
            raise WrongState("the schedule ran since it was shown; check it", "changed")
        return adds.accepted([adds.result(queue, job, reply)])[0]

    def add_instead(
        self,
        queue: str,
        job: NewJob,
        instead: str | Seen,
        organization_id: str | None = None,
        *,
        entry: str = "",
    ) -> Added:
        """Adds a job in place of a failed one, which is marked as superseded, both at once.

        Raises BacklogFull; JobNotFound, JobActive or WrongState for the failed one.
        """
        job_id, seen = _seen(instead)
        words = (*job.shared(), *job.own(), "", "", entry)
        reply = self._run(
            scripts.ACT_ADD, queue, *words, keys.tenant(organization_id), job_id, seen
        )
        if reply[:1] not in (b"0", b"1", b"q"):
            raise RefusedJob(job_id, reply.decode()).error("supersede")
        return adds.accepted([adds.result(queue, job, reply)])[0]

    def forget_workers(self, queue: str, before_ms: int) -> int:
        """Removes consumers without a heartbeat since ``before_ms`` (Redis time); returns how many."""
        key = keys.of(self._base(queue), "workers")
        return int(self.redis.command("ZREMRANGEBYSCORE", key, "-inf", before_ms))

    def retry(self, queue: str, job_id: str, organization_id: str | None = None) -> None:
        """failed -> waiting. Raises JobNotFound, JobActive or WrongState."""
        self._one(scripts.RETRY, "retry", queue, job_id, organization_id)

    def promote(self, queue: str, job_id: str, organization_id: str | None = None) -> None:
        """delayed -> waiting. Raises JobNotFound, JobActive or WrongState."""
        self._one(scripts.PROMOTE, "promote", queue, job_id, organization_id)

    def _one(
        self, script: Script, act: str, queue: str, job_id: str, organization_id: str | None
    ) -> None:
        refused = self._chunked(script, queue, [job_id], organization_id)
        if refused:
            raise refused[0].error(act)

    def retry_many(
        self,
        queue: str,
        jobs: Sequence[str | Seen],
        organization_id: str | None = None,
        *,
        as_of: int | None = None,
        entry: str = "",
    ) -> list[RefusedJob]:
        """Retries the failed jobs unchanged and failed by ``as_of`` (Redis ms); returns the others."""
        return self._chunked(scripts.RETRY, queue, jobs, organization_id, as_of, entry)

    def promote_many(
        self,
        queue: str,
        jobs: Sequence[str | Seen],
        organization_id: str | None = None,
        *,
        as_of: int | None = None,
        entry: str = "",
    ) -> list[RefusedJob]:
        """Promotes the delayed jobs unchanged and delayed by ``as_of`` (Redis ms); returns the others."""
        return self._chunked(scripts.PROMOTE, queue, jobs, organization_id, as_of, entry)

    def _chunked(
        self,
        script: Script,
        queue: str,
        jobs: Sequence[str | Seen],
        organization_id: str | None,
        as_of: int | None = None,
        entry: str = "",
    ) -> list[RefusedJob]:
        refused: list[RefusedJob] = []
        moment: Arg = "" if as_of is None else as_of
        for chunk in _chunks(jobs, CHUNK, entry):
            words = [word for pair in chunk for word in pair]
            replies = self._run(script, queue, keys.tenant(organization_id), moment, entry, *words)
            refused += _refused(chunk, replies)
        return refused

    def order(
        self, queue: str, order: str, workers: Sequence[str], *, entry: str = ""
    ) -> list[int]:
        """Asks consumers to be ``quiet``, to ``wake`` or to ``restart``; they notice it at once, or with
        their next heartbeat.

        Returns for each 1 if it was asked, 0 if it is not alive, -1 if its release takes no orders.
        """
        reply: list[int] = self._run(scripts.ORDER, queue, order, ORDER_MS, entry, *workers)
        return reply

    def cancel_many(
        self,
        queue: str,
        jobs: Sequence[str | Seen],
        cancel: Cancel,
        organization_id: str | None = None,
        *,
        entry: str = "",
    ) -> list[RefusedJob]:
        """Cancels the jobs that have not ended and are unchanged; returns the others.

        A waiting or delayed job fails at once. Who cancelled an active one first, and why, stays.
        """
        refused: list[RefusedJob] = []
        fixed = (cancel.owner or "", cancel.by, cancel.reason or "", new_nonce(), entry)
        for chunk in _chunks(jobs, CHUNK, entry):
            words = [word for pair in chunk for word in pair]
            replies = self._run(scripts.CANCEL, queue, keys.tenant(organization_id), *fixed, *words)
            refused += _refused(chunk, replies)
        return refused

    def remove(
        self, queue: str, job_id: str, organization_id: str | None = None, seen: str = ""
    ) -> Removed:
        """Removes a job that is not active; with ``seen`` only if it still has that version.

        Raises JobNotFound, JobActive or WrongState.
        """
        removed, refused = self.remove_many(queue, [(job_id, seen)], organization_id)
        if refused:
            raise refused[0].error("remove")
        return removed[0]

    def remove_many(
        self,
        queue: str,
        jobs: Sequence[str | Seen],
        organization_id: str | None = None,
        *,
        entry: str = "",
    ) -> tuple[list[Removed], list[RefusedJob]]:
        """Removes all jobs that are not active and unchanged; returns copies for an undo, and refusals."""
        removed, refused = [], []
        for chunk in _chunks(jobs, REMOVED_AT_ONCE, entry):
            words = [word for pair in chunk for word in pair]
            org = keys.tenant(organization_id)
            for reply in self._run(scripts.REMOVE, queue, org, entry, *words):
                if reply[0] != b"ok":
                    refused.append(RefusedJob(reply[1].decode(), reply[0].decode()))
                    continue
                record = dict(zip(reply[3][::2], reply[3][1::2], strict=True))
                owner = record.get(b"o")
                removed.append(
                    Removed(
                        queue,
                        reply[1].decode(),
                        State.of_letter(record.get(b"st")),
                        owner.decode() if owner else None,
                        tuple(reply[2:]),
                    )
                )
        return removed, refused

    def restore(self, removed: Removed, organization_id: str | None = None) -> None:
        """Undoes a removal. Raises JobExists when a new job uses the id."""
        args = _restoring(removed, organization_id, "")
        reply = self._run(scripts.RESTORE, removed.queue, *args)
        if reply in (b"exists", b"back"):
            raise JobExists(f"job {removed.id!r} exists again and was not changed")
        if reply == b"missing":
            raise JobNotFound(f"there is no job {removed.id!r} in this queue")

    def restore_many(
        self, removed: Sequence[Removed], organization_id: str | None = None, *, entry: str = ""
    ) -> list[RefusedJob]:
        """Undoes removals in one round trip; returns those whose id a new job uses (``exists``).

        Safe to repeat when no reply came: jobs restored by the first call are not refused.
        """
        calls = [
            (scripts.RESTORE, self._base(one.queue), _restoring(one, organization_id, entry))
            for one in removed
        ]
        replies = self.redis.run_many(calls)
        return [
            RefusedJob(one.id, reply.decode())
            for one, reply in zip(removed, replies, strict=True)
            if reply not in (b"ok", b"back")
        ]

    def pause(self, queue: str, *, entry: str = "") -> bool:
        """Pauses the queue: running jobs finish, no new ones start. Returns whether it was not paused."""
        return bool(self._run(scripts.PAUSE, queue, 1, "", entry))

    def resume(self, queue: str, *, since: int | None = None, entry: str = "") -> bool:
        """Resumes the queue. Returns whether it was paused.

        ``since``: resumes only the pause that began then (Redis ms). Raises WrongState if it was paused
        again since.
        """
        seen: Arg = "" if since is None else since
        changed = self._run(scripts.PAUSE, queue, 0, seen, entry)
        if changed < 0:
            raise WrongState(f"{queue} was paused again since it was shown; check it", "changed")
        return bool(changed)


def _seen(job: str | Seen) -> Seen:
    return (job, "") if isinstance(job, str) else job


def _chunks(jobs: Sequence[str | Seen], size: int, entry: str) -> Iterable[list[Seen]]:
    """The jobs in chunks; an act on no job is one call, which writes its entry."""
    return scripts.chunks(list(map(_seen, jobs)), size) if jobs or not entry else [[]]


def _refused(jobs: Sequence[Seen], replies: Sequence[bytes]) -> list[RefusedJob]:
    pairs = zip(jobs, replies, strict=True)
    return [RefusedJob(job_id, reply.decode()) for (job_id, _), reply in pairs if reply != b"ok"]


def _restoring(removed: Removed, organization_id: str | None, entry: str) -> list[Arg]:
    score, record, payload, extras, result, errors, logs, marks, *rest = removed.copy
    values = [len(record), *record, len(errors), *errors, len(logs), *logs, *marks]
    fixed = (organization_id or "", removed.id, score, payload, extras, result, *rest, entry)
    return [*fixed, *values]
