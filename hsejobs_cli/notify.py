"""Messages to systemd for a unit with ``Type=notify``: ready, stopping, and the watchdog."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping


class Notifier:
    """Sends messages to the socket in ``NOTIFY_SOCKET``; without one, does nothing.

    Removes systemd's variables from ``environ``, so that no child speaks for this process.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        place = environ.pop("NOTIFY_SOCKET", "")
        #: A name that begins with @ is abstract: not in the file system.
        self._address = "\0" + place[1:] if place.startswith("@") else place
        micros = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", "")
        self._every: float | None = None
        if micros.isdecimal() and int(micros) and pid in ("", str(os.getpid())):
            self._every = int(micros) / 2e6
        self._next = 0.0
        self._ready = False
        self._stopping = False

    def check(self, *, ready: bool, well: bool) -> None:
        """Tells once that the service is ready and, while it is well, that it lives.

        The latter at half of the watchdog's time.
        """
        if not self._address:
            return
        if ready and not self._ready:
            self._ready = self._send("READY=1", "STATUS=all consumers run")
        now = time.monotonic()
        if self._every is not None and well and now >= self._next and self._send("WATCHDOG=1"):
            self._next = now + self._every

    def stopping(self, seconds: float) -> None:
        """Tells once that the service stops, which takes up to this time in seconds."""
        if not self._stopping:
            text = f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}"
            self._stopping = self._send("STOPPING=1", text)

    def _send(self, *lines: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                # systemd may be busy; the next call tries again.
                out.settimeout(0.1)
                out.connect(self._address)
                out.send("\n".join(lines).encode())
        except (OSError, ValueError):
            return False
        return True
