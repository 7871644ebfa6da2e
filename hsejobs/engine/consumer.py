"""The consumer behind the stock ``huey_consumer``: starts workers, keeps house, stops without loss."""

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

#: Seconds that a process gets to end its job after the interrupt, before it is killed.
YIELD_TIME = 1.0
#: Seconds after which a thread hangs that does not end, though its job was failed at its deadline.
HANG_TIME = 5.0
#: Seconds that a consumer which ends tries to write what it still owes Redis.
LEAVE_TIME = 2.0
_PR_SET_PDEATHSIG = 1


def consumer_options(queue: Queue, given: dict[str, Any]) -> dict[str, Any]:
    """What ``huey_consumer`` was told, completed by the settings where ``-w`` and ``-k`` were not given."""
    holds = queue.options
    said = _command_line()
    options = dict(given)
    if (said is not None and said.get("workers") is None) or "workers" not in given:
        options["workers"] = holds.concurrency
    if (said is not None and said.get("worker_type") is None) or "worker_type" not in given:
        options["worker_type"] = "process" if holds.workers == "processes" else "thread"
    if options["worker_type"] not in ("thread", "process"):
        raise ConfigurationError(
            "worker type greenlet is not supported: use -k thread or -k process"
        )
    if not 1 <= options["workers"] <= 1000:
        raise ConfigurationError("-w: use 1 to 1000 workers")
    return options


def _command_line() -> dict[str, Any] | None:
    """The options on the command line of ``huey_consumer``, None when we run below something else."""
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
        # The parent tells of an outage.
        process.consumer.outage.silent = True
        _die_with_parent(process.consumer.pid)


def _interrupter(worker: JobWorker) -> Callable[[int, Any], None]:
    def interrupt(signum: int, frame: Any) -> None:
        # The job that it is meant for may have ended meanwhile, and another begun.
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
    """Huey's consumer with our workers, maintenance in the main thread, and our way of stopping.

    ``huey``: a queue that is a Huey too.
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
        #: Threads whose job was failed at its deadline and that still run, and since when.
        self.late: list[tuple[Any, float]] = []
        self._hung_told = 0
        self._numbers = 0
        self._interrupted: dict[int, tuple[str, float]] = {}
        self._signals = 0
        self._minding = False
        self._parent = int(os.environ.get("HSEJOBS_PARENT_PID") or 0)
        self.max_tasks = options.get("max_tasks")
        super().__init__(huey, **options)
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        self.maintenance = Maintenance(self)

    def get_environment(self, worker_type: str) -> Any:
        """Threads or processes, whose stop flag can be polled beside a connection."""
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
        """The slots of the workers that are at work."""
        return [worker.slot for worker, _ in self.worker_threads]

    def poke(self) -> None:
        """A worker tells the maintenance thread that it began to claim ahead."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_w, b"b")

    def is_late(self, claim: Any) -> bool:
        """Whether an interrupted job was interrupted for its deadline, not for a shutdown."""
        return not self.stop_flag.is_set()

    # -- running

    def start(self) -> None:
        """Starts the workers; the maintenance thread runs in this thread."""
        self._set_signal_handlers()
        logs.tell(
            "processor started",
            queue=self.queue.name,
            workers=self.workers,
            workerType=self.worker_type,
            worker=self.worker_id,
            pid=os.getpid(),
        )
        if self.forking:
            self.queue.runtime.link.close()
        for _, process in self.worker_threads:
            process.start()

    def run(self) -> None:
        """Until a signal stops it. Every way out hands back what this consumer holds."""
        self.start()
        while not self._signals and not self._restart:
            wait = self.maintenance.tick()
            self.mind()
            if self._parent and os.getppid() != self._parent:
                break
            self._sleep(wait)
        self._stop()
        if self._restart:
            logs.tell("restarting", 40, queue=self.queue.name, hung=self.hung)
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606
        logs.tell("processor stopped", queue=self.queue.name, worker=self.worker_id)
        if self.late or any(self.environment.is_alive(p) for _, p in self.worker_threads):
            sys.stderr.flush()
            # A thread that does not yield must not keep the process, and its job, alive.
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

    # -- workers that end, hang or die; nothing here talks to Redis

    def mind(self) -> None:
        """Sees to deadlines and to workers that ended; also while a reply of Redis is waited for."""
        if self._minding or self.stop_flag.is_set() or os.getpid() != self.pid:
            return
        self._minding = True
        try:
            self.maintenance.mind_slots()
            self._mind_workers()
        finally:
            self._minding = False

    def _mind_workers(self) -> None:
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
        if hung > self._hung_told:
            logs.tell("worker hung", 40, queue=self.queue.name, hung=hung)
        self._hung_told = hung
        if hung and hung >= self.workers:
            self._restart = True

    @property
    def hung(self) -> int:
        """Threads that do not end, though their job was failed ``HANG_TIME`` ago."""
        before = time.monotonic() - HANG_TIME
        return sum(since <= before for _, since in self.late)

    def _replace(self, place: int) -> None:
        worker = self._create_worker()
        process = self._create_process(worker, f"Worker-{place + 1}")
        self.worker_threads[place] = (worker, process)
        process.start()

    def _reap(self, worker: JobWorker, process: Any) -> None:
        """A process is gone: its outcomes are written, its running job stalls, the rest goes back."""
        process.join(0)
        self.outage.ends(worker.name)
        running = worker.slot.running()
        late = self._interrupted.pop(worker.slot.number, None)
        for job_id, token in worker.slot.unwritten():
            # Its outcome died with its worker.
            self.maintenance.stalled(job_id, token)
        self.maintenance.give_back(worker.slot)
        if running is None:
            return
        if late is not None and late[0] == running.token:
            self.maintenance.time_out(running)
        else:
            self.maintenance.stalled(running.id, running.token)

    def deadline_passed(self, slot: Slot, running: Running, now: float) -> None:
        """A thread's job is failed and the thread replaced; a process is interrupted, then killed.

        How long a job may take is its sender's choice: a thousand of 1 ms are neither threads that
        hang nor a reason for a thousand threads. So at most as many as there are workers are
        replaced before they end.
        """
        place, process = next(
            (i, p) for i, (w, p) in enumerate(self.worker_threads) if w.slot is slot
        )
        if not self.forking:
            slot.abandon()
            self.maintenance.give_back(slot)
            self.maintenance.time_out(running)
            self.late.append((process, now))
            if len(self.late) <= self.workers:
                self._replace(place)
            return
        told = self._interrupted.get(slot.number)
        if told is None or told[0] != running.token:
            self._interrupted[slot.number] = (running.token, now)
            self._signal(process, signal.SIGUSR1)
        elif now - told[1] >= YIELD_TIME:
            self._signal(process, signal.SIGKILL)

    def _signal(self, process: Any, signum: int) -> None:
        with contextlib.suppress(OSError):
            os.kill(process.pid, signum)

    # -- stopping

    def _stop(self) -> None:
        """Claims nothing more; hands back the unbegun at once, the rest after the grace period."""
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
                self.maintenance.give_back(worker.slot, finished=False)
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
        """What still runs is interrupted, killed where that is possible, and handed back."""
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
            self.maintenance.give_back(worker.slot)
            running = worker.slot.running()
            if running is not None:
                self.maintenance.hand_back(running)
