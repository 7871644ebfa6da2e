"""What several releases say about a queue, merged: the newest decides, and no one takes anything away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest
from huey import crontab

from hsejobs import codec
from hsejobs.control import views
from hsejobs.engine import JobHuey, periodic
from hsejobs.engine.periodic import Scheduler
from hsejobs.engine.runtime import reset_runtime
from hsejobs.store import keys, registry, scripts
from hsejobs.store.client import RedisClient
from hsejobs.store.description import QueueInfo, ScheduleInfo, TaskInfo
from hsejobs.store.read import JobReader
from hsejobs.store.releases import RECENT_MS, RUNNING_MS, Release, has_more, merged, shown
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import JobWriter, NewJob
from tests.support.server import Server

HOUR = 3_600_000


def fields(*names: str, **more: Any) -> dict[str, Any]:
    properties = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


OLD = QueueInfo(
    "q",
    [TaskInfo("m.send", fields("to", "gone"), ["gone"]), TaskInfo("m.former")],
    "m.send",
    attempts=3,
    schedules=[ScheduleInfo("nightly", "0 1 * * *", "m.nightly")],
)
NEW = QueueInfo(
    "q",
    [TaskInfo("m.send", fields("to", "pin", required=["to"]), ["pin"]), TaskInfo("m.fresh")],
    "m.send",
    attempts=7,
    schedules=[ScheduleInfo("hourly", "0 * * * *", "m.hourly")],
)


@pytest.fixture
def link(redis_url: str) -> Iterator[RedisClient]:
    found = RedisClient(redis_url)
    yield found
    found.close()


def of(info: QueueInfo, name: str, seen: int = HOUR, **more: Any) -> Release:
    return Release(name, info, seen=seen, **more)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"number": "1.9"}, {"number": "1.10"}),
        ({"number": "2.0rc1"}, {"number": "2.0"}),
        ({"number": "2026-11-26"}, {"number": "2026-11-26.1"}),
        ({"source": 99}, {"number": "0.1", "source": 1}),
        ({"source": 1, "born": 9}, {"source": 2, "born": 1}),
        ({"born": 1}, {"born": 2}),
        ({"older": True, "source": 9, "born": 9}, {}),
    ],
)
def test_which_release_is_newer(older: dict[str, Any], newer: dict[str, Any]) -> None:
    one, two = of(OLD, "b", **older), of(NEW, "a", **newer)
    for both in ([one, two], [two, one]):
        assert shown(both)[0] is two
        found = merged(both, {})
        assert (found.attempts, [one.name for one in found.schedules]) == (7, ["hourly"])
        assert [task.name for task in found.tasks] == ["m.send", "m.fresh", "m.former"]
        send = found.tasks[0]
        assert send.schema is not None
        assert list(send.schema["properties"]) == ["to", "pin", "gone"]
        assert send.schema["required"] == ["to"]
        assert send.secret == ["pin", "gone"]
    assert NEW.tasks[0].schema == fields("to", "pin", required=["to"]), "merging changes no input"


def test_a_field_of_a_nested_model_is_added() -> None:
    def with_line(*names: str) -> QueueInfo:
        schema = fields("lines")
        schema["$defs"] = {"Line": fields(*names)}
        return QueueInfo("q", [TaskInfo("m.send", schema)], "m.send")

    found = merged([of(with_line("a"), "x"), of(with_line("b"), "y", source=1)], {})
    schema = found.tasks[0].schema
    assert schema is not None
    assert set(schema["$defs"]["Line"]["properties"]) == {"a", "b"}


def test_what_no_consumer_has_goes_after_an_hour_and_its_masks_stay() -> None:
    new, old = of(NEW, "new", number="2"), of(OLD, "old", number="1")
    masks = {"m.send": ["pin", "gone"], "m.fresh": ["token2"]}
    soon = old._replace(seen=new.seen + RECENT_MS)
    assert shown([new, soon]) == [soon, new], "the older one is the newest that runs"
    assert {one.name for one in merged([new, soon], masks).tasks} == {
        "m.send",
        "m.former",
        "m.fresh",
    }
    later = old._replace(seen=new.seen + RECENT_MS + 1)
    found = merged([new, later], masks)
    assert {one.name for one in found.tasks} == {"m.send", "m.former"}
    assert sorted(found.tasks[0].secret) == ["gone", "pin"]
    assert views.secret_paths(found, "m.fresh") == ["token2"], "its jobs are still masked"
    assert shown([new, old._replace(seen=new.seen + RUNNING_MS)])[0] is new


def test_a_program_that_adds_jobs_changes_no_option_of_the_consumers() -> None:
    consumer = of(OLD, "old")
    producer = of(NEW, "new", number="2", seen=9 * HOUR, consumer=False)
    found = merged([consumer, producer], {})
    assert found.attempts == 3
    assert {one.name for one in found.tasks} == {"m.send", "m.former", "m.fresh"}


def overwrite(link: RedisClient, info: QueueInfo) -> bytes:
    """What a program of 0.1.0 does when it starts."""
    raw = asdict(info)
    del raw["masks"]
    for task in raw["tasks"]:
        del task["aliases"]
    text = codec.dumps(raw)
    link.command("SET", keys.of(keys.base("t", "q"), "queue"), text)
    return text


def test_beside_programs_of_0_1_0(link: RedisClient) -> None:
    overwrite(link, OLD)
    link.command("SADD", keys.queues("t"), "q")
    assert asdict(registry.load(link, "t", "q")) == asdict(OLD)
    new = registry.Own(NEW, consumer=True)
    registry.note(link, "t", new)

    def description() -> tuple[int, set[str], set[str]]:
        found = registry.load(link, "t", "q")
        send = found.task("m.send")
        return found.attempts, {one.name for one in found.tasks}, set(send.secret)

    whole = (7, {"m.send", "m.former", "m.fresh"}, {"pin", "gone"})
    assert description() == whole
    overwrite(link, OLD)
    assert description() == whole, "it takes nothing away, before it is repaired"

    work = WorkerStore(link, "t", "q")
    found = registry.note(link, "t", new, always=False)
    assert not found.foreign, "it is repaired"
    assert work.heartbeat("w", b"{}", 9000, release=new.id, described=found.sha).described
    overwrite(link, OLD)
    assert not work.heartbeat("w", b"{}", 9000, release=new.id, described=found.sha).described
    # What a program of 0.1.0 reads is whole as well.
    registry.note(link, "t", new, always=False)
    text = link.command("GET", keys.of(keys.base("t", "q"), "queue"))
    assert {task["name"] for task in json.loads(text)["tasks"]} == whole[1]


def test_programs_that_write_at_once_lose_nothing(link: RedisClient) -> None:
    base = keys.base("t", "q")
    registry.save(link, "t", OLD, consumer=True)
    before = registry.described(link.run(scripts.DESCRIBE, base))
    registry.save(link, "t", NEW, number="2", consumer=True)
    row = ("id", 1, 0, b"{}", "")
    assert link.run(scripts.REGISTER, base, (b"{}", before.sha, *row)) == 0
    assert registry.load(link, "t", "q").attempts == 7


def test_only_the_latest_releases_are_remembered(link: RedisClient) -> None:
    for number in range(keys.RELEASES_KEPT + 5):
        info = QueueInfo("q", [TaskInfo(f"m.t{number}", None, ["pin"])])
        registry.save(link, "t", info, number=str(number))
    base = keys.base("t", "q")
    # The field without a name is the description's SHA-1.
    assert len(link.command("HVALS", keys.of(base, "releases"))) == keys.RELEASES_KEPT + 1
    assert link.command("ZCARD", keys.of(base, "seen")) == keys.RELEASES_KEPT
    found = registry.load(link, "t", "q")
    assert views.secret_paths(found, "m.t0") == ["pin"]


def test_consumers_of_0_1_0_are_held_back_and_others_are_not(
    redis_server: Server, link: RedisClient
) -> None:
    writer, reader = JobWriter(link, "t"), JobReader(link, "t")
    work, key = WorkerStore(link, "t", "q"), keys.of(keys.base("t", "q"), "paused")
    writer.add("q", NewJob("a", "m.send", b"{}", 3, 1, 0, 0))
    work.heartbeat("w", b"{}", 9000, hold=True)
    # All that a consumer of 0.1.0 asks.
    assert link.command("EXISTS", key) == 1
    with redis_server.client() as admin:
        assert 0 < admin.pttl(key) <= 9000
    assert not reader.stats(["q"])[0].is_paused
    assert writer.pause("q"), "a person's pause is another one"
    work.heartbeat("w", b"{}", 9000, hold=True)
    assert reader.stats(["q"])[0].is_paused
    assert work.step([], 1, "token", 9000)[1] == []
    assert writer.resume("q")
    assert not writer.resume("q")
    work.heartbeat("w", b"{}", 9000, hold=True)
    assert not writer.resume("q"), "nothing to resume"
    assert link.command("EXISTS", key) == 1
    assert len(work.step([], 1, "token", 9000)[1]) == 1


@pytest.mark.parametrize(
    ("newer", "older", "more"),
    [
        (OLD, OLD, False),
        (NEW, OLD, True),
        (QueueInfo("q", [TaskInfo("m.former")]), OLD, False),
        (QueueInfo("q", [TaskInfo("m.send", fields("to"))]), OLD, False),
        (QueueInfo("q", [TaskInfo("m.send", fields("to", "pin"))]), OLD, True),
    ],
)
def test_whether_a_release_has_more(newer: QueueInfo, older: QueueInfo, more: bool) -> None:
    assert has_more(newer, older) is more


def test_an_older_release_runs_no_schedule_that_the_newest_does_not_have(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_REDIS_URL", redis_url)
    # One call checks all, on a slow machine, too.
    monkeypatch.setattr(periodic, "TURN", 60.0)
    reset_runtime()
    huey = JobHuey("scheduled")

    @huey.periodic_task(crontab(minute="*"))
    def removed() -> None:
        """Runs in the older release."""

    @huey.periodic_task(crontab(minute="*"))
    def kept() -> None:
        """Runs in both."""

    scheduler, minute = Scheduler(huey), 60_000
    now = time.time_ns() // 1_000_000
    assert len(scheduler.check(now)) == 2
    newest = Release("newer", huey.describe())
    name = kept.full_name
    newest.info.schedules = [one for one in newest.info.schedules if one.task == name]
    scheduler.follow(newest, "ours")
    assert [one.split(":")[1] for one in scheduler.check(now + minute)] == [name]
    scheduler.follow(newest, "newer")
    assert len(scheduler.check(now + 2 * minute)) == 2, "it runs again after a rollback"
    huey.runtime.redis.close()
    reset_runtime()


def test_of_one_code_with_several_settings_the_consumer_that_started_last_decides(
    link: RedisClient,
) -> None:
    """Also when it goes back to what an earlier one had."""
    for limit in (1, 5, 1):
        info = replace(NEW, limit=limit)
        found = registry.note(link, "t", registry.Own(info, None, 7, True), begins=True)
        assert found.info is not None
        assert found.info.limit == limit
        # The time has ms.
        time.sleep(0.002)
