"""A proxy to Redis that adds latency in both directions and loses nothing."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path


class Distance:
    """Listens on a loopback port and forwards to a unix socket, ``round_trip`` seconds away."""

    def __init__(self, socket: Path, round_trip: float) -> None:
        self._socket, self._delay = socket, round_trip / 2
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        """The URL of Redis through the proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Distance:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    async def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        there, far = await asyncio.open_unix_connection(str(self._socket))
        await asyncio.gather(self._pump(near, far), self._pump(there, back))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            self._loop.call_later(self._delay, sink.write, data)
        self._loop.call_later(self._delay, sink.close)
