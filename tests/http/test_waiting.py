"""`?wait=` and server-sent events: who sees what, how they resume, and how they end."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis import Redis

from hsejobs.store.client import RedisClient
from hsejobs.store.work import WorkerStore
from tests.http.conftest import MAIL, Shim, token
from tests.support import wait_until


@pytest.fixture
def work(redis_url: str) -> Iterator[WorkerStore]:
    client = RedisClient(redis_url)
    yield WorkerStore(client, "hsejobs", "email", patience=2)
    client.close()


def end_all(work: WorkerStore) -> None:
    """Claims what waits, and fails it permanently."""
    _, claims = work.step([], 9, f"t{time.monotonic_ns()}", 30_000)
    for one in claims:
        work.fail(
            one.id,
            one.token,
            code="error",
            error=b'{"error":"no"}',
            run_us=1,
            final=True,
            delay_ms=None,
        )


@contextlib.contextmanager
def in_background(target: Any, *args: Any, **more: Any) -> Iterator[list[Any]]:
    """Runs a call in a thread; the list gets its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(target(*args, **more)))
    thread.start()
    try:
        yield results
    finally:
        thread.join(30)
    assert results, "it raised"


def add(shim: Shim, org: str = "org-1", **more: Any) -> str:
    return str(shim.ask("POST", "/email", "member", org, json=MAIL | more).json()["jobId"])


def test_a_wait_ends_with_the_job(shim: Shim, work: WorkerStore) -> None:
    job_id = add(shim)
    with in_background(shim.ask, "GET", f"/email/jobs/{job_id}?wait=20") as answers:
        time.sleep(0.3)
        assert not answers
        end_all(work)
    assert (answers[0].status_code, answers[0].json()["status"]) == (200, "failed")
    began = time.monotonic()
    assert shim.ask("GET", f"/email/jobs/{job_id}?wait=20").json()["status"] == "failed"
    assert time.monotonic() - began < 10, "the job had ended before"


def test_an_add_that_waits_answers_with_the_job(shim: Shim, work: WorkerStore) -> None:
    late = shim.ask("POST", "/email?wait=1", json=MAIL)
    assert (late.status_code, set(late.json())) == (202, {"jobId", "queue", "status", "created"})
    body = {**MAIL, "jobId": "w1"}
    with in_background(shim.ask, "POST", "/email?wait=20", json=body) as answers:
        path = "/email/jobs/org-1:w1"
        wait_until(lambda: shim.ask("GET", path).status_code == 200, 10, "the job")
        end_all(work)
    [done] = answers
    shown = done.json()
    assert (done.status_code, shown.pop("jobId"), shown.pop("created")) == (200, "org-1:w1", True)
    assert shown == shim.ask("GET", path).json()
    again = shim.ask("POST", "/email?wait=20", json=body)
    assert (again.status_code, again.json()["created"]) == (200, False)


def test_waits_are_checked_first(shim: Shim) -> None:
    for path in ("/email/jobs/x", "/email"):
        method = "POST" if path == "/email" else "GET"
        for value in ("61", "-1", "1.5", "x", ""):
            done = shim.ask(method, f"{path}?wait={value}", json=MAIL)
            assert (done.status_code, done.json()["errors"][0]["field"]) == (422, "wait")
    assert shim.ask("GET", "/email/jobs?status=waiting").json()["total"] == 0
    job_id = add(shim, "org-2")
    assert shim.ask("GET", f"/email/jobs/{job_id}?wait=20").status_code == 404


OTHER = ("member", "org-1", "other")


class Events:
    """A stream that is read by a thread."""

    def __init__(self, shim: Shim, path: str, *who: str | None, last: str = "") -> None:
        self.headers = {"Authorization": f"Bearer {token(*who)}"}  # type: ignore[arg-type]
        if last:
            self.headers["Last-Event-ID"] = last
        self.url, self.lines = f"{shim.url}/api/jobs{path}", queue.Queue[str | None]()
        self.open = threading.Event()
        self.client = httpx.Client(trust_env=False, timeout=30)
        self.thread = threading.Thread(target=self._read)
        self.thread.start()
        assert self.open.wait(20), "the stream did not open"

    def _read(self) -> None:
        with (
            contextlib.suppress(httpx.HTTPError),
            self.client.stream("GET", self.url, headers=self.headers) as answer,
        ):
            self.answer = answer
            for line in answer.iter_lines():
                self.open.set()
                self.lines.put(line)
        self.open.set()
        self.lines.put(None)

    def take(self, count: int) -> list[tuple[str, str, str | None]]:
        """The next events: id, kind and job."""
        found: list[tuple[str, str, str | None]] = []
        place, kind = "", ""
        while len(found) < count:
            line = self.lines.get(timeout=20)
            assert line is not None, "the stream ended"
            name, _, value = line.partition(": ")
            if name == "id":
                place = value
            elif name == "event":
                kind = value
            elif name == "data":
                data = json.loads(value)
                what = data.get("event", kind)
                if kind == "status":
                    assert data["status"] == {"paused": None, "resumed": None}.get(what, what)
                elif kind == "log":
                    what = data["line"]
                elif kind == "progress":
                    # How far it is, without what its task says about it, which is the owner's.
                    assert (data["progress"], "nearly" in value) == (40, False)
                found.append((place, what, data.get("jobId")))
        return found

    def close(self) -> None:
        self.client.close()
        self.thread.join(20)


@pytest.fixture
def opened(shim: Shim) -> Iterator[Any]:
    streams: list[Events] = []

    def opening(path: str, *who: str | None, last: str = "") -> Events:
        streams.append(Events(shim, path, *who, last=last))
        return streams[-1]

    yield opening
    shim.process.send_signal(signal.SIGTERM)  # ends the streams, so that their threads end
    shim.process.wait(20)
    for one in streams:
        one.thread.join(20)
        one.client.close()


def test_each_tenant_sees_its_own_events(shim: Shim, work: WorkerStore, opened: Any) -> None:
    member, operator = opened("/email/events"), opened("/email/events", "operator", None)
    limited = opened("/email/events?organizationId=org-2", "operator", None)
    assert member.answer.headers["content-type"].startswith("text/event-stream")
    own, foreign = add(shim), add(shim, "org-2")
    shim.ask("POST", "/email/pause", "operator", None)
    seen = operator.take(3)
    assert [one[1:] for one in seen] == [
        ("waiting", own),
        ("waiting", foreign),
        ("paused", None),
    ]
    shim.ask("POST", "/email/resume", "operator", None)
    end_all(work)
    assert [one[1:] for one in member.take(3)] == [
        ("waiting", own),
        ("active", own),
        ("failed", own),
    ]
    assert {one[2] for one in limited.take(3)} == {foreign}
    assert shim.ask("GET", f"/email/jobs/{foreign}/events").status_code == 404
    assert shim.ask("GET", "/email/events?organizationId=org-2").status_code == 403
    assert shim.ask("GET", "/nope/events").status_code == 404


def test_a_stream_resumes_after_any_event(shim: Shim, work: WorkerStore, opened: Any) -> None:
    first = opened("/email/events")
    jobs = [add(shim) for _ in range(3)]
    end_all(work)
    seen = first.take(9)
    assert {one[2] for one in seen} == set(jobs)
    assert len({one[0] for one in seen}) == 9
    for place in (0, 3, 4, 7):
        again = opened("/email/events", last=seen[place][0])
        assert again.take(8 - place) == seen[place + 1 :]
    alone = opened(f"/email/jobs/{jobs[1]}/events", last=seen[0][0])
    assert alone.take(3) == [one for one in seen if one[2] == jobs[1]]
    old = opened("/email/events", last="1-0.0")
    assert old.take(2)[0][1] == "gap"
    # A server whose clock was ahead, or a feed that began again: its time is not waited for.
    ahead = opened("/email/events", last=f"{(time.time_ns() // 10**6) + 3_600_000}-0.0")
    assert ahead.take(1)[0][1] == "gap"
    later = add(shim)
    assert ahead.take(1)[0][1:] == ("waiting", later)
    _, [claim] = work.step([], 1, "t", 30_000)
    assert work.log(claim.id, "t", ["before"])
    logging, foreign = (opened(f"/email/jobs/{claim.id}/events", *who) for who in ((), OTHER))
    assert work.progress(claim.id, "t", 40, "nearly")
    assert work.log(claim.id, "t", ["one", "two"], 1)
    assert [one[1] for one in ahead.take(2)] == ["active", "progress"]
    assert {one[1] for one in logging.take(3)} == {"progress", "one", "two"}
    assert work.log(claim.id, "t", ["three"], 3)
    assert [one[1] for one in logging.take(1)] == ["three"]
    end = work.fail(
        claim.id, "t", code="x", error=b'{"error":"no"}', run_us=1, final=True, delay_ms=None
    )
    assert end
    # The lines are contents: another member sees only what became of the job.
    assert [one[1] for one in foreign.take(2)] == ["progress", "failed"]
    refused = shim.ask("GET", "/email/events", headers={"Last-Event-ID": "x"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


def asks(redis_client: Any, until: str) -> Counter[str]:
    """How often Redis is asked for each job's number of lines, while it is asked four times for one's."""
    found: Counter[str] = Counter()
    with redis_client.monitor() as monitor:
        while found[until] < 4:
            words = monitor.next_command()["command"].split(" ")
            if words[0] == "HMGET" and words[2:] == ["lc", "st"]:
                found[words[1].rpartition(":")[2]] += 1
    return found


def test_a_stream_asks_for_lines_only_while_its_job_runs(
    shim: Shim, work: WorkerStore, redis_client: Redis, opened: Any
) -> None:
    still = add(shim)
    end_all(work)
    running = add(shim)
    streams = {one: opened(f"/email/jobs/{one}/events") for one in (still, running)}
    _, [claim] = work.step([], 1, "t", 30_000)
    for again in ("first", "second"):
        assert claim.id == running
        asked = asks(redis_client, running)
        # Once as it opens, or with a comment.
        assert asked[still] <= 1, asked
        assert work.fail(running, "t", code="x", error=b"{}", run_us=1, final=True, delay_ms=None)
        # What ended may run again.
        shim.ask("POST", f"/email/jobs/{still}/retry", "admin")
        _, [claim] = work.step([], 1, "t", 30_000)
        still, running = running, still
        assert work.log(running, "t", [again])
        while streams[running].take(1)[0][1] != again:
            pass


def test_a_user_has_a_limited_number_of_streams(shim: Shim, opened: Any) -> None:
    for _ in range(20):
        opened("/email/events")
    refused = shim.ask("GET", "/email/events")
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_waiting")
    # The job is added all the same.
    assert shim.ask("POST", "/email?wait=20", json=MAIL).status_code == 202
    assert opened("/email/events", "member", "org-1", "bob").answer.status_code == 200
    head = shim.client.head(
        "/api/jobs/email/events", headers={"Authorization": f"Bearer {token(user='eve')}"}
    )
    assert (head.status_code, head.content) == (200, b"")


def test_what_waits_ends_when_the_shim_stops(shim: Shim) -> None:
    job_id = add(shim)
    stream = Events(shim, "/email/events")
    with in_background(shim.ask, "GET", f"/email/jobs/{job_id}?wait=60") as answers:
        time.sleep(0.3)
        shim.process.send_signal(signal.SIGTERM)
        assert shim.process.wait(8) == 0
    assert (answers[0].status_code, answers[0].json()["status"]) == (200, "waiting")
    while stream.lines.get(timeout=5) is not None:
        pass
    stream.close()
