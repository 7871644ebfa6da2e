"""The consumer behind the stock ``huey_consumer``: runs workers and maintenance, stops without loss."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from typing import Any

from hsejobs import pulse, tracing
from hsejobs.engine import guard, restart
from hsejobs.engine.maintenance import Maintenance
from hsejobs.engine.outage import Outage
from hsejobs.engine.queue import Queue
from hsejobs.engine.slots import Slot
from hsejobs.engine.workers import YIELD_TIME, WorkerSupervision
from hsejobs.errors import JobsError
from hsejobs.leaving import leave_in_time
from hsejobs.model import new_job_id
from hsejobs.store import scripts
from hsejobs.watch import logs
from hsejobs.watch.metrics_server import MetricsServer

#: Seconds for which a stopping consumer tries to complete its pending writes.
LEAVE_TIME = 2.0


class JobConsumer(WorkerSupervision):
    """Huey's consumer with our workers, maintenance in the main thread, and our shutdown.

    ``huey`` is a queue that is also a Huey.
    """

    def __init__(self, huey: Queue, **options: Any) -> None:
        self.queue = huey
        settings = huey.runtime.settings
        logs.configure(settings.log_level, settings.log_format)
        # Again: the application's modules may have set a tracer provider.
        tracing.start()
        scripts.keep(scripts.COMPLETE)
        self.pid = os.getpid()
        self.worker_id = f"{os.uname().nodename[:40]}:{os.getpid()}:{new_job_id()[-5:]}".replace(
            " ", "-"
        )
        self.started_at = int(time.time() * 1000)
        self.outage = Outage(huey.name)
        self._signals = 0
        self._parent = int(os.environ.get("HSEJOBS_PARENT_PID") or 0)
        self.max_tasks = options.get("max_tasks")
        super().__init__(huey, **options)
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        self.maintenance = Maintenance(self)
        runtime = huey.runtime
        self.metrics = MetricsServer(runtime.redis, runtime.settings, huey.name)

    def wake_maintenance(self) -> None:
        """Wakes the maintenance thread: a worker has begun to claim jobs in batches."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_w, b"b")

    # -- running

    def start(self) -> None:
        """Starts the workers. Maintenance runs in the calling thread."""
        self._set_signal_handlers()
        logs.emit(
            "processor started",
            queue=self.queue.name,
            workers=self.workers,
            workerType=self.worker_type,
            worker=self.worker_id,
            pid=os.getpid(),
        )
        if self.forking:
            self.queue.runtime.redis.close()
        for _, process in self.worker_threads:
            process.start()
        self.metrics.start()

    def run(self) -> None:
        """Runs until a signal stops it. However it ends, it releases the jobs that it holds."""
        self.start()
        while not self._signals and not self._restart:
            wait = self.maintenance.tick()
            self.supervise()
            if self.queue.runtime.redis.unknown_format is not None:
                break
            if self._parent and os.getppid() != self._parent:
                break
            self._sleep(wait)
        self._stop()
        if self._restart and not self._signals:
            logs.emit("restarting", 40 if self.hung else 20, queue=self.queue.name, hung=self.hung)
            self._replace_program()
        logs.emit("processor stopped", queue=self.queue.name, worker=self.worker_id)
        if (problem := self.queue.runtime.redis.unknown_format) is not None:
            sys.stderr.write(f"error: {problem} ({problem.code})\n")
            sys.stderr.flush()
            os._exit(2)
        if self.late or any(self.environment.is_alive(p) for _, p in self.worker_threads):
            sys.stderr.flush()
            # A thread that does not end must not keep the process, and its job, alive.
            os._exit(0)
        leave_in_time(0)

    def _sleep(self, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._wake_r, select.POLLIN)
        timer = self.maintenance.timer.fileno()
        if timer is not None:
            poller.register(timer, select.POLLIN)
        if self.forking:
            for _, process in self.worker_threads:
                poller.register(process.sentinel, select.POLLIN)
        # A poll counts whole milliseconds, and rounds up: a delayed job would be up to one late.
        whole, rest = divmod(round(seconds * 1e6), 1000)
        if not poller.poll(whole) and rest:
            time.sleep(rest / 1e6)
        with contextlib.suppress(BlockingIOError):
            if b"b" in os.read(self._wake_r, 4096):
                self.maintenance.fast_until = time.monotonic() + 1.0
        if any(slot.left for slot in self.slots()):
            self.maintenance.fast_until = time.monotonic() + 1.0

    def _set_signal_handlers(self) -> None:
        restart.listen(self._handle_signal, self._handle_hangup, self._wake_w)

    def _replace_program(self) -> None:
        supervised = self._parent != 0
        restart.replace(lambda: self._signals > 0, self._wake_r, supervised=supervised)

    def _handle_signal(self, signum: int, frame: Any) -> None:
        self._signals += 1

    def _handle_hangup(self, signum: int, frame: Any) -> None:
        self._restart = True

    # -- stopping

    def _stop(self) -> None:
        """Stops claiming; releases jobs not started at once, and running jobs after the grace period."""
        seen = self._signals
        self.stop_flag.set()
        self.metrics.stop()
        grace = self.queue.runtime.settings.shutdown_grace_ms / 1000
        until = time.monotonic() + grace
        while time.monotonic() < until and self._signals <= max(seen, 1):
            busy = self.clear_ended()
            if not busy:
                break
            for worker, _ in busy:
                self.maintenance.release_slot(worker.slot, finished=False)
            self.maintenance.settle()
            pulse.beat()
            self._sleep_for_end([process for _, process in busy])
        self._end_workers()
        with contextlib.suppress(JobsError):
            self.maintenance.leave(LEAVE_TIME)
        # After the releases: a task whose program was killed must not fail its job.
        self.environment.end_programs()
        tracing.stop()
        logs.flush()

    def _sleep_for_end(self, processes: list[Any]) -> None:
        if self.forking:
            poller = select.poll()
            poller.register(self._wake_r, select.POLLIN)
            for process in processes:
                poller.register(process.sentinel, select.POLLIN)
            poller.poll(50)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_r, 4096)
        else:
            processes[0].join(0.02)

    def _end_workers(self) -> None:
        """Interrupts what still runs, kills processes that do not end, and releases their jobs."""
        self._signal_all(signal.SIGUSR1)
        self._await_ends(YIELD_TIME)
        self._signal_all(signal.SIGKILL)
        self._await_ends(guard.GIVE_UP)
        for worker, _ in self.worker_threads:
            slot = worker.slot
            running = slot.running()
            # A process may have been killed, and a thread may wait for Redis, after its job had ended and
            # before that was written.
            unwritten = [] if slot.abandoned else slot.unwritten()
            self.maintenance.release_slot(slot, dead=True)
            if running is not None:
                self.maintenance.release_jobs([(running.id, running.token)])
            if unwritten:
                self.maintenance.release_jobs(unwritten)

    def _signal_all(self, signum: int) -> None:
        for _, process in self.worker_threads if self.forking else ():
            self._signal(process, signum)

    def _await_ends(self, seconds: float) -> None:
        """Waits until all processes have ended, or all threads whose job has ended have written how, and
        renews leases meanwhile: nothing may begin elsewhere what still runs here.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            busy = [
                process
                for worker, process in self.worker_threads
                if self.environment.is_alive(process) and (self.forking or _writes(worker.slot))
            ]
            if not busy:
                break
            self.maintenance.renew()
            self._sleep_for_end(busy)


def _writes(slot: Slot) -> bool:
    """Whether a live worker is about to write how its job ended."""
    return not slot.abandoned and not slot.running_now and bool(slot.unwritten())
