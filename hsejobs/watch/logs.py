"""Structured logs: one JSON object per line, for jobs and for everything else.

Lines about jobs bypass ``logging``: at twenty thousand jobs per second, its records would cost more
than the jobs. These lines are formatted here and written directly, in batches while jobs are short.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol, TextIO

from hsejobs import codec, forks

_LEVEL_OF = {"stalled": logging.WARNING, "failed": logging.ERROR, "retrying": logging.WARNING}
_names = {logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}
#: The names of our own fields in a line about a job.
_OWN = frozenset(
    {
        "time",
        "level",
        "event",
        "jobId",
        "queue",
        "status",
        "organizationId",
        "requestId",
        "traceparent",
    }
)
#: Huey's messages that duplicate our own lines.
_DUPLICATES = (
    "Executing %s",
    "%s executed in %0.3fs",
    "Unhandled exception in task %s.",
    "Task %s raised RetryTask, retrying.",
    "Requeueing %s, %s retries",
    "Task %s was revoked, not executing",
    "Task %s expired, not executing.",
    "Task %s raised CancelExecution %s.",
    "Task %s not run, %s.",
    "Added task %s to schedule, eta %s",
    'Task %s id rate-limited on "%s", retrying in %s',
    "Received exit signal, %s did not finish.",
)

_logger = logging.getLogger("hsejobs.jobs")
_quote = json.encoder.encode_basestring
_encode = codec.encoder(default=str)


class _Sink:
    """Where lines go. Until ``configure`` is called, they go only to ``logging``."""

    def __init__(self) -> None:
        self.stream: TextIO | None = None
        self.handler: logging.Handler | None = None
        self.console = False
        self.level = logging.INFO
        #: Any thread may append; removing needs the lock.
        self.lines: deque[str] = deque()
        self.lock = forks.lock()


_sink = _Sink()


class _Fork:
    """Holds the locks during a fork, so that the child has no half-written line to write again."""

    held: logging.Handler | None = None

    @classmethod
    def before(cls) -> None:
        _sink.lock.acquire()
        cls.held = _sink.handler
        if cls.held is not None:
            cls.held.acquire()

    @classmethod
    def in_parent(cls) -> None:
        if cls.held is not None:
            cls.held.release()
        _sink.lock.release()

    @staticmethod
    def in_child() -> None:
        # `logging` and `forks` have reset the locks; the parent writes the buffered lines.
        _sink.lines.clear()


forks.around(_Fork.before, _Fork.in_parent, _Fork.in_child)


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Sends all log lines of this process to ``stream`` (default: stderr).

    ``level`` is a name such as ``INFO``; ``style`` is ``json`` or ``console``.
    """
    _sink.stream = stream or sys.stderr
    _sink.console = style == "console"
    _sink.level = logging.getLevelName(level)
    handler = logging.StreamHandler(_sink.stream)
    handler.setFormatter(_Formatter())
    handler.addFilter(_fresh)
    root = logging.getLogger()
    for name in ("huey", "hsejobs"):
        named = logging.getLogger(name)
        named.handlers.clear()
        named.setLevel(logging.NOTSET)
    root.handlers[:] = [handler]
    _sink.handler = handler
    root.setLevel(_sink.level)
    # Huey logs a line for each job: the level drops it before a record is created.
    # httpx logs the full URL of each call, which often contains a secret.
    for name in ("huey", "huey.consumer", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(max(_sink.level, logging.WARNING))


def _fresh(record: logging.LogRecord) -> bool:
    return not (record.name.startswith("huey") and record.msg in _DUPLICATES)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = dict(getattr(record, "fields", {}))
        if not fields:
            fields = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return _line(record.levelno, str(fields.pop("event", "log")), fields)


def _now() -> str:
    return _stamp(time.time_ns() // 1_000_000)


@lru_cache(maxsize=4)
def _stamp(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


def _start() -> str:
    """A line up to the name of its level."""
    return _start_at(time.time_ns() // 1_000_000)


@lru_cache(maxsize=4)
def _start_at(ms: int) -> str:
    # Many short jobs end in the same millisecond.
    return f'{{"time": "{_stamp(ms)}", "level": "'


@lru_cache(maxsize=1024)
def _about(queue: str, status: str, organization_id: str | None) -> str:
    """A line about a job after its id."""
    return (
        f'", "queue": "{queue}", "status": "{status}", "organizationId": {_quoted(organization_id)}'
    )


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _line(level: int, name: str, fields: dict[str, Any]) -> str:
    if _sink.console:
        shown = " ".join(f"{key}={value}" for key, value in fields.items() if value is not None)
        return f"{_now()} {logging.getLevelName(level):<7} {name:<12} {_printable(shown)}"
    head = {"time": _now(), "level": logging.getLevelName(level).lower(), "event": name}
    # The names in a queue's `log_fields` must not replace our own fields.
    return _encode({**head, **fields, **head})


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def wants_jobs() -> bool:
    """Whether log lines about single jobs are written anywhere."""
    if _sink.stream is not None:
        return _sink.level <= logging.INFO
    return _logger.isEnabledFor(logging.INFO)


@lru_cache(maxsize=1024)
def _quoted(text: str | None) -> str:
    return "null" if text is None else _quote(text)


def job(
    event: str,
    queue: str,
    job_id: str,
    status: str,
    organization_id: str | None,
    fields: dict[str, Any] | None = None,
    trace: str = "",
) -> None:
    """Buffers a line about a job for the next ``flush``; warnings and errors are written at once.

    ``trace``: of the request that added the job, as `trace_fields` takes it.
    """
    level = _LEVEL_OF.get(event, logging.INFO)
    if _sink.stream is None:
        if _logger.isEnabledFor(level):
            own: dict[str, Any] = {"jobId": job_id, "queue": queue, "status": str(status)}
            own.update({"organizationId": organization_id, "event": event})
            own = {**(fields or {}), **trace_fields(trace), **own}
            _logger.log(level, "%s %s/%s", event, queue, job_id, extra={"fields": own})
        return
    if level < _sink.level:
        return
    if _sink.console:
        about = {
            "jobId": job_id,
            "queue": queue,
            "status": status,
            "organizationId": organization_id,
        }
        line = _line(level, event, {**about, **(fields or {}), **trace_fields(trace), **about})
    else:
        if fields and not _OWN.isdisjoint(fields):
            fields = {name: one for name, one in fields.items() if name not in _OWN}
        line = (
            f'{_start()}{_names[level]}", "event": "{event}", "jobId": "{job_id}'
            f"{_about(queue, status, organization_id)}{_traced(trace) if trace else ''}"
            f"{', ' + _encode(fields)[1:] if fields else '}'}"
        )
    _sink.lines.append(line)
    if level > logging.INFO:
        flush()


def trace_fields(trace: str) -> dict[str, Any]:
    """The log fields for the request that added a job."""
    request_id, _, parent = trace.partition(" ")
    # A job that no request has added has a traceparent alone.
    found = {"requestId": request_id} if request_id else {}
    return {**found, "traceparent": parent} if parent else found


def _traced(trace: str) -> str:
    """As `trace_fields`, in a line."""
    request_id, _, parent = trace.partition(" ")
    found = f', "requestId": {_quote(request_id)}' if request_id else ""
    return f'{found}, "traceparent": {_quote(parent)}' if parent else found


class Completed(Protocol):
    """What the line of a completed job says of it."""

    id: str
    organization_id: str | None
    run_us: int
    trace: str


def completed(queue: str, jobs: Sequence[Completed]) -> None:
    """Buffers the lines of completed jobs, with ``duration`` in ms. These are the most frequent ones."""
    if _sink.stream is None or _sink.console:
        for one in jobs:
            fields = {"duration": one.run_us / 1000}
            job("completed", queue, one.id, "completed", one.organization_id, fields, one.trace)
    elif _sink.level <= logging.INFO:
        start = f'{_start()}info", "event": "completed", "jobId": "'
        _sink.lines.extend(
            [
                f'{start}{one.id}{_about(queue, "completed", one.organization_id)}, "duration": '
                f"{one.run_us / 1000}{_traced(one.trace) if one.trace else ''}}}"
                for one in jobs
            ]
        )


def request(
    request_id: str,
    client: str | None,
    method: str,
    path: str,
    status: int | None,
    seconds: float,
    organization_id: str | None,
    user_id: str | None,
) -> bool:
    """Logs an answered HTTP request; True if the line waits, and the caller must ``flush``."""
    duration = round(seconds * 1000, 2)
    if _sink.stream is not None and not _sink.console:
        if _sink.level > logging.INFO:
            return False
        _sink.lines.append(
            f'{_start()}info", "event": "request", "requestId": {_quote(request_id)}'
            f"{_asked(client, method, path, status)}, "
            f'"duration": {duration}{_asker(organization_id, user_id)}'
        )
        return True
    fields: dict[str, Any] = {
        "requestId": request_id,
        "client": client,
        "method": method,
        "path": path,
        "status": status,
        "duration": duration,
        "organizationId": organization_id,
        "userId": user_id,
    }
    if _sink.stream is None:
        emit("request", **fields)
    elif _sink.level <= logging.INFO:
        _sink.lines.append(_line(logging.INFO, "request", fields))
        return True
    return False


@lru_cache(maxsize=1024)
def _asked(client: str | None, method: str, path: str, status: int | None) -> str:
    """The part of a request's line between its id and its duration."""
    return (
        f', "client": {_quoted(client)}, "method": "{method}", "path": {_quote(path)}, '
        f'"status": {status or "null"}'
    )


@lru_cache(maxsize=1024)
def _asker(organization_id: str | None, user_id: str | None) -> str:
    """The end of a request's line."""
    return f', "organizationId": {_quoted(organization_id)}, "userId": {_quoted(user_id)}}}'


def flush() -> None:
    """Writes the buffered lines."""
    if not _sink.lines or _sink.stream is None:
        return
    with _sink.lock:
        lines = [_sink.lines.popleft() for _ in range(len(_sink.lines))]
        if lines:
            try:
                # An unescaped lone surrogate would raise, like a closed stream.
                _sink.stream.write(codec.whole("\n".join(lines)) + "\n")
                _sink.stream.flush()
            except (OSError, ValueError):
                # The stream is closed: drop further lines, and let the jobs continue.
                _sink.stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def emit(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Writes a line about the process itself, at once."""
    flush()
    logging.getLogger("hsejobs").log(level, event, extra={"fields": {"event": event, **fields}})
