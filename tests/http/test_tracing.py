"""OpenTelemetry: one trace from an HTTP request to its follow-ups, and nothing while it is off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from hsejobs.engine.runtime import reset_runtime, runtime
from tests.http import traced_jobs
from tests.http.conftest import Shim, free_port, running
from tests.services.conftest import Server
from tests.services.conftest import mail_server as mail_server  # the fixture itself
from tests.support import wait_until
from tests.support.collector import Collector, attributes, collecting
from tests.support.consumers import Consumers, consumers
from tests.webhooks.endpoints import ok, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
SECRET = "s3cr3t-s3cr3t"
RELAY = "tests.http.traced_jobs.huey"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Consumers]:
    with consumers(tmp_path) as made:
        yield made


def test_one_trace_from_the_request_to_the_follow_ups(
    collector: Collector,
    started: Consumers,
    redis_url: str,
    mail_server: Server,
    tmp_path: Path,
) -> None:
    inbox = mail_server()
    env = {
        **collector.env,
        "SMTP_URL": inbox.url + "?starttls=never",
        "SMTP_FROM": "noreply@hse.digital",
        "WEBHOOK_ALLOW_PRIVATE": "1",
    }
    processes = [
        started.start(RELAY, "-w", "1", "-k", "process", **env),
        started.start("tasks.email.huey", "-w", "1", **env),
        started.start("tasks.webhooks.huey", "-w", "1", **env),
    ]
    mail = {"to": "user@example.com", "subject": "private", "text": "private"}
    with serving(ok) as endpoint, running(tmp_path, **env) as shim:
        hook = {"url": endpoint.url(), "eventType": "a.b", "payload": {}, "secret": SECRET}
        wait_until(lambda: _described(shim), 20, "the three queues")
        # A request that adds nothing has no span: its path may be a signed link.
        shim.ask("GET", "/relay/jobs?where=private", "operator")
        sent = shim.ask(
            "POST",
            "/relay",
            "operator",
            json={"email": mail, "webhooks": hook, "organizationId": "org-7"},
            headers={"traceparent": PARENT},
        )
        assert sent.status_code == 202, sent.text
        ends = ("process relay", "process email", "process webhooks")
        wait_until(lambda: all(map(collector.named, ends)), 30, "the spans of all runs")
        wait_until(lambda: collector.named("send relay"), 10, "the span of the request")
    for one in processes:
        one.terminate()
        assert one.wait(20) == 0
    assert endpoint.requests
    assert len(inbox.mails) == 1
    (relay,) = collector.named("process relay")
    assert {one.trace_id.hex() for one in collector.spans} == {TRACE}
    (first,) = collector.named("send relay")
    assert first.parent_span_id.hex() == "b7ad6b7169203331"
    _check_pair(first, relay)
    for queue, call in (("email", "SMTP"), ("webhooks", "POST")):
        (add,), (run,) = collector.named(f"send {queue}"), collector.named(f"process {queue}")
        assert add.parent_span_id == relay.span_id
        _check_pair(add, run)
        (inner,) = collector.named(call)
        assert (inner.kind, inner.parent_span_id) == (Span.SPAN_KIND_CLIENT, run.span_id)
    assert attributes(relay) == {
        "messaging.system": "hsejobs",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "relay",
        "messaging.message.id": sent.json()["jobId"],
        "hsejobs.task": "tests.http.traced_jobs.relay",
        "hsejobs.attempt": 1,
        "hsejobs.organization.id": "org-7",
        "hsejobs.outcome": "completed",
    }
    assert collector.services == {"hsejobs"}
    everything = "".join(map(str, collector.spans))
    assert not [one for one in ("private", SECRET, "user@", endpoint.url()) if one in everything]


def _described(shim: Shim) -> bool:
    found = shim.ask("GET", "/stats", "operator").text
    return all(f'"{queue}"' in found for queue in ("relay", "email", "webhooks"))


def _check_pair(add: Span, run: Span) -> None:
    assert (add.kind, run.kind) == (Span.SPAN_KIND_PRODUCER, Span.SPAN_KIND_CONSUMER)
    assert run.parent_span_id == add.span_id
    assert [(one.trace_id, one.span_id) for one in run.links] == [(add.trace_id, add.span_id)]
    assert attributes(add)["messaging.message.id"] == attributes(run)["messaging.message.id"]


def test_an_error_gives_its_code_and_a_batch_is_one_span(
    collector: Collector, started: Consumers, redis_url: str
) -> None:
    worker = started.start(RELAY, "-w", "1", **collector.env)
    program = (
        "from tests.http.traced_jobs import many, relay;"
        "relay.add({'broken': 'a private text'}); many.add({})"
    )
    _run(program, **collector.env)
    wait_until(lambda: len(collector.named("process relay")) == 5, 30, "the runs")
    worker.terminate()
    assert worker.wait(20) == 0
    runs = collector.named("process relay")
    (failed,) = [one for one in runs if attributes(one)["hsejobs.outcome"] == "fail"]
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed)["error.type"] == "error"
    assert "a private text" not in "".join(map(str, collector.spans))
    batch = [one for one in collector.named("send relay") if "messaging.batch" in str(one)]
    assert [attributes(one)["messaging.batch.message_count"] for one in batch] == [3]
    assert sum(one.parent_span_id == batch[0].span_id for one in runs) == 3
    # Each add of the program began a trace; what a job adds belongs to its own.
    assert len({one.trace_id for one in collector.spans}) == 2


def _run(program: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_nothing_is_imported_while_it_is_off(redis_url: str) -> None:
    # redis-py loads a part of opentelemetry by itself, wherever it is installed.
    program = """
import os, redis, sys
before = set(sys.modules)
from hsejobs import tracing
from hsejobs.watch import logs
from tests.http.traced_jobs import leaf
logs.configure("INFO", "json")
for env in (
    {},
    {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"},
    {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"},
    {"OTEL_TRACES_EXPORTER": "zipkin"},
    {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"},
):
    os.environ.update(env)
    tracing._refused = False
    for _ in range(2):
        tracing.start()
        assert leaf.add(1).created
    assert tracing.tracer is None
    for name in env:
        del os.environ[name]
print([one for one in sys.modules if one.startswith("opentelemetry") and one not in before])
"""
    told = _run(program)
    assert "[]" in told.splitlines()
    errors = [line for line in told.splitlines() if "tracing is off" in line]
    assert [json.loads(line)["error"].partition(":")[0] for line in errors] == [
        "OTEL_TRACES_EXPORTER",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ]


def test_a_collector_that_is_away_costs_a_log_line(
    started: Consumers, redis_url: str, tmp_path: Path
) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    worker = started.start(RELAY, "-w", "1", **env)
    traced_jobs.huey._registered = None

    def drain() -> int:
        return sum(one.wait(30) for one in traced_jobs.leaf.add_many(range(300)))

    log = tmp_path / f"{RELAY}.log"
    assert drain() == sum(range(300))
    wait_until(lambda: "traces are not exported" in log.read_text(), 20, "the log line")
    assert drain() == sum(range(300))
    worker.terminate()
    assert worker.wait(20) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    about = [one for one in lines if "trace" in one["event"] or "opentelemetry" in str(one)]
    assert [one["event"] for one in about] == ["traces are not exported"]
    runtime().redis.close()
    reset_runtime()


def test_the_program_s_own_provider_is_used(redis_url: str) -> None:
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
from tests.http.traced_jobs import leaf
with trace.get_tracer("own").start_as_current_span("request"):
    leaf.add(1)
add, request = kept.get_finished_spans()
assert add.name == "send relay" and add.parent.span_id == request.context.span_id

class Broken(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise RuntimeError

provider.add_span_processor(Broken())
assert leaf.add(2).created
"""
    # The job is added nevertheless.
    assert _run(program) == "no span\n"
