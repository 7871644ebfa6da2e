"""A consumer's workers: those that end, hang or die are replaced, and jobs end at their deadlines.

Nothing here calls Redis: it runs also while the main thread waits for a reply.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from huey.consumer import Consumer

from hsejobs import forks, pulse
from hsejobs.engine import guard
from hsejobs.engine.alone import Isolation
from hsejobs.engine.maintenance import Maintenance
from hsejobs.engine.memory import MemoryLimit, OutOfMemory, SlotUse, resident_mb
from hsejobs.engine.outage import Outage
from hsejobs.engine.processes import Processes, Threads
from hsejobs.engine.queue import Queue
from hsejobs.engine.recycling import Recycling
from hsejobs.engine.slots import Running, Slot
from hsejobs.engine.worker import JobWorker
from hsejobs.watch import logs

#: Seconds that a process has to end its job after the interrupt, before it is killed.
YIELD_TIME = 1.0
#: Seconds after which a thread counts as hung if it still runs a job that was failed at its deadline.
HANG_TIME = 5.0
#: Exit code of a guard whose worker was killed. The kernel does not choose the guard itself, which is
#: always smaller, when memory runs out.
KILLED = guard.BY_SIGNAL + signal.SIGKILL


#: What each order of an operator makes of the one before.
ORDERS = {"quiet": "quiet", "restart": "restart", "wake": ""}


class WorkerSupervision(Consumer):
    """The part of the consumer that supervises its workers, threads or processes."""

    queue: Queue
    outage: Outage
    maintenance: Maintenance
    #: The consumer's id, and its process id.
    worker_id: str
    pid: int
    #: The workers, each with its thread or process.
    worker_threads: list[tuple[JobWorker, Any]]

    def __init__(self, huey: Queue, **options: Any) -> None:
        #: Threads that still run although their job was failed at its deadline, and since when.
        self.late: list[tuple[Any, float]] = []
        self._hung_logged = 0
        self._numbers = 0
        self._interrupted: dict[int, tuple[str, float]] = {}
        #: By slot: the job that was cancelled or whose lease was lost, and when it was interrupted.
        self._ending: dict[int, tuple[str, str, float]] = {}
        self._supervising = False
        #: What an operator asked for: ``quiet``, ``restart`` or '' for nothing.
        self.order = ""
        self.isolation = Isolation(self)
        self._recycling = Recycling(huey.runtime.settings.lease_ms / 1000)
        self._oom = OutOfMemory()
        #: Processes that this consumer has killed, by id.
        self._killed: set[int] = set()
        super().__init__(huey, **options)
        limits = huey.options
        self._max_jobs, rss = limits.max_jobs, resident_mb()
        self.max_rss = limits.max_rss if limits.max_rss > rss else 0
        if limits.max_rss and not self.max_rss:
            logs.emit(
                "memory limit ignored",
                40,
                queue=huey.name,
                maxRss=limits.max_rss,
                error=f"a worker without jobs takes {rss:.0f} MB already: raise QUEUE_<NAME>_MAX_RSS",
            )
        self._memory = MemoryLimit(self.max_rss)

    def get_environment(self, worker_type: str) -> Any:
        """Huey's hook: the environment for threads or processes, with a stop flag that can be polled."""
        kind = Processes if worker_type == "process" else Threads
        return kind(self._graceful_sig, self._interrupt_sig)

    def _create_worker(self) -> JobWorker:
        self._numbers += 1
        lock = self.environment.mp.Lock() if self.forking else forks.lock()
        return JobWorker(self, Slot(self._numbers, lock))

    @property
    def forking(self) -> bool:
        """Whether the workers are processes."""
        return bool(self.environment.forks)

    def slots(self) -> list[Slot]:
        """The slots of the current workers."""
        return [worker.slot for worker, _ in self.worker_threads]

    def _slot_uses(self) -> list[SlotUse]:
        slots = self.slots()
        return [SlotUse(slot.number, slot.running_now, slot.started) for slot in slots]

    def supervise(self) -> None:
        """Enforces deadlines and replaces workers that ended; also called while Redis is awaited."""
        if os.getpid() != self.pid:
            return
        pulse.beat()
        if self._supervising or self.stop_flag.is_set():
            return
        self._supervising = True
        try:
            self.maintenance.check_slots()
            if self.forking:
                self._oom.look_at_times(self._slot_uses)
            self._check_workers()
            self._recycle()
        finally:
            self._supervising = False

    def _check_workers(self) -> None:
        self.late = [(thread, since) for thread, since in self.late if thread.is_alive()]
        for place, (worker, process) in enumerate(self.worker_threads):
            if self.environment.is_alive(process):
                if worker.slot.abandoned and len(self.late) <= self.workers:
                    self._replace(place)
                continue
            if self.forking:
                self._reap(worker, process)
            self._replace(place)
        hung = self.hung
        if hung > self._hung_logged:
            logs.emit("worker hung", 40, queue=self.queue.name, hung=hung)
        self._hung_logged = hung
        if hung and hung >= self.workers:
            self._restart = True

    @property
    def hung(self) -> int:
        """How many threads still run although their job was failed ``HANG_TIME`` ago."""
        before = time.monotonic() - HANG_TIME
        return sum(since <= before for _, since in self.late)

    def obey(self, order: str) -> bool:
        """Follows what an operator asked for, '' for nothing; returns whether that changed anything.

        An order that a newer release knows changes nothing.
        """
        if order not in ORDERS or self.order == (wanted := ORDERS[order]):
            return False
        self.order, self.isolation.draining = wanted, bool(wanted)
        logs.emit("order", queue=self.queue.name, worker=self.worker_id, order=order)
        return True

    def _recycle(self) -> None:
        """Restarts the consumer when its threads have run enough jobs or taken too much memory, or when
        an operator asked for it; holds its workers while it is quiet.

        Jobs that run may end before; meanwhile none begins, but not for long at once.
        """
        if self.order:
            # Not for a time: an operator sees what runs, and can cancel it.
            if self.isolation.check() and self.order == "restart":
                self._restart = True
            return
        if not self.forking and self._recycling.since is None:
            most = self._max_jobs
            done = most and any(worker.task_count >= most for worker, _ in self.worker_threads)
            if done or self._memory.exceeded():
                self._recycling.since = time.monotonic()
                why = f"{most} jobs" if done else f"more than {self.max_rss} MB"
                logs.emit("recycling", queue=self.queue.name, reason=why)
        if self._recycling.since is not None:
            running = {(job.id, job.token) for job in map(Slot.running, self.slots()) if job}
            self.isolation.draining = self._recycling.holds(time.monotonic(), running)
        if self.isolation.check() and self.isolation.draining:
            self._restart = True

    def settle_all(self, slots: Sequence[Slot]) -> bool:
        """Releases what these slots have not started. Returns whether nothing runs in them, in no thread
        that was given up a moment ago either, and all outcomes are written.
        """
        if not self.order:
            # Who is quiet for hours must not look every 10 ms.
            self.maintenance.fast_until = time.monotonic() + 1.0
        for slot in slots:
            if slot.left:
                self.maintenance.release_slot(slot, finished=False)
        if self.maintenance.pending.writes or len(self.late) > self.hung:
            return False
        return all(slot.empty or slot.abandoned for slot in slots)

    def _replace(self, place: int) -> None:
        worker = self._create_worker()
        if self.isolation.holding:
            worker.slot.hold(held=True)
        process = self._create_process(worker, f"Worker-{place + 1}")
        self.worker_threads[place] = (worker, process)
        process.start()

    def clear_ended(self) -> list[tuple[JobWorker, Any]]:
        """Cleans up after the processes that ended, without replacing them; returns who still works.

        For a stop: a job whose process has died must not stay active until all others have ended, and
        nothing waits for a thread whose job was failed.
        """
        alive = [one for one in self.worker_threads if self.environment.is_alive(one[1])]
        if self.forking:
            ended = [one for one in self.worker_threads if one not in alive]
            self._oom.look_at_times(self._slot_uses)
            for worker, process in ended:
                self._reap(worker, process)
            self.worker_threads = alive
        return [one for one in alive if not one[0].slot.abandoned]

    def _reap(self, worker: JobWorker, process: Any) -> None:
        """Cleans up after a dead process: its outcomes are written, its running job stalls, and the
        jobs that it had not started are released.
        """
        process.join(0)
        if process.exitcode == -signal.SIGKILL:
            # The guard itself was killed.
            self.environment.end_orphans(p.pid for _, p in self.worker_threads)
        self._oom.look(self._slot_uses())
        ours = process.pid in self._killed
        self._killed.discard(process.pid)
        self.outage.ends(worker.name)
        running = worker.slot.running()
        late = self._interrupted.pop(worker.slot.number, None)
        ending = self._ending.pop(worker.slot.number, None)
        for job_id, token in worker.slot.unwritten():
            # The outcome was lost with the worker.
            self.maintenance.stalled(job_id, token)
        self.maintenance.release_slot(worker.slot, dead=True)
        if running is None:
            return
        if worker.slot.lost:
            # What becomes of it is another worker's: nothing would be accepted.
            logs.job("refused", self.queue.name, running.id, "lost", None)
        elif ending is not None and ending[:2] == (running.id, running.token):
            self.maintenance.end_cancelled(running)
        elif late is not None and late[0] == running.token:
            self.maintenance.time_out(running)
        elif (
            process.exitcode == KILLED
            and not ours
            and self._oom.explains(worker.slot.number, running.started, alone=worker.slot.alone)
        ):
            self.maintenance.out_of_memory(running)
        else:
            self.maintenance.stalled(running.id, running.token)

    def deadline_passed(self, slot: Slot, running: Running, now: float) -> None:
        """Ends a job past its deadline.

        For threads, the job is failed and the thread replaced; a process is interrupted, then
        killed. The producer chooses the timeout, so that a thousand jobs of 1 ms must not lead to a
        thousand threads: at most as many unfinished threads are replaced as there are workers.
        """
        if not self.forking:
            self._abandon(slot, now)
            self.maintenance.time_out(running)
            return
        process = self._place_of(slot)[1]
        sent = self._interrupted.get(slot.number)
        if sent is None or sent[0] != running.token:
            self._interrupted[slot.number] = (running.token, now)
            self._signal(process, signal.SIGUSR1)
        elif now - sent[1] >= YIELD_TIME:
            self._signal(process, signal.SIGKILL)

    def cancel_requested(self, slot: Slot, running: Running, now: float) -> None:
        """Ends a cancelled job: interrupts a process at once, and kills it after the grace.

        A thread reads it in its slot; after the grace, the job is failed and the thread replaced, as
        at a deadline.
        """
        if not self._grace_over(slot, running, now):
            return
        if self.forking:
            self._signal(self._place_of(slot)[1], signal.SIGKILL)
        else:
            self._abandon(slot, now)
            self.maintenance.end_cancelled(running)

    def lease_lost(self, slot: Slot, running: Running, now: float) -> None:
        """Ends a job that another worker may have by now, in a process like a cancelled one.

        A thread reads it in its slot; as nothing can be written for the job, the thread is not given
        up before the deadline.
        """
        if self.forking and self._grace_over(slot, running, now):
            self._signal(self._place_of(slot)[1], signal.SIGKILL)

    def _grace_over(self, slot: Slot, running: Running, now: float) -> bool:
        """Whether a job that has to end had its grace; it begins now, with the interrupt of a process."""
        job = running.id, running.token
        *known, since = self._ending.get(slot.number, ("", "", now))
        if tuple(known) == job:
            return now - since >= self.queue.runtime.settings.cancel_grace_ms / 1000
        self._ending[slot.number] = (*job, now)
        if self.forking:
            self._signal(self._place_of(slot)[1], signal.SIGUSR1)
        return False

    def _place_of(self, slot: Slot) -> tuple[int, Any]:
        """The place of the worker with this slot, and its thread or process."""
        return next((i, p) for i, (w, p) in enumerate(self.worker_threads) if w.slot is slot)

    def _abandon(self, slot: Slot, now: float) -> None:
        """Gives up a thread whose job is about to be failed, and replaces it if not too many are late."""
        place, thread = self._place_of(slot)
        slot.abandon()
        self._ending.pop(slot.number, None)
        self.maintenance.release_slot(slot)
        self.late.append((thread, now))
        if len(self.late) <= self.workers and not self.stop_flag.is_set():
            self._replace(place)

    def _signal(self, process: Any, signum: int) -> None:
        """Interrupts a worker process (USR1), or kills it with everything that it has started (KILL)."""
        if process.exitcode is not None:
            # Its id may be another process's by now.
            return
        if signum == signal.SIGKILL:
            self._killed.add(process.pid)
        with contextlib.suppress(OSError):
            os.kill(process.pid, guard.KILL if signum == signal.SIGKILL else signum)
