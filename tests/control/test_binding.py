"""An act takes what its question was about: a second actor between question and act, for every act.

The kind: a confirmation that binds nothing. The doors are in ``tests/tui/test_bound.py`` and ``tests/cli``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsejobs.control import sharing
from hsejobs.control.act_table import ACTS
from hsejobs.control.actors import Actor
from hsejobs.control.acts import Acts
from hsejobs.control.audit import FileLog
from hsejobs.control.progress import Progress
from hsejobs.errors import QueueBusy, WrongState
from hsejobs.model import State
from hsejobs.store import keys
from hsejobs.store.artifacts import ArtifactRecords
from hsejobs.store.circuits import Circuits
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.registry import QueueInfo, ScheduleInfo, TaskInfo
from hsejobs.store.verify import RecordVerifier
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import JobWriter, NewJob, Seen
from tests.control.held import set_task
from tests.control.ordering import ORDERINGS
from tests.control.superseding import supersede
from tests.support.waiting import tick

CIRCUIT = "smtp:mail.example:25"


class Stage:
    """A queue with two actors: one that was asked, and a colleague."""

    def __init__(self, url: str, home: Path) -> None:
        self.redis = RedisClient(url)
        self.writer, self.reader = JobWriter(self.redis, "t"), JobReader(self.redis, "t")
        self.work = WorkerStore(self.redis, "t", "q", patience=1)
        log = FileLog(home, "redis")
        self.acts = Acts(self.redis, "t", Actor("tui", user_id="olga"), log, undo=True)
        self._claims = 0

    def add(self, *ids: str, delay: int = 0, data: bytes = b"{}") -> None:
        for job_id in ids:
            new = NewJob(job_id, "m.t", data, 3, 3, 0, 0, delay=delay, nonce="n" + job_id)
            self.writer.add("q", new)

    def run(self, job_id: str) -> tuple[str, str]:
        """A worker claims the only waiting job."""
        self._claims += 1
        [claim] = self.work.step([], 1, f"token{self._claims}", 60_000)[1]
        assert claim.id == job_id
        return claim.id, claim.token

    def fail(self, *ids: str) -> None:
        for job_id in ids:
            if self.status(job_id) is None:
                self.add(job_id)
            pair = self.run(job_id)
            self.end(pair, final=True)

    def end(self, pair: tuple[str, str], *, final: bool) -> None:
        delay, error = None if final else 600_000, b'{"error":"no"}'
        self.work.fail(*pair, code="error", error=error, run_us=1, final=final, delay_ms=delay)

    def status(self, job_id: str) -> State | None:
        return self.reader.status("q", job_id)

    def seen(self, *ids: str) -> list[Seen]:
        return [(job_id, self.reader.job("q", job_id).version) for job_id in ids]

    def states(self, *ids: str) -> str:
        """The letters of the jobs' states, `-` for none."""
        found = [self.status(job_id) for job_id in ids]
        return "".join("-" if one is None else one.letter for one in found)

    def later(self) -> None:
        """What follows happens in a later ms than what was asked."""
        tick(self.redis)

    def many(self, act: str, jobs: list[Seen]) -> Progress:
        (*_, done) = self.acts.many(act, "q", jobs)
        return done


class Late(JobReader):
    """Something happens between the moment of an act and its first page."""

    def __init__(self, stage: Stage, after: Callable[[], None]) -> None:
        super().__init__(stage.redis, "t")
        self.stage, self.after = stage, after

    def now(self, queue: str) -> int:
        found = super().now(queue)
        self.stage.later()
        self.after()
        return found


@pytest.fixture
def stage(redis_url: str, no_leaks: None, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(redis_url, tmp_path)
    yield made
    made.redis.close()


def retry(stage: Stage) -> None:
    stage.fail("a", "b", "c")
    seen = stage.seen("a", "b", "c")
    stage.later()
    stage.writer.retry("q", "b")
    stage.fail("b", "late")
    done = stage.many("retry", seen)
    assert (done.done, dict(done.refused)) == (2, {"changed since they were looked at": 1})
    assert stage.states("a", "b", "c", "late") == "wfwf"


def retry_all(stage: Stage) -> None:
    stage.fail("a", "b")
    stage.acts._reader = Late(stage, lambda: stage.fail("late"))
    (*_, done) = stage.acts.every("retry", "q")
    assert (done.done, stage.states("a", "b", "late")) == (2, "wwf")


def promote(stage: Stage) -> None:
    stage.add("a", "b", delay=600_000)
    seen = stage.seen("a", "b")
    stage.later()
    stage.add("late", delay=600_000)
    stage.writer.promote("q", "b")
    stage.end(stage.run("b"), final=False)
    done = stage.many("promote", seen)
    assert (done.done, stage.states("a", "b", "late")) == (1, "wdd")


def cancel(stage: Stage) -> None:
    stage.add("b")
    stage.add("a", delay=600_000)
    seen = stage.seen("a", "b")
    stage.later()
    # It was asked about a waiting job; a running one would be interrupted.
    stage.run("b")
    stage.add("late")
    done = stage.many("cancel", seen)
    assert (done.done, dict(done.refused)) == (1, {"moved to active": 1})
    assert stage.states("a", "b", "late") == "faw"
    assert stage.reader.job("q", "b").cancel is None


def remove(stage: Stage) -> None:
    stage.fail("a", "b", "c")
    seen = stage.seen("a", "b", "c")
    stage.later()
    stage.writer.retry("q", "b")
    stage.fail("b", "late")
    stage.writer.retry("q", "c")
    done = stage.many("remove", seen)
    assert (done.done, stage.states("a", "b", "c", "late")) == (1, "-fwf")


def undo(stage: Stage) -> None:
    stage.fail("a", "b")
    stage.many("remove", stage.seen("a", "b"))
    stage.add("a", data=b'{"of":"a colleague"}')
    before = stage.reader.job("q", "a")
    (*_, done) = stage.acts.undo()
    assert (done.done, dict(done.refused)) == (1, {"the id is in use again": 1})
    assert stage.reader.job("q", "a") == before
    assert stage.states("a", "b") == "wf"


def clean(stage: Stage) -> None:
    stage.fail("a", "b", "c")
    selection = stage.acts.select_clean("q", State.FAILED, 0)
    stage.later()
    stage.writer.retry("q", "b")
    stage.fail("b", "late")
    (*_, done) = stage.acts.sweep("clean", "q", selection, state=State.FAILED, grace_ms=0)
    assert (selection.count, done.done, stage.states("a", "b", "c", "late")) == (3, 2, "-f-f")


def clean_with_a_limit(stage: Stage) -> None:
    """Seen: after a colleague removed the two that were meant, the next two went, too."""
    stage.add("d1", "d2", "d3", "d4", delay=600_000)
    stage.fail("a", "b", "c", "d")
    for state, ids in ((State.FAILED, "abcd"), (State.DELAYED, ("d1", "d2", "d3", "d4"))):
        selection = stage.acts.select_clean("q", state, 0, 2)
        stage.later()
        stage.writer.remove("q", ids[0])
        sweep = stage.acts.sweep("clean", "q", selection, state=state, grace_ms=0, limit=2)
        (*_, done) = sweep
        assert (selection.count, done.done, done.total) == (2, 1, 2)
        left = stage.states(*ids)
        assert (left[:2], left[2:]) == ("--", 2 * state.letter)
        assert done.refused.total() == 1


def drain(stage: Stage) -> None:
    stage.fail("f", "g")
    stage.add("a")
    stage.add("b", delay=600_000)
    selection = stage.acts.select("drain", "q")
    stage.later()
    stage.writer.promote("q", "b")  # still one of those that were asked about
    stage.writer.retry("q", "f")  # now waiting, but it was not
    stage.add("late")
    stage.add("later", delay=600_000)
    (*_, done) = stage.acts.sweep("drain", "q", selection)
    assert (done.done, done.later) == (2, 3)
    assert stage.states("a", "b", "f", "g", "late", "later") == "--wfwd"


def obliterate(stage: Stage) -> None:
    stage.fail("f")
    stage.add("a")
    selection = stage.acts.select("obliterate", "q")
    stage.later()
    stage.add("late", "later", delay=600_000)
    (*_, done) = stage.acts.sweep("obliterate", "q", selection)
    assert (done.done, done.later, stage.states("a", "f", "late", "later")) == (2, 2, "--dd")


def obliterate_what_began_to_run(stage: Stage) -> None:
    stage.add("a")
    selection = stage.acts.select("obliterate", "q")
    stage.run("a")
    with pytest.raises(QueueBusy):
        list(stage.acts.sweep("obliterate", "q", selection))
    assert stage.states("a") == "a"


def obliterate_what_was_paused(stage: Stage) -> None:
    """Seen: a pause that a colleague began after the question was lifted with the queue's keys."""
    stage.add("a")
    selection = stage.acts.select("obliterate", "q")
    stage.later()
    stage.writer.pause("q")
    list(stage.acts.sweep("obliterate", "q", selection))
    assert stage.reader.stats(["q"])[0].is_paused
    stage.later()
    list(stage.acts.sweep("obliterate", "q", stage.acts.select("obliterate", "q")))
    assert not stage.reader.stats(["q"])[0].is_paused


def pause(stage: Stage) -> None:
    stage.writer.pause("q")
    since = stage.reader.stats(["q"])[0].paused_at
    stage.later()
    assert stage.acts.pause("q", True) == "q was paused already"
    assert stage.reader.stats(["q"])[0].paused_at == since


def resume(stage: Stage) -> None:
    stage.writer.pause("q")
    since = stage.reader.stats(["q"])[0].paused_at
    stage.writer.resume("q")
    assert stage.acts.pause("q", False, since=since) == "q was resumed already"
    stage.later()
    stage.writer.pause("q")
    with pytest.raises(WrongState, match="paused again"):
        stage.acts.pause("q", False, since=since)
    now = stage.reader.stats(["q"])[0]
    assert now.is_paused
    assert stage.acts.pause("q", False, since=now.paused_at) == "q is resumed"


def run(stage: Stage) -> None:
    schedule = ScheduleInfo("nightly", "0 3 * * *", "m.nightly")
    info = QueueInfo("q", [TaskInfo("m.nightly")], "m.nightly", schedules=[schedule])
    first = stage.acts.run_schedule(info, schedule, last="-")
    with pytest.raises(WrongState, match="ran since"):
        stage.acts.run_schedule(info, schedule, last="-")
    second = stage.acts.run_schedule(info, schedule, last=first.id)
    assert stage.reader.last_runs("q") == {"m.nightly": second.id}
    assert stage.reader.stats(["q"])[0].waiting == 2


def circuit(stage: Stage, act: str) -> None:
    circuits = Circuits(stage.redis, "t")
    circuits.open(CIRCUIT)
    if act == "open":
        circuits.close(CIRCUIT)
    shown = circuits.get(CIRCUIT)
    stage.later()
    circuits.close(CIRCUIT) if act == "close" else circuits.open(CIRCUIT)
    stage.later()
    circuits.open(CIRCUIT) if act == "close" else circuits.close(CIRCUIT)
    now = circuits.get(CIRCUIT)
    with pytest.raises(WrongState, match="changed since"):
        stage.acts.circuit(CIRCUIT, act, since=shown.since)
    assert circuits.get(CIRCUIT) == now
    stage.acts.circuit(CIRCUIT, act, since=now.since)
    assert circuits.get(CIRCUIT).state == {"open": "open", "close": "closed"}[act]
    circuits.close(CIRCUIT)


def remove_file(stage: Stage) -> None:
    """A colleague removed the file that was meant, and another attempt made a new one."""
    files, made = ArtifactRecords(stage.redis, "t"), []
    stage.add("a")
    for name in ("1" * 32, "2" * 32):
        pair = stage.run("a")
        made.append(stage.work.artifact(*pair, name, 2**52))
        stage.end(pair, final=True)
        if len(made) == 1:
            files.withdraw("q", "a")
            stage.writer.retry("q", "a")
    with stage.acts.recorded("remove file", "q") as record, pytest.raises(WrongState):
        files.withdraw("q", "a", seen=made[0] or "", entry=record.packed)
    holder = files.holder("q", "a")
    assert holder is not None
    assert [holder.artifact_id, made[0]] == ["2" * 32, "1" * 32]


def set_tenant(stage: Stage) -> None:
    """What was not asked about stays as a colleague has set it meanwhile."""
    sharing.set_tenant(stage.acts, "q", "org-1", weight=3)
    sharing.set_tenant(stage.acts, "q", "org-1", paused=True)
    found = sharing.set_tenant(stage.acts, "q", "org-1", limit=5)
    assert (found.weight, found.limit, found.paused) == (3, 5, True)
    sharing.set_tenant(stage.acts, "q", "org-1", weight=1, limit=None, paused=False)


def repair(stage: Stage) -> None:
    """A fault is looked for again in the script that repairs it."""
    stage.add("a", "b")
    base = keys.base("t", "q")
    stage.redis.command("ZREM", f"{base}waiting", "a")
    [fault] = RecordVerifier(stage.redis, "t").check("q", [("a", ""), ("b", "")])
    assert (fault.job_id, fault.repaired) == ("a", False)
    stage.redis.command("ZADD", f"{base}active", 2**53, "a")
    stage.redis.command("HSET", f"{base}j:a", "st", "a", "tk", "token")
    before = stage.reader.job("q", "a")
    with stage.acts.recorded("repair", "q") as record:
        RecordVerifier(stage.redis, "t").verify("q", repair=True, entry=record.packed)
    assert stage.reader.job("q", "a") == before


def enqueue(stage: Stage) -> None:
    info = QueueInfo("q", [TaskInfo("m.t")], "m.t")
    new = NewJob("a", "m.t", b'{"mine":1}', 3, 3, 0, 0, nonce="mine")
    stage.add("a")
    before = stage.reader.job("q", "a")
    added = stage.acts.add(info, new)
    assert (added.created, stage.reader.job("q", "a")) == (False, before)


def erase(stage: Stage) -> None:
    """Its question names the organization, not a set: all that there is of it goes, whatever came since.

    It ends when nothing is left, and refuses while the organization goes on adding jobs.
    """


#: What binds each act. An act without a case fails below.
BINDINGS: dict[str, tuple[Callable[[Stage], None], ...]] = {
    "retry": (retry, retry_all),
    "promote": (promote,),
    "cancel": (cancel,),
    "remove": (remove,),
    "undo": (undo,),
    "clean": (clean, clean_with_a_limit),
    "drain": (drain,),
    "obliterate": (obliterate, obliterate_what_began_to_run, obliterate_what_was_paused),
    "pause": (pause,),
    "resume": (resume,),
    "run": (run,),
    **ORDERINGS,
    "circuit open": (lambda stage: circuit(stage, "open"),),
    "circuit close": (lambda stage: circuit(stage, "close"),),
    "remove file": (remove_file,),
    "supersede": (supersede,),
    "tenants set": (set_tenant,),
    "tasks set": (set_task,),
    "tenants erase": (erase,),
    "repair": (repair,),
    "enqueue": (enqueue,),
}


def test_every_act_has_a_case() -> None:
    assert BINDINGS.keys() == ACTS.keys()


@pytest.mark.parametrize(
    "bound",
    [
        pytest.param(one, id=f"{act} {number}")
        for act, every in BINDINGS.items()
        for number, one in enumerate(every)
    ],
)
def test_what_came_later_or_moved_on_stays(stage: Stage, bound: Callable[[Stage], None]) -> None:
    bound(stage)
