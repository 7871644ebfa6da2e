"""Our encoder of spans writes what the SDK's writes, for every kind of span."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hsejobs.trace_encoding import encode

TEXTS = st.sampled_from(["a", "", "tasks.email.send_email", "ü" * 70, "x" * 200, "y" * 20_000])
VALUES = st.one_of(
    TEXTS, st.booleans(), st.integers(-5, 2**40), st.floats(allow_nan=False), st.just(["a", "b"])
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["a", "messaging.message.id", "k" * 130, "hsejobs.attempt"]), VALUES
)


def contexts(remote: bool) -> st.SearchStrategy[trace.SpanContext]:
    numbers = st.integers(1, 2**64 - 1)
    return st.builds(
        lambda a, b, state: trace.SpanContext(a, b, remote, trace.TraceFlags(1), state),
        numbers,
        numbers,
        st.sampled_from([None, trace.TraceState([("k", "v")])]),
    )


SPANS = st.fixed_dictionaries(
    {
        "name": TEXTS,
        "kind": st.sampled_from(list(trace.SpanKind)),
        "attributes": ATTRIBUTES,
        "parent": st.one_of(st.none(), contexts(True), contexts(False)),
        "links": st.lists(st.tuples(contexts(True), ATTRIBUTES), max_size=2),
        "event": st.booleans(),
        "status": st.sampled_from(["", "ok", "failed", "described"]),
        "scope": st.sampled_from(["hsejobs", "other", ""]),
    }
)


def made(about: dict[str, Any], provider: TracerProvider) -> None:
    links = [trace.Link(context, attributes) for context, attributes in about["links"]]
    parent = about["parent"] and trace.NonRecordingSpan(about["parent"])
    tracer = provider.get_tracer(about["scope"], "1.0" if about["scope"] == "hsejobs" else None)
    span = tracer.start_span(
        about["name"],
        trace.set_span_in_context(parent) if parent else None,
        about["kind"],
        about["attributes"],
        links,
    )
    if about["event"]:
        span.add_event("something", {"a": 1})
    if about["status"] == "ok":
        span.set_status(trace.StatusCode.OK)
    elif about["status"]:
        text = "why" if about["status"] == "described" else None
        span.set_status(trace.Status(trace.StatusCode.ERROR, text))
    span.end()


@settings(max_examples=150, deadline=None)
@given(st.lists(SPANS, max_size=4))
def test_every_span_is_encoded_as_by_the_sdk(found: list[dict[str, Any]]) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "hsejobs"}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for one in found:
        made(one, provider)
    spans = kept.get_finished_spans()
    assert len(spans) == len(found)
    # Which of the two encoders had a span decides its place, but nothing else.
    ours = ExportTraceServiceRequest.FromString(encode(spans))
    assert _by_id(ours) == _by_id(encode_spans(spans))


def _by_id(request: ExportTraceServiceRequest) -> dict[bytes, Any]:
    found = {
        span.span_id: (span, of_scope.scope, of_scope.schema_url, of_resource.resource)
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    }
    assert all(span.IsInitialized() for span, *_ in found.values())
    return found


def test_hsejobs_own_spans_are_not_left_to_the_sdk(monkeypatch: Any) -> None:
    def refused(spans: list[ReadableSpan]) -> None:
        raise AssertionError("left to the SDK")

    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    about = {
        "name": "process email",
        "kind": trace.SpanKind.CONSUMER,
        "attributes": {"messaging.system": "hsejobs", "hsejobs.attempt": 1},
        "parent": trace.SpanContext(1, 2, True, trace.TraceFlags(1)),
        "links": [(trace.SpanContext(1, 2, True, trace.TraceFlags(1)), {})],
        "event": False,
        "status": "failed",
        "scope": "hsejobs",
    }
    made(about, provider)
    monkeypatch.setattr("hsejobs.trace_encoding.encode_spans", refused)
    assert encode(kept.get_finished_spans())
