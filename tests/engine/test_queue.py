"""The engine's boundaries: a queue needs no Huey; worker and maintenance need no consumer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from huey.consumer import ForkSafeFlag
from pydantic import BaseModel

from hsejobs import codec, forks
from hsejobs.engine import adding
from hsejobs.engine.duties import Duty
from hsejobs.engine.huey import JobHuey
from hsejobs.engine.maintenance import Maintenance
from hsejobs.engine.outage import Outage
from hsejobs.engine.periodic import Scheduler
from hsejobs.engine.queue import Queue, QueueTask, Schedule
from hsejobs.engine.register import announce
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.engine.slots import Running, Slot
from hsejobs.engine.worker import JobWorker
from hsejobs.errors import InvalidPayload
from hsejobs.store import keys, registry
from tests.engine import jobs


class Payment(BaseModel):
    cents: int


def pay(payload: Payment) -> None: ...


class PlainTask(QueueTask):
    """A task that no decorator made. ``options``: of the task objects that would run it."""

    def __init__(self, queue: Queue, func: Callable[..., Any], **options: Any) -> None:
        nothing = dict.fromkeys(
            ("default_retries", "default_retry_delay", "default_timeout", "default_priority")
        )
        self.queue, self.func, self.periodic = queue, func, False
        self.full_name = f"plain.{func.__name__}"
        self.task_class = SimpleNamespace(**{**nothing, "default_expires": None, **options})


def test_a_queue_without_huey_describes_itself_and_makes_jobs(redis_url: str) -> None:
    reset_runtime()
    queue = Queue("plain", enqueue="admin", outbound=True)
    task = PlainTask(queue, pay, default_retries=4)
    queue.add_task(task)
    queue.schedules["plain.pay"] = Schedule("0 0 * * *", lambda at: True)
    announce([queue])
    info = registry.load(runtime().redis, runtime().prefix, "plain")
    assert info == queue.describe()
    assert (info.default_task, info.enqueue, info.outbound) == ("plain.pay", "admin", True)
    assert (info.tasks[0].attempts, info.schedules[0].cron) == (5, "0 0 * * *")
    assert queue.wrapper("pay") is task
    [new] = adding.new_jobs(task, [{"cents": 3}], ids=["one"], delay=1)
    assert (new.id, new.name, new.attempts, new.delay) == ("one", "plain.pay", 5, 1000)
    with pytest.raises(InvalidPayload, match=r"^cents: "):
        adding.new_jobs(task, [{"cents": "many"}])
    runtime().redis.close()
    reset_runtime()


def test_a_schedule_that_is_unregistered_runs_no_more(redis_url: str) -> None:
    reset_runtime()
    huey = JobHuey("scheduled")

    @huey.periodic_task(lambda at: True)
    def always() -> None: ...

    @huey.periodic_task(lambda at: True)
    def never() -> None: ...

    assert never.unregister()
    schedules, now = Scheduler(huey), 1_800_000_000_000
    assert len(schedules.check(now)) == 1
    assert [one.task for one in huey.describe().schedules] == [always.full_name]
    runtime().redis.close()
    reset_runtime()


@dataclass
class Host:
    """The interface that worker and maintenance need, and no more."""

    huey: JobHuey
    worker_id: str = "host:1"
    pid: int = field(default_factory=os.getpid)
    max_tasks: int | None = None
    max_rss = 0
    periodic: bool = True
    workers: int = 1
    forking: bool = False
    started_at: int = 0
    hung: int = 0
    order: str = ""
    stop_flag: Any = field(default_factory=ForkSafeFlag)

    def __post_init__(self) -> None:
        self.queue: Queue = self.huey
        self.outage = Outage(self.huey.name)
        self.slot = Slot(1, forks.lock())

    def slots(self) -> list[Slot]:
        return [self.slot]

    def wake_maintenance(self) -> None: ...

    def obey(self, order: str) -> bool:
        return False

    def supervise(self) -> None: ...

    def cancel_requested(self, slot: Slot, running: Running, now: float) -> None: ...

    def lease_lost(self, slot: Slot, running: Running, now: float) -> None: ...

    def deadline_passed(self, slot: Slot, running: Running, now: float) -> None: ...


def test_a_worker_and_a_keeper_need_no_consumer(trial: Path) -> None:
    host = Host(jobs.huey)
    maintenance, worker = Maintenance(host), JobWorker(host, host.slot)
    while not maintenance._registered:
        maintenance.tick()
    job = jobs.echo.add({"n": 1, "say": "here"})
    worker.initialize()
    worker.loop()
    assert host.slot.holding() == [(job.id, f"{worker.token_base}.1")]
    worker.loop()
    worker.loop()
    assert job.wait(0) == "here"
    host.stop_flag.set()
    worker.shutdown()
    maintenance.leave(1.0)
    assert trial.read_text().split()[0] == "1"


def test_after_a_call_that_took_long_leases_are_renewed_before_any_is_taken(
    trial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: Redis hung for longer than a lease and no call failed; then one consumer took the leases
    of another, whose renewals were on their way.
    """
    monkeypatch.setenv("QUEUE_LEASE_MS", "300")
    reset_runtime()
    maintenance = Maintenance(Host(jobs.huey))
    maintenance._sweep()
    maintenance.calm.until = 0.0
    maintenance._do(Duty("quick", 1.0, lambda: None))
    assert maintenance.calm.until == 0.0
    maintenance.renewal.at = time.monotonic() + 60
    maintenance._do(Duty("slow", 1.0, lambda: time.sleep(0.15)))  # Redis answers late
    job = jobs.echo.add({"n": 1, "say": "x"})
    assert maintenance.work.step([], 1, "dead", 0)[1][0].id == job.id
    maintenance._sweep()
    maintenance._sweep()
    assert job.refresh().stalls == 0
    assert maintenance.renewal.at <= time.monotonic()
    maintenance.calm.until = 0.0
    maintenance._sweep()
    assert job.refresh().stalls == 1


def test_a_job_that_was_lost_before_it_started_does_not_start(
    trial: Path, redis_client: redis.Redis
) -> None:
    host = Host(jobs.huey)
    maintenance = Maintenance(host)
    first, second, third = jobs.echo.add_many([{"n": n} for n in range(3)])
    host.slot.load(maintenance.work.step([], 3, "ours", 60_000)[1])
    host.slot.begin(time.monotonic())
    redis_client.hset(f"hsejobs:{{trial}}:j:{second.id}", "tk", "another")
    maintenance._renew()
    assert (host.slot.left, host.slot.lost) == (0, False)
    maintenance.pending.flush()
    states = [job.refresh().status for job in (first, second, third)]
    assert states == ["active", "active", "waiting"]


def test_a_job_runs_under_the_short_name_of_its_task_too() -> None:
    """Programs that write records themselves may name the function alone."""
    found = jobs.huey.find("echo")
    assert found is jobs.huey.wrappers[jobs.echo.full_name]
    assert jobs.huey.find("nothing.echo") is None


def test_a_consumer_that_learns_of_one_of_0_1_0_holds_it_back_at_once(trial: Path) -> None:
    """Seen: both started together, and for five seconds the older one failed jobs that it did not know."""
    maintenance = Maintenance(Host(jobs.huey))
    while not maintenance._registered:
        maintenance.tick()
    client, prefix = maintenance.redis, jobs.huey.runtime.prefix
    # What a program of 0.1.0 does when it starts.
    older = {**asdict(jobs.huey.own_description(consumer=True).info), "tasks": []}
    del older["masks"]
    base = keys.base(prefix, jobs.huey.name)
    client.command("SET", keys.of(base, "queue"), codec.dumps(older))
    maintenance._beating.early = 0.0
    maintenance._do(maintenance._beating)
    assert maintenance._beating.at == 0.0
    maintenance._do(maintenance._beating)
    assert client.command("EXISTS", keys.of(base, "paused")) == 1
    assert maintenance._beating.at > 0.0
    maintenance.leave(1.0)
