"""The consumer behind the stock ``huey_consumer``: runs workers and maintenance, stops without loss."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from huey.consumer import Consumer, ForkSafeFlag, ProcessEnvironment, ThreadEnvironment
from huey.exceptions import ConfigurationError

from hsejobs import forks
from hsejobs.engine.context import JobInterrupted
from hsejobs.engine.maintenance import Maintenance
from hsejobs.engine.outage import Outage
from hsejobs.engine.queue import Queue
from hsejobs.engine.slots import Running, Slot
from hsejobs.engine.worker import JobWorker
from hsejobs.errors import JobsError
from hsejobs.model import new_job_id
from hsejobs.watch import logs

#: Seconds that a process has to end its job after the interrupt, before it is killed.
YIELD_TIME = 1.0
#: Seconds after which a thread counts as hung if it still runs a job that was failed at its deadline.
HANG_TIME = 5.0
#: Seconds for which a stopping consumer tries to complete its pending writes.
LEAVE_TIME = 2.0
_PR_SET_PDEATHSIG = 1


def consumer_options(queue: Queue, given: dict[str, Any]) -> dict[str, Any]:
    """The options for the consumer: the queue's settings stand in for ``-w`` and ``-k`` if not given.

    Raises ConfigurationError.
    """
    defaults = queue.options
    typed = _command_line()
    options = dict(given)
    if (typed is not None and typed.get("workers") is None) or "workers" not in given:
        options["workers"] = defaults.concurrency
    if (typed is not None and typed.get("worker_type") is None) or "worker_type" not in given:
        options["worker_type"] = "process" if defaults.workers == "processes" else "thread"
    if options["worker_type"] not in ("thread", "process"):
        raise ConfigurationError(
            "worker type greenlet is not supported: use -k thread or -k process"
        )
    if not 1 <= options["workers"] <= 1000:
        raise ConfigurationError("-w must be a number from 1 to 1000")
    return options


def _command_line() -> dict[str, Any] | None:
    """The options on ``huey_consumer``'s command line; None when another program runs the consumer."""
    if "huey_consumer" not in os.path.basename(sys.argv[0] if sys.argv else ""):
        return None
    from huey.consumer_options import OptionParserHandler

    options, _ = OptionParserHandler().get_option_parser().parse_args(sys.argv[1:])
    return dict(vars(options))


class _Threads(ThreadEnvironment):
    def get_stop_flag(self) -> ForkSafeFlag:
        return ForkSafeFlag()


class _Processes(ProcessEnvironment):
    def init_child(self, process: Any) -> None:
        """Only the parent stops a child: by the flag, an interrupt (USR1) or a kill."""
        if not isinstance(process, JobWorker):
            return
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, _interrupter(process))
        # The parent logs outages.
        process.consumer.outage.silent = True
        _die_with_parent(process.consumer.pid)


def _interrupter(worker: JobWorker) -> Callable[[int, Any], None]:
    def interrupt(signum: int, frame: Any) -> None:
        # The job to interrupt may have ended meanwhile, and another may have started.
        stopping = worker.stop_flag.is_set()
        if worker.slot.running_now and (stopping or worker.slot.overdue(time.monotonic())):
            worker.interrupted = True
            raise JobInterrupted

    return interrupt


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class JobConsumer(Consumer):
    """Huey's consumer with our workers, maintenance in the main thread, and our shutdown.

    ``huey`` is a queue that is also a Huey.
    """

    def __init__(self, huey: Queue, **options: Any) -> None:
        self.queue = huey
        settings = huey.runtime.settings
        logs.configure(settings.log_level, settings.log_format)
        self.pid = os.getpid()
        self.worker_id = f"{os.uname().nodename[:40]}:{os.getpid()}:{new_job_id()[-5:]}".replace(
            " ", "-"
        )
        self.started_at = int(time.time() * 1000)
        self.outage = Outage(huey.name)
        #: Threads that still run although their job was failed at its deadline, and since when.
        self.late: list[tuple[Any, float]] = []
        self._hung_logged = 0
        self._numbers = 0
        self._interrupted: dict[int, tuple[str, float]] = {}
        self._signals = 0
        self._supervising = False
        self._parent = int(os.environ.get("HSEJOBS_PARENT_PID") or 0)
        self.max_tasks = options.get("max_tasks")
        super().__init__(huey, **options)
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        self.maintenance = Maintenance(self)

    def get_environment(self, worker_type: str) -> Any:
        """Huey's hook: the environment for threads or processes, with a stop flag that can be polled."""
        kind = _Processes if worker_type == "process" else _Threads
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

    def wake_maintenance(self) -> None:
        """Wakes the maintenance thread: a worker has begun to claim jobs in batches."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_w, b"b")

    def is_late(self, claim: Any) -> bool:
        """Whether a job was interrupted because of its deadline rather than a shutdown."""
        return not self.stop_flag.is_set()

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

    def run(self) -> None:
        """Runs until a signal stops it. However it ends, it releases the jobs that it holds."""
        self.start()
        while not self._signals and not self._restart:
            wait = self.maintenance.tick()
            self.supervise()
            if self._parent and os.getppid() != self._parent:
                break
            self._sleep(wait)
        self._stop()
        if self._restart:
            logs.emit("restarting", 40, queue=self.queue.name, hung=self.hung)
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606
        logs.emit("processor stopped", queue=self.queue.name, worker=self.worker_id)
        if self.late or any(self.environment.is_alive(p) for _, p in self.worker_threads):
            sys.stderr.flush()
            # A thread that does not end must not keep the process, and its job, alive.
            os._exit(0)

    def _sleep(self, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._wake_r, select.POLLIN)
        timer = self.maintenance.timer.fileno()
        if timer is not None:
            poller.register(timer, select.POLLIN)
        if self.forking:
            for _, process in self.worker_threads:
                poller.register(process.sentinel, select.POLLIN)
        poller.poll(seconds * 1000)
        with contextlib.suppress(BlockingIOError):
            if b"b" in os.read(self._wake_r, 4096):
                self.maintenance.fast_until = time.monotonic() + 1.0
        if any(slot.left for slot in self.slots()):
            self.maintenance.fast_until = time.monotonic() + 1.0

    def _set_signal_handlers(self) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._handle_signal)
        signal.signal(signal.SIGHUP, self._handle_hangup)

    def _handle_signal(self, signum: int, frame: Any) -> None:
        self._signals += 1
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_w, b"s")

    def _handle_hangup(self, signum: int, frame: Any) -> None:
        self._restart = True
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_w, b"s")

    # -- workers that end, hang or die; nothing here calls Redis

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
        for job_id, token in worker.slot.unwritten():
            # The outcome was lost with the worker.
            self.maintenance.stalled(job_id, token)
        self.maintenance.release_slot(worker.slot)
        if running is None:
            return
        if late is not None and late[0] == running.token:
            self.maintenance.time_out(running)
        else:
            self.maintenance.stalled(running.id, running.token)

    def deadline_passed(self, slot: Slot, running: Running, now: float) -> None:
        """Ends a job past its deadline.

        For threads, the job is failed and the thread replaced; a process is interrupted, then
        killed. The producer chooses the timeout, so that a thousand jobs of 1 ms must not lead to a
        thousand threads: at most as many unfinished threads are replaced as there are workers.
        """
        place, process = next(
            (i, p) for i, (w, p) in enumerate(self.worker_threads) if w.slot is slot
        )
        if not self.forking:
            slot.abandon()
            self.maintenance.release_slot(slot)
            self.maintenance.time_out(running)
            self.late.append((process, now))
            if len(self.late) <= self.workers:
                self._replace(place)
            return
        sent = self._interrupted.get(slot.number)
        if sent is None or sent[0] != running.token:
            self._interrupted[slot.number] = (running.token, now)
            self._signal(process, signal.SIGUSR1)
        elif now - sent[1] >= YIELD_TIME:
            self._signal(process, signal.SIGKILL)

    def _signal(self, process: Any, signum: int) -> None:
        with contextlib.suppress(OSError):
            os.kill(process.pid, signum)

    # -- stopping

    def _stop(self) -> None:
        """Stops claiming; releases jobs not started at once, and running jobs after the grace period."""
        seen = self._signals
        self.stop_flag.set()
        grace = self.queue.runtime.settings.shutdown_grace_ms / 1000
        until = time.monotonic() + grace
        while time.monotonic() < until and self._signals <= max(seen, 1):
            busy = [
                (worker, process)
                for worker, process in self.worker_threads
                if self.environment.is_alive(process)
            ]
            if not busy:
                break
            for worker, _ in busy:
                self.maintenance.release_slot(worker.slot, finished=False)
            self.maintenance.settle()
            self._sleep_for_end([process for _, process in busy])
        self._end_workers()
        with contextlib.suppress(JobsError):
            self.maintenance.leave(LEAVE_TIME)
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
        alive = [(w, p) for w, p in self.worker_threads if self.environment.is_alive(p)]
        if self.forking and alive:
            for _, process in alive:
                self._signal(process, signal.SIGUSR1)
            deadline = time.monotonic() + YIELD_TIME
            for _, process in alive:
                process.join(max(0.0, deadline - time.monotonic()))
                if process.is_alive():
                    self._signal(process, signal.SIGKILL)
                    process.join(5)
        for worker, _ in self.worker_threads:
            self.maintenance.release_slot(worker.slot)
            running = worker.slot.running()
            if running is not None:
                self.maintenance.release_running(running)
