"""The TUI in a browser: each viewer has a process of its own, connected through a websocket.

Textual's web driver exchanges packets over its pipes: a letter (``D`` data,
``M`` meta), four bytes of length (big endian), the content. The browser's part
(textual-serve's script) sends JSON lists: ``["stdin", text]``, ``["resize",
{"width", "height"}]``, ``["ping", x]``, ``["focus"]``, ``["blur"]``; ours, ``["place", address]``
when its user goes back or forward. Ours gets ``["place", {"address", "title", "replace"}]`` and
``["ended", reason]``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from hsejobs.settings import Settings, redis_target
from hsejobs.watch import logs
from hsejobs_http.seats import Seat, Seats
from hsejobs_http.tokens import Caller
from hsejobs_tui.session.addresses import LONGEST

#: Characters in one message of a browser, bytes in one packet of a viewer.
MESSAGE_LIMIT, PACKET_LIMIT = 65_536, 16_777_216
#: Seconds in which a viewer must exit after SIGTERM.
PATIENCE = 3.0
#: Why a view ends, for its user.
EXPIRED = "your token has expired: log in again"
TAKEN = (
    "an operator needed the place, and this view had not been used for the longest time; or you opened"
    " more views than one user may have"
)
GREETING = b"__GANGLION__\n"
#: The environment variables that a viewer gets: no keys, no database, no mail server.
_PASSED = ("PATH", "HOME", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH", "JOBS_HOME")
_PASSED_PREFIXES = ("QUEUE_", "JOBS_ALERT_")


@dataclass(frozen=True, slots=True)
class Look:
    """What a browser asks to see: where the page is, and the theme that its user prefers."""

    organization_id: str | None
    address: str
    theme: str


class Viewers:
    """The viewers of one shim process, each with a seat and a process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.seats = Seats(settings)

    async def view(self, socket: WebSocket, who: Caller, look: Look, expires: float) -> None:
        """Serves one viewer until the connection closes, the token expires or the shim stops.

        Raises Problem 503 at the start if too many views are open.
        """
        seat, lost = self.seats.take(who)
        reason = None
        about: dict[str, Any] = {
            "userId": who.user_id,
            "organizationId": look.organization_id,
            "role": who.role,
        }
        try:
            await socket.accept()
            if lost is not None:
                await lost.ended.wait()
            logs.emit("viewer_opened", **about)
            process = await self._start(socket, who, look, expires)
            try:
                reason = await _serve(socket, process, seat, expires)
            finally:
                await _end(process)
                logs.emit("viewer_closed", exitStatus=process.returncode, **about)
        finally:
            # Before the browser gets the reason: one that takes nothing any more must not keep the place.
            self.seats.release(seat)
            with contextlib.suppress(Exception):
                if reason is not None:
                    await socket.send_text(json.dumps(["ended", reason]))
                await socket.close()

    async def _start(
        self, socket: WebSocket, who: Caller, look: Look, expires: float
    ) -> asyncio.subprocess.Process:
        view = {
            "userId": who.user_id,
            "role": who.role,
            "organizationId": look.organization_id,
            "address": look.address,
            "theme": look.theme,
            "expires": expires,
            "parent": os.getpid(),
            "sealed": self.settings.secret_key is not None,
        }
        width, height = (_cells(socket.query_params.get(name)) for name in ("width", "height"))
        environment = {
            name: value
            for name, value in os.environ.items()
            if name in _PASSED or name.startswith(_PASSED_PREFIXES)
        }
        environment |= {
            "QUEUE_REDIS_URL": redis_target(self.settings),
            "HSEJOBS_VIEW": json.dumps(view),
            "TEXTUAL_FPS": "20",
            "TEXTUAL_COLOR_SYSTEM": "truecolor",
            "LANG": "C.UTF-8",
            "TERM_PROGRAM": "textual",
            "COLUMNS": str(width or 80),
            "ROWS": str(height or 24),
        }
        return await asyncio.create_subprocess_exec(
            sys.executable,
            # Files in the working folder must not shadow modules.
            "-P",
            "-m",
            "hsejobs_tui.web",
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )


def _cells(text: object) -> int | None:
    """Returns a valid terminal width or height from what a browser sent, or None."""
    try:
        return max(20, min(500, int(str(text))))
    except ValueError:
        return None


async def _serve(
    socket: WebSocket, process: asyncio.subprocess.Process, seat: Seat, expires: float
) -> str | None:
    """Passes data in both directions until one side closes, the token expires or the seat is taken.

    Returns why the view ends, for its user; None if a side closed.
    """
    expired = asyncio.create_task(asyncio.sleep(max(0.0, expires - time.time())))
    taken = asyncio.create_task(seat.taken.wait())
    parts = [
        asyncio.create_task(_to_browser(socket, process)),
        asyncio.create_task(_from_browser(socket, process, seat)),
        expired,
        taken,
    ]
    try:
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
    for part in done:
        error = part.exception()
        # A closed socket or pipe is the normal end.
        if error and not isinstance(error, WebSocketDisconnect | OSError | RuntimeError | EOFError):
            logs.emit("viewer_failed", logging.ERROR, error=type(error).__name__)
    return EXPIRED if expired in done else TAKEN if taken in done else None


async def _to_browser(socket: WebSocket, process: asyncio.subprocess.Process) -> None:
    out = process.stdout
    if out is None or await out.readline() != GREETING:
        return
    while True:
        head = await out.readexactly(5)
        size = int.from_bytes(head[1:], "big")
        if size > PACKET_LIMIT:
            return
        content = await out.readexactly(size)
        # Other packets are dropped: the TUI sends no files or addresses to open.
        if head[:1] == b"D":
            await socket.send_bytes(content)
        elif head[:1] == b"M":
            packet = json.loads(content)
            if packet.get("type") == "exit":
                return
            if packet.get("type") == "place":
                told = {name: packet[name] for name in ("address", "title", "replace")}
                await socket.send_text(json.dumps(["place", told]))


async def _from_browser(socket: WebSocket, process: asyncio.subprocess.Process, seat: Seat) -> None:
    stdin = process.stdin
    while stdin is not None:
        text = await socket.receive_text()
        if len(text) > MESSAGE_LIMIT:
            return
        try:
            kind, *rest = json.loads(text)
            value = rest[0] if rest else None
        except (ValueError, TypeError, RecursionError):
            return
        if kind == "ping":
            await socket.send_text(json.dumps(["pong", str(value)[:40]]))
            continue
        if kind in ("stdin", "place"):
            seat.used = time.monotonic()
        packet = _to_packet(kind, value)
        if packet is not None:
            stdin.write(packet)
            await stdin.drain()


def _to_packet(kind: Any, value: Any) -> bytes | None:
    if kind == "stdin" and isinstance(value, str):
        return _framed(b"D", value.encode("utf-8", "replace"))
    if kind == "resize" and isinstance(value, dict):
        width, height = _cells(value.get("width")), _cells(value.get("height"))
        if width is None or height is None:
            return None
        return _meta({"type": "resize", "width": width, "height": height})
    if kind == "place" and isinstance(value, str):
        return _meta({"type": "place", "address": value[: LONGEST + 1]})
    if kind in ("focus", "blur"):
        return _meta({"type": kind})
    return None


def _meta(content: dict[str, Any]) -> bytes:
    return _framed(b"M", json.dumps(content).encode())


def _framed(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "big") + content


async def _end(process: asyncio.subprocess.Process) -> None:
    """Terminates the process, and kills it after ``PATIENCE``; leaves none behind."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except (TimeoutError, asyncio.CancelledError):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
