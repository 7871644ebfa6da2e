"""`?wait=`: answers once a job has ended; and `/events`: what happens, as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hsejobs import codec
from hsejobs.control import views
from hsejobs.errors import InvalidOption, JobNotFound, JobsError
from hsejobs.model import FINISHED, State, iso_time
from hsejobs.store import feed
from hsejobs.store.feed import Happening
from hsejobs.store.write import Added
from hsejobs_http.answers import answer
from hsejobs_http.problems import Problem
from hsejobs_http.routes import job_of
from hsejobs_http.state import actor, caller, number, scope, shim
from hsejobs_http.watching import LONGEST_WAIT, Watch, stopping

router = APIRouter(prefix="/api/jobs")
#: Seconds after which a waiting request looks at its job, whether there was an event or not.
LOOK_SECONDS = 5.0
#: Seconds between two comments on a stream without events, by which proxies see that it lives.
HEARTBEAT_SECONDS = 15.0
#: Seconds after which the stream of a running job looks for new lines of its log, which are no events.
LINES_SECONDS = 1.0
#: Seconds that a stream waits after an event for more of them, and after an outage.
GATHER_SECONDS, OUTAGE_SECONDS = 0.05, 2.0
MEDIA_TYPE = "text/event-stream"
#: The state that a job is in after an event; of others, the event does not tell.
STATUS = {
    **{state.value: state.value for state in State},
    "retrying": "delayed",
    "postponed": "delayed",
    "stalled": "waiting",
    "cancelling": "active",
}


def wait_seconds(request: Request) -> int:
    """The `wait` of a query, in seconds; 0 without one. Raises Problem 422, InvalidOption."""
    seconds: int = number(request, "wait", 0)
    if seconds > LONGEST_WAIT:
        raise InvalidOption("wait", f"must be whole seconds, 0 to {LONGEST_WAIT}")
    return seconds


async def until_ended(request: Request, queue: str, job_id: str, seconds: int) -> bool:
    """Waits until a job has ended, or is gone; returns whether it has within this time.

    Occupies no thread while it waits. Raises Problem 503 if too many requests wait.
    """
    shim_state = shim(request)
    reader = shim_state.runtime.reader
    deadline = time.monotonic() + seconds
    with shim_state.watcher.watch(caller(request), queue, job_id) as watch:
        while True:
            watch.clear()
            state = await run_in_threadpool(reader.status, queue, job_id)
            left = deadline - time.monotonic()
            if state is None or state in FINISHED:
                return True
            if left <= 0 or stopping().is_set() or await request.is_disconnected():
                return False
            await watch.wait(min(left, LOOK_SECONDS))


@router.get("/{queue}/jobs/{job_id}")
async def job(request: Request, queue: str, job_id: str) -> Response:
    """Shows one job and why it is where it is; with `wait`, once it has ended."""
    seconds = wait_seconds(request)
    if seconds:
        await run_in_threadpool(job_of, request, queue, job_id)
        await until_ended(request, queue, job_id, seconds)
    return await run_in_threadpool(_show, request, queue, job_id)


def _show(request: Request, queue: str, job_id: str) -> Response:
    record, info, who = job_of(request, queue, job_id, explained=True)
    return answer(views.job(record, info, actor(who)))


async def after_adding(request: Request, queue: str, added: Added, seconds: int) -> Response | None:
    """The job that was added, once it has ended; None if it has not within this time."""
    try:
        if not await until_ended(request, queue, added.id, seconds):
            return None
    except (JobsError, Problem):
        # The job is in Redis: whatever prevents the waiting does not change that.
        return None

    def show() -> dict[str, Any] | None:
        with contextlib.suppress(JobsError):
            record, info, who = job_of(request, queue, added.id, explained=True)
            return views.job(record, info, actor(who))
        return None

    shown = await run_in_threadpool(show)
    if shown is None:
        return None
    return answer({"jobId": added.id, "created": added.created, **shown})


@router.get("/{queue}/events")
async def queue_events(request: Request, queue: str) -> Response:
    """Streams what happens to a queue's jobs, as server-sent events."""
    await run_in_threadpool(shim(request).info, queue)
    return await _stream(request, queue, None)


@router.get("/{queue}/jobs/{job_id}/events")
async def job_events(request: Request, queue: str, job_id: str) -> Response:
    """Streams what happens to a job, as server-sent events."""
    await run_in_threadpool(job_of, request, queue, job_id)
    return await _stream(request, queue, job_id)


async def _stream(request: Request, queue: str, job_id: str | None) -> Response:
    """Raises InvalidOption for an invalid Last-Event-ID."""
    shim_state = shim(request)
    place = request.headers.get("last-event-id", "")
    organization_id = scope(request)
    if place:
        feed.check_place(place, "Last-Event-ID")
    else:
        runtime = shim_state.runtime
        place = await run_in_threadpool(feed.newest, runtime.redis, runtime.prefix, queue)
    return EventStream(request, queue, job_id, place, organization_id)


class Lines:
    """The lines that a job logs from `begin` on, as the caller may read them."""

    def __init__(self, request: Request, queue: str, job_id: str) -> None:
        self.request, self.queue, self.job_id = request, queue, job_id
        #: How many there were; -1: not known.
        self.total = -1
        #: Whether more may come without an event: only a running job logs, and its start is an event.
        self.open = True

    def begin(self) -> None:
        """Passes over the lines that exist already. Raises RedisUnavailable."""
        self.total = self._count()

    def news(self) -> list[str]:
        """The new lines; those that are no longer kept are left out. Raises RedisUnavailable."""
        self.open = True
        if self.total < 0:
            self.begin()
        with contextlib.suppress(JobNotFound):
            for _ in range(3):
                count = self._count()
                # A job that was removed and added again begins at 0.
                before = self.total = min(self.total, count)
                if count == before:
                    break
                record, info, who = job_of(self.request, self.queue, self.job_id)
                reader = shim(self.request).runtime.reader
                lines, total = views.logs(reader, record, info, actor(who))
                # Only then were no others added between the reading of the lines and that of their number.
                if total == count:
                    self.total = total
                    return (lines or [])[before - total :]
        return []

    def _count(self) -> int:
        reader = shim(self.request).runtime.reader
        count, self.open = reader.log_count(self.queue, self.job_id)
        return count


class EventStream(Response):
    """The stream: it ends when the caller goes, its token expires or the shim stops."""

    def __init__(
        self,
        request: Request,
        queue: str,
        job_id: str | None,
        place: str,
        organization_id: str | None,
    ) -> None:
        super().__init__(
            media_type=MEDIA_TYPE,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        del self.headers["content-length"]
        self.request, self.queue, self.job_id = request, queue, job_id
        self.place, self.organization_id = place, organization_id
        self.lines = None if job_id is None else Lines(request, queue, job_id)
        self.spoke = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Sends the answer."""
        shim_state = shim(self.request)
        if self.request.scope.get("head"):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        expires = shim_state.verifier.expiry(self.request.scope["token"])
        with shim_state.watcher.watch(caller(self.request), self.queue, self.job_id) as watch:
            if self.lines is not None:
                with contextlib.suppress(JobsError):
                    await run_in_threadpool(self.lines.begin)
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            # The first bytes tell the caller that the stream is open.
            await send({"type": "http.response.body", "body": b": open\n\n", "more_body": True})
            self.spoke = time.monotonic()
            gone = asyncio.ensure_future(_disconnected(receive))
            try:
                while not (gone.done() or stopping().is_set() or time.time() >= expires):
                    text = await self._next(watch, gone, expires - time.time())
                    if text:
                        self.spoke = time.monotonic()
                    body = {"type": "http.response.body", "body": text, "more_body": True}
                    await send(body)
            finally:
                gone.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self, watch: Watch, gone: asyncio.Future[None], left: float) -> bytes:
        """What to send next; waits for it."""
        watch.clear()
        runtime = shim(self.request).runtime
        where = (self.queue, self.place, self.organization_id, self.job_id)
        try:
            found = await run_in_threadpool(feed.stretch, runtime.redis, runtime.prefix, *where)
            # After the events: the last lines are written before the job's end.
            lines = await run_in_threadpool(self.lines.news) if self.lines else []
        except JobsError:
            await _first(gone, watch, OUTAGE_SECONDS)
            return b": Redis does not answer\n\n"
        self.place = found.place
        text = b"event: gap\ndata: {}\n\n" if found.gap else b""
        text += b"".join(_line(self.queue, self.job_id, one) for one in lines)
        text += b"".join(_message(self.queue, one) for one in found.happenings)
        if text or found.more:
            await asyncio.sleep(GATHER_SECONDS)
            return text
        quiet = HEARTBEAT_SECONDS + self.spoke - time.monotonic()
        lines_due = LINES_SECONDS if self.lines and self.lines.open else quiet
        await _first(gone, watch, min(left, quiet, lines_due))
        # Events that are not for this caller wake the stream, too.
        return b"" if time.monotonic() - self.spoke < HEARTBEAT_SECONDS else b": no events\n\n"


async def _first(gone: asyncio.Future[None], watch: Watch, seconds: float) -> None:
    """Waits for an event or the caller's end, at most so long."""
    event = asyncio.ensure_future(watch.wait(seconds))
    both: list[asyncio.Future[Any]] = [gone, event]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if gone.done():
        event.cancel()


async def _disconnected(receive: Any) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass


def _line(queue: str, job_id: str | None, line: str) -> bytes:
    # Without an id: after a reconnection, the stream goes on with the events after the last one.
    data = {"event": "log", "queue": queue, "jobId": job_id, "line": line}
    return b"event: log\ndata: %b\n\n" % codec.dumps(data)


def _message(queue: str, one: Happening) -> bytes:
    data: dict[str, Any] = {
        "event": one.kind,
        "queue": queue,
        "jobId": None if one.job_id == feed.NO_JOB else one.job_id,
        "at": iso_time(one.at),
    }
    # Two names, so that a browser needs two listeners and none for each kind of event.
    name = "progress" if one.kind == "progress" else "status"
    data[name] = one.progress if name == "progress" else STATUS.get(one.kind)
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        one.place.encode(),
        name.encode(),
        codec.dumps(data),
    )
