"""A proxy to Redis that adds latency in both directions and loses nothing.

``python -m benchmarks.distance SOCKET SECONDS`` prints its port and runs until its standard
input ends. It is a process of its own, so that it shares no interpreter with what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any


class Distance:
    """Listens on a loopback port and forwards to a unix socket, ``round_trip`` seconds away."""

    def __init__(self, socket: Path, round_trip: float) -> None:
        self._socket, self._round_trip = socket, round_trip
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """The URL of Redis through the proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Distance:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.distance", str(self._socket), str(self._round_trip)],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.strip():
            self.__exit__()
            raise RuntimeError("the proxy did not start")
        self.port = int(line)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate()


class _End(asyncio.Protocol):
    """One end of a connection: what it reads, the other end writes ``delay`` seconds later."""

    def __init__(self, delay: float) -> None:
        self._loop, self._delay = asyncio.get_running_loop(), delay
        self._on_the_way: deque[bytes] = deque()
        self.other: _End | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._on_the_way.append(data)
        self._loop.call_later(self._delay, self._arrive)

    def _arrive(self) -> None:
        if self.other is not None:
            self.other.transport.write(self._on_the_way.popleft())

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self._loop.call_later(self._delay, self.other.transport.close)


class _Near(_End):
    """The client's end, which opens the other one before it reads anything."""

    def __init__(self, socket: str, delay: float) -> None:
        super().__init__(delay)
        self._socket, self._wait = socket, delay

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.pause_reading()
        self._opening = self._loop.create_task(self._open())

    async def _open(self) -> None:
        try:
            _, far = await self._loop.create_unix_connection(lambda: _End(self._wait), self._socket)
        except OSError:
            self.transport.close()
            return
        self.other, far.other = far, self
        self.transport.resume_reading()


async def _serve(socket: str, round_trip: float) -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def gone() -> None:
        if not ended.done() and not os.read(0, 1):
            ended.set_result(None)

    loop.add_reader(0, gone)
    server = await loop.create_server(lambda: _Near(socket, round_trip / 2), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended


def main() -> None:
    """Run the proxy. ``select`` counts in µs; with ``epoll``, asyncio rounds delays up to ms."""
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(_serve(sys.argv[1], float(sys.argv[2])))


if __name__ == "__main__":
    main()
