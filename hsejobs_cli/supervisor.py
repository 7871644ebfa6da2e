"""Runs one consumer process per queue: starts them, replaces those that die or freeze, stops all together."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hsejobs import process_tree
from hsejobs.application import VARIABLE
from hsejobs.errors import SettingsError
from hsejobs.pulse import AGAIN, LIMITS, Phase, Pulse
from hsejobs.pulse import VARIABLE as PULSE_VARIABLE
from hsejobs_cli import orphans
from hsejobs_cli.consumer import huey_consumer
from hsejobs_cli.notify import Notifier
from hsejobs_cli.running import CLEANUP, Running

#: Seconds before a dead consumer is restarted: first, longest; and the uptime that resets the pause.
FIRST_PAUSE, LAST_PAUSE, HEALTHY = 1.0, 30.0, 60.0
#: Seconds beyond the grace period before a consumer is killed.
BEYOND_GRACE = 5.0
#: Exit status of a consumer that cannot work with its settings or with the records in Redis.
UNUSABLE = 2
#: Bytes after which a log file is rotated.
LOG_LIMIT = 10_000_000
#: Name of the HTTP shim among the children; it cannot be a queue's name.
SHIM = "(http)"


@dataclass
class _Child:
    queue: str
    #: The import path for ``huey_consumer``; empty for the shim.
    place: str = ""
    running: Running | None = None
    start_at: float = 0.0
    pause: float = FIRST_PAUSE


class Supervisor:
    """Runs the consumers of some queues until a signal arrives.

    ``queues`` maps each name to its import path for ``huey_consumer``. ``own`` returns the process
    ids of further children of this process, whose exit status others take. ``limits``: seconds
    without a beat, by phase, after which a consumer is replaced.
    """

    def __init__(
        self,
        queues: Mapping[str, str],
        grace_ms: int,
        *,
        installation: str = "",
        env: dict[str, str] | None = None,
        logs: Path | None = None,
        shim: bool = False,
        own: Callable[[], Iterable[int]] = tuple,
        limits: Mapping[Phase, float] = LIMITS,
    ) -> None:
        self.children = [_Child(queue, place) for queue, place in queues.items()]
        if shim:
            self.children.append(_Child(SHIM))
        self.grace = grace_ms / 1000
        self.installation = installation
        self.notifier = Notifier()
        self.env = {**os.environ, **(env or {}), "HSEJOBS_PARENT_PID": str(os.getpid())}
        self.logs = logs
        self.limits = limits
        self.signals = 0
        self._zombies = orphans.ZombieReaper(lambda: [*own(), *self._pids()])

    def _pids(self) -> list[int]:
        return [child.running.process.pid for child in self.children if child.running]

    def handle(self, signum: int, frame: Any) -> None:
        """Handles a signal: the first stops the consumers gracefully, the second at once."""
        self.signals += 1

    def run(self, tick: Any = None) -> None:
        """Runs until a signal arrives; calls ``tick`` ten times a second.

        Raises SettingsError when the application can no longer be imported.
        """
        process_tree.adopt_orphans()
        try:
            while not self.signals:
                self._check_children()
                self._zombies.reap()
                self.notifier.check(
                    ready=all(child.running and child.running.ready for child in self.children),
                    # A frozen consumer that is still there could not be killed.
                    well=not any(
                        child.running and child.running.replaced for child in self.children
                    ),
                )
                if tick is not None:
                    tick()
                time.sleep(0.1)
        finally:
            # On any error too: the consumers must end before the services that they depend on.
            self.end()

    def _check_children(self) -> None:
        for child in self.children:
            now = time.monotonic()
            if child.running is not None:
                if not child.running.is_gone(now):
                    self._replace_if_frozen(child.queue, child.running, now)
                    continue
                self._has_ended(child, child.running, now)
            # A signal may arrive while the consumers are started one after the other.
            if now >= child.start_at and not self.signals:
                try:
                    child.running = self._start(child, now)
                except OSError as error:
                    # The machine is short of memory, processes or file descriptors.
                    self._restart_later(child, now, f"cannot be started ({error.strerror})")

    def _replace_if_frozen(self, queue: str, running: Running, now: float) -> None:
        if running.is_frozen(now, self.limits) and not running.replaced:
            running.replaced = True
            sys.stderr.write(
                f"the process of {queue} has not responded for {running.silent:.0f} s; replacing it\n"
            )
            running.kill()

    def _has_ended(self, child: _Child, running: Running, now: float) -> None:
        child.running = None
        status = running.status()
        if status == huey_consumer.BROKEN:
            # The consumer has printed the reason; restarting it would only repeat it.
            raise SettingsError(VARIABLE, f"names code that cannot be imported ({child.queue})")
        if status == UNUSABLE:
            # So it has here: a setting, or records in Redis that this release cannot work with.
            raise SettingsError(
                "settings", f"the consumer of {child.queue} cannot work with them; see its message"
            )
        if now - running.started > HEALTHY:
            child.pause = FIRST_PAUSE
        if running.replaced or status == AGAIN:
            child.start_at = now
        else:
            self._restart_later(child, now, f"exited with {status}")

    def _restart_later(self, child: _Child, now: float, what: str) -> None:
        child.start_at = now + child.pause
        sys.stderr.write(
            f"the process of {child.queue} {what}; restarting it in {child.pause:g} s\n"
        )
        child.pause = min(LAST_PAUSE, child.pause * 2)

    def _start(self, child: _Child, now: float) -> Running:
        mark = secrets.token_hex(8)
        env = {**self.env, orphans.MARK: mark}
        arguments = ["hsejobs_cli", "serve"]
        pulse = None
        if child.queue != SHIM:
            arguments = ["hsejobs_cli.consumer.huey_consumer", child.place]
            pulse = Pulse.create(child.queue, self.installation)
            env[PULSE_VARIABLE] = str(pulse.fd)
        out = None
        try:
            out = self._log(child.queue)
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                pass_fds=() if pulse is None else (pulse.fd,),
            )
        except OSError:
            if pulse is not None:
                pulse.close()
            raise
        finally:
            if out is not None:
                out.close()
        return Running(process, mark, pulse, now)

    def _log(self, queue: str) -> IO[bytes] | None:
        if self.logs is None:
            return None
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{queue.strip('()')}.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def end(self) -> None:
        """Stops all consumers: sends SIGTERM, waits for the grace period, then kills them.

        Leaves nothing behind that they started.
        """
        sent = 0
        longest = self.grace + BEYOND_GRACE
        deadline = time.monotonic() + longest
        while alive := self._still_running():
            self.notifier.stopping(max(0.0, deadline - time.monotonic()) + CLEANUP)
            if sent < min(max(self.signals, 1), 2):
                sent += 1
                for running in alive:
                    running.terminate()
            if time.monotonic() > deadline:
                for running in alive:
                    running.kill()
            self._zombies.reap()
            time.sleep(0.05)

    def _still_running(self) -> list[Running]:
        now = time.monotonic()
        for child in self.children:
            if child.running is not None and child.running.is_gone(now):
                child.running.status()
                child.running = None
        return [child.running for child in self.children if child.running is not None]
