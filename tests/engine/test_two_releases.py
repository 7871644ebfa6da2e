"""Consumers of two releases side by side: jobs that only one of them can run, keys, formats, scripts."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from hsejobs import client
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.errors import JobFailed
from hsejobs.model import State
from hsejobs.store import keys, registry, scripts
from hsejobs.watch.alerts import Watch
from tests.support import wait_until
from tests.support.commands import run_command

HEAD = """
from typing import Annotated
from pydantic import BaseModel, ConfigDict
from hsejobs.engine import JobHuey
from hsejobs.masking import Secret
huey = JobHuey("shop", attempts=2, backoff=0.05)
class Mail(BaseModel):
    model_config = ConfigDict(extra="forbid")
    to: str
"""
OLD = f"""{HEAD}
    former: str = ""
@huey.task()
def send(payload: Mail):
    return "old"
@huey.task()
def first_name(payload: dict):
    return "old"
"""
NEW = f"""{HEAD}
    code: Annotated[str, Secret()] = ""
@huey.task()
def send(payload: Mail):
    return "new"
@huey.task(aliases=["first_name"])
def second_name(payload: dict):
    return "new"
@huey.task()
def fresh(payload: dict):
    return "new"
"""

DAY = 86_400_000
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(redis_url: str, no_leaks: None, tmp_path: Path) -> Iterator[Start]:
    """Starts a consumer of a release, which is the text of its module ``shopjobs``."""
    running: list[subprocess.Popen[bytes]] = []
    reset_runtime()
    client._client = None

    def begin(release: str, **env: str) -> subprocess.Popen[bytes]:
        folder = tmp_path / f"release{len(running)}"
        folder.mkdir()
        (folder / "shopjobs.py").write_text(release)
        with (tmp_path / "consumer.log").open("ab") as log:
            one = subprocess.Popen(
                [sys.executable, "-m", "huey.bin.huey_consumer", "shopjobs.huey", "-w", "2"],
                cwd=folder,
                env={**os.environ, **env},
                stdout=log,
                stderr=log,
            )
        running.append(one)
        return one

    yield begin
    for one in running:
        one.kill()
        one.wait()
    runtime().redis.close()
    reset_runtime()
    client._client = None


def consumers() -> list[dict[str, Any]]:
    return runtime().reader.workers(["shop"])


def wait_for_consumers(n: int) -> None:
    wait_until(lambda: len(consumers()) == n, 20, f"{n} consumers")


def alert(watch: Watch, rule: str) -> str | None:
    """The state of a rule's alert after one more check; None if it is not listed."""
    watch.look()
    return next((one["state"] for one in watch.store.all() if one["rule"] == rule), None)


def message(watch: Watch, rule: str) -> str:
    return next(str(one["message"]) for one in watch.store.all() if one["rule"] == rule)


def doctor() -> dict[str, tuple[str, str | None]]:
    """The checks of ``hsejobs doctor`` by their first word: the check, and what is to be done."""
    done = run_command("doctor", "--json")
    found = json.loads(done.stdout)["checks"]
    return {one["check"].split()[0]: (one["check"], one["todo"]) for one in found}


def describe() -> registry.QueueInfo:
    return registry.load(runtime().redis, runtime().prefix, "shop")


def test_jobs_of_both_releases(start: Start) -> None:
    new = start(NEW, QUEUE_RELEASE="2")
    wait_for_consumers(1)
    start(OLD, QUEUE_RELEASE="1")
    wait_for_consumers(2)
    assert {one["release"]: len(one["tasks"]) for one in consumers()} == {"1": 2, "2": 4}
    what, todo = doctor()["consumers"]
    assert "1 of release 2" in what
    assert "1 of release 1" in what
    assert "do not have shopjobs.fresh, shopjobs.second_name, whose jobs wait" in str(todo)

    # The older one registered last.
    assert describe().task("send").secret == ["code"]
    jobs = [client.add("shop", {}, task="fresh") for _ in range(30)]
    jobs += [client.add("shop", {"to": "a", "code": "1"}) for _ in range(30)]
    jobs += [client.add("shop", {"to": "a", "former": "x"}) for _ in range(30)]
    jobs += [client.add("shop", {}, task="first_name") for _ in range(30)]
    assert {job.wait(30) for job in jobs[:30]} == {"new"}
    assert {job.wait(30) for job in jobs[30:]} <= {"new", "old"}
    assert {job.refresh().attempts_made for job in jobs} == {1}
    assert not any(job.refresh().errors for job in jobs)

    # A rollback: the newer one leaves, and what it told stays for a while.
    new.terminate()
    new.wait(20)
    wait_for_consumers(1)
    assert doctor()["consumers"][1] is None
    assert doctor()["record"] == ("record format 1, as in every release so far", None)
    waits = client.add("shop", {}, task="fresh")
    done = client.add("shop", {"to": "a", "code": "1"})
    assert done.wait(20) == "old"
    wait_until(lambda: waits.refresh().code == "unknown_task", 20, "the job to be sent back")
    seen = waits.refresh()
    assert (seen.status, seen.attempts_made) == (State.DELAYED, 0)
    assert "waits for a consumer that has its task" in str(seen.failed_reason)
    assert describe().task("send").secret == ["code"]
    start(NEW)
    assert waits.wait(30) == "new"
    assert waits.refresh().attempts_made == 1


def test_a_job_that_no_one_knows(start: Start, tmp_path: Path) -> None:
    old = start(OLD)
    wait_for_consumers(1)
    link, prefix = runtime().redis, runtime().prefix
    task = registry.TaskInfo("shopjobs.fresh")
    registry.save(link, prefix, registry.QueueInfo("shop", [task], "shopjobs.fresh"))
    lost = client.add("shop", {}, task="fresh")
    wait_until(lambda: lost.refresh().code == "unknown_task", 20, "the job to be sent back")

    watch = Watch(link, runtime().settings)
    back = keys.of(keys.base(prefix, "shop"), "job", lost.id)
    assert alert(watch, "unknown_task") is None, "not before half a minute"
    assert list(watch.store.unrunnable("shop").unknown) == ["shopjobs.fresh"]
    link.command("HSET", back, "bs", int(time.time() * 1000) - 31_000)
    assert alert(watch, "unknown_task") == "on"
    assert "the task shopjobs.fresh" in message(watch, "unknown_task")

    # After 24 hours it fails; a retry by hand gives it the time again.
    link.command("HSET", back, "bs", int(time.time() * 1000) - 86_400_001)
    runtime().writer.promote("shop", lost.id)
    with pytest.raises(JobFailed) as caught:
        lost.wait(20)
    assert caught.value.failure_code == "unknown_task"
    runtime().writer.retry("shop", lost.id)
    wait_until(lambda: lost.refresh().status is State.DELAYED, 20, "the job to be sent back")
    assert alert(watch, "unknown_task") == "on"
    start(NEW)
    assert lost.wait(40) == "new"
    old.terminate()
    for _ in range(3):
        ended = alert(watch, "unknown_task")
    assert ended == "off"


def test_a_job_sealed_with_another_key(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    start(NEW, JOBS_SECRET_KEY=one)
    wait_for_consumers(1)
    monkeypatch.setenv("JOBS_SECRET_KEY", f"{two},{one}")
    client._client = None
    job = client.add("shop", {"to": "a", "code": "hunter2"})
    wait_until(lambda: job.refresh().code == "sealed", 20, "the job to be sent back")
    assert job.refresh().attempts_made == 0
    # The alert counts from the job that waits longest, however many follow.
    watch, link = Watch(runtime().redis, runtime().settings), runtime().redis
    base = keys.base(runtime().prefix, "shop")
    assert alert(watch, "sealed") is None, "not before half a minute"
    link.command("HSET", keys.of(base, "job", job.id), "bs", int(time.time() * 1000) - 31_000)
    later = client.add("shop", {"to": "a", "code": "hunter2"})
    wait_until(lambda: later.refresh().code == "sealed", 20, "the job to be sent back")
    wait_until(lambda: alert(watch, "sealed") == "on", 5, "the alert")
    assert "the task shopjobs.send wait for a consumer with the key" in message(watch, "sealed")
    monkeypatch.setenv("JOBS_SECRET_KEY", one)
    client._client = None
    earlier = client.add("shop", {"to": "a", "code": "hunter2"})
    start(NEW, JOBS_SECRET_KEY=f"{two},{one}")
    assert job.wait(30) == earlier.wait(30) == later.wait(30) == "new"
    assert job.refresh().attempts_made == 1
    for _ in range(3):
        over = alert(watch, "sealed")
    assert over == "off"


def test_a_format_of_a_later_release(start: Start) -> None:
    link, prefix = runtime().redis, runtime().prefix
    key = keys.record_format(prefix)
    late = start(NEW)
    wait_for_consumers(1)
    link.command("SET", key, "2")
    assert "stored in format 2" in str(doctor()["record"][1])
    early = start(NEW)
    assert early.wait(20) == 2
    with pytest.raises(Exception, match="stored in format 2") as caught:
        client.add("shop", {"to": "a"})
    assert getattr(caught.value, "code", "") == "unknown_format"
    for words in (["stats"], ["worker", "--app", "huey_config"], ["tui", "--once"], ["serve"]):
        done = run_command(*words)
        assert done.returncode == 2, (words, done.stderr)
        assert b"unknown_format" in done.stderr
    assert runtime().redis.command("DEL", key) == 1
    # One that ran before goes on until it has to connect again.
    assert late.poll() is None


SCRIPT = f"""{OLD}
if __name__ == "__main__":
    print(send.add({{"to": "a"}}).id)
"""


def _has_run(read: Callable[[], Any]) -> bool:
    return bool(read().result == "old")


def run(folder: Path, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=60, **more
    )


def test_a_queue_in_a_script(start: Start, tmp_path: Path) -> None:
    start(SCRIPT)
    wait_for_consumers(1)
    folder = tmp_path / "release0"
    for words in ((str(folder / "shopjobs.py"),), ("-m", "shopjobs")):
        done = run(folder, *words)
        assert done.returncode == 0, done.stderr
        job_id = done.stdout.strip()
        assert runtime().reader.job("shop", job_id).name == "shopjobs.send"
        read = functools.partial(runtime().reader.job, "shop", job_id)
        wait_until(functools.partial(_has_run, read), 20, "the run")
    (folder / "my-script.py").write_text(SCRIPT)
    done = run(folder, "my-script.py")
    assert done.returncode == 1
    assert "consumers cannot import this script" in done.stderr
    assert {task.name for task in describe().tasks} == {"shopjobs.send", "shopjobs.first_name"}


def test_many_jobs_that_no_one_knows_hold_up_no_others(redis_url: str, no_leaks: None) -> None:
    """They come back one after the other, later each time."""
    from tests.store.test_acts import Store

    store = Store(redis_url)
    for number in range(200):
        store.add(f"j{number}")
    claims = store.claim(200)
    now = store.redis.run(scripts.WORKERS, store.work.base)[0]
    for job, token in claims:
        record = keys.of(store.work.base, "job", job)
        store.redis.command("HSET", record, "ec", "unknown_task", "bs", now - 5_000)
        store.work.postpone(job, token, 500, DAY, sent_back="unknown_task")
    due = [int(score) for _, score in _delayed(store)]
    gaps = [later - first for first, later in pairwise(due)]
    assert min(gaps) >= keys.SENT_BACK_GAP_MS
    job = claims[0][0]
    store.redis.command("HSET", keys.of(store.work.base, "job", job), "bs", now - 3_600_000)
    store.writer.promote_many("q", [job])
    ((job, token),) = store.claim(1)
    store.work.postpone(job, token, 500, DAY, sent_back="unknown_task")
    delay = int(dict(_delayed(store))[job.encode()]) - now
    assert 30_000 <= delay <= 60_000
    store.writer.obliterate("q", force=True)
    store.redis.close()


def _delayed(store: Any) -> list[tuple[bytes, float]]:
    found = store.redis.command("ZRANGE", keys.of(store.work.base, "delayed"), 0, -1, "WITHSCORES")
    return list(zip(found[::2], map(float, found[1::2]), strict=True))
