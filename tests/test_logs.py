"""Log lines about jobs: a payload never hides their own fields."""

from __future__ import annotations

import io
import json
import logging

import pytest

from hsejobs.watch import logs
from tasks.webhooks import _shown

PAYLOAD = {"url": "https://a.example/", "payload": {}, "eventType": "incident.created"}


@pytest.mark.parametrize(
    "fields", [_shown(PAYLOAD), {"event": "x", "time": "x", "level": "x", "jobId": "x"}]
)
def test_a_queues_own_fields_hide_nothing(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, str]
) -> None:
    sink = logs._Sink()
    sink.stream = io.StringIO()
    monkeypatch.setattr(logs, "_sink", sink)
    logs.job("lost", "webhooks", "j-1", "lost", "org-1", fields)
    logs.flush()
    line = json.loads(sink.stream.getvalue())
    assert (line["event"], line["jobId"], line["level"]) == ("lost", "j-1", "info")
    assert line["time"] != "x"
    assert line.get("eventType") == fields.get("eventType")


def test_a_queues_own_fields_hide_nothing_in_another_programs_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logs, "_sink", logs._Sink())
    with caplog.at_level(logging.INFO, "hsejobs.jobs"):
        logs.job("lost", "webhooks", "j-1", "lost", "org-1", {"event": "x", "host": "h"})
    [record] = caplog.records
    assert record.fields["event"] == "lost"  # type: ignore[attr-defined]
    assert record.fields["host"] == "h"  # type: ignore[attr-defined]
