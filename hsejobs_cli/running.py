"""One process under the supervisor, from its start to the end of all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping

from hsejobs.pulse import Beat, Phase, Pulse
from hsejobs_cli import orphans

#: Longest time without a beat, in seconds, that one look may find. If the machine, the container or
#: this process was suspended, the consumers were too.
LOOK_LIMIT = 0.5
#: Seconds for which what a dead process started is killed, before its status is taken.
CLEANUP = 2.0


class Running:
    """A process that leads its own session; ``mark`` is in its environment and in its descendants'.

    ``pulse`` is None for the HTTP shim. Times are seconds of the monotonic clock.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], mark: str, pulse: Pulse | None, now: float
    ) -> None:
        self.process = process
        self.mark = mark
        self.pulse = pulse
        self.started = now
        #: Whether it was killed because it was frozen.
        self.replaced = False
        #: Seconds for which the last beat was the same.
        self.silent = 0.0
        self._beat: Beat | None = None
        self._looked = now
        self._died: float | None = None
        if pulse is not None:
            pulse.claim(process.pid)

    @property
    def ready(self) -> bool:
        """Whether it has begun its work."""
        if self.pulse is None:
            return True
        return self._beat is not None and self._beat.phase is not Phase.STARTING

    def is_frozen(self, now: float, limits: Mapping[Phase, float]) -> bool:
        """Whether its main thread has been silent for too long while this process watched."""
        if self.pulse is None:
            return False
        step, self._looked = min(now - self._looked, LOOK_LIMIT), now
        beat = self.pulse.read()
        if beat != self._beat:
            self._beat, self.silent = beat, 0.0
        else:
            self.silent += step
        return self.silent > limits[beat.phase]

    def is_gone(self, now: float) -> bool:
        """Whether it has ended, and what it started too, which is killed."""
        if not orphans.has_exited(self.process):
            return False
        if self._died is None:
            self._died = now
        left = orphans.end_descendants(self.process.pid, self.mark)
        return left == 0 or now - self._died > CLEANUP

    def status(self) -> int:
        """Takes the exit status of a process that is gone, and releases its pulse."""
        if self.pulse is not None:
            self.pulse.close()
        return self.process.wait()

    def terminate(self) -> None:
        """Sends SIGTERM."""
        # Not send_signal(): it would take the exit status, and with it the process id.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kills the process and its workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
