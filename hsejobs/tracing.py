"""OpenTelemetry traces: a span for each add, and one for each run of a job.

`tracer` is None while tracing is off, and opentelemetry is then not imported: callers test that and
nothing else. `start` turns tracing on if the environment or the program asks for it. ``docs/tracing.md``
describes the spans.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hsejobs import forks
from hsejobs.version import VERSION

if TYPE_CHECKING:
    from hsejobs.store.new_job import NewJob

#: The value of ``messaging.system``.
SYSTEM = "hsejobs"
#: Seconds that the spans which were not sent get when a process stops.
FLUSH_SECONDS = 2.0
#: What a missing distribution is reported with.
MISSING = "opentelemetry is not installed: pip install 'hsejobs[otel]'"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

#: Makes the spans; None: tracing is off.
tracer: Any = None
#: OpenTelemetry's modules ``trace`` and ``context``, once tracing is on.
api: Any = None
contexts: Any = None
#: The processor of the provider that this module has made; None: it is the program's own.
_processor: Any = None
#: Whether the environment was found not to ask for traces, or to ask for what cannot be done.
_refused = False
_lock = forks.lock()


def start() -> None:
    """Turns tracing on if it is asked for: by a tracer provider that the program has set, or by the
    environment. Call it again after setting a provider. A problem is logged once; no error is raised.
    """
    global tracer, api, contexts, _processor, _refused
    if tracer is not None or _value("OTEL_SDK_DISABLED").lower() == "true":
        return
    with _lock:
        provider = _program_provider()
        if provider is None and not _refused:
            problem = _problem(os.environ)
            if problem == "":
                try:
                    from hsejobs import trace_export

                    provider, _processor = trace_export.provider()
                    atexit.register(stop)
                except ImportError:
                    problem = MISSING
            _refused = provider is None
            if problem:
                emit("tracing is off", logging.ERROR, error=problem)
        if provider is not None:
            api = importlib.import_module("opentelemetry.trace")
            contexts = importlib.import_module("opentelemetry.context")
            tracer = provider.get_tracer("hsejobs", VERSION)


def stop() -> None:
    """Sends the spans that were not sent; takes at most ``FLUSH_SECONDS``."""
    if tracer is None:
        return
    if _processor is not None:
        flush = _processor.last
    else:
        flush = getattr(_program_provider(), "force_flush", lambda: None)
    # The SDK itself keeps to no limit.
    flushing = threading.Thread(target=flush, name="last spans", daemon=True)
    flushing.start()
    flushing.join(FLUSH_SECONDS)


def emit(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Logs a line about the process, as `watch.logs.emit`, which is above this module."""
    extra = {"fields": {"event": event, **fields}}
    logging.getLogger("hsejobs").log(level, event, extra=extra)


def _value(name: str, env: Mapping[str, str] = os.environ) -> str:
    return env.get(name, "").strip()


def _program_provider() -> Any:
    """The tracer provider that the program has set, without importing anything; or None."""
    api = sys.modules.get("opentelemetry.trace")
    return getattr(api, "_TRACER_PROVIDER", None)


def _problem(env: Mapping[str, str]) -> str | None:
    """Why this environment's traces cannot be exported; '' if they can, None if it asks for none."""
    exporter = _value("OTEL_TRACES_EXPORTER", env)
    if exporter == "none" or not (exporter or any(_value(one, env) for one in _ENDPOINTS)):
        return None
    if exporter not in ("", "otlp"):
        return "OTEL_TRACES_EXPORTER: must be otlp or none; others need a provider of the program's own"
    protocol = next((found for one in _PROTOCOLS if (found := _value(one, env))), "http/protobuf")
    if protocol != "http/protobuf":
        return "OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf, to port 4318 of most collectors"
    return ""


# -- adds


@contextlib.contextmanager
def sending(queue: str, new_jobs: Sequence[NewJob]) -> Iterator[Sequence[NewJob]]:
    """The span of an add, while the block adds the jobs that it is given: these carry the span's context.

    Its parent is the current span, else the one that the jobs carry. Tracing must be on.
    """
    given = new_jobs[0].trace if len(new_jobs) else ""
    context = None if api.get_current_span().get_span_context().is_valid else _context(given)
    about: dict[str, Any] = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": queue,
    }
    if len(new_jobs) == 1:
        about["messaging.message.id"] = new_jobs[0].id
        about["hsejobs.task"] = new_jobs[0].name
    else:
        about["messaging.batch.message_count"] = len(new_jobs)
    span = _begin(f"send {queue}", context, api.SpanKind.PRODUCER, about)
    try:
        yield [one._replace(trace=_carried(one.trace, span)) for one in new_jobs]
    except BaseException as error:
        _fail(span, str(getattr(error, "code", "") or type(error).__name__))
        raise
    finally:
        _end(span)


def _carried(trace: str, span: Any) -> str:
    """A job's trace with the context of this span in place of the one it had."""
    context = span.get_span_context()
    if not context.is_valid:
        return trace
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 255:02x}"
    return f"{trace.partition(' ')[0]} {parent}"


def _context(trace: str) -> Any:
    """The context of the span that a job carries; None if it carries none."""
    try:
        _, trace_id, span_id, flags = trace.partition(" ")[2].split("-")
        numbers = int(trace_id, 16), int(span_id, 16), int(flags, 16)
    except ValueError:
        return None
    remote = api.SpanContext(*numbers[:2], True, api.TraceFlags(numbers[2]))
    return api.set_span_in_context(api.NonRecordingSpan(remote))


# -- runs


class Run:
    """The span of one run of a job, which is the current span until `end`. Tracing must be on."""

    __slots__ = ("_span", "_token")

    def __init__(
        self, queue: str, job_id: str, task: str, attempt: int, organization: str | None, trace: str
    ) -> None:
        context = _context(trace)
        links: Sequence[Any] = ()
        if context is not None:
            links = (api.Link(api.get_current_span(context).get_span_context()),)
        about: dict[str, Any] = {
            "messaging.system": SYSTEM,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": queue,
            "messaging.message.id": job_id,
            "hsejobs.task": task,
            "hsejobs.attempt": attempt,
        }
        if organization:
            about["hsejobs.organization.id"] = organization
        # Whatever the thread's own context is: the run belongs to the trace of its add.
        context = contexts.Context() if context is None else context
        name = f"process {queue}"
        self._span = _begin(name, context, api.SpanKind.CONSUMER, about, links)
        self._token = contexts.attach(api.set_span_in_context(self._span))

    def end(self, outcome: str, code: str = "") -> None:
        """Ends the span; ``outcome`` as `engine.outcome.Outcome.kind`, ``code`` of an error."""
        contexts.detach(self._token)
        self._span.set_attribute("hsejobs.outcome", outcome)
        if outcome == "fail":
            _fail(self._span, code)
        _end(self._span)


@contextlib.contextmanager
def calling(name: str, **about: Any) -> Iterator[None]:
    """A span around a call to another server, such as a mail server; its error gives only its code.

    ``about`` are attributes; ``_`` in their names becomes a point. Nothing happens if tracing is off.
    """
    if tracer is None:
        yield
        return
    named = {key.replace("_", "."): value for key, value in about.items()}
    span = _begin(name, None, api.SpanKind.CLIENT, named)
    try:
        with api.use_span(span, record_exception=False, set_status_on_exception=False):
            yield
    except BaseException as error:
        _fail(span, str(getattr(error, "code", "") or type(error).__name__))
        raise
    finally:
        _end(span)


def _begin(name: str, context: Any, kind: Any, about: dict[str, Any], links: Any = ()) -> Any:
    """A new span; an invalid one if the program's own provider raises: no add and no job fails of it."""
    try:
        return tracer.start_span(name, context, kind, about, links)
    except Exception as error:
        emit("no span", logging.ERROR, error=f"the tracer provider raised {type(error).__name__}")
        return api.INVALID_SPAN


def _end(span: Any) -> None:
    try:
        span.end()
    except Exception as error:
        emit("no span", logging.ERROR, error=f"a span processor raised {type(error).__name__}")


def _fail(span: Any, code: str) -> None:
    """Marks a span as failed. An error's text may contain an organization's data: only its code is given."""
    span.set_attribute("error.type", code or "error")
    span.set_status(api.StatusCode.ERROR)
