"""The guard of one worker process: its parent, which ends everything that the worker has started.

The consumer starts the guard and the guard starts the worker, so that the guard outlives both. On
Linux, every orphan of the worker becomes the guard's child, whatever session or group it is in.
When the worker ends, for whatever reason, or the consumer dies, the guard kills what is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from hsejobs import process_tree

#: What the consumer sends to a guard: interrupt the job; kill the worker and all that it started.
INTERRUPT, KILL = signal.SIGUSR1, signal.SIGUSR2
#: Seconds that a worker may take to exit once it has ended its work: a task may have left threads
#: or child processes behind that Python waits for.
EXIT_TIME = 0.5
#: Seconds after which a guard gives up on processes that it cannot kill.
GIVE_UP = 3.0
#: Added to the number of the signal that ended the worker, to form the guard's exit code.
BY_SIGNAL = 128

#: Options of Linux' prctl.
PDEATHSIG, NAME = 1, 15
_HANDLED = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGTERM,
    INTERRUPT,
    KILL,
)
#: What a worker handles, and what it starts does not.
_RESET = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, INTERRUPT, KILL)


def guarded(work: Callable[[], None], life: int) -> None:
    """Forks: the child does *work* and returns; the parent, its guard, never returns.

    ``life`` is the read end of a pipe whose write end only the consumer has: it ends with it.
    """
    # A group of its own: what is sent to the consumer's group must not end the guard first.
    os.setpgid(0, 0)
    process_tree.adopt_orphans()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    ended_r, ended_w = os.pipe()
    guard, worker = os.getpid(), os.fork()
    if worker:
        os.close(ended_w)
        _Guard(worker, life, ended_r).watch(before)
    os.close(ended_r)
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    # The guard may be killed too.
    process_tree.prctl(PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(1)
    _default_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        work()
    finally:
        # A task may have closed it.
        with contextlib.suppress(OSError):
            os.write(ended_w, b"x")


def _default_signals() -> None:
    """What is sent to a whole cgroup or session ends no worker, but does end what it has started.

    A handler does nothing here and is reset by exec; an ignored signal would stay ignored.
    """
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _nothing)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    forks = _Forks()
    os.register_at_fork(
        before=forks.before, after_in_parent=forks.in_parent, after_in_child=forks.in_child
    )


def _nothing(signum: int, frame: Any) -> None:
    """Has no effect."""


class _Forks(threading.local):
    """Gives the children that a task forks the default handlers.

    The signals are blocked meanwhile: one that came before the handlers were reset would be lost.
    """

    mask: Any = ()

    def before(self) -> None:
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _RESET)

    def in_parent(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)

    def in_child(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for signum in _RESET[1:]:
            signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


class _Guard:
    def __init__(self, worker: int, life: int, ended: int) -> None:
        self.worker, self.life, self.ended = worker, life, ended
        #: The exit code for the worker, once it has ended its work or is dead; and whether it was waited for.
        self.code: int | None = None
        self.dead = False
        self.kill = False
        self.interrupt = False
        self.exit_by: float | None = None

    def watch(self, mask: Any) -> None:
        """Waits for the end of the worker or of the consumer; then ends everything, and exits."""
        try:
            with contextlib.suppress(OSError):
                os.setpgid(self.worker, self.worker)
            process_tree.prctl(NAME, ctypes.c_char_p(b"hsejobs guard"))
            poller = self._listen(mask)
            while not self._over():
                wait = None if self.exit_by is None else self.exit_by - time.monotonic()
                for fd, _ in poller.poll(None if wait is None else max(0, wait * 1000)):
                    self._heard(poller, fd)
            self._end_all()
        finally:
            os._exit(1 if self.code is None else self.code)

    def _listen(self, mask: Any) -> select.poll:
        wake_r, wake_w = os.pipe()
        for end in (wake_r, wake_w):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        for signum in _HANDLED:
            signal.signal(signum, self._signaled)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        poller = select.poll()
        for fd in (wake_r, self.life, self.ended):
            poller.register(fd, select.POLLIN)
        return poller

    def _signaled(self, signum: int, frame: Any) -> None:
        self.kill = self.kill or signum == KILL
        self.interrupt = self.interrupt or signum == INTERRUPT

    def _heard(self, poller: select.poll, fd: int) -> None:
        if fd == self.life:
            self.kill = True
        elif fd == self.ended:
            # Its end of the pipe may also have been closed by a task.
            poller.unregister(fd)
            if os.read(fd, 1):
                self.exit_by = time.monotonic() + EXIT_TIME
        else:
            with contextlib.suppress(BlockingIOError):
                os.read(fd, 4096)

    def _over(self) -> bool:
        self._reap()
        if self.interrupt and self.code is None:
            self.interrupt = False
            os.kill(self.worker, INTERRUPT)
        late = self.exit_by is not None and time.monotonic() >= self.exit_by
        return self.kill or late or self.code is not None

    def _reap(self) -> bool:
        """Collects what has ended; returns whether there is no child left."""
        self._end_group_of_the_dead()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if not pid:
                return False
            if pid == self.worker:
                self.dead = True
                if self.code is None:
                    code = os.waitstatus_to_exitcode(status)
                    self.code = code if code >= 0 else BY_SIGNAL - code

    def _end_group_of_the_dead(self) -> None:
        """Kills the group of a worker that has ended, while nothing else can have got its id."""
        if self.dead or not hasattr(os, "waitid"):
            return
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_PID, self.worker, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                self._end_group()

    def _end_group(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self.worker, signal.SIGKILL)

    def _end_all(self) -> None:
        """Kills the worker, its group and all descendants, until none is left."""
        if self.code is None and self.exit_by is not None:
            # It had nothing left to do, and is only killed because of what it has left running.
            self.code = 0
        if not self.dead or not hasattr(os, "waitid"):
            self._end_group()
        give_up = time.monotonic() + GIVE_UP
        while not self._reap() and time.monotonic() < give_up:
            process_tree.kill_descendants()
            time.sleep(0.005)
