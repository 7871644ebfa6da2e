"""Records with anything in their fields: no script errs halfway, no reader raises, no job gets lost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hsejobs.control import views
from hsejobs.errors import JobActive, JobNotFound, QueueBusy, WrongState
from hsejobs.model import State
from hsejobs.store.read_live import LiveReader
from hsejobs.store.verify import RecordVerifier
from hsejobs.store.work import Claim, Done
from tests.store.test_acts import Store

FIELDS = (
    "st",
    "n",
    "p",
    "am",
    "ax",
    "bo",
    "to",
    "ct",
    "sc",
    "ra",
    "ft",
    "pt",
    "ws",
    "pf",
    "sl",
    "lc",
    "pg",
)
GARBAGE = (
    None,
    "",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "1e999",
    "-1",
    "x",
    "0",
    "0x1f",
    "1.5",
    "9" * 400,
    "9007199254740993",
    "\x00",
    "w",
    "f",
)
#: What a worker holds: the pair (id, token) of the job that it claimed before its record broke.
Act = Callable[[Store, tuple[str, str]], object]

ACTS: dict[str, Act] = {
    "claim": lambda s, _: s.claim(3),
    "again": lambda s, p: s.work.step([], 3, p[1], 30_000, again=True),
    "complete": lambda s, p: s.work.step([Done(*p, 2**63, b"1")], 0, "", 0),
    "fail": lambda s, p: s.fail(p, final=False),
    "fail at last": lambda s, p: s.fail(p),
    "postpone": lambda s, p: s.work.postpone(*p, 10**30, 5),
    "release": lambda s, p: s.work.release([p]),
    "renew": lambda s, p: s.work.renew([p], 30_000),
    "stall": lambda s, p: s.work.stall([p], 3),
    "stall too often": lambda s, p: s.work.stall([p], 0),
    "progress": lambda s, p: s.work.progress(*p, 5, "m"),
    "log": lambda s, p: s.work.log(*p, ["line"]),
    "mark": lambda s, p: s.work.mark(*p, "m", put=True),
    "alone": lambda s, p: [s.work.alone(*p, begins=begins) for begins in (False, True)],
    "lock": lambda s, p: [s.work.lock("l", *p), s.work.unlock("l", *p)],
    "rate": lambda s, p: [s.work.rate("l", 1, 9_000_000, n, p[0]) for n in "ab"],
    "await a lock": lambda s, p: s.work.await_lock(*p, "l"),
    "checkpoint": lambda s, p: s.work.checkpoint(*p, b"1"),
    "sweep": lambda s, _: s.work.sweep(3),
    "promote": lambda s, p: s.writer.promote("q", p[0]),
    "retry": lambda s, p: s.writer.retry("q", p[0]),
    "add": lambda s, p: s.add(p[0], organization_id="o"),
    "remove and restore": lambda s, p: s.writer.restore(s.writer.remove("q", p[0])),
    "clean": lambda s, _: [s.writer.clean("q", state, 0) for state in State if state != "active"],
    "count what a clean takes": lambda s, _: s.writer.cleanable("q", State.WAITING, 0),
    "drain": lambda s, _: s.writer.drain("q"),
    "obliterate": lambda s, _: s.writer.obliterate("q", force=True),
}


@pytest.fixture
def store(redis_url: str) -> Store:
    return Store(redis_url)


def enter(store: Store, state: State) -> tuple[str, str]:
    """One job in that state, and the token of its claim."""
    store.add("a", organization_id="o", delay=3_600_000 if state is State.DELAYED else 0)
    if state in (State.WAITING, State.DELAYED):
        return "a", "none"
    (pair,) = store.claim()
    if state is State.COMPLETED:
        store.work.step([Done(*pair, 5, b"1")], 0, "", 0)
    elif state is State.FAILED:
        store.fail(pair)
    return pair


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    state=st.sampled_from(list(State)),
    broken=st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(GARBAGE), min_size=1),
    acts=st.lists(st.sampled_from(list(ACTS)), min_size=1, max_size=3),
)
@example(state=State.COMPLETED, broken={"st": None}, acts=["stall", "clean"])
@example(state=State.COMPLETED, broken={"st": "w"}, acts=["stall", "clean"])
@example(state=State.FAILED, broken={"st": None}, acts=["stall too often", "clean"])
def test_whatever_is_done_the_job_stays_in_one_state(
    store: Store,
    redis_client: redis.Redis,
    state: State,
    broken: dict[str, str | None],
    acts: list[str],
) -> None:
    redis_client.flushall()
    pair = enter(store, state)
    for name, value in broken.items():
        words = ("HDEL", "t:{q}:j:a", name) if value is None else ("HSET", "t:{q}:j:a", name, value)
        store.redis.command(*words)
    for act in acts:
        # An error of the script itself is a JobsError, which none of these is.
        with contextlib.suppress(JobActive, JobNotFound, QueueBusy, WrongState):
            ACTS[act](store, pair)
        look(store)
    verifier = RecordVerifier(store.redis, "t")
    assert not {fault.code for fault in verifier.verify("q").faults} & {
        "no_record",
        "orphan",
        "unreadable",
    }
    # One walk repairs what is left, or the job runs.
    left = {
        fault.job_id for fault in verifier.verify("q", repair=True).faults if not fault.repaired
    }
    assert left <= {"a"}
    there = store.redis.command("EXISTS", "t:{q}:j:a")
    assert sum(store.counts()) >= there
    if not left:
        assert verifier.verify("q").found == 0
        assert sum(store.counts()) == sum(store.counts("o")) == there


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("many", [1, 3])
def test_a_broken_record_holds_up_no_other_organization(
    store: Store, redis_client: redis.Redis, name: str, many: int
) -> None:
    """It waits in front, while several take turns; a claim reads its name whatever else is broken."""
    for value in (*GARBAGE, "3\n5", "\n"):
        redis_client.flushall()
        for at, org in enumerate(("o", "p", "p", "q")):
            store.add(f"{org}{at}", organization_id=org)
        if value is None:
            store.redis.command("HDEL", "t:{q}:j:o0", name)
        else:
            store.redis.command("HSET", "t:{q}:j:o0", name, value)
        done: list[Done] = []
        ended: dict[str, Claim] = {}
        for number in range(6):
            _, claims = store.work.step(done, many, f"token{number}", 30_000)
            done = [
                Done(one.id, one.token, 5, b"1", one.organization_id, "", one.name)
                for one in claims
            ]
            ended.update({one.id: one for one in claims})
        assert {"p1", "p2", "q3"} <= ended.keys(), value
        assert name == "n" or "o0" not in ended or ended["o0"].name == "m.task", value
        assert store.counts()[1] == 0


def test_a_member_of_no_priority_keeps_no_claim_from_its_job(
    store: Store, redis_client: redis.Redis
) -> None:
    for member in ("x", "", "xo"):
        redis_client.flushall()
        store.add("a", organization_id="o")
        redis_client.delete("t:{q}:turns")
        redis_client.zadd("t:{q}:turns", {member: 1.0})
        store.claim()
        store.add("b", organization_id="o")
        assert [one for _ in range(3) for one, _ in store.claim()] == ["a", "b"]


def test_a_job_in_its_own_list_leaves_all_others(store: Store, redis_client: redis.Redis) -> None:
    store.add("a", organization_id="o")
    for name in ("completed", "failed"):
        for key in (f"t:{{q}}:{name}", f"t:{{q}}:o:{name}:o"):
            redis_client.zadd(key, {"a": 5.0})
    for state in (State.COMPLETED, State.WAITING):
        store.writer.clean("q", state, 0)
    assert store.counts() == store.counts("o") == [0] * 5


@pytest.mark.parametrize("letter", ["a", "d", "c", "f"])
def test_a_broken_list_of_an_organization_keeps_a_job_from_none(
    store: Store, redis_client: redis.Redis, letter: str
) -> None:
    """The job waits first by its list, but not by its record; the broken list is that of a third state."""
    lists = {"a": "active", "d": "delayed", "c": "completed", "f": "failed"}
    for name in lists.values():
        if name != lists[letter]:
            redis_client.flushall()
            store.add("a", organization_id="o")
            store.add("b", organization_id="p")
            redis_client.hset("t:{q}:j:a", "st", letter)
            redis_client.set(f"t:{{q}}:o:{name}:o", "x")
            assert [one for one, _ in store.claim()] == ["b"], name
            assert redis_client.zscore(f"t:{{q}}:{lists[letter]}", "a"), name
            assert redis_client.zscore("t:{q}:waiting", "a") is None, name


def look(store: Store) -> None:
    """Calls every reader; none may raise on a broken record."""
    with contextlib.suppress(JobNotFound):
        views.public(store.reader.job("q", "a"))
    store.reader.status("q", "a")
    live = LiveReader(store.redis, "t")
    for state in State:
        for job in store.reader.page("q", state).jobs:
            views.public(job)
        live.window("q", state)
    (stats,) = store.reader.stats(["q"])
    stats.public()
    live.snapshot()
