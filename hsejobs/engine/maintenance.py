"""The maintenance thread: what a consumer's main thread does while its workers run jobs.

It renews leases, enforces deadlines, releases jobs that wait behind a slow one, promotes delayed jobs, adds
periodic jobs, and writes the heartbeat. Each is a separate duty (see ``duties``): a tick enforces deadlines,
renews leases when due, and then runs at most one other duty.
"""

from __future__ import annotations

import time
from functools import partial

from hsejobs.engine import heartbeat
from hsejobs.engine import outcome as outcomes
from hsejobs.engine.calm import SWEEP_EVERY, Calm
from hsejobs.engine.duties import Duty, PendingWrites
from hsejobs.engine.outcome import Outcome
from hsejobs.engine.pace import SLOW_JOB
from hsejobs.engine.periodic import Scheduler
from hsejobs.engine.ports import MaintenanceHost
from hsejobs.engine.slots import Running, Slot
from hsejobs.engine.timer import DueTimer
from hsejobs.error_groups import normalized
from hsejobs.errors import JobNotFound, JobsError, RedisUnavailable
from hsejobs.store import keys, marks, registry, releases, rules
from hsejobs.store.client import RedisClient
from hsejobs.store.recording import Recorder
from hsejobs.store.work import SWEEP_LIMIT, WorkerStore
from hsejobs.watch import logs

#: Seconds between heartbeats, and between checks of the slots (while jobs are claimed in batches / else).
BEAT_EVERY, FAST_TICK, SLOW_TICK = 5.0, 0.01, 0.1
#: Seconds after the start for which it beats often: releases that start together learn of each other so.
EARLY = 5.0
#: Seconds for which the slots are checked often after the last batch was started.
FAST_FOR = 1.0
#: Seconds after which a consumer writes its queue's description again.
DESCRIBE_EVERY = 60.0
#: Seconds after which an idle connection of a consumer is probed: its own waits are shorter.
PROBE_AFTER = 10.0


class Maintenance:
    """The duties of one consumer. ``tick`` runs them; it never raises because of Redis."""

    def __init__(self, consumer: MaintenanceHost) -> None:
        self.consumer = consumer
        self.queue = consumer.queue
        runtime = self.queue.runtime
        self.settings = runtime.settings
        # Deadlines and workers are checked even while this thread waits for Redis.
        self.redis = runtime.redis
        self.redis.probe_after = PROBE_AFTER
        self.redis.watch(consumer.supervise)
        self.work = WorkerStore(self.redis, runtime.prefix, self.queue.name)
        self.schedules = Scheduler(self.queue)
        self.pending = PendingWrites()
        timer_client = RedisClient(runtime.redis.url, probe_after=float("inf"))
        timer_client.watch(consumer.supervise)
        self.timer = DueTimer(timer_client, keys.of(self.work.base, "timer"))
        self.fast_until = 0.0
        self._due_at: float | None = None
        self._registered = False
        #: This consumer's release and the description of the queue as Redis knew them, and when it was
        #: written last.
        self._release = self._described = ""
        self._described_at = float("-inf")
        #: Whether consumers of 0.1.0 are to leave the jobs to newer ones.
        self._hold = False
        self.calm = Calm()
        #: Redis time in ms at the last sweep, and when that was.
        self._redis_now: tuple[int, float] | None = None
        self.renewal = Duty("renew", min(self.settings.lease_ms / 3000, 5.0), self._renew)
        self._writing = Duty("outcomes", 0.0, self.pending.flush)
        self._sweeping = Duty("sweep", SWEEP_EVERY, self._sweep)
        #: Jobs that were ended from outside, whose chords wait for them.
        self._ended: list[str] = []
        self._reporting = Duty("report ends", 0.0, self._report_ends)
        self._listening = Duty("listen", 0.0, self._listen, advisory=True)
        self._recorder = Recorder(self.redis, runtime.prefix, self.queue.name)
        self._recording = Duty("history", 60.0, self._record, advisory=True)
        self._beating = Duty("heartbeat", BEAT_EVERY, self._beat, early=time.monotonic() + EARLY)
        self._duties = [
            self._writing,
            self._sweeping,
            # First, so that a consumer that is seen has described its queue.
            Duty("register", BEAT_EVERY, self._register),
            self._beating,
            Duty("schedules", SWEEP_EVERY, self._schedule),
            self._listening,
            self._reporting,
            self._recording,
        ]

    def tick(self) -> float:
        """Enforces deadlines, renews leases, runs at most one other due duty.

        Returns the seconds until the next tick.
        """
        self.check_slots()
        self.renew()
        now = time.monotonic()
        if self._due_at is not None and now >= self._due_at:
            self._sweeping.at = min(self._sweeping.at, now)
        due = [duty for duty in self._duties if now >= duty.at and self._wanted(duty)]
        if due:
            # The one due first, so that a duty that is always due does not starve the others; an optional
            # one lets them go first for a second: `listen` is always due.
            chosen = min(due, key=lambda duty: duty.at + duty.advisory)
            self._do(chosen)
            if any(duty is not chosen and duty is not self._listening for duty in due):
                return 0.0
        return self._until_next(time.monotonic())

    def renew(self) -> None:
        """Renews the leases of all held jobs if that is due."""
        if time.monotonic() >= self.renewal.at:
            self._do(self.renewal)

    def _wanted(self, duty: Duty) -> bool:
        if duty is self._reporting:
            return bool(self._ended)
        return duty is not self._writing or bool(self.pending.writes)

    def _do(self, duty: Duty) -> None:
        started = time.monotonic()
        succeeded = duty.run(self.queue.name, self.consumer.outage)
        if time.monotonic() - started > self.settings.lease_ms / 3000:
            # A renewal may not wait this long.
            self.calm.late()
            self.renewal.at = 0.0
        if succeeded or duty.advisory:
            return
        if duty is self.renewal or duty is self._sweeping:
            self.calm.outage()
            self._due_at = None
            self.renewal.at = min(self.renewal.at, time.monotonic() + 0.25)
        self.timer.drop()

    def _until_next(self, now: float) -> float:
        tick = FAST_TICK if now < self.fast_until else SLOW_TICK
        wake = [now + tick, *(duty.at for duty in self._duties if duty.every)]
        if self.pending.writes:
            wake.append(self._writing.at)
        if self._due_at is not None and self._sweeping.failures == 0:
            # After a refusal, an announcement must not make sweeps follow each other.
            wake.append(max(self._due_at, now if self.calm.answered else now + 0.05))
        return max(0.0, min(wake) - now)

    # -- slots: nothing here calls Redis, so it may run while a reply is awaited

    def check_slots(self) -> None:
        """Ends jobs that must not go on, and releases jobs that wait behind a slow one."""
        now = time.monotonic()
        for slot in self.consumer.slots():
            running = None if slot.abandoned else slot.running()
            if running is None:
                continue
            if now - running.started > SLOW_JOB:
                self.release_slot(slot, behind=running)
                # A worker thread that runs tiny jobs writes its lines with the next batch, after this job.
                logs.flush()
            if slot.cancelled:
                self.consumer.cancel_requested(slot, running, now)
            elif slot.lost:
                self.consumer.lease_lost(slot, running, now)
            if running.deadline and now >= running.deadline and not slot.abandoned:
                self.consumer.deadline_passed(slot, running, now)

    def release_slot(
        self,
        slot: Slot,
        *,
        finished: bool = True,
        behind: Running | None = None,
        dead: bool = False,
    ) -> None:
        """Queues the writes for a slot: its finished outcomes (if ``finished``), and the release of
        jobs that it has not started, or that it is about to receive. Does nothing if ``behind`` is
        given and no longer runs. ``dead``: its worker has ended, or the consumer is about to.
        """
        done, unbegun = slot.reclaim(finished=finished, behind=behind)
        tokens = slot.recall(behind=behind, dead=dead)
        lease = self.settings.lease_ms
        if done:
            pairs = [(one.id, one.token) for one in done]
            self.pending.add(lambda: self.work.step(done, 0, "", lease), pairs, lease)
        if unbegun:
            self.release_jobs(unbegun)
        for token in tokens:
            self.pending.add(partial(self.work.recall, token, lease, once=not dead), (), lease)

    def release_jobs(self, jobs: list[tuple[str, str]]) -> None:
        """Queues the release of jobs that this consumer will not finish, as (id, token): they keep their
        places. No effect on those whose outcome is written.
        """
        self.pending.add(lambda: self.work.release(jobs), jobs, self.settings.lease_ms)

    def stalled(self, job_id: str, token: str) -> None:
        """Queues the stall of a job whose worker died; no effect if its outcome was written meanwhile."""
        pair = [(job_id, token)]

        def write() -> None:
            for became in self.work.stall(pair, self.settings.max_stalls):
                if became != "refused":
                    self._log_stalled(job_id, became)

        self.pending.add(write, pair, self.settings.lease_ms)

    def time_out(self, running: Running) -> None:
        """Queues the failure of a job whose deadline has passed, on behalf of its worker."""
        self._fail(running, outcomes.timed_out(running))

    def out_of_memory(self, running: Running) -> None:
        """Queues the failure of a job whose process the kernel killed because memory ran out."""
        self._fail(running, outcomes.out_of_memory())

    def end_cancelled(self, running: Running) -> None:
        """Queues the failure of a cancelled job that its worker did not end in time."""
        self._fail(running, outcomes.cancelled())

    def _fail(self, running: Running, result: Outcome) -> None:
        ran_ms = int((time.monotonic() - running.started) * 1000)
        now_ms = int(time.time() * 1000)
        entry = outcomes.error_entry(
            result, running, self.consumer.worker_id, now_ms - ran_ms, now_ms
        )

        def write() -> None:
            letter, delay = self.work.fail(
                running.id,
                running.token,
                code=result.code,
                error=entry,
                run_us=ran_ms * 1000,
                final=result.final,
                delay_ms=None,
                group=normalized(result.error),
            )
            if letter == "r":
                return
            if letter == "k":
                event, status = "cancelled", "failed"
            else:
                event, status = ("failed", "failed") if letter == "f" else ("retrying", "delayed")
            fields = {
                "error": result.error,
                "code": result.code,
                "attempts": running.attempt,
                "delay": delay,
            }
            logs.job(event, self.queue.name, running.id, status, None, fields)

        self.pending.add(write, [(running.id, running.token)], self.settings.lease_ms)

    def _log_stalled(self, job_id: str, became: str) -> None:
        event, status = ("cancelled", "failed") if became == "cancelled" else ("stalled", became)
        logs.job(event, self.queue.name, job_id, status, None)

    # -- the duties

    def _renew(self) -> None:
        held: dict[tuple[str, str], Slot | None] = dict.fromkeys(self.pending.jobs())
        held.update({job: slot for slot in self.consumer.slots() for job in slot.holding()})
        if not held:
            return
        lost = self.work.renew(list(held), self.settings.lease_ms)
        for job in lost:
            slot = held[job]
            if slot is not None and slot.mark_lost(*job):
                # Another worker may run it: this one must not begin it.
                self.release_slot(slot, finished=False)

    def _sweep(self) -> None:
        # A consumer ends other leases only after its own renewals of this round have succeeded.
        ended_by = self.calm.ended_by() if self.renewal.failures == 0 else 0
        began = time.monotonic()
        swept = self.work.sweep(self.settings.max_stalls, ended_by=ended_by)
        self.calm.swept(began, swept.now)
        for job_id, became in swept.stalled:
            self._log_stalled(job_id, became)
        for job_id, token in swept.cancelled:
            for slot in self.consumer.slots():
                if slot.mark_cancelled(job_id, token):
                    # Not started, or a suspect that waits: its release ends it.
                    self.release_slot(slot, finished=False)
        self._ended = swept.ended
        self._redis_now = (swept.now, time.monotonic())
        self._due_at = None
        if max(swept.moved, len(swept.stalled)) >= SWEEP_LIMIT:
            # More is due; the other duties get their turn in between.
            self._due_at = time.monotonic()
        elif swept.next_due is not None and swept.next_due < 60_000:
            # It is due by then, as the reply took time; at most a thousand sweeps a second.
            self._due_at = time.monotonic() + max(swept.next_due, 1.0) / 1000
        if swept.next_end is not None:
            look = self.calm.next_look(swept.next_end)
            self._due_at = min(look, self._due_at or look)

    def _redis_time(self) -> int:
        """The approximate Redis time in ms; 0 before the first sweep."""
        if self._redis_now is None:
            return 0
        now_ms, at = self._redis_now
        return now_ms + int((time.monotonic() - at) * 1000)

    def _report_ends(self) -> None:
        """Reports the end of one job, so that other duties have their turn between two."""
        job_id = self._ended.pop()
        try:
            done = self.queue.report_end(job_id)
        except JobNotFound:
            done = True
        except RedisUnavailable:
            raise
        except Exception:
            # The next sweep names it again, after all others.
            self.work.reported(job_id, done=False)
            raise
        self.work.reported(job_id, done=done)

    def _schedule(self) -> None:
        if not self.consumer.periodic or not self.queue.schedules:
            return
        if self._redis_now is not None:
            self.schedules.check(self._redis_time())

    def _register(self) -> None:
        if not self._registered:
            self._describe()
            self._registered = True
            if self.queue.release_number is not None:
                marks.note_release(self.redis, self.queue.runtime.prefix, self.queue.release_number)

    def _describe(self) -> None:
        """Makes Redis know this consumer's release, and learns what the newest one says."""
        now = time.monotonic()
        own = self.queue.own_description(consumer=True)
        # Others write it as well: without news once a minute, when what left is left out.
        always = now - self._described_at >= DESCRIBE_EVERY
        client, prefix = self.redis, self.queue.runtime.prefix
        found = registry.note(client, prefix, own, always=always)
        if always:
            self._described_at = now
            registry.keep_older(client, prefix, self.queue.name, found)
        self._release, self._described = own.id, found.sha
        older = [one for one in releases.shown(found.releases) if one.older]
        more_keys = len(self.settings.secret_keys) > 1
        # Consumers of 0.1.0 fail jobs that they do not know, and take a list of keys for one key.
        self._hold = any(more_keys or releases.has_more(own.info, one.info) for one in older)
        self.schedules.follow(found.newest, own.id)
        rules.write(client, prefix, found)

    def _beat(self) -> None:
        known = self._release, self._described
        beat = heartbeat.send(self.work, self.consumer, *known, hold=self._hold)
        late, held = time.monotonic() - self._described_at >= DESCRIBE_EVERY, self._hold
        if self._registered and (late or not beat.described):
            self._describe()
        if self.consumer.obey(beat.order) or (self._hold and not held):
            # Others see it at once, or older ones take no more jobs that they do not know.
            self._beating.at = 0.0

    def _listen(self) -> None:
        if self.timer.announced():
            self._due_at = 0.0
        if self.timer.ordered:
            self.timer.ordered, self._beating.at = False, 0.0

    def _record(self) -> None:
        self._recording.at = time.monotonic() + self._recorder.run()

    def settle(self) -> None:
        """For use while the consumer stops: renews leases of running jobs, does pending writes, and
        ends jobs that are cancelled, past their deadlines, or no longer this consumer's.
        """
        for duty in (self.renewal, self._writing, self._listening, self._sweeping):
            if duty is self._sweeping and self._due_at is not None:
                duty.at = min(duty.at, self._due_at)
            if time.monotonic() >= duty.at and self._wanted(duty):
                self._do(duty)
        self.check_slots()

    def leave(self, patience: float) -> None:
        """Ends maintenance: does pending writes for up to ``patience`` seconds, removes the heartbeat."""
        until = time.monotonic() + patience
        while self.pending.writes:
            try:
                self.pending.flush(budget=patience)
            except JobsError as error:
                if time.monotonic() >= until:
                    break
                if isinstance(error, RedisUnavailable):
                    self.consumer.outage.begins(error, "outcomes")
                time.sleep(0.1)
        self.timer.drop()
        self.work.heartbeat(self.consumer.worker_id, b"", heartbeat.TTL_MS)
        # A stopping worker may have consumed the doorbell's signal: ring it again.
        self.work.ring()
