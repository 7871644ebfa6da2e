"""`--where` on the command line: lists, formats, acts and refusals."""

from __future__ import annotations

import csv
import io
import json

from hsejobs import codec
from hsejobs.store.client import RedisClient
from hsejobs.store.write import JobWriter, NewJob
from tests.cli.test_commands import document, run


def add(redis_url: str, job_id: str, org: str, trace: str = "") -> None:
    client = RedisClient(redis_url)
    new = NewJob(
        id=job_id,
        name="tasks.email.send_email",
        payload=codec.dumps({"to": ["user@example.com"], "subject": "=1+1"}),
        priority=3,
        attempts=1,
        backoff=1000,
        timeout=0,
        delay=600_000,
        organization_id=org,
        nonce="n",
        trace=trace,
    )
    JobWriter(client, "hsejobs").add("email", new)
    client.close()


def test_filters_on_the_command_line(redis_url: str) -> None:
    for name, org in (("a1", "org-7"), ("a2", "org-70"), ("b1", "org-7")):
        add(redis_url, name, org)
    listed = document("jobs", "email", "--where", "id~a org=org-7")
    assert (listed["status"], listed["total"], listed["next"]) == (None, 1, None)
    assert [one["id"] for one in listed["jobs"]] == ["a1"]
    find = ("jobs", "email", "--all", "--where")
    rows = list(csv.DictReader(io.StringIO(run(*find, "user@", "--format", "csv").stdout)))
    lines = run(*find, "user@", "--format", "jsonl").stdout.splitlines()
    every = document(*find, "user@")
    assert [one["id"] for one in rows] == ["a1", "a2", "b1"]
    assert [json.loads(line) for line in lines] == every["jobs"]
    assert (every["total"], every["next"]) == (3, None)
    assert run(*find, "user@").stdout.splitlines()[-1] == "3 jobs"
    wrong = run(*find, "orgg=1")
    assert wrong.returncode == 2
    assert "unknown field orgg; use id, name, error" in wrong.stderr


def test_what_one_request_caused(redis_url: str) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for name, trace in (("a", f"req-7 {parent}"), ("b", "req-7"), ("c", f" {parent}"), ("d", "")):
        add(redis_url, name, "org-7", trace)
    listed = document("jobs", "email", "--where", "request=req-7")["jobs"]
    assert {one["id"]: one["requestId"] for one in listed} == {"a": "req-7", "b": "req-7"}
    rest = document("jobs", "email", "--where", "request!=req-7")["jobs"]
    assert {one["id"]: one["requestId"] for one in rest} == {"c": None, "d": None}
    wrong = run("jobs", "email", "--where", "request=")
    assert (wrong.returncode, "without a value" in wrong.stderr) == (2, True)


def test_acts_by_filter(redis_url: str) -> None:
    for name, org in (("a1", "org-7"), ("a2", "org-70"), ("b1", "org-7")):
        add(redis_url, name, org)
    cancel = ("cancel", "email", "--where", "org=org-7")
    assert document(*cancel, "--dry-run") == {"matched": 2, "done": 0, "refused": []}
    assert run(*cancel).returncode == 2, "there is no terminal to ask on"
    done = document(*cancel, "--reason", "late", "--yes")
    assert done == {"matched": 2, "done": 2, "refused": []}
    assert run("retry", "email", "--where", "error~late").stdout == "retried 2 of 2\n"
    removal = ("remove", "email", "--where", "id~a", "--status", "waiting", "--yes")
    assert document(*removal)["done"] == 1
    # An empty variable in a script must not act on every job.
    for act in ("retry", "promote", "cancel", "remove"):
        assert "must have a term" in run(act, "email", "--where", "").stderr
    for refused in ("retry email b1 --dry-run", "cancel email b1 --where x"):
        assert run(*refused.split()).returncode == 2
