"""The worker, a thread or a process: claims jobs, runs them, and writes their outcomes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

from huey.consumer import Worker, WorkerRecycle

from hsejobs.engine import alone, doorbell
from hsejobs.engine import outcome as outcomes
from hsejobs.engine.context import JobContext
from hsejobs.engine.memory import MemoryLimit
from hsejobs.engine.outcome import Outcome
from hsejobs.engine.pace import BUDGET_US, Pace
from hsejobs.engine.ports import WorkerHost
from hsejobs.engine.progress_log import ProgressLog
from hsejobs.engine.slots import Slot
from hsejobs.error_groups import normalized
from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.model import new_job_id
from hsejobs.store.client import RedisClient
from hsejobs.store.work import Claim, Done, WorkerStore, short_reason
from hsejobs.watch import logs

#: Seconds for which a worker claims nothing after it sent a job back.
SENT_BACK_PAUSE = 0.003
#: Seconds between attempts to reach Redis.
_RETRY_PAUSES = (0.02, 0.1, 0.25, 0.5, 1.0)
#: Seconds between two log lines about errors of this worker other than outages.
_FAULT_LOG_EVERY = 30.0


class JobWorker(Worker):
    """Huey's worker with our loop. The maintenance thread sees its jobs in its slot."""

    def __init__(self, consumer: WorkerHost, slot: Slot) -> None:
        super().__init__(
            consumer.huey, consumer.stop_flag, 0.1, 1.0, 1.15, max_tasks=consumer.max_tasks
        )
        self.consumer = consumer
        self.queue = consumer.queue
        self.slot = slot
        self.pace = Pace()
        self.name = f"{consumer.worker_id}.{slot.number}"
        self.done: list[Done] = []
        self.orgs: dict[str, str | None] = {}
        self.traces: dict[str, str] = {}
        self.progress_logs: list[ProgressLog] = []
        self.fast = False
        #: Whether an interrupt was raised in this process, anywhere (see `_execute`), and whether it was
        #: raised because of the job's deadline.
        self.interrupted = self.late = False
        #: The newest job that this worker has run.
        self.job: JobContext | None = None
        self._calls = 0
        #: The token of a claim without a reply, and how often it was sent: Redis may have executed it,
        #: or may still receive it.
        self._unanswered, self._sent = "", 0
        self._fault_logged_at = 0.0

    def initialize(self) -> None:
        """Opens this worker's own connections and runs Huey's startup hooks."""
        runtime = self.queue.runtime
        self.lease = runtime.settings.lease_ms
        self.memory = MemoryLimit(self.consumer.max_rss)
        self.suspected_from = alone.suspected_from(runtime.settings.max_stalls)
        # The prefix makes tokens differ from those of earlier workers of this slot.
        self.token_base = f"{new_job_id()[-10:]}{os.getpid() % 997:x}"
        self.work = WorkerStore(runtime.redis, runtime.prefix, self.queue.name)
        self.bell = RedisClient(runtime.redis.url, probe_after=doorbell.WAIT * 5)
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

    # -- calling Redis

    def _turn(self, *, stopping: bool = False) -> None:
        """Writes finished outcomes and claims the next jobs; waits when there are none."""
        held = self.slot.held
        if held:
            self._release()
        want = 0 if held or stopping or self.stop_flag.is_set() else self.pace.batch
        if not want and not self.done and not (held and self._unanswered):
            self._release()
            if held:
                self.slot.load(())
                self.stop_flag.wait(alone.POLL)
            return
        claims = self._step(want)
        if claims:
            first = claims[0]
            # A job of an unknown task is sent back: it runs no code that could end this process.
            suspect = (
                first.stalls >= self.suspected_from and self.queue.find(first.name) is not None
            )
            self.slot.load(claims, suspect=suspect)
            begun = alone.wait(self, claims[0]) if suspect else None
            if begun is not None:
                self._execute(begun)
                return
            if want > 1 and not self.fast:
                self.fast = True
                self.consumer.wake_maintenance()
            if self.stop_flag.is_set():
                self._release()
            return
        self.slot.load(())
        logs.flush()
        if want:
            self.fast = False
            # A claim without a reply may hold a job by now: send it again instead of waiting.
            if not self._unanswered:
                self._wait()
                if self.slot.held:
                    # Another consumer may claim what the doorbell announced.
                    self.retry(self.work.ring)

    def _release(self) -> None:
        _, unbegun = self.slot.reclaim(finished=False)
        if unbegun:
            self.retry(lambda: self.work.release(unbegun))

    def _step(self, want: int) -> list[Claim]:
        """Writes outcomes and claims jobs in one round trip, resent until Redis replies."""
        token = self._unanswered
        if not token:
            self._calls += 1
            token = f"{self.token_base}.{self._calls:x}"
        claims: list[Claim] = []
        done, tries = self.done, 0
        while True:
            try:
                self._flush_progress()
                again = self._sent
                if want:
                    self._unanswered, self._sent = token, again + 1
                letters, claims = self.work.step(done, want, token, self.lease, again=again)
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
        for letter, one in zip(letters, done, strict=True):
            if letter == "c":
                trace = self.traces.get(one.id, "") if self.traces else ""
                logs.completed(self.queue.name, one.id, self.orgs.get(one.id), one.run_us, trace)
            elif letter == "k":
                logs.job("cancelled", self.queue.name, one.id, "failed", self.orgs.get(one.id))
            else:
                logs.job("refused", self.queue.name, one.id, "lost", self.orgs.get(one.id))
        self.done = []
        self.orgs.clear()
        self.traces.clear()
        if not self.fast:
            logs.flush()
        return claims

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

    def _wait(self) -> None:
        doorbell.wait(self.bell, self.work.bell, self.stop_flag)

    # -- running a job

    def _execute(self, claim: Claim) -> None:
        queue = self.queue
        job = JobContext(
            claim, queue.name, self.patient, lease_ms=self.lease, log_work=self.work, slot=self.slot
        )
        self.job = job
        org = self.orgs[claim.id] = claim.organization_id
        shown = None
        if claim.trace:
            self.traces[claim.id] = claim.trace
            shown = logs.trace_fields(claim.trace)
        if logs.wants_jobs():
            if queue.log_fields is not None:
                shown = {**(queue.shown_payload(claim.payload) or {}), **(shown or {})} or None
            logs.job("processing", queue.name, claim.id, "processing", org, shown)
            if not self.fast:
                logs.flush()
        started_at = int(time.time() * 1000)
        result = outcomes.run(queue, claim, job, self.huey.execute)
        self.pace.ran(BUDGET_US if result.sent_back else result.run_us)
        self.task_count += 1
        unwritten = job.progress_log is not None and job.progress_log.pending
        if unwritten and job.progress_log is not None:
            self.progress_logs.append(job.progress_log)
        if result.kind == "completed":
            one = Done(claim.id, claim.token, result.run_us, result.result)
            kept = self.slot.finish(one)
            self.done.append(one)
            if unwritten or (result.run_us > BUDGET_US and self.slot.left):
                self._step(0)
        else:
            kept = self.slot.finish(None)
            self._write(claim, result, started_at, shown)
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

    def shutdown_batch(self) -> None:
        """Writes outcomes and releases jobs before this worker is replaced."""
        self._step(0)
        self._release()

    def _write(self, claim: Claim, result: Outcome, started_at: int, shown: Any) -> None:
        """Writes an outcome other than success at once, resent until Redis replies."""

        def once() -> bool:
            self._flush_progress()
            self._write_once(claim, result, started_at, shown)
            return True

        self.retry(once)

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
        )
        logs.flush()
