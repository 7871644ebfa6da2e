"""The worker, a thread or a process: claims jobs, runs them, and writes their outcomes."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from huey.consumer import WorkerRecycle

from hsejobs import tracing
from hsejobs.engine import alone
from hsejobs.engine import outcome as outcomes
from hsejobs.engine.context import JobContext
from hsejobs.engine.memory import MemoryLimit
from hsejobs.engine.outcome import Outcome
from hsejobs.engine.pace import BUDGET_US, SLOW_JOB, SLOW_OUTCOMES, Pace
from hsejobs.engine.ports import WorkerHost
from hsejobs.engine.slot_memory import AHEAD
from hsejobs.engine.slots import Slot
from hsejobs.engine.stepping import Stepping
from hsejobs.error_groups import normalized
from hsejobs.errors import JobsError
from hsejobs.store.words import Tail
from hsejobs.store.work import Claim, Done, WorkerStore, short_reason
from hsejobs.watch import logs

#: Seconds for which a worker claims nothing after it sent a job back.
SENT_BACK_PAUSE = 0.003


class JobWorker(Stepping):
    """Huey's worker with our loop. The maintenance thread sees its jobs in its slot."""

    def __init__(self, consumer: WorkerHost, slot: Slot) -> None:
        super().__init__(consumer, slot)
        self.pace = Pace()
        #: Whether an interrupt was raised in this process, anywhere (see `_execute`), and whether it was
        #: raised because of the job's deadline.
        self.interrupted = self.late = False
        #: For how many seconds outcomes of this batch were written alone, and how many.
        self.written_alone, self.outcomes_alone = 0.0, 0
        #: How many jobs had run before this batch.
        self.counted = 0
        #: The newest job that this worker has run.
        self.job: JobContext | None = None

    def initialize(self) -> None:
        """Opens this worker's own connections and runs Huey's startup hooks."""
        runtime = self.queue.runtime
        self.memory = MemoryLimit(self.consumer.max_rss)
        self.suspected_from = alone.suspected_from(runtime.settings.max_stalls)
        self.patient = WorkerStore(runtime.redis, runtime.prefix, self.queue.name, patience=3.0)
        super().initialize()

    def shutdown(self) -> None:
        """Writes finished outcomes and releases the jobs that were not started."""
        with contextlib.suppress(JobsError):
            self._turn(stopping=True)
        super().shutdown()
        logs.flush()

    def loop(self, now: Any = None) -> None:
        """Runs one job, or makes one round trip, or waits once. No reply of Redis ends a worker."""
        try:
            claim = self.slot.begin(time.monotonic())
            if claim is None:
                self._turn()
            else:
                self._execute(claim)
        except Exception as error:
            if isinstance(error, WorkerRecycle):
                raise
            self._log_fault("worker", error)
            self.stop_flag.wait(0.5)

    # -- claiming

    def _turn(self, *, stopping: bool = False) -> None:
        """Writes finished outcomes and gets the next jobs; waits when there are none."""
        if self.waiting is not None:
            # An error came before the wait.
            self.waiting.disconnect()
            self.waiting = None
        if self.task_count > self.counted:
            ran, us = self.task_count - self.counted, self.written_alone * 1e6
            self.pace.ended(ran, self.outcomes_alone, us)
            self.counted, self.written_alone, self.outcomes_alone = self.task_count, 0.0, 0
        held = self.slot.held
        if held or stopping:
            self._release()
        want = 0 if held or stopping or self.stop_flag.is_set() else self.pace.batch
        if self.flights and self._land_batch(want):
            return
        if not (want or self.done or self._unanswered or self._behind):
            self._release()
            if held:
                self.slot.load(())
                self.stop_flag.wait(alone.POLL)
            return
        writes = bool(self.done)
        claims = self._step_and_wait(want)
        if claims is None:
            claims = self._step(want)
        if writes:
            self.calm = 0 if claims else self.calm + 1
        if claims:
            self.fast = self.fast or want > 1
            several = len(claims) > 1
            if several and not self.watched:
                # Jobs wait behind the first one, which may turn out slow.
                self.consumer.wake_maintenance()
            self.watched = several
            ahead = self._ahead(claims, want) if len(claims) == want else []
            if not self.slot.load(claims, suspect=self._suspect(claims), ahead=ahead):
                return
            self._send_all_ahead(want, ahead)
            logs.flush()
            self._loaded(claims)
            return
        self.slot.load(())
        logs.flush()
        if want:
            self.fast = self.watched = False
            # A claim without a reply may hold a job by now: send it again instead of waiting.
            if self._unanswered:
                self.slot.ask(self._unanswered)
            else:
                self._wait()
                if self.slot.held:
                    # Another consumer may claim what the doorbell announced.
                    self.retry(self.work.ring)

    def _land_batch(self, want: int) -> bool:
        """Reads the replies of the steps that are on their way up to the first that claimed a batch, loads
        it, and sends the outcomes of the last one. Returns whether there is such a batch: else the
        outcomes wait, and nothing is on its way any more.
        """
        # Before the reply is there, and what can wait after the next step is sent: Redis may be far away.
        outcomes = self.line.encoded(self.done)
        while self.flights:
            flight, letters, claims = self._land()
            try:
                if not claims:
                    continue
                if (time.monotonic() - flight.at) * 3000 > self.lease:
                    # Nothing renews their leases before they are in the slot: another worker may have them.
                    self._report(letters, flight.done)
                    letters = ""
                    self._decline(flight, claims)
                    continue
                ahead = self._ahead(claims, want)
                keep = 1 + sum(bool(one.done) for one in self.flights)
                if not self.slot.load(
                    claims, suspect=self._suspect(claims), ahead=ahead, keep=keep
                ):
                    break
                if not ahead or self.pace.slow:
                    # What follows waits for Redis, perhaps through an outage.
                    self._report(letters, flight.done)
                    letters = ""
                if not want or self.pace.slow:
                    # By the batching rule, it would not be claimed now.
                    self._release()
                    break
                if claims[0].stalls:
                    # It may end its worker again: nothing waits behind it.
                    self._land_all()
                if ahead:
                    self._send_all_ahead(want, ahead, outcomes)
                else:
                    self._give_back(self._step(0))
            finally:
                self._report(letters, flight.done)
            logs.flush()
            self._loaded(claims)
            return True
        self._land_all()
        return False

    def _ahead(self, claims: list[Claim], want: int) -> list[str]:
        """The tokens of the claims to send before these jobs run; none if they are to run first: if their
        worker has died under one of them before, it may do so again.

        There is one claim on its way, or two if the worker would wait for most replies.
        """
        if want <= 1 or self.progress_logs or claims[0].stalls:
            return []
        if self.max_tasks and self.task_count + len(claims) >= self.max_tasks:
            return []
        most = AHEAD if self.pace.far or self.flights else 1
        return [self._new_token() for _ in range(most - len(self.flights))]

    def _send_all_ahead(self, want: int, ahead: list[str], outcomes: Tail | None = None) -> None:
        """``outcomes``: those that wait, if they are encoded already; the first step has them."""
        for token in ahead:
            self._send_ahead(want, token, outcomes or self.line.encoded(self.done))
            outcomes = None

    def _suspect(self, claims: list[Claim]) -> bool:
        # A job of an unknown task is sent back: it runs no code that could end this process.
        first = claims[0]
        return first.stalls >= self.suspected_from and self.queue.find(first.name) is not None

    def _loaded(self, claims: list[Claim]) -> None:
        if self._suspect(claims):
            begun = alone.wait(self, claims[0])
            if begun is not None:
                self._execute(begun)
                return
        if self.stop_flag.is_set():
            self._release()

    # -- running a job

    def _execute(self, claim: Claim) -> None:
        queue = self.queue
        # By position: keywords would take three times as long.
        job = JobContext(claim, queue.name, self.patient, self.lease, self.work, self.slot)
        self.job = job
        org = claim.organization_id
        shown = None
        if logs.wants_jobs():
            if queue.log_fields is not None:
                shown = queue.shown_payload(claim.payload)
            logs.job("processing", queue.name, claim.id, "processing", org, shown, claim.trace)
            if not self.fast:
                logs.flush()
        started_at = int(time.time() * 1000)
        if tracing.tracer is None:
            result = outcomes.run(queue, claim, job, self.huey.execute)
        else:
            result = self._traced(claim, job)
        self.pace.ran(BUDGET_US if result.sent_back else result.run_us)
        self.task_count += 1
        unwritten = job.progress_log is not None and job.progress_log.pending
        if unwritten and job.progress_log is not None:
            self.progress_logs.append(job.progress_log)
        if result.kind == "completed":
            one = Done(
                claim.id,
                claim.token,
                result.run_us,
                result.result,
                org,
                claim.trace,
                claim.name,
                claim.key,
            )
            kept = self.slot.finish(one)
            self.done.append(one)
            if unwritten or (result.run_us > BUDGET_US and self.slot.left):
                self._write_now()
        else:
            kept = self.slot.finish(None)
            began = time.monotonic()
            self._write(claim, result, started_at, shown)
            self._wrote(time.monotonic() - began)
            if result.sent_back:
                # Claimed one at a time and with a pause, such jobs are left to consumers that can run them.
                time.sleep(SENT_BACK_PAUSE)
        if not kept:
            # The maintenance thread ended this job and replaced this worker.
            raise WorkerRecycle
        # An interrupted import leaves incomplete modules behind, even if the task caught the
        # interrupt: no other job may run in this process.
        full = self.max_tasks and self.task_count >= self.max_tasks
        if self.interrupted or full or self.memory.exceeded():
            self.shutdown_batch()
            raise WorkerRecycle

    def _traced(self, claim: Claim, job: JobContext) -> Outcome:
        span = tracing.Run(
            self.queue.name,
            claim.id,
            claim.name,
            claim.attempt,
            claim.organization_id,
            claim.trace,
        )
        result = outcomes.run(self.queue, claim, job, self.huey.execute)
        span.end(result.kind, result.code)
        return result

    def _write(self, claim: Claim, result: Outcome, started_at: int, shown: Any) -> None:
        """Writes an outcome other than success at once, resent until Redis replies."""

        def once() -> bool:
            self._flush_progress()
            self._write_once(claim, result, started_at, shown)
            return True

        self.retry(once)

    def _wrote(self, seconds: float) -> None:
        """After an outcome that was written alone, for which all jobs behind this one waited, this long."""
        self.written_alone += seconds
        self.outcomes_alone += 1
        slow = self.written_alone > SLOW_JOB and self.outcomes_alone >= SLOW_OUTCOMES
        if slow and self.slot.left:
            self._release()
            self._land_all()

    def _write_once(self, claim: Claim, result: Outcome, started_at: int, shown: Any) -> None:
        if result.kind == "postpone":
            delay = result.delay or 0
            code = result.code if result.sent_back else ""
            letter, since = self.work.postpone(
                claim.id,
                claim.token,
                delay,
                result.limit,
                sent_back=code,
                reason="" if code else short_reason(result.code or "postponed", result.about),
            )
            if letter == "x":
                self._fail(claim, outcomes.postponed_too_long(result, since), started_at, shown)
            elif letter == "d":
                fields = {"delay": delay, "error": result.error}
                if result.code:
                    fields["code"] = result.code
                self._log("postponed", claim, "delayed", shown, **fields)
            elif letter == "k":
                self._log("cancelled", claim, "failed", shown)
        elif result.kind == "locked":
            letter = self.work.await_lock(claim.id, claim.token, result.lock)
            if letter == "k":
                self._log("cancelled", claim, "failed", shown)
            elif letter != "r":
                self._log("postponed", claim, "delayed", shown, error=result.error)
        elif result.kind == "interrupted":
            if self.late or not self.stop_flag.is_set():
                self._fail(claim, outcomes.timed_out(claim), started_at, shown)
            else:
                self.work.release([(claim.id, claim.token)])
                self._log("released", claim, "waiting", shown)
        elif result.kind == "parked":
            self._log("parked", claim, "waiting", shown)
        elif result.kind == "lost":
            self._log("refused", claim, "lost", shown)
        else:
            self._fail(claim, result, started_at, shown)

    def _fail(self, claim: Claim, result: Outcome, started_at: int, shown: Any) -> None:
        entry = outcomes.error_entry(
            result, claim, self.name, started_at, started_at + result.run_us // 1000
        )
        letter, delay = self.work.fail(
            claim.id,
            claim.token,
            code=result.code,
            error=entry,
            run_us=result.run_us,
            final=result.final,
            delay_ms=result.delay,
            group=normalized(result.error),
        )
        fields = {
            "error": result.error,
            "code": result.code,
            "attempts": claim.attempt,
            "duration": result.run_us / 1000,
        }
        if letter == "k":
            self._log("cancelled", claim, "failed", shown, **fields)
        elif letter == "f":
            self._log("failed", claim, "failed", shown, **fields)
        elif letter == "d":
            self._log("retrying", claim, "delayed", shown, delay=delay, **fields)
        else:
            self._log("refused", claim, "lost", shown)

    def postponed(self, claim: Claim, delay: int, why: str) -> None:
        """Postpones a claimed job that was not started, for ``delay`` ms."""
        reply = self.retry(lambda: self.work.postpone(claim.id, claim.token, delay, reason="alone"))
        if reply is not None and reply[0] == "d":
            self._log("postponed", claim, "delayed", None, delay=delay, error=why)

    def _log(self, event: str, claim: Claim, status: str, shown: Any, **fields: Any) -> None:
        logs.job(
            event,
            self.queue.name,
            claim.id,
            status,
            claim.organization_id,
            {**(shown or {}), **fields},
            claim.trace,
        )
        logs.flush()
