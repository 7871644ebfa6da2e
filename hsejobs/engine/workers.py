"""A consumer's workers: those that end, hang or die are replaced, and jobs end at their deadlines.

Nothing here calls Redis: it runs also while the main thread waits for a reply.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

from huey.consumer import Consumer

from hsejobs import forks
from hsejobs.engine.maintenance import Maintenance
from hsejobs.engine.outage import Outage
from hsejobs.engine.processes import Processes, Threads
from hsejobs.engine.queue import Queue
from hsejobs.engine.slots import Running, Slot
from hsejobs.engine.worker import JobWorker
from hsejobs.watch import logs

#: Seconds that a process has to end its job after the interrupt, before it is killed.
YIELD_TIME = 1.0
#: Seconds after which a thread counts as hung if it still runs a job that was failed at its deadline.
HANG_TIME = 5.0


class WorkerSupervision(Consumer):
    """The part of the consumer that supervises its workers, threads or processes."""

    queue: Queue
    outage: Outage
    maintenance: Maintenance
    #: The consumer's process id.
    pid: int

    def __init__(self, huey: Queue, **options: Any) -> None:
        #: Threads that still run although their job was failed at its deadline, and since when.
        self.late: list[tuple[Any, float]] = []
        self._hung_logged = 0
        self._numbers = 0
        self._interrupted: dict[int, tuple[str, float]] = {}
        #: By slot: the cancelled job that was interrupted, and when.
        self._cancelled: dict[int, tuple[str, str, float]] = {}
        self._supervising = False
        super().__init__(huey, **options)

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

    def supervise(self) -> None:
        """Enforces deadlines and replaces workers that ended; also called while Redis is awaited."""
        if self._supervising or self.stop_flag.is_set() or os.getpid() != self.pid:
            return
        self._supervising = True
        try:
            self.maintenance.check_slots()
            self._check_workers()
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

    def _replace(self, place: int) -> None:
        worker = self._create_worker()
        process = self._create_process(worker, f"Worker-{place + 1}")
        self.worker_threads[place] = (worker, process)
        process.start()

    def _reap(self, worker: JobWorker, process: Any) -> None:
        """Cleans up after a dead process: its outcomes are written, its running job stalls, and the
        jobs that it had not started are released.
        """
        process.join(0)
        self.outage.ends(worker.name)
        running = worker.slot.running()
        late = self._interrupted.pop(worker.slot.number, None)
        cancelled = self._cancelled.pop(worker.slot.number, None)
        for job_id, token in worker.slot.unwritten():
            # The outcome was lost with the worker.
            self.maintenance.stalled(job_id, token)
        self.maintenance.release_slot(worker.slot)
        if running is None:
            return
        if cancelled is not None and cancelled[:2] == (running.id, running.token):
            self.maintenance.end_cancelled(running)
        elif late is not None and late[0] == running.token:
            self.maintenance.time_out(running)
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
        job = running.id, running.token
        *told, since = self._cancelled.get(slot.number, ("", "", now))
        if tuple(told) != job:
            self._cancelled[slot.number] = (*job, now)
            if self.forking:
                self._signal(self._place_of(slot)[1], signal.SIGUSR1)
        elif now - since < self.queue.runtime.settings.cancel_grace_ms / 1000:
            return
        elif self.forking:
            self._signal(self._place_of(slot)[1], signal.SIGKILL)
        else:
            self._abandon(slot, now)
            self.maintenance.end_cancelled(running)

    def _place_of(self, slot: Slot) -> tuple[int, Any]:
        """The place of the worker with this slot, and its thread or process."""
        return next((i, p) for i, (w, p) in enumerate(self.worker_threads) if w.slot is slot)

    def _abandon(self, slot: Slot, now: float) -> None:
        """Gives up a thread whose job is about to be failed, and replaces it if not too many are late."""
        place, thread = self._place_of(slot)
        slot.abandon()
        self._cancelled.pop(slot.number, None)
        self.maintenance.release_slot(slot)
        self.late.append((thread, now))
        if len(self.late) <= self.workers and not self.stop_flag.is_set():
            self._replace(place)

    def _signal(self, process: Any, signum: int) -> None:
        with contextlib.suppress(OSError):
            os.kill(process.pid, signum)
