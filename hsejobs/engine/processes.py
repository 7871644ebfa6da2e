"""What a worker runs in: a thread of the consumer, or a process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from huey.consumer import ForkSafeFlag, ProcessEnvironment, ThreadEnvironment

from hsejobs.engine.context import JobInterrupted
from hsejobs.engine.worker import JobWorker

_PR_SET_PDEATHSIG = 1


class Threads(ThreadEnvironment):
    def get_stop_flag(self) -> ForkSafeFlag:
        return ForkSafeFlag()


class Processes(ProcessEnvironment):
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
        slot = worker.slot
        ends = worker.stop_flag.is_set() or slot.cancelled or slot.overdue(time.monotonic())
        if slot.running_now and ends:
            worker.interrupted = True
            raise JobInterrupted

    return interrupt


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
