"""Adds that need no task of their own: what uvicorn, asyncio and ASGI do for one costs as much as the add.

A request is taken when all of it has arrived, if nothing about it is wrong; any other one goes the ordinary
way, through the gate and the application, which says what is wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool

from hsejobs import tracing
from hsejobs.store.write import Added, NewJob
from hsejobs_http import creating
from hsejobs_http.answers import accepted
from hsejobs_http.problems import Problem, answer_to, stopping
from hsejobs_http.state import Shim

#: Writes an answer: its status, headers and body.
Write = Callable[[int, list[tuple[bytes, bytes]], bytes], None]


class DirectAdds:
    """Takes the requests; one for each process. ``gate`` identifies, checks and logs each."""

    def __init__(self, gate: Any, shim_state: Shim) -> None:
        self.gate, self.shim = gate, shim_state
        #: Requests whose jobs are on their way to Redis.
        self._open: set[_Request] = set()
        #: Those that are compared with the job that has their id.
        self._comparing: set[asyncio.Task[None]] = set()

    def take(self, scope: Any, queue: str, body: bytes, write: Write, loop: Any) -> bool:
        """Adds a job, and answers with ``write`` when it is in Redis; False: nothing was done.

        ``scope`` is that of ASGI, complete but for what the gate adds.
        """
        started = time.perf_counter()
        headers = dict(scope["headers"])
        info = self.shim.known(queue)
        if info is None or tracing.tracer is not None:
            return False
        request_id = self.gate.identify(scope, headers)
        try:
            self.gate.check(scope, headers)
            who = creating.check_adder(info, scope["caller"])
            new, artifacts = creating.prepare(
                self.shim, info, who, scope["headers"], body, scope["trace"]
            )
            if artifacts:
                return False
        except Exception:
            return False
        scope["endpoint"] = creating.create
        request = _Request(self, scope, queue, new, write, request_id, started)
        self._open.add(request)
        self.shim.adder.submit(queue, new, loop, request.added)
        return True

    def passes(self, scope: Any) -> bool:
        """Whether the head of a request is one that the gate lets through."""
        try:
            self.gate.check(scope, dict(scope["headers"]))
        except Problem:
            return False
        return True

    def close(self) -> None:
        """Answers the requests that are still open when the process stops."""
        for one in list(self._open):
            one.refuse(stopping())

    def closed(self, request: _Request) -> None:
        """Notes that a request has been answered."""
        self._open.discard(request)

    def compare(self, request: _Request, added: Added) -> None:
        """Compares a request with the job that has its id already; then it is answered."""
        task = asyncio.ensure_future(request.compare(added))
        self._comparing.add(task)
        task.add_done_callback(self._comparing.discard)


class _Request:
    """One request whose job is on its way to Redis; answered once."""

    __slots__ = ("adds", "answered", "new", "queue", "request_id", "scope", "started", "write")

    def __init__(
        self,
        adds: DirectAdds,
        scope: Any,
        queue: str,
        new: NewJob,
        write: Write,
        request_id: str,
        started: float,
    ) -> None:
        self.adds, self.scope, self.queue, self.new = adds, scope, queue, new
        self.write, self.request_id, self.started = write, request_id, started
        self.answered = False

    def added(self, result: Any) -> None:
        """Called on the loop with the result of the add, or with its error."""
        if isinstance(result, Exception):
            self.refuse(answer_to(result, self.request_id))
        elif result.created:
            self._answer(202, *accepted(self.queue, result))
        else:
            self.adds.compare(self, result)

    async def compare(self, added: Added) -> None:
        """Answers that the job was there before, unless it is another one with the same id."""
        scope = self.scope
        same = (self.adds.shim, self.queue, self.new, scope["caller"], scope["headers"])
        try:
            await run_in_threadpool(creating.check_same, *same)
        except Exception as error:
            self.refuse(answer_to(error, self.request_id))
        else:
            self._answer(202, *accepted(self.queue, added))

    def refuse(self, problem: Problem) -> None:
        """Answers with a problem."""
        response = problem.response()
        self._answer(response.status_code, response.raw_headers, bytes(response.body))

    def _answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        if self.answered:
            return
        self.answered = True
        self.adds.closed(self)
        self.write(status, [*headers, (b"x-request-id", self.request_id.encode())], body)
        self.adds.gate.log(self.scope, "POST", status, self.started, self.request_id)
