"""`hsejobs tenants erase`: nothing of the organization is left, and all of the others."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
import redis

from hsejobs.engine.runtime import runtime
from hsejobs.errors import QueueBusy
from hsejobs.mentions import mentions
from hsejobs.store.circuits import Circuits, webhook_circuit
from hsejobs.store.work import WorkerStore
from tasks import queue_email
from tests.cli.test_commands import document, run
from tests.support.consumers import Consumers
from tests.support.leaks import find_leaks
from tests.support.server import Server
from tests.tenants.conftest import MAIL, fresh, in_files, in_redis, live, total

ORG, OTHER = "org-123", "org-124"


@contextlib.contextmanager
def adding_meanwhile(log: BinaryIO) -> Iterator[list[Any]]:
    """Keeps adding the other tenant's jobs and log lines; yields the jobs."""
    going, added = threading.Event(), []

    def add() -> None:
        while not going.is_set():
            log.write(b'{"event": "meanwhile", "organizationId": "%s"}\n' % OTHER.encode())
            log.flush()
            added.append(queue_email(MAIL, organization_id=OTHER))
            going.wait(0.02)

    adding = threading.Thread(target=add)
    adding.start()
    try:
        yield added
    finally:
        going.set()
        adding.join()
        log.close()


def test_nothing_is_left_and_the_others_have_all(
    redis_server: Server,
    redis_client: redis.Redis,
    platform_workers: Consumers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    redis_server.restart(appendonly=True)
    live(ORG, tmp_path, platform_workers)
    runtime().writer.resume("reports")
    live(OTHER, tmp_path, platform_workers)
    runtime().writer.resume("reports")
    there = document("tenants", "erase", ORG, "--dry-run")
    assert there["jobs"]["email"] == {"completed": 4, "delayed": 1}
    for name in ("files", "mails", "circuits", "counters", "platformRows", "bytes"):
        assert there[name] > 0, name
    assert in_redis(redis_client, ORG.encode())
    assert len(in_files(tmp_path, ORG.encode())) > 5
    assert in_files(redis_server.folder, ORG.encode())
    before = document("tenants", "erase", OTHER, "--dry-run")

    # As `hsejobs up` keeps them; others append to them meanwhile.
    (tmp_path / "logs").mkdir()
    log = (tmp_path / "logs" / "email.log").open("ab")
    log.write((platform_workers.folder / "huey_config.email.log").read_bytes())
    log.flush()
    (tmp_path / "logs" / "email.log.1").write_text(f"half a line of {ORG} and not JSON")
    with adding_meanwhile(log) as added:
        # Rewriting the server's file needs more than the least rights.
        monkeypatch.setenv("QUEUE_REDIS_URL", redis_server.url)
        done = run("tenants", "erase", ORG, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    gone = json.loads(done.stdout)
    jobs = sum(n for states in there["jobs"].values() for n in states.values())
    assert gone["jobs"] == jobs
    assert gone["files"] == there["files"]
    assert gone["mails"] == there["mails"]
    assert gone["notRewritten"] is None
    assert gone["logLines"] > 5

    assert in_redis(redis_client, ORG.encode()) == []
    [(name, _)] = in_files(tmp_path, ORG.encode())
    assert name == "audit.log"
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [one["act"] for one in lines if ORG in json.dumps(one)] == ["tenants erase"]
    assert [one["act"] for one in lines] == ["retry"] * 4 + ["tenants erase"]
    assert in_files(redis_server.folder, ORG.encode()) == []
    assert find_leaks(redis_client, "hsejobs") == []

    told = (tmp_path / "logs" / "email.log").read_text()
    assert [json.loads(line)["event"] for line in told.splitlines()].count("erased") > 4
    assert told.count(f'"meanwhile", "organizationId": "{OTHER}"') == len(added)

    assert len(added) > 5
    for job in added:
        job.wait(30)
    after = document("tenants", "erase", OTHER, "--dry-run")
    before["jobs"]["email"]["completed"] += len(added)
    for name in ("jobs", "files", "bytes", "circuits", "platformRows"):
        assert after[name] == before[name], name
    # Once more is no error, and finds nothing.
    assert run("tenants", "erase", ORG, "--yes").returncode == 0


def test_one_whose_name_begins_the_same_keeps_all(redis_url: str, tmp_path: Path) -> None:
    fresh()
    circuits = Circuits(runtime().redis, "hsejobs")
    for org in ("o", "o-1", "o-12", "o:1", "O-1"):
        queue_email(MAIL, organization_id=org, job_id=f"{org}:a")
        circuits.open(webhook_circuit(org, "example.com:443"))
    done = run("tenants", "erase", "o-1", "--yes")
    assert done.returncode == 0, done.stderr
    assert {org: total(org) for org in ("o", "o-1", "o-12", "o:1", "O-1")} == {
        "o": 1,
        "o-1": 0,
        "o-12": 1,
        "o:1": 1,
        "O-1": 1,
    }
    assert {one.organization_id for one in circuits.all()} == {"o", "o-12", "o:1", "O-1"}
    _, events = runtime().reader.recent_events("email", 500)
    assert {org for one in events for _, org in one.jobs} == {"o", "o-12", "o:1", "O-1"}


def test_an_erasure_refuses_while_jobs_run(redis_url: str) -> None:
    fresh()
    job = queue_email(MAIL, organization_id="o-1")
    queue_email(MAIL, organization_id="o-1")
    work = WorkerStore(runtime().redis, "hsejobs", "email", patience=2)
    work.step([], 1, "token", 60_000)
    done = run("tenants", "erase", "o-1", "--yes")
    assert (done.returncode, "1 jobs of this organization are active" in done.stderr) == (1, True)
    # Nothing was done, also not to the job that waits.
    assert total("o-1") == 2
    work.release([(job.id, "token")])
    # A job whose worker died belongs to no worker: it returns to its place and is then erased.
    work.step([], 1, "dead", 0)
    assert run("tenants", "erase", "o-1", "--yes").returncode == 0
    assert total("o-1") == 0


def test_an_erasure_takes_no_lease_that_its_holder_still_renews(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an outage: the kind is in ``engine/test_calm.py``."""
    fresh()
    job = queue_email(MAIL, organization_id="o-1")
    work = WorkerStore(runtime().redis, "hsejobs", "email", patience=2)
    work.step([], 1, "token", 0)
    erasure = import_module("hsejobs.services.tenants.erase")
    renews = SimpleNamespace(sleep=lambda _: work.renew([(job.id, "token")], 60_000))
    monkeypatch.setattr(erasure, "time", renews)
    tenant: Any = SimpleNamespace(
        redis=runtime().redis,
        prefix="hsejobs",
        settings=runtime().settings,
        queues=lambda: ["email"],
        running=lambda: 1,
    )
    with pytest.raises(QueueBusy):
        erasure._refuse_running(tenant)
    found = job.refresh()
    assert (found.status, found.stalls) == ("active", 0)


def test_a_record_in_no_index_goes_too(redis_url: str, redis_client: redis.Redis) -> None:
    fresh()
    lost = queue_email(MAIL, organization_id="o-1")
    redis_client.zrem("hsejobs:{email}:waiting", lost.id)
    redis_client.zrem("hsejobs:{email}:o:waiting:o-1", lost.id)
    # And an index that knows a job which never was.
    redis_client.zadd("hsejobs:{email}:o:failed:o-1", {"ghost": 1})
    redis_client.zadd("hsejobs:{email}:failed", {"ghost": 1})
    assert json.loads(run("tenants", "erase", "o-1", "--yes", "--json").stdout)["jobs"] == 1
    assert in_redis(redis_client, b"o-1") == []
    assert find_leaks(redis_client, "hsejobs") == []


def test_another_programs_keys_are_ignored(redis_url: str, redis_client: redis.Redis) -> None:
    fresh()
    kept, taken = (queue_email(MAIL, organization_id="o-1") for _ in range(2))
    redis_client.set(f"hsejobs:{{email}}:j:{taken.id}", "not ours")
    redis_client.set("hsejobs:{email}:j:other", "nor this")
    assert document("tenants", "erase", "o-1", "--dry-run")["jobs"] == {"email": {"waiting": 2}}
    done = run("tenants", "erase", "o-1", "--yes")
    assert done.returncode == 0, done.stderr
    assert total("o-1") == 0
    assert not redis_client.exists(f"hsejobs:{{email}}:j:{kept.id}")
    assert redis_client.zcard("hsejobs:{email}:waiting") == 0
    assert redis_client.get("hsejobs:{email}:j:other") == b"nor this"


def test_a_log_line_belongs_to_the_organizations_it_names() -> None:
    named = (
        {"organizationId": "o-1"},
        {"jobId": "o-1:key"},
        {"path": "/api/jobs/email/jobs/o-1:key"},
        {"error": "the circuit webhook:o-1:example.com:443 is open"},
        {"shown": [{"of": "o-1"}]},
    )
    others = (
        {"organizationId": "o-12"},
        {"jobId": "o-12:key"},
        {"path": "/jobs/x-o-1:key"},
        {"error": "webhook:o:example.com"},
        {"o-1": 1},
        {"text": "about o-1"},
    )
    assert [mentions(one, "o-1") for one in named + others] == [True] * 5 + [False] * 6


def test_it_asks_for_the_name(redis_url: str) -> None:
    fresh()
    queue_email(MAIL, organization_id="o-1")
    assert run("tenants", "erase", "o-1").returncode == 2
    for answer, status in (("o-2", 1), ("y", 1), ("o-1", 0)):
        assert total("o-1") == 1
        assert typed(answer, "tenants", "erase", "o-1") == status
    assert total("o-1") == 0


def typed(answer: str, *words: str) -> int:
    """The command on a terminal, where a user types this."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hsejobs_cli", *words],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    try:
        return process.wait(60)
    finally:
        os.close(ours)


def test_events_in_many_steps(redis_url: str) -> None:
    fresh()
    for number in range(130):
        queue_email(MAIL, organization_id="o-1" if number % 3 else "o-2")
    before = runtime().reader.recent_events("email", 1000)[1]
    kept = [one for one in before if one.jobs[0][1] == "o-2"]
    from hsejobs.store.tenants import Tenants

    steps = list(Tenants(runtime().redis, "hsejobs").forget_events("email", "o-1"))
    assert len(steps) == 2
    assert runtime().reader.recent_events("email", 1000)[1] == kept
