"""What a worker runs in: a thread of the consumer, or a process of its own under a guard."""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any

from huey.consumer import ForkSafeFlag, ProcessEnvironment, ThreadEnvironment

from hsejobs import process_tree, tracing
from hsejobs.engine import guard
from hsejobs.engine.context import JobInterrupted
from hsejobs.engine.worker import JobWorker


class StopFlag(ForkSafeFlag):
    """A flag that threads and processes see alike. Workers look at it before each job, so that a look
    reads memory: Huey's polls a pipe, which takes as long as a tenth of a tiny job.
    """

    def __init__(self) -> None:
        super().__init__()
        self._memory = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Sets the flag, and wakes who waits for it."""
        if not self._memory[0]:
            self._memory[0] = 1
            os.write(self._w, b"x")

    def is_set(self) -> bool:
        return self._memory[0] != 0


class Threads(ThreadEnvironment):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._not_ours = _present()

    def get_stop_flag(self) -> StopFlag:
        return StopFlag()

    def end_programs(self) -> None:
        """Kills the programs that jobs have started. Those whose own parents ended are not found."""
        process_tree.kill_descendants(lambda one: one.identity in self._not_ours)


class Processes(ProcessEnvironment):
    """Each worker is a process group of its own below a guard, which is the consumer's child."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: Only the consumer has the write end: the guards read that it has ended.
        self._life_r, self._life_w = os.pipe()
        # What a guard leaves behind that is itself killed becomes the consumer's child.
        process_tree.adopt_orphans()
        self._not_ours = _present()

    def get_stop_flag(self) -> StopFlag:
        return StopFlag()

    def create_process(self, runnable: Callable[[], None], name: str) -> Any:
        """Huey's hook: a process that is not started yet."""

        def work() -> None:
            try:
                runnable()
            finally:
                # A process of this kind runs no exit handlers.
                tracing.stop()

        def run() -> None:
            os.close(self._life_w)
            guard.guarded(work, self._life_r)

        process = self.mp.Process(target=run, name=name)
        process.daemon = True
        return process

    def init_child(self, process: Any) -> None:
        """Only the parent stops a child: by the flag, an interrupt (USR1) or a kill."""
        if not isinstance(process, JobWorker):
            return
        signal.signal(guard.INTERRUPT, _interrupter(process))
        # multiprocessing forbids daemons to have children, and tasks may start some.
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        # The parent logs outages.
        process.consumer.outage.silent = True

    def end_programs(self) -> None:
        """The guards do this."""

    def end_orphans(self, guards: Iterable[int]) -> None:
        """Kills what a guard has left behind that was itself killed; ``guards`` are the others' ids."""
        others = set(guards)

        def spared(one: process_tree.Process) -> bool:
            return one.pid in others or one.identity in self._not_ours

        give_up = time.monotonic() + guard.GIVE_UP
        while time.monotonic() < give_up:
            left = [one for one in process_tree.children(os.getpid()) if not spared(one)]
            if not left:
                return
            process_tree.kill_descendants(spared)
            for one in left:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(one.pid, os.WNOHANG)
            time.sleep(0.005)


def _present() -> set[tuple[int, int]]:
    """The identities of the processes that the application has started so far."""
    return {one.identity for one in process_tree.descendants(os.getpid())}


def _interrupter(worker: JobWorker) -> Callable[[int, Any], None]:
    def interrupt(signum: int, frame: Any) -> None:
        # The job to interrupt may have ended meanwhile, and another may have started.
        slot, job, late = worker.slot, worker.job, worker.slot.overdue(time.monotonic())
        ends = late or worker.stop_flag.is_set() or slot.cancelled or slot.lost
        if slot.running_now and ends and job is not None and job.interruptible:
            worker.interrupted, worker.late = True, late
            raise JobInterrupted

    return interrupt
