"""The keeper: what a consumer's main thread does beside its workers.

Renews leases, enforces deadlines, takes back what a slow job holds up, moves
what falls due, enqueues periodic tasks, says that the consumer lives.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from hsejobs import codec, forks
from hsejobs.engine import outcome as outcomes
from hsejobs.engine.periodic import Schedules
from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.store import keys
from hsejobs.store.client import Link
from hsejobs.store.work import Work
from hsejobs.watch import logs

if TYPE_CHECKING:
    from hsejobs.engine.consumer import JobConsumer
    from hsejobs.engine.slots import Running, Slot

#: Seconds between sweeps, heartbeats, and looks at the slots (while jobs come in batches / else).
SWEEP_EVERY, BEAT_EVERY, FAST_TICK, SLOW_TICK = 1.0, 5.0, 0.01, 0.1
#: A job that runs for so long, in seconds, gives back what was claimed with it.
SLOW_JOB = 0.01
#: How long the keeper looks often after the last batch was begun, in seconds.
FAST_FOR = 1.0
HEARTBEAT_TTL_MS = 20_000
#: Shorter outages, in seconds, are passed over in silence.
OUTAGE_TOLD_AFTER = 0.3
#: Seconds after an outage in which nothing is taken for stalled: all who hold jobs renew first.
CALM_AFTER_OUTAGE = 1.0


class Outage:
    """Redis is away: one line when it lasts, one when it ends, whoever of the process notices."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.silent = False
        self._since: float | None = None
        self._told = False
        self._lock = forks.lock()

    def begins(self, error: Exception) -> None:
        """A call found Redis away."""
        now = time.monotonic()
        with self._lock:
            if self._since is None:
                self._since = now
            if self._told or self.silent or now - self._since < OUTAGE_TOLD_AFTER:
                return
            self._told = True
        logs.tell("redis away", 40, queue=self.queue, error=str(error))

    def ends(self) -> None:
        """A call was answered."""
        if self._since is None:
            return
        with self._lock:
            since, told = self._since, self._told
            self._since, self._told = None, False
        if told and since is not None:
            logs.tell("redis back", queue=self.queue, seconds=round(time.monotonic() - since, 1))


class Keeper:
    """Driven by ``tick``, which never raises for Redis being away."""

    def __init__(self, consumer: JobConsumer) -> None:
        self.consumer = consumer
        self.huey = consumer.huey
        runtime = self.huey.runtime
        self.settings = runtime.settings
        self.work = Work(runtime.link, runtime.prefix, self.huey.name)
        self.schedules = Schedules(self.huey)
        self.fast_until = 0.0
        self._sweep_at = self._beat_at = self._renew_at = 0.0
        self._due_at: float | None = None
        self._registered = self._away = False
        self._timer: Any = None
        self._timer_link = Link(runtime.link.url)

    def tick(self) -> float:
        """Does what is due; the seconds until it wants to be called again."""
        now = time.monotonic()
        try:
            if self._away:
                self._back()
                now = time.monotonic()
            self._slots(now)
            if now >= self._renew_at:
                self._renew_at = now + min(self.settings.lease_ms / 3000, 5.0)
                self._renew()
            if now >= self._sweep_at or (self._due_at is not None and now >= self._due_at):
                self._sweep(now)
            if now >= self._beat_at:
                self._beat_at = now + BEAT_EVERY
                self._beat()
            self._listen()
            self.consumer.outage.ends()
        except RedisUnavailable as error:
            self._away = True
            self._drop_timer()
            self.consumer.outage.begins(error)
            return 0.25
        except JobsError as error:
            logs.tell("keeper", 40, queue=self.huey.name, error=str(error))
            return 0.25
        return self._until_next(time.monotonic())

    def _back(self) -> None:
        """After an outage, leases may have run out that are still held: renew now, sweep later."""
        self.huey.runtime.link.ping()
        self._away = False
        self._renew_at, self._due_at = 0.0, None
        self._sweep_at = time.monotonic() + CALM_AFTER_OUTAGE

    def _until_next(self, now: float) -> float:
        tick = FAST_TICK if now < self.fast_until else SLOW_TICK
        wake = [now + tick, self._sweep_at]
        if self._due_at is not None:
            wake.append(self._due_at)
        return max(0.0, min(wake) - now)

    # -- slots

    def _slots(self, now: float) -> None:
        for slot in self.consumer.slots():
            running = slot.running()
            if running is None:
                continue
            if now - running.started > SLOW_JOB:
                self.give_back(slot)
            if running.deadline and now >= running.deadline:
                self.consumer.deadline_passed(slot, running, now)

    def give_back(self, slot: Slot) -> None:
        """Writes what the slot has finished and hands back what it has not begun."""
        done, unbegun = slot.take_back()
        if done:
            self.work.step(done, 0, "", self.settings.lease_ms, again=False)
        self.work.release(unbegun)

    def time_out(self, running: Running) -> None:
        """Fails a job whose deadline has passed, in its worker's place."""
        result = outcomes.timed_out(running)
        ran_ms = int((time.monotonic() - running.started) * 1000)
        now_ms = int(time.time() * 1000)
        entry = outcomes.error_entry(
            result, running, self.consumer.worker_id, now_ms - ran_ms, now_ms
        )
        letter, delay = self.work.fail(
            running.id, running.token, code="timeout", error=entry, run_us=ran_ms * 1000,
            final=False, delay_ms=None,
        )  # fmt: skip
        if letter == "r":
            return
        event, status = ("failed", "failed") if letter == "f" else ("retrying", "delayed")
        fields = {
            "error": result.error,
            "code": "timeout",
            "attempts": running.attempt,
            "delay": delay,
        }
        logs.job(event, self.huey.name, running.id, status, None, fields)

    def _renew(self) -> None:
        held = {job: slot for slot in self.consumer.slots() for job in slot.holding()}
        if not held:
            return
        lost = self.work.renew(list(held), self.settings.lease_ms)
        for (job_id, token), slot in held.items():
            running = slot.running()
            if job_id in lost and running and (running.id, running.token) == (job_id, token):
                slot.mark_lost()

    # -- the queue

    def _sweep(self, now: float) -> None:
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY
        swept = self.work.sweep(self.settings.max_stalls)
        while swept.moved >= 200 or len(swept.stalled) >= 200:
            self._tell_stalled(swept.stalled)
            swept = self.work.sweep(self.settings.max_stalls)
        self._tell_stalled(swept.stalled)
        self._due_at = None
        if swept.next_due is not None and swept.next_due < 60_000:
            # Redis counts whole ms: a moment later it is due for certain.
            self._due_at = time.monotonic() + swept.next_due / 1000 + 0.001
        if self.consumer.periodic and self.huey._registry._periodic_tasks:
            self.schedules.check(swept.now)

    def _tell_stalled(self, stalled: list[tuple[str, str]]) -> None:
        for job_id, became in stalled:
            logs.job("stalled", self.huey.name, job_id, became, None)

    def _beat(self) -> None:
        if not self._registered:
            self.huey.register()
            self._registered = True
        beat = self.work.heartbeat(self.consumer.worker_id, self._record(), HEARTBEAT_TTL_MS)
        if not beat:
            self.huey.register(again=True)

    def _record(self) -> bytes:
        now = time.monotonic()
        slots = []
        for slot in self.consumer.slots():
            running = slot.running()
            slots.append(
                None
                if running is None
                else {
                    "job": running.id,
                    "task": running.name,
                    "attempt": running.attempt,
                    "runningFor": int((now - running.started) * 1000),
                }
            )
        consumer = self.consumer
        return codec.dumps(
            {
                "id": consumer.worker_id,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "queue": self.huey.name,
                "workers": "processes" if consumer.environment.forks else "threads",
                "concurrency": consumer.workers,
                "startedAt": consumer.started_at,
                "hung": len(consumer.hung),
                "slots": slots,
            }
        )

    def leave(self) -> None:
        """The consumer ends."""
        self._drop_timer()
        self.work.heartbeat(self.consumer.worker_id, b"", HEARTBEAT_TTL_MS)
        # A worker that stopped may have answered the bell on its way out.
        self.huey.runtime.link.command("LPUSH", self.work.bell, "1", patience=0)

    # -- hearing of earlier delayed jobs

    def _listen(self) -> None:
        if self._timer is None:
            channel = keys.of(self.work.base, "timer")
            try:
                self._timer = self._timer_link.client.pubsub(ignore_subscribe_messages=True)
                self._timer.subscribe(channel)
            except Exception as error:
                self._drop_timer()
                raise RedisUnavailable(str(error)) from error
        try:
            while self._timer.get_message(timeout=0) is not None:
                self._due_at = 0.0
        except Exception as error:
            self._drop_timer()
            raise RedisUnavailable(str(error)) from error

    def timer_fd(self) -> int | None:
        """What to poll to hear of an earlier delayed job at once."""
        connection = getattr(self._timer, "connection", None)
        sock = getattr(connection, "_sock", None)
        return sock.fileno() if sock is not None else None

    def _drop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            with contextlib.suppress(Exception):  # it may be broken already
                timer.close()
