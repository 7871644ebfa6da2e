"""How a worker writes outcomes and claims jobs: both in one call of Redis, a step.

A worker usually waits for a step. While it claims several jobs at a time, it sends a step before it
runs a batch and reads the reply afterwards: the outcomes of the batch before and the claim of a
batch after are on their way meanwhile, and those of two steps if it would wait for most replies. See
"Batches ahead" in ``docs/engine.md``.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from huey.consumer import Worker

from hsejobs.engine import doorbell
from hsejobs.engine.pace import Pace
from hsejobs.engine.ports import WorkerHost
from hsejobs.engine.progress_log import ProgressLog
from hsejobs.engine.slots import Slot
from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.model import new_job_id
from hsejobs.store.client import RedisClient
from hsejobs.store.words import Tail
from hsejobs.store.work import Claim, Done, WorkerStore
from hsejobs.watch import logs

#: Seconds between attempts to reach Redis.
_RETRY_PAUSES = (0.02, 0.1, 0.25, 0.5, 1.0)
#: After how many steps that claim nothing the next one is expected to claim nothing.
CALM = 2
#: Seconds between two log lines about errors of this worker other than outages.
_FAULT_LOG_EVERY = 30.0


@dataclass(slots=True)
class Flight:
    """A step that was sent and whose reply was not read. ``sent``: None if it could not be sent."""

    sent: Any
    token: str
    done: list[Done]
    #: When it was sent, by the monotonic clock.
    at: float


class Stepping(Worker):
    """The part of a worker that makes its steps."""

    pace: Pace
    #: Milliseconds.
    lease: int

    def __init__(self, consumer: WorkerHost, slot: Slot) -> None:
        super().__init__(
            consumer.huey, consumer.stop_flag, 0.1, 1.0, 1.15, max_tasks=consumer.max_tasks
        )
        self.consumer = consumer
        self.queue = consumer.queue
        self.slot = slot
        self.name = f"{consumer.worker_id}.{slot.number}"
        #: The outcomes that were not sent.
        self.done: list[Done] = []
        self.progress_logs: list[ProgressLog] = []
        #: Whether jobs are claimed in batches.
        self.fast = False
        #: Whether the maintenance thread knows to look at the slots often: each claim since had several jobs.
        self.watched = False
        #: The steps that are on their way while jobs run, the oldest first.
        self.flights: list[Flight] = []
        self._calls = 0
        #: The token of a claim without a reply, and how often it was sent: Redis may have executed it,
        #: or may still receive it.
        self._unanswered, self._sent = "", 0
        #: The tokens of claims that came behind that one, and are to be given up.
        self._behind: list[str] = []
        #: How many steps in a row wrote outcomes and claimed nothing.
        self.calm = 0
        #: The connection on which the wait at the doorbell was sent with the last step.
        self.waiting: Any = None
        self._fault_logged_at = 0.0

    def initialize(self) -> None:
        """Opens this worker's own connections and runs Huey's startup hooks."""
        runtime = self.queue.runtime
        self.lease = runtime.settings.lease_ms
        # The prefix makes tokens differ from those of earlier workers of this slot.
        self.token_base = f"{new_job_id()[-10:]}{os.getpid() % 997:x}"
        self.work = WorkerStore(runtime.redis, runtime.prefix, self.queue.name)
        # For the steps and the doorbell. A job's own calls must not meet a step that is on its way.
        client = RedisClient(runtime.redis.url, prefix=runtime.prefix)
        self.line = WorkerStore(client, runtime.prefix, self.queue.name)
        super().initialize()

    # -- steps

    def _new_token(self) -> str:
        """A token that no claim has had. Only claims are numbered: Redis keeps the last ones of a worker."""
        self._calls += 1
        return f"{self.token_base}.{self._calls:x}"

    def _step(self, want: int) -> list[Claim]:
        """Writes outcomes and claims jobs in one round trip, resent until Redis replies.

        While another step is on its way, ``want`` must be 0.
        """
        while self._behind:
            # Until then the maintenance thread may do the same, if this process dies.
            self.retry(partial(self.work.recall, self._behind[0], self.lease))
            del self._behind[0]
        token = self._unanswered
        if want and not token:
            token = self._new_token()
        if token:
            self.slot.ask(token)
        store = self.work if self.flights else self.line
        claims: list[Claim] = []
        done, tries = self.done, 0
        while True:
            try:
                self._flush_progress()
                again = self._sent
                if want:
                    self._unanswered, self._sent = token, again + 1
                letters, claims = store.step(done, want, token, self.lease, again=again)
                # With a count of 0, the resent call gave up the claim.
                self._unanswered, self._sent = "", 0
                break
            except RedisUnavailable as error:
                self.consumer.outage.begins(error, self.name)
                if self.stop_flag.is_set():
                    want = 0
                    if not done:
                        return []
                self._pause(tries)
                tries += 1
            except JobsError as error:
                # Any of them may be the cause: write each outcome alone, and claim in the next turn.
                self._log_fault("worker", error)
                letters, claims = "".join(map(self._write_outcome, done)), []
                self.stop_flag.wait(0.1)
                break
        self.consumer.outage.ends(self.name)
        self._report(letters, done)
        self.done = []
        if not self.fast:
            logs.flush()
        return claims

    def _step_and_wait(self, want: int) -> list[Claim] | None:
        """A step that is expected to claim nothing: one packet has it and the wait at the doorbell.

        None: not now, or it failed; then `_step` sends it, or sends it again.
        """
        if self.calm < CALM or not (want and self.done) or self._unanswered or self.progress_logs:
            return None
        token, sent, store = self._new_token(), None, self.line
        self.slot.ask(token)
        self._unanswered, self._sent = token, 1
        try:
            sent = store.begin_and_wait(
                self.done, want, token, self.lease, self.token_base, doorbell.WAIT
            )
            letters, claims = store.finish(sent, token)
        except Exception as error:
            if sent is not None:
                sent.disconnect()
            if not isinstance(error, JobsError):
                raise
            return None
        self._unanswered, self._sent, self.waiting = "", 0, sent
        self._report(letters, self.done)
        self.done = []
        if claims:
            # Its own bell rings: this takes no time.
            self._wait()
        elif not self.fast:
            logs.flush()
        return claims

    def _wait(self) -> None:
        """Waits at the doorbell."""
        waiting, self.waiting = self.waiting, None
        doorbell.wait(self.line.redis, self.line.bell, self.stop_flag, waiting)

    def _send_ahead(self, want: int, token: str, outcomes: Tail) -> None:
        """Sends a step with these outcomes, whose reply `_land` reads. The slot has its token already."""
        before = self.flights[-1] if self.flights else None
        flight = Flight(None, token, self.done, time.monotonic())
        self.flights.append(flight)
        self.done = []
        if before is not None and before.sent is None:
            # All that is behind a step that could not be sent is sent again with it.
            return
        # If that fails, it is as if the reply were lost.
        with contextlib.suppress(JobsError):
            behind = before and before.sent
            flight.sent = self.line.begin(outcomes, want, token, self.lease, behind=behind)

    def _land(self) -> tuple[Flight, str, list[Claim]]:
        """Reads the reply of the oldest step that is on its way; returns it, the letters of its outcomes,
        which the caller reports, and the claims.

        Without a reply, the next `_step` sends it again, as a step of its own: outcomes and token are
        as if that had been the one that failed. So are the outcomes of the steps behind it, whose claims
        are given up.
        """
        flight = self.flights.pop(0)
        try:
            if flight.sent is None:
                raise RedisUnavailable("the step could not be sent")
            began = time.perf_counter_ns()
            letters, claims = self.line.finish(flight.sent, flight.token)
            self.pace.waited((time.perf_counter_ns() - began) / 1000)
        except Exception as error:
            if self.flights:
                # Their replies would be read as those of later calls.
                self.line.redis.close()
            lost, self.flights = [flight, *self.flights], []
            self.done = [one for each in lost for one in each.done] + self.done
            ours = self.slot.unanswered()
            if ours:
                self._unanswered, self._sent = ours[0], 1
                self._behind += ours[1:]
            if not isinstance(error, JobsError):
                raise
            return flight, "", []
        if not claims:
            self.slot.settle()
        return flight, letters, claims

    def _land_all(self) -> None:
        """Reads the replies of all steps that are on their way, and gives back what they claimed."""
        while self.flights:
            flight, letters, claims = self._land()
            self._report(letters, flight.done)
            if claims:
                self._decline(flight, claims)

    def _decline(self, flight: Flight, claims: list[Claim]) -> None:
        """Gives back what a step has claimed that was on its way."""
        # The maintenance thread does the same, if this process dies; the next step, if this ends in an error.
        self._behind.append(flight.token)
        try:
            self._give_back(claims)
            self._behind.remove(flight.token)
        finally:
            self.slot.settle()

    def _write_now(self, *, all_back: bool = False) -> None:
        """Writes the outcomes so far. Gives the jobs of claims ahead back if the last job was slow, or
        ``all_back``: then the jobs that were not started too.
        """
        if all_back:
            self._release()
        if all_back or self.pace.slow:
            self._land_all()
        self._give_back(self._step(0))

    def shutdown_batch(self) -> None:
        """Writes outcomes and releases jobs before this worker is replaced."""
        self._write_now(all_back=True)

    def _release(self) -> None:
        """Releases the jobs in the slot that were not started."""
        unbegun = self.slot.unbegun()
        if unbegun:
            self.retry(lambda: self.work.release(unbegun))
            # Until then the maintenance thread may do the same, if this process dies.
            self.slot.reclaim(finished=False)

    def _give_back(self, claims: list[Claim]) -> None:
        if claims:
            pairs = [(one.id, one.token) for one in claims]
            self.retry(lambda: self.work.release(pairs))

    def _report(self, letters: str, done: list[Done]) -> None:
        """Logs what became of outcomes; without letters, they were not written."""
        if not letters:
            return
        queue = self.queue.name
        if letters.count("c") == len(done):
            logs.completed(queue, done)
            return
        for letter, one in zip(letters, done, strict=True):
            if letter == "c":
                logs.completed(queue, [one])
            elif letter == "k":
                logs.job("cancelled", queue, one.id, "failed", one.organization_id)
            else:
                logs.job("refused", queue, one.id, "lost", one.organization_id)

    def _flush_progress(self) -> None:
        """Writes the buffered progress and log lines of finished jobs. Raises RedisUnavailable."""
        while self.progress_logs:
            try:
                self.progress_logs[0].flush_final()
            except RedisUnavailable:
                raise
            except JobsError as error:
                self._log_fault("log", error)
            del self.progress_logs[0]

    def _write_outcome(self, one: Done) -> str:
        """Writes one outcome; returns Redis' letter for it."""
        return self.retry(lambda: self.work.step([one], 0, "", self.lease)[0]) or "r"

    def retry(self, act: Callable[[], Any]) -> Any:
        """Calls *act* until it succeeds, through outages. Gives up on other errors after a lease's
        duration: by then the job stalls, and another worker runs it.
        """
        tries, give_up = 0, time.monotonic() + self.lease / 1000
        while True:
            try:
                done = act()
            except RedisUnavailable as error:
                self.consumer.outage.begins(error, self.name)
                give_up = time.monotonic() + self.lease / 1000
            except JobsError as error:
                self._log_fault("worker", error)
                if time.monotonic() >= give_up:
                    return None
            else:
                if tries:
                    self.consumer.outage.ends(self.name)
                return done
            self._pause(tries)
            tries += 1

    def _pause(self, tries: int) -> None:
        time.sleep(_RETRY_PAUSES[min(tries, len(_RETRY_PAUSES) - 1)])

    def _log_fault(self, what: str, error: Exception) -> None:
        now = time.monotonic()
        if now - self._fault_logged_at >= _FAULT_LOG_EVERY or not self._fault_logged_at:
            self._fault_logged_at = now
            text = str(error) if isinstance(error, JobsError) else repr(error)
            logs.emit(what, 40, queue=self.queue.name, error=text)
