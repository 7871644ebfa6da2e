"""Each cause for which a job is where it is, produced by real consumers, and named the same by every door.

`make why` tries also those that take seconds to come about.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hsejobs import codec
from hsejobs.control.why import CODES
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.store.circuits import Circuits
from hsejobs.store.shares import Shares
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import Cancel, NewJob
from hsejobs_tui.core.options import DashboardUser, Options
from hsejobs_tui.core.source import LiveSource
from tests.conformance import why_jobs as jobs
from tests.conformance.doors import Cli
from tests.conformance.http_door import Http
from tests.conformance.steps import Who
from tests.conformance.world import JWT_SECRET, PREFIX
from tests.engine.conftest import Consumer
from tests.support import wait_until

OPERATOR = Who("operator", None, "olga")
PLACE = "tests.conformance.why_jobs."
slow = pytest.mark.skipif(os.environ.get("WHY") != "all", reason="slow causes: make why")


class Doors:
    """Asks all doors why a job is where it is."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.http = Http()

    def tui(self, queue: str, job_id: str, viewer: DashboardUser | None, org: str | None) -> Any:
        options = Options(
            runtime().redis.url, PREFIX, self.home, "redis", organization_id=org, viewer=viewer
        )
        source = LiveSource(options, runtime().redis)
        source.snapshot()
        return source.job(queue, job_id)[0].why

    def ask(self, queue: str, job_id: str) -> list[Any]:
        """What HTTP, `--json` and the TUI say, and whether the text of the command line agrees."""
        why: Any = self.http.call("GET", f"{queue}/jobs/{job_id}", OPERATOR)["why"]
        _, out, _ = Cli.run("job", queue, job_id, "--json")
        text = Cli.run("job", queue, job_id)[1]
        named = why is None or (why["text"] in text and f"({why['code']})" in text)
        return [why, json.loads(out)["why"], self.tui(queue, job_id, None, None), named]

    def wait(self, queue: str, job_id: str, code: str | None) -> dict[str, Any]:
        """Waits until all doors name this cause, in the same words."""
        found: list[Any] = []

        def there() -> bool:
            """Of the doors, HTTP takes the least time."""
            why = self.http.call("GET", f"{queue}/jobs/{job_id}", OPERATOR)["why"]
            found[:] = [why]
            return bool((why and why["code"]) == code)

        def named() -> bool:
            found[:] = self.ask(queue, job_id)
            why, *same, text = found
            return text and same == [why, why] and (why and why["code"]) == code

        try:
            wait_until(there, 20, f"{code}")
            wait_until(named, 20, f"{code} through every door")
        except AssertionError as error:
            raise AssertionError(f"{error}: {found}") from None
        return found[0] or {}


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> Iterator[Path]:
    """The file for whose removal jobs wait."""
    file = tmp_path / "held"
    file.touch()
    monkeypatch.setenv("WHY_FILE", str(file))
    monkeypatch.setenv("QUEUE_CANCEL_GRACE_MS", "30000")
    monkeypatch.setenv("JOBS_JWT_SECRET", JWT_SECRET)
    reset_runtime()
    for one in (jobs.huey, jobs.capped, jobs.paced, jobs.lonely):
        one._registered = None
        one.register()
    yield file
    runtime().redis.close()
    reset_runtime()


@pytest.fixture
def doors(held: Path, tmp_path: Path) -> Iterator[Doors]:
    found = Doors(tmp_path)
    yield found
    found.http.close()


@pytest.fixture
def start(held: Path, tmp_path: Path) -> Iterator[Callable[..., Consumer]]:
    started: list[Consumer] = []

    def start(place: str, *options: str, **env: Any) -> Consumer:
        one = Consumer(*options, log=tmp_path / "consumer.log", place=place, **env)
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill_all()


def active(queue: str, n: int) -> None:
    wait_until(lambda: runtime().reader.stats([queue])[0].active == n, 20, f"{n} active jobs")


def completed(queue: str, n: int) -> None:
    wait_until(lambda: runtime().reader.stats([queue])[0].completed == n, 20, f"{n} completed jobs")


def test_before_a_consumer_runs(doors: Doors) -> None:
    first, second = jobs.hold.add({}), jobs.hold.add({})
    assert doors.wait("causes", first.id, "no_worker")["place"] == 0
    assert doors.wait("causes", second.id, "no_worker")["place"] == 1
    assert "until" in doors.wait("causes", jobs.hold.add({}, delay=600).id, "delayed")
    runtime().writer.pause("causes")
    doors.wait("causes", second.id, "paused")
    runtime().writer.resume("causes")
    work = WorkerStore(runtime().redis, PREFIX, "causes", patience=2)
    record = {"id": "w", "tasks": [PLACE + "hold"], "concurrency": 1, "state": "quiet"}
    work.heartbeat("w", codec.dumps(record), 60_000)
    doors.wait("causes", second.id, "workers_quiet")
    # Of two, one claims jobs.
    work.heartbeat("w2", codec.dumps({**record, "id": "w2", "state": "running"}), 60_000)
    doors.wait("causes", first.id, "next")
    for one in ("w", "w2"):
        work.heartbeat(one, b"", 60_000)
    own = jobs.hold.add({}, organization_id="org-2")
    Shares(runtime().redis, PREFIX).set("causes", "org-2", paused=True)
    doors.wait("causes", own.id, "tenant_paused")
    jobs.huey.set_task("hold", paused=True)
    doors.wait("causes", second.id, "task_paused")
    jobs.huey.set_task("hold", paused=False)
    doors.wait("causes", second.id, "no_worker")


def test_what_a_consumer_leaves_waiting(
    doors: Doors, start: Callable[..., Consumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    Circuits(runtime().redis, PREFIX).open(jobs.CIRCUIT)
    Shares(runtime().redis, PREFIX).set("causes", "org-1", limit=1)
    start(f"{PLACE}huey", "-w", "8")
    holders = [jobs.hold.add({}), jobs.lock.add({}), jobs.call.add({"host": "h"})]
    holders += [jobs.hold.add({}, organization_id="org-1"), jobs.hold.add({})]
    done = [jobs.mail.add({"to": "ann"}), jobs.limited.add({})]
    active("causes", len(holders))
    completed("causes", 2)

    doors.wait("causes", done[0].id, None)
    assert doors.wait("causes", holders[0].id, "running")
    assert "printer" in doors.wait("causes", jobs.lock.add({}).id, "locked")["text"]
    assert doors.wait("causes", jobs.call.add({"host": "h"}).id, "key_limit")["place"] == 0
    assert "until" in doors.wait("causes", jobs.mail.add({"to": "ann"}).id, "key_rate")
    assert "prints" in doors.wait("causes", jobs.limited.add({}).id, "rate_limited")["text"]
    assert "2 of 3" in doors.wait("causes", jobs.fail.add({}).id, "backoff")["text"]
    assert jobs.CIRCUIT in doors.wait("causes", jobs.send.add({}).id, "circuit_open")["text"]
    own = jobs.hold.add({}, organization_id="org-1")
    assert doors.wait("causes", own.id, "tenant_limit")["place"] == 0
    gone = NewJob("gone", "m.gone", b"{}", 3, 1, 0, 0)
    runtime().writer.add("causes", gone)
    assert "m.gone" in doors.wait("causes", "gone", "unknown_task")["text"]
    runtime().writer.cancel_many("causes", [holders[4].id], Cancel("ann"))
    assert doors.wait("causes", holders[4].id, "cancel_requested")

    # What the task says is a content of its job.
    job = jobs.later.add({}, organization_id="org-3", user_id="ann")
    assert "the mailbox is busy" in doors.wait("causes", job.id, "postponed")["text"]
    for user, shown in (("ann", True), ("bob", False)):
        text = doors.http.call("GET", f"causes/jobs/{job.id}", Who("member", "org-3", user))["why"]
        member = doors.tui("causes", job.id, DashboardUser(user, "member"), "org-3")
        assert text == member
        assert ("mailbox" in text["text"]) == shown

    monkeypatch.setenv("JOBS_SECRET_KEY", "k" * 40)
    reset_runtime()
    doors.wait("causes", jobs.open_safe.add({"pin": "1234"}).id, "sealed")

    for _ in range(8):
        jobs.hold.add({}, priority=5)
    active("causes", 8)
    waiting = [jobs.hold.add({}, priority=1) for _ in range(3)]
    assert doors.wait("causes", waiting[0].id, "slots_busy")["place"] == 0
    assert doors.wait("causes", waiting[2].id, "behind") == {
        "code": "behind",
        "text": "behind 2 jobs",
        "place": 2,
    }


def test_the_limits_of_a_queue(doors: Doors, start: Callable[..., Consumer]) -> None:
    start(f"{PLACE}capped", "-w", "3")
    start(f"{PLACE}paced", "-w", "1")
    jobs.one_at_a_time.add({})
    jobs.one_an_hour.add({})
    active("capped", 1)
    completed("paced", 1)
    waiting = [jobs.one_at_a_time.add({}) for _ in range(2)]
    assert doors.wait("capped", waiting[1].id, "limit")["place"] == 1
    assert "until" in doors.wait("paced", jobs.one_an_hour.add({}).id, "rate")


@slow
def test_what_other_consumers_leave(doors: Doors, start: Callable[..., Consumer]) -> None:
    one = start(f"{PLACE}huey", "-w", "1", QUEUE_LEASE_MS="3000")
    held = jobs.hold.add({})
    active("causes", 1)
    waiting = jobs.hold.add({})
    # One more consumer, which cannot run it.
    older = start("tests.conformance.why_older.huey", "-w", "1", QUEUE_LEASE_MS="3000")
    doors.wait("causes", waiting.id, "sent_back")
    # No one is left to take the jobs back.
    older.kill_all()
    one.kill_all()
    doors.wait("causes", held.id, "stalled")


@slow
def test_a_job_that_kills_its_worker(doors: Doors, start: Callable[..., Consumer]) -> None:
    start(f"{PLACE}lonely", "-k", "process", "-w", "2")
    jobs.stay.add({})
    active("lonely", 1)
    doors.wait("lonely", jobs.kill.add({}).id, "alone")


def test_every_code_has_a_case() -> None:
    # Redis that is away is no state to wait for.
    text = Path(__file__).read_text()
    rest = {"redis_unavailable"}
    assert {code for code in CODES if f'"{code}")' not in text} == rest
