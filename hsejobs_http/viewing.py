"""The TUI in a browser: each viewer has a process of its own, connected through a websocket.

Textual's web driver exchanges packets over its pipes: a letter (``D`` data,
``M`` meta), four bytes of length (big endian), the content. The browser's part
(textual-serve's script) sends JSON lists: ``["stdin", text]``, ``["resize",
{"width", "height"}]``, ``["ping", x]``, ``["focus"]``, ``["blur"]``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections import Counter
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from hsejobs.settings import Settings, redis_target
from hsejobs.watch import logs
from hsejobs_http.problems import Problem
from hsejobs_http.tokens import Caller

#: Views that one user may have open per shim process.
PER_USER = 3
#: Views reserved for operators, who must be able to look when all others do.
RESERVED = 2
#: With fewer views than this, none are reserved.
SHARED_FROM = 4
#: Characters in one message of a browser, bytes in one packet of a viewer.
MESSAGE_LIMIT, PACKET_LIMIT = 65_536, 16_777_216
#: Seconds in which a viewer must exit after SIGTERM.
PATIENCE = 3.0
GREETING = b"__GANGLION__\n"
#: The environment variables that a viewer gets: no keys, no database, no mail server.
_PASSED = ("PATH", "HOME", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH", "JOBS_HOME")
_PASSED_PREFIXES = ("QUEUE_", "JOBS_ALERT_")


class Viewers:
    """The viewers of one shim process: at most ``most``, and ``PER_USER`` per user.

    ``RESERVED`` of them are reserved for operators; one organization gets at most half of the others.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.most = settings, settings.http_viewers
        #: The limits for the members and admins of all organizations, and of one.
        self.others = self.share = self.most
        if self.most >= SHARED_FROM:
            self.others -= RESERVED
            self.share = self.others // 2
        self._users: Counter[tuple[str | None, str]] = Counter()
        #: Views of members and admins, by organization.
        self._organizations: Counter[str | None] = Counter()

    def reserve(self, who: Caller) -> None:
        """Reserves a view. Raises Problem 503 if there is none for this caller."""
        user = (who.organization_id, who.user_id)
        room = self._users.total() < self.most and self._users[user] < PER_USER
        if who.role != "operator":
            of_organization = self._organizations[who.organization_id]
            room = (
                room and self._organizations.total() < self.others and of_organization < self.share
            )
        if not room:
            raise Problem(
                503,
                "too_many_viewers",
                "too many views are open; close one, or wait",
                headers={"Retry-After": "30"},
            )
        self._users[user] += 1
        self._organizations[who.organization_id] += who.role != "operator"

    def release(self, who: Caller) -> None:
        """Ends a reservation that ``reserve`` made for this caller."""
        self._users[who.organization_id, who.user_id] -= 1
        self._organizations[who.organization_id] -= who.role != "operator"

    async def view(
        self, socket: WebSocket, who: Caller, organization_id: str | None, expires: float
    ) -> None:
        """Serves one viewer until the connection closes, the token expires or the shim stops.

        Raises Problem 503 at the start if too many views are open.
        """
        self.reserve(who)
        about: dict[str, Any] = {
            "userId": who.user_id,
            "organizationId": organization_id,
            "role": who.role,
        }
        try:
            await socket.accept()
            logs.emit("viewer_opened", **about)
            process = await self._start(socket, who, organization_id, expires)
            try:
                await _serve(socket, process, expires)
            finally:
                await _end(process)
                logs.emit("viewer_closed", exitStatus=process.returncode, **about)
        finally:
            self.release(who)
            with contextlib.suppress(Exception):
                await socket.close()

    async def _start(
        self, socket: WebSocket, who: Caller, organization_id: str | None, expires: float
    ) -> asyncio.subprocess.Process:
        view = {
            "userId": who.user_id,
            "role": who.role,
            "organizationId": organization_id,
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
            "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver",
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


async def _serve(socket: WebSocket, process: asyncio.subprocess.Process, expires: float) -> None:
    """Passes data in both directions until one side closes or the token expires."""
    parts = [
        asyncio.create_task(_to_browser(socket, process)),
        asyncio.create_task(_from_browser(socket, process)),
        asyncio.create_task(asyncio.sleep(max(0.0, expires - time.time()))),
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
        elif head[:1] == b"M" and json.loads(content).get("type") == "exit":
            return


async def _from_browser(socket: WebSocket, process: asyncio.subprocess.Process) -> None:
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
