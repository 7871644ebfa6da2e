"""Export spans with OpenTelemetry's SDK, in the background. Imported only where tracing is on."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from hsejobs import forks, trace_encoding, tracing

#: Seconds for an export when the process ends: less than the shortest wait before the SDK's second try.
LAST_SECONDS = 0.7


def provider() -> tuple[TracerProvider, PerProcess]:
    """Makes the process's global tracer provider, as the environment sets it, and returns it with its
    processor.

    The instrumentations of other libraries use it, too.
    """
    # Its own lines would repeat for each batch, and for each span that it drops.
    for name in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create(None if named else {SERVICE_NAME: "hsejobs"})
    made = TracerProvider(resource=resource, shutdown_on_exit=False)
    processor = PerProcess()
    made.add_span_processor(processor)
    trace.set_tracer_provider(made)
    return made, processor


class PerProcess(SpanProcessor):
    """Collects ended spans. The thread and the connection that export them are each process's own: they
    are made when the first span ends in it, never inherited by a fork.
    """

    def __init__(self) -> None:
        self._batches: BatchSpanProcessor | None = None
        self._exporter: Quiet | None = None
        self._lock = forks.lock()
        #: Those of the parents: without a reference, their threads' end would be waited for.
        self._inherited: list[Any] = []
        forks.around(_nothing, _nothing, self._in_child)

    def on_end(self, span: ReadableSpan) -> None:
        (self._batches or self._open()).on_end(span)

    def _open(self) -> BatchSpanProcessor:
        with self._lock:
            if self._batches is None:
                self._exporter = Quiet()
                self._batches = BatchSpanProcessor(self._exporter)
            return self._batches

    def _in_child(self) -> None:
        if self._batches is not None:
            self._inherited.append(self._batches)
            self._batches = None

    def last(self) -> None:
        """Exports what is left, with one try; the process is about to end."""
        if self._batches is not None and self._exporter is not None:
            self._exporter.hurry()
            self._batches.force_flush()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches is None or self._batches.force_flush(timeout_millis)

    def shutdown(self) -> None:
        if self._batches is not None:
            self._batches.shutdown()  # type: ignore[no-untyped-call]


class _Exporter(OTLPSpanExporter):
    """Sends what our own encoder makes of the spans; the SDK's takes as long as the rest of a span."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        client = getattr(self, "_client", None)
        if client is None or self._shutdown:
            # Another release of the SDK, or a stop.
            return super().export(spans)
        done = client.export(trace_encoding.encode(spans)).success
        return SpanExportResult.SUCCESS if done else SpanExportResult.FAILURE


class Quiet(SpanExporter):
    """Logs one line when exports begin to fail, and one when they work again."""

    def __init__(self) -> None:
        self._exporter = _Exporter()
        self._failing = False

    def hurry(self) -> None:
        """Makes one short try of each further export; ends the tries of one that fails just now."""
        before, self._exporter = self._exporter, _Exporter(timeout=LAST_SECONDS)
        if self._failing:
            before.shutdown()  # type: ignore[no-untyped-call]

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        done = self._exporter.export(spans)
        failed = done is not SpanExportResult.SUCCESS
        if failed and not self._failing:
            text = "the collector does not answer, or refuses them; see OTEL_EXPORTER_OTLP_ENDPOINT"
            tracing.emit("traces are not exported", logging.ERROR, error=text)
        elif self._failing and not failed:
            tracing.emit("traces are exported again")
        self._failing = failed
        return done

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _nothing() -> None:
    """No preparation."""
