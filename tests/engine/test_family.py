"""A job that was added while another one ran names it; its family is found from either end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis
from huey.api import chord

from hsejobs.control import families
from hsejobs.control.actors import Actor
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidOption, JobNotFound
from hsejobs.model import FINISHED, JobRecord, Relative
from hsejobs.store import keys
from hsejobs.store.verify import RecordVerifier
from hsejobs.store.write import Cancel
from tests.engine import family_jobs as jobs
from tests.engine.conftest import Consumer
from tests.support import wait_until

Start = Callable[..., Consumer]
QUEUES = ("abroad", "clan")
KINDS = ("thread", "process")


@pytest.fixture
def run(consumer: Start) -> Callable[..., None]:
    """Runs what was added to the queue "clan", by one worker, until all of it has ended."""
    jobs.huey._registered = jobs.away._registered = None
    jobs.away.register()

    def run(kind: str = "thread") -> None:
        consumer("-k", kind, "-w", "1", place="tests.engine.family_jobs.huey")

        def ended() -> bool:
            (stats,) = runtime().reader.stats(["clan"])
            return not (stats.waiting or stats.active or stats.delayed)

        wait_until(ended, 30, "the end of all jobs")

    return run


def read(job_id: str, queue: str = "clan") -> JobRecord:
    return runtime().reader.job(queue, job_id)


def result(job_id: str) -> Any:
    return read(job_id).result


def family(job_id: str, queue: str = "clan", org: str | None = None, **more: Any) -> dict[str, Any]:
    actor = Actor("python", "operator" if org is None else "admin", org)
    record = runtime().reader.job(queue, job_id, org)
    found = families.of(runtime().reader, QUEUES, record, actor, **more)
    return families.public(found)


def ids(relatives: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in relatives]


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_to_add_a_job_from_another(run: Callable[..., None], kind: str) -> None:
    one, deep, abroad = jobs.add_one.add({}), jobs.add_deeper.add({"depth": 3}), jobs.follow.add({})
    several = jobs.many.add({"n": 3})
    piped = jobs.succeed.s(1).then(jobs.after)
    failing = jobs.break_down.s(1).error(jobs.after)
    members = [jobs.succeed.s(2), jobs.break_down.s(3)]
    callback = jobs.after.s()
    for task in (piped, failing, chord(members, callback)):
        jobs.huey.enqueue(task)
    run(kind)

    for parent, queue in ((one, "clan"), (abroad, "abroad")):
        child = read(result(parent.id), queue)
        assert child.parent == child.root == Relative("clan", parent.id)
        assert family(parent.id)["children"][0]["queue"] == queue
        assert family(child.id, queue)["parent"]["status"] == "completed"
    assert ids(family(several.id)["children"]) == result(several.id)
    for first, follower in ((piped, piped.on_complete), (failing, failing.on_error)):
        assert read(follower.id).parent == Relative("clan", first.id)
    assert read(callback.id).parent in [Relative("clan", member.id) for member in members]

    line = [deep.id]
    while children := family(line[-1])["children"]:
        line += ids(children)
    assert len(line) == 4
    for above, own in pairwise(line):
        record = read(own)
        assert (record.parent, record.root) == (Relative("clan", above), Relative("clan", deep.id))
    assert read(deep.id).parent is read(deep.id).root is None


def test_the_callback_of_a_chord_whose_last_member_was_cancelled(run: Callable[..., None]) -> None:
    member, callback = jobs.succeed.s(1), jobs.after.s()
    member.organization_id = "org-1"
    jobs.huey.enqueue(chord([member], callback))
    runtime().writer.cancel_many("clan", [member.id], Cancel("ann"))
    run()
    wait_until(lambda: runtime().reader.status("clan", callback.id) in FINISHED, 20, "the callback")
    assert read(callback.id).parent == Relative("clan", member.id)


def test_ordinary_jobs_have_no_further_field_and_no_list(
    trial: Path, redis_client: redis.Redis
) -> None:
    job = jobs.leaf.add({})
    assert b"fa" not in redis_client.hkeys(f"hsejobs:{{clan}}:j:{job.id}")
    assert redis_client.keys("*kids:*") == []


def test_no_one_sees_relatives_of_others(run: Callable[..., None]) -> None:
    """A job of the system adds one for an organization; a job of one organization adds one for another."""
    system = jobs.add_one.add({"for": "org-1"})
    own = jobs.add_one.add({"for": "org-1"}, organization_id="org-1")
    other = jobs.add_one.add({"for": "org-2"}, organization_id="org-1")
    run()
    of_system, of_own, of_other = (result(job.id) for job in (system, own, other))
    assert family(of_system)["parent"]["id"] == system.id
    assert family(of_system, org="org-1")["parent"] is None
    assert ids(family(own.id, org="org-1")["children"]) == [of_own]
    assert read(of_other).parent is None
    assert family(other.id)["children"] == []
    for job_id, org in ((system.id, "org-1"), (own.id, "org-2")):
        with pytest.raises(JobNotFound):
            family(job_id, org=org)


def test_a_list_lives_as_long_as_the_children(
    run: Callable[..., None], redis_client: redis.Redis
) -> None:
    several = jobs.many.add({"n": 2}, organization_id="org-1")
    run()
    first, second = result(several.id)
    name = f"hsejobs:{{clan}}:kids:clan/{several.id}"
    writer = runtime().writer
    writer.remove("clan", several.id)
    gone = family(first)["parent"]
    assert (gone["id"], gone["status"]) == (several.id, None)
    removed = writer.remove("clan", first)
    assert redis_client.zrange(name, 0, -1) == [second.encode()]
    writer.restore(removed)
    assert sorted(redis_client.zrange(name, 0, -1)) == sorted([first.encode(), second.encode()])
    redis_client.delete(f"hsejobs:{{clan}}:j:{first}", f"hsejobs:{{clan}}:p:{first}")
    verifier = RecordVerifier(runtime().redis, "hsejobs")
    found = verifier.verify("clan", repair=True)
    assert "no_child" in {fault.code for fault in found.faults}
    assert redis_client.zrange(name, 0, -1) == [second.encode()]
    writer.remove("clan", second)
    assert redis_client.exists(name) == 0


def test_a_list_is_bounded(
    run: Callable[..., None], redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = jobs.many.add({"n": keys.KIDS_KEPT + 5})
    run()
    found = family(several.id, limit=200)
    assert (found["total"], len(found["children"])) == (keys.KIDS_KEPT, 200)
    assert ids(found["children"]) == result(several.id)[:200]
    assert read(result(several.id)[-1]).parent == Relative("clan", several.id)
    for wrong in (0, 201):
        with pytest.raises(InvalidOption):
            family(several.id, limit=wrong)
