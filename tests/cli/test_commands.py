"""The command line, as people and programs use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.store.work import WorkerStore
from tests.support import wait_until
from tests.support.commands import run_text
from tests.support.programs import wait_for_log


def run(*words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return run_text(*words, stdin=stdin, env=env)


def document(*words: str) -> Any:
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


MAIL = '{"to":"user@example.com","subject":"Hi","text":"there"}'


def test_a_job_from_add_to_removal(redis_url: str) -> None:
    made = run("enqueue", "email", MAIL, "--id", "m1", "--delay", "600", "--org", "org-1")
    assert (made.returncode, made.stdout) == (0, "m1\n")
    assert document("stats")["email"]["delayed"] == 1
    job = document("job", "email", "m1")
    assert (job["status"], job["organizationId"], job["priority"]) == ("delayed", "org-1", 2)
    assert run("job", "email", "m1", "--org", "org-2").returncode == 1
    assert document("promote", "email", "m1")["status"] == "waiting"
    listed = document("jobs", "email", "--status", "waiting")
    assert (listed["total"], listed["next"], listed["jobs"][0]["id"]) == (1, None, "m1")
    assert document("pause", "email") == {"queue": "email", "isPaused": True}
    assert document("stats")["email"]["paused"] == 1
    assert run("jobs", "email", "--status", "paused").returncode == 0
    assert run("remove", "email", "m1").returncode == 2
    assert document("remove", "email", "m1", "--yes") == {"removed": 1, "id": "m1"}
    assert run("remove", "email", "m1", "--yes").returncode == 1


def test_a_cancelled_job_tells_who_and_why(redis_url: str) -> None:
    for name in ("m1", "m2"):
        run("enqueue", "email", MAIL, "--id", name, "--delay", "600", "--org", "org-1")
    assert run("cancel", "email", "m1", "--org", "org-2").returncode == 1
    done = run("cancel", "email", "m1", "--reason", "wrong month")
    assert (done.returncode, done.stdout) == (0, "cancelled m1\n")
    job = document("cancel", "email", "m2", "--reason", "x" * 500)
    assert (job["status"], job["cancel"]["reason"]) == ("failed", "x" * 500)
    job = document("job", "email", "m1")
    who = job["cancel"]["by"]
    assert job["failedReason"] == f"cancelled by {who}: wrong month"
    assert job["cancel"] == {"by": who, "reason": "wrong month", "at": job["finishedAt"]}
    assert "cancelled by" in run("job", "email", "m1").stdout
    again = run("cancel", "email", "m1")
    assert (again.returncode, "has ended already: it is failed (wrong_state)" in again.stderr) == (
        1,
        True,
    )
    for reason in ("two\nlines", "x" * 501, "\N{RIGHT-TO-LEFT OVERRIDE}x"):
        done = run("cancel", "email", "m1", "--reason", reason)
        assert (done.returncode, "reason" in done.stderr) == (2, True)


def test_a_second_cancel_of_a_running_job_changes_nothing(redis_url: str, tmp_path: Path) -> None:
    run("enqueue", "email", MAIL, "--id", "m1")
    work = WorkerStore(runtime().redis, runtime().prefix, "email")
    assert work.step([], 1, "t.1", 60_000)[1]
    first = document("cancel", "email", "m1", "--reason", "wrong month")
    who = first["cancel"]["by"]
    done = run("cancel", "email", "m1", "--reason", "me too")
    said = f"m1 was cancelled already, by {who}; nothing is changed\n"
    assert (done.returncode, done.stdout) == (0, said)
    assert document("cancel", "email", "m1")["cancel"] == first["cancel"]
    audit = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    cancels = [entry for entry in audit if entry["act"] == "cancel"]
    assert [entry["count"] for entry in cancels] == [1, 0, 0]
    runtime().redis.close()
    reset_runtime()


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["enqueue", "email", "{"], 2, "line 1"),
        (["enqueue", "email", '{"to":NaN}'], 2, "NaN"),
        (["enqueue", "email", '{"to":"a@b.example","to":"b@b.example"}'], 2, "twice"),
        (["enqueue", "email", "{}"], 2, "to: "),
        (["enqueue", "email", MAIL, "--priority", "9"], 2, "priority"),
        (["enqueue", "email", MAIL, "--id", "../x"], 2, "job_id"),
        (["enqueue", "email", MAIL, "--id", "a b"], 2, "job_id"),
        (["enqueue", "email", MAIL, "--id", "\N{GRINNING FACE}"], 2, "job_id"),
        (["enqueue", "email", MAIL, "--delay", "-1"], 2, "delay"),
        (["enqueue", "nope", "{}"], 1, "known queues"),
        (["jobs", "email", "--status", "lost"], 2, "status"),
        (["jobs", "email", "--limit", "0"], 2, "limit"),
        (["retry", "email", "nothing"], 1, "no job"),
        (["clean", "email", "--status", "active", "--grace", "1h", "--yes"], 2, "active"),
        (["clean", "email", "--status", "failed", "--grace", "soon", "--yes"], 2, "grace"),
        (["schedules", "run", "nothing"], 1, "schedule"),
        (["circuits", "close", "webhook:-:a.example:443"], 1, "hsejobs circuits"),
        (["circuits", "open", "nothing"], 1, "webhook:ORG:HOST:PORT"),
    ],
)
def test_refusals(redis_url: str, words: list[str], status: int, says: str) -> None:
    done = run(*words)
    assert done.returncode == status, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_circuits(redis_url: str) -> None:
    assert document("circuits") == []
    name = "webhook:org-1:a.example:443"
    opened = document("circuits", "open", name)
    assert (opened["state"], opened["byHand"], opened["organizationId"]) == ("open", True, "org-1")
    assert document("circuits") == [opened]
    assert document("circuits", "--org", "org-2") == []
    assert name in run("circuits").stdout
    closed = document("circuits", "close", name)
    assert (closed["state"], closed["byHand"], closed["host"]) == ("closed", False, "a.example:443")
    assert run("circuits", "open", "smtp:mail.example:25").stdout.endswith("is open\n")


def test_a_secret_is_never_repeated(redis_url: str) -> None:
    payload = {
        "url": "https://a.example/",
        "payload": {},
        "secret": "s3cr3t-s3cr3t",
        "eventType": "x",
    }
    bad = run("enqueue", "webhooks", json.dumps({**payload, "eventType": ""}))
    assert bad.returncode == 2
    assert "eventType" in bad.stderr
    assert run("enqueue", "webhooks", json.dumps(payload), "--id", "w").returncode == 0
    shown = run("job", "webhooks", "w").stdout + run("jobs", "webhooks", "--json").stdout
    assert "s3cr3t" not in bad.stderr + shown
    assert "***" in shown


def test_a_payload_over_the_limit_is_refused(redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "mail.json"
    file.write_text(json.dumps({"to": "a@b.example", "subject": "x", "text": "y" * 103_000}))
    done = run("enqueue", "email", f"@{file}")
    assert done.returncode == 2
    assert "102,400" in done.stderr
    assert document("stats")["email"]["total"] == 0


def test_no_redis_and_an_invalid_setting(short_tmp: Path) -> None:
    away = run("stats", QUEUE_REDIS_URL=f"unix://{short_tmp}/nothing.sock")
    assert away.returncode == 3
    assert "Traceback" not in away.stderr
    bad = run("stats", QUEUE_CONCURRENCY="many")
    assert bad.returncode == 2
    assert "QUEUE_CONCURRENCY" in bad.stderr


def test_up_runs_a_job_and_stops_cleanly(short_tmp: Path) -> None:
    home = {"JOBS_HOME": str(short_tmp)}
    log = (short_tmp / "up.log").open("wb")
    up = subprocess.Popen(
        [sys.executable, "-m", "hsejobs_cli", "up", "--headless"],
        env={**os.environ, **home},
        stdout=log,
        stderr=log,
    )
    try:
        started = short_tmp / "up.log"
        wait_for_log(up, started, "processor started", 6)
        mail = '{"to":"a@example.com","template":"welcome","context":{"name":"Ann"}}'
        done = run("enqueue", "email", mail, "--wait", **home)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["via"] == "outbox"
        assert len(list((short_tmp / "outbox").glob("*.eml"))) == 1
        assert (short_tmp / "secret.key").stat().st_mode & 0o777 == 0o600
        assert run("up", "--headless", **home).returncode == 1
        children = {worker["pid"] for worker in json.loads(run("workers", "--json", **home).stdout)}
        assert len(children) == 6
        up.send_signal(signal.SIGKILL)
        up.wait()
        wait_until(lambda: not any(map(alive, children)), 20, "the end of the consumers")
        wait_until(lambda: run("stats", **home).returncode == 3, 20, "the end of Redis")
    finally:
        up.kill()
        up.wait()
        log.close()


def alive(pid: int) -> bool:
    try:
        return "huey_consumer" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def test_verify_finds_a_job_in_no_state_and_repairs_it(redis_url: str) -> None:
    assert run("enqueue", "email", MAIL, "--id", "m1", "--delay", "600").returncode == 0
    client = redis.Redis.from_url(redis_url)
    client.zrem("hsejobs:{email}:delayed", "m1")
    client.hset("hsejobs:{email}:j:m1", "ra", "-nan")
    client.close()
    verified = run("verify", "email")
    assert (verified.returncode, "m1" in verified.stdout, "no_index" in verified.stdout) == (
        1,
        True,
        True,
    )
    checked = json.loads(run("doctor", "--jobs", "--json").stdout)["checks"]
    assert [one["check"] for one in checked if not one["ok"] and "jobs of" in one["check"]] == [
        "jobs of email (1 checked)"
    ]
    done = run("verify", "--repair", "--json")
    assert done.returncode == 0
    [email] = [one for one in json.loads(done.stdout)["queues"] if one["found"]]
    assert (email["queue"], email["repaired"], email["left"]) == ("email", 2, 0)
    assert run("verify").returncode == 0
    assert document("job", "email", "m1")["status"] == "waiting" or document(
        "promote", "email", "m1"
    )
    assert run("verify", "no-such-queue").returncode == 1
