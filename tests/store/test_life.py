"""The transitions that the scripts make are exactly those of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from hsejobs.errors import JobActive
from hsejobs.model import State
from hsejobs.store import scripts
from hsejobs.store.artifacts import ArtifactRecords
from hsejobs.store.read import JobReader
from hsejobs.store.tenants import Tenants
from hsejobs.store.verify import RecordVerifier
from hsejobs.store.work import Done, WorkerStore
from hsejobs.store.write import Cancel, JobWriter, NewJob
from tests.store.test_acts import Store
from tests.store.transitions import MOVES, OTHERS, TRANSITIONS
from tests.store.watching import WatchedClient
from tests.support import wait_until
from tests.support.turns import put_first
from tests.support.waiting import redis_ms

HOUR = 3_600_000


class Watched(Store):
    """A queue whose scripts are watched."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        super().__init__(url)
        self.client = client
        self.redis: WatchedClient = WatchedClient(url, client)
        self.writer, self.reader = JobWriter(self.redis, "t"), JobReader(self.redis, "t")
        self.work = WorkerStore(self.redis, "t", "q", patience=1)
        self.files = ArtifactRecords(self.redis, "t")
        self._number = 0

    def job(self, state: str, *, file: bool = False) -> str:
        """A fresh job in a state, with a file if it is to have one."""
        self._number += 1
        name = f"{state}{self._number}"
        self.add(name, organization_id="one")
        if state == "waiting" and not file:
            return name
        # Alone in front: whatever else waits has a lower priority.
        put_first(self.client, "t:{q}:", name, "one")
        ((_, token),) = self.claim(1)
        if file:
            assert self.work.artifact(name, token, "f" * 32, redis_ms(self.redis) + HOUR)
        if state == "completed":
            self.work.step([Done(name, token, 5, b"1")], 0, "none", 0)
        elif state == "failed":
            assert self.fail((name, token)) == "f"
        elif state == "delayed":
            assert self.work.postpone(name, token, HOUR)[0] == "d"
        elif state == "waiting":
            self.work.release([(name, token)])
        return name

    def held(self, lease: int = HOUR) -> tuple[str, str]:
        """A fresh job that runs, and its token."""
        self._number += 1
        name = f"held{self._number}"
        self.add(name, organization_id="one")
        put_first(self.client, "t:{q}:", name, "one")
        ((job, token),) = self.claim(1, lease)
        assert job == name
        return job, token


@pytest.fixture
def store(redis_url: str, redis_client: redis.Redis) -> Iterator[Watched]:
    store = Watched(redis_url, redis_client)
    yield store
    store.redis.close()


def work_on_jobs(store: Watched) -> None:
    """Everything that a worker and its consumer do."""
    new = NewJob(
        id="periodic:m:1", name="m", payload=b"[]", priority=3, attempts=1, backoff=0, timeout=0
    )
    assert store.writer.add_periodic("q", new, "m", 1)
    assert store.writer.add_periodic("q", new, "m", 1) is None
    store.add("later", delay=HOUR)
    for delay in (0, HOUR):
        alike = [new._replace(id=f"alike-{delay}-{n}", delay=delay) for n in range(2)]
        assert all(one.created for one in store.writer.add_many("q", alike))
    for delay in (0, HOUR):
        by_hand = new._replace(id=f"by-hand-{delay}", nonce="n", delay=delay)
        assert store.writer.add_by_hand("q", by_hand).created
    for final, state in ((False, "d"), (True, "f")):
        assert store.fail(store.held(), final=final) == state
    # A delay of 0 does not skip the state: the next sweep or claim moves it on.
    job, token = store.held()
    no_backoff = {"code": "e", "error": b"{}", "run_us": 1, "final": False, "delay_ms": 0}
    store.client.hset(f"t:{{q}}:j:{job}", "bo", 0)
    assert store.work.fail(job, token, **no_backoff) == ("d", 0)  # type: ignore[arg-type]
    wait_until(lambda: store.work.sweep(1).moved or None, what="the due job")

    job, token = store.held()
    assert store.work.renew([(job, token)], 2 * HOUR) == set()
    assert store.work.progress(job, token, 5, "on")
    assert store.work.log(job, token, ["a line"])
    assert store.work.mark(job, token, "once", put=True)
    assert store.work.alone(job, token, begins=False) == 0
    assert store.work.checkpoint(job, token, b"5")
    assert store.work.artifact(job, token, "a" * 32, redis_ms(store.redis) + HOUR)
    # A claim that is sent again.
    store.add("again")
    put_first(store.client, "t:{q}:", "again")
    store.work.step([], 1, "same", HOUR)
    assert [one.id for one in store.work.step([], 1, "same", 2 * HOUR, again=1)[1]] == ["again"]

    assert store.work.release([store.held()]) == 1
    store.redis.run(scripts.RULES, store.work.base, ("k:m.task", "1 - -"))
    assert [store.work.key(*store.held(), "k") for _ in range(2)] == [True, False]
    assert store.work.postpone(*store.held(), HOUR)[0] == "d"
    assert store.work.step([Done(*store.held(), 5, b"1")], 0, "none", 0)[0] == "c"
    for most, became in ((1, "waiting"), (0, "failed")):
        assert store.work.stall([store.held()], most) == [became]
        job, _ = store.held(lease=0)
        assert dict(store.work.sweep(most).stalled)[job] == became


def cancel_and_report(store: Watched) -> None:
    """Cancels jobs in every state; what their workers report of them then."""
    cancel = Cancel("ann", "too late")
    for state in ("waiting", "delayed"):
        assert store.writer.cancel_many("q", [store.job(state)], cancel) == []
    assert store.writer.cancel_many("q", [store.held(lease=0)[0]], cancel) == []
    one, two, three, four = (store.held() for _ in range(4))
    assert store.writer.cancel_many("q", [job for job, _ in (one, two, three, four)], cancel) == []
    assert store.work.step([Done(*one, 5, b"1")], 0, "none", 0)[0] == "k"
    assert store.work.postpone(*two, HOUR)[0] == "k"
    assert store.work.release([three]) == 1
    assert store.fail(four) == "k"


def wait_for_locks(store: Watched) -> None:
    """Each way in which a lock becomes free, with two jobs that wait for it."""
    store.writer.obliterate("q", force=True)
    work = store.work

    def crowd(lease: int = HOUR) -> tuple[tuple[str, str], tuple[str, str]]:
        """A job that holds the lock, and the first of two that wait for it."""
        store.writer.obliterate("q", force=True)
        holder, first, second = store.held(lease), store.held(), store.held()
        assert work.lock("l", *holder) is True
        for one in (first, second):
            assert work.lock("l", *one) is False
            assert work.await_lock(*one, "l") == "d"
            assert work.await_lock(*one, "l") == "d"
        return holder, first

    def handed(first: tuple[str, str]) -> None:
        assert store.reader.status("q", first[0]) is State.WAITING
        assert store.client.get("t:{q}:kv:l") == f"{first[0]} *".encode()
        assert not RecordVerifier(store.redis, "t").verify("q").faults

    ends: tuple[Callable[[tuple[str, str]], object], ...] = (
        lambda one: work.unlock("l", *one),
        lambda one: work.unlock("l"),
        lambda one: store.fail(one),
        lambda one: work.postpone(*one, HOUR),
        lambda one: work.release([one]),
        lambda one: work.stall([one], 5),
        lambda one: work.step([Done(*one, 5, b"1")], 0, "none", 0),
        lambda one: work.await_lock(*one, "other"),
    )
    for end in ends:
        holder, first = crowd()
        end(holder)
        handed(first)
    holder, first = crowd(lease=0)
    work.sweep(5)
    handed(first)
    # Redis lost the holder's record: the next job that tries finds out.
    holder, first = crowd()
    store.client.set("t:{q}:kv:l", "lost token")
    assert work.lock("l", *store.held()) is False
    handed(first)
    # A job that was handed the lock leaves without having run.
    for leave in (
        lambda job: store.writer.remove("q", job),
        lambda job: store.writer.clean("q", State.WAITING, 0),
        lambda job: store.writer.cancel_many("q", [job], Cancel("ann", "")),
        lambda job: Tenants(store.redis, "t").erase_jobs("t:{q}:", "one", [job]),
    ):
        holder, first = crowd()
        third = store.held()
        assert work.await_lock(*third, "l") == "d"
        work.unlock("l", *holder)
        leave(first[0])
        assert store.reader.status("q", first[0]) in (None, State.FAILED)
        assert store.client.zcard("t:{q}:lw:l") == 1
    # It was freed just before.
    assert work.await_lock(*store.held(), "unheld") == "w"
    store.writer.obliterate("q", force=True)
    assert store.client.keys("t:{q}:lw:*") == store.client.keys("t:{q}:kv:*") == []


def claim_what_fell_due(store: Watched) -> None:
    """A delayed job whose time has come: claimed in one call, or moved by a claim of another."""
    store.writer.obliterate("q", force=True)
    for name in ("soon", "first"):
        store.add(name, delay=1, priority=1 if name == "first" else 2)
    due = max(int(store.client.zscore("t:{q}:delayed", name) or 0) for name in ("soon", "first"))
    wait_until(lambda: redis_ms(store.redis) > due, what="the jobs to be due")
    assert [job for job, _ in store.claim(1)] == ["first"]


def act_by_hand(store: Watched) -> None:
    """Takes every action that an operator can take."""
    store.writer.promote("q", store.job("delayed"))
    store.writer.retry("q", store.job("failed"))
    copy = NewJob("copy", "m", b"{}", 3, 1, 0, 0, nonce="n")
    assert store.writer.add_instead("q", copy, store.job("failed")).created
    for state in ("waiting", "delayed", "completed", "failed"):
        name = store.job(state, file=True)
        removed = store.writer.remove("q", name)
        assert removed.state == state
        store.writer.restore(removed)
        store.files.withdraw("q", name)
        assert store.writer.clean("q", State(state), 0) > 0
        erased = [store.job(state)]
        assert Tenants(store.redis, "t").erase_jobs("t:{q}:", "one", erased) == (1, 0)
        store.job(state)
    assert store.writer.drain("q") > 0
    for state in ("waiting", "active", "delayed"):
        store.job(state)
    with pytest.raises(JobActive):
        store.writer.remove("q", store.held()[0])
    assert not RecordVerifier(store.redis, "t").verify("q", repair=True).faults
    assert store.writer.obliterate("q", force=True) > 0


def test_what_was_seen_is_the_table(store: Watched) -> None:
    """Every row happens, and nothing else does (test_machine.py looks for what else could)."""
    work_on_jobs(store)
    cancel_and_report(store)
    wait_for_locks(store)
    claim_what_fell_due(store)
    act_by_hand(store)
    assert store.redis.moves == MOVES


def test_each_script_is_in_the_table_or_moves_nothing() -> None:
    moving = {name for one in TRANSITIONS for name in one.scripts}
    assert not moving & OTHERS
    assert moving | OTHERS == {script.name for script in scripts.ALL}


def test_each_script_takes_the_arguments_that_its_binding_names() -> None:
    assert all(len(script.sha) == 40 for script in scripts.ALL)
    with pytest.raises(TypeError, match="its binding differs"):
        scripts.Script("key", ("id",)).text  # noqa: B018
    with pytest.raises(TypeError, match="its header lacks ARGV"):
        scripts.KEY.check({"KEYS": "", "returns": "", "errors": ""})


def test_no_move_is_made_up() -> None:
    """The table has no move twice, so each is in the row that explains it."""
    rows = [move for one in TRANSITIONS for move in one.moves()]
    shared = {move for move in rows if rows.count(move) > 1}
    # `drain` is `obliterate` for two states.
    assert {script for _, script, _ in shared} <= {"obliterate"}
