"""The id and trace of a request appear in every log line of its job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import redis

from tests.http.conftest import MAIL, Shim
from tests.support import wait_until

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def lines(log: Path, job_id: str) -> dict[str, dict[str, Any]]:
    """Returns the log lines of a job, by event."""
    found = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return {one["event"]: one for one in found if one.get("jobId") == job_id}


def matching(shim: Shim, where: str) -> list[dict[str, Any]]:
    """Returns the jobs of all pages."""
    query: dict[str, str] = {"where": where}
    found = []
    while True:
        page = shim.ask("GET", "/email/jobs", params=query).json()
        found += page["jobs"]
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


def test_request_id_and_trace_reach_all_log_lines(
    shim: Shim, tmp_path: Path, redis_client: redis.Redis
) -> None:
    given = {"X-Request-ID": "req-7", "traceparent": PARENT}
    traced = shim.ask("POST", "/email", json=MAIL, headers=given).json()["jobId"]
    made = shim.ask("POST", "/email", json=MAIL, headers={"traceparent": "00-nonsense"})
    worker_log = tmp_path / "worker.log"
    with worker_log.open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "hsejobs_cli", "worker", "email"],
            env={**os.environ},
            stdout=log,
            stderr=log,
        )
    try:
        untraced = made.json()["jobId"]
        wait_until(lambda: "completed" in lines(worker_log, traced), 30, "the mail")
        wait_until(lambda: "completed" in lines(worker_log, untraced), 30, "the other mail")
        (tmp_path / "outbox").rename(tmp_path / "elsewhere")
        (tmp_path / "outbox").write_text("in the way")
        failing = shim.ask("POST", "/email", json=MAIL, headers=given).json()["jobId"]
        wait_until(lambda: "retrying" in lines(worker_log, failing), 30, "the failure")
    finally:
        worker.terminate()
        assert worker.wait(30) == 0
    logged = [lines(shim.log, traced)["added"], *lines(worker_log, traced).values()]
    logged += lines(worker_log, failing).values()
    assert [one["event"] for one in logged] == [
        "added",
        "processing",
        "completed",
        "processing",
        "retrying",
    ]
    assert {(one["requestId"], one["traceparent"]) for one in logged} == {("req-7", PARENT)}
    other = lines(worker_log, untraced)["completed"]
    assert other["requestId"] == made.headers["x-request-id"]
    assert "traceparent" not in other
    sent = [json.loads(line) for line in shim.log.read_text().splitlines() if "req-7" in line]
    assert {one["event"] for one in sent} == {"added", "request"}
    first = next(one for one in sent if one["event"] == "request")
    assert (first["method"], first["path"], first["status"]) == ("POST", "/api/jobs/email", 202)
    assert (first["organizationId"], first["userId"]) == ("org-1", "ann")
    # Everything that the request caused, and nothing else; not by a part of its id.
    found = matching(shim, "request=req-7")
    assert {one["id"] for one in found} == {traced, failing}
    assert {one["requestId"] for one in found} == {"req-7"}
    assert matching(shim, "request=req-") == []
    wrong = shim.ask("GET", "/email/jobs", params={"where": "request="})
    assert (wrong.status_code, "without a value" in wrong.text) == (422, True)
    assert redis_client.hget(f"hsejobs:{{email}}:j:{traced}", "sg") == f" req-7 {PARENT}".encode()
