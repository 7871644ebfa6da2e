"""Watches every step and knows what must hold: each state change has a script that may make it, each
lease that is taken a holder who could not renew, each outcome a run that came to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hsejobs.store.claims import KIND_WORDS, read_step
from hsejobs.store.work import _RECALLED
from tests.simulator.world import Actor, Group, Violation, World

#: Calls that one process makes in a second at most: more is a loop that does nothing but call.
MOST_CALLS = 500
#: Seconds that a holder gets to renew once its own trouble is over.
GRACE = 1.0


class Row(NamedTuple):
    """A job as ``check.lua`` shows it."""

    id: str
    state: str
    token: str
    org: str
    made: str
    attempts: str
    stalls: str
    run_at: str
    code: str
    lines: str
    progress: str
    score: str
    errors: str
    log: str
    marks: str
    cancelled: str


@dataclass(slots=True)
class Call:
    """One exchange. ``late``: it reached the server when no caller waited for it any more."""

    actor: Actor
    name: str
    args: list[Any]
    wake: list[Any] = field(default_factory=list)
    sent_at: float = 0.0
    answered: bool = False
    abandoned: bool = False
    late: bool = False
    #: The network lost it, or its reply.
    own: bool = False

    @property
    def who(self) -> str:
        return self.actor.name

    @property
    def about(self) -> str:
        """What of its arguments the trace shows."""
        shown = " ".join(str(one)[:26] for one in self.args[:8])
        return shown[:110]


@dataclass(slots=True)
class Hold:
    """An attempt: who asked for the job, whether the claim came through, how the run went."""

    id: str
    token: str
    worker: Actor
    at: float
    #: The claim was executed for a call that no caller waited for any more.
    late: bool
    received: bool = False
    running: bool = False
    finished: bool = False
    #: Its worker died before, so often that it may run only alone.
    suspect: bool = False
    ended: str = ""
    said: list[str] = field(default_factory=list)


#: The stalls from which on a job runs alone.
SUSPECT = 2
#: The scripts that may take a job away, and from which states.
_REMOVERS = {"remove": "wdcf", "clean": "wdcf", "obliterate": "wdcfa"}
#: The changes of state that the other scripts may make.
_MOVES: dict[str, set[tuple[str, str]]] = {
    "complete": {("a", "c"), ("a", "f"), ("w", "a"), ("d", "w"), ("d", "a")},
    "cancel": {("w", "f"), ("d", "f"), ("a", "f")},
    "fail": {("a", "d"), ("a", "f")},
    "postpone": {("a", "d"), ("a", "f")},
    "release": {("a", "w"), ("a", "f")},
    "stall": {("a", "w"), ("a", "f")},
    "sweep": {("a", "w"), ("a", "f"), ("d", "w")},
    "promote": {("d", "w")},
    "retry": {("f", "w")},
    "add": {("", "w"), ("", "d")},
    "add_alike": {("", "w"), ("", "d")},
    "act_add": {("", "w"), ("", "d")},
    "periodic": {("", "w"), ("", "d")},
    "restore": {("", "w"), ("", "d"), ("", "c"), ("", "f")},
}
#: Those of a worker: they name jobs and their tokens, and may change no others.
_STAYING = ("renew", "progress", "log", "mark", "checkpoint", "alone")
_BY_TOKEN = {"fail", "postpone", "release", "stall", *_STAYING}


class Observer:
    """Checks each call against the invariants. Raises Violation."""

    def __init__(self, world: World, log_of: Callable[[str], list[bytes]]) -> None:
        self.world, self.log_of = world, log_of
        self.lines: set[str] = set()
        self.jobs: dict[str, Row] = {}
        self.holds: dict[tuple[str, str], Hold] = {}
        #: Attempts that failed since a job's last fresh budget.
        self.used: Counter[str] = Counter()
        #: The ids of jobs that were in Redis at some time.
        self.made: set[str] = set()
        self.granted: dict[tuple[str, int, str], str] = {}
        self.asked: set[tuple[str, int, str]] = set()
        self.accepted: set[str] = set()
        #: Tokens of claims whose answer the claimer has received.
        self.settled: set[str] = set()
        #: Attempts whose last log lines met a fault: it is reported, and the write is not repeated.
        self.muted: set[str] = set()
        self.seen: Counter[str] = Counter()

    # -- calls

    def call(self, actor: Actor, name: str, words: Sequence[Any]) -> Call:
        args = words[4:] if words[0] in ("EVALSHA", "EVAL") else words[1:]
        return Call(actor, name, [_text(one) for one in args])

    def answered(self, call: Call, reply: Any) -> None:
        """The caller has received the reply."""
        if call.name != "complete":
            return
        self.settled.add(call.args[1])
        for claim in read_step(reply, call.args[1])[1]:
            hold = self.holds.get((claim.id, claim.token))
            if hold is not None:
                # The same claim, sent again, may have been the one that came through.
                hold.received, hold.late = True, False

    def rate(self, group: Group) -> None:
        """Counts a call of a process."""
        second = int(self.world.now)
        if group.second != second:
            group.second, group.calls = second, 0
        group.calls += 1
        if group.calls > MOST_CALLS:
            raise Violation(f"{group.name} called Redis {MOST_CALLS} times in a second")

    def after(self, call: Call, reply: Any, problems: bytes, rows: bytes, now_ms: int) -> None:
        """What the server did and what is in it now."""
        self.seen[call.name] += 1
        recalls = call.name == "complete" and call.args[3] == str(_RECALLED)
        if recalls and not isinstance(reply, Exception):
            self.seen["recalled"] += bool(read_step(reply, "")[1])
        if problems:
            raise Violation(f"{call.name}: {problems.decode()}")
        lines = set(rows.decode().split("\n")) if rows else set()
        new, old = lines - self.lines, self.lines - lines
        if not new and not old:
            return
        self.lines = lines
        changed: dict[str, list[Row | None]] = {}
        for line in old:
            row = Row(*line.split("\t"))
            changed[row.id] = [row, None]
        for line in new:
            row = Row(*line.split("\t"))
            changed.setdefault(row.id, [None, None])[1] = row
        for job_id in sorted(changed):
            before, after = changed[job_id]
            self._judge(call, before, after, now_ms)
            if after is None:
                del self.jobs[job_id]
            else:
                self.jobs[job_id] = after

    # -- one job

    def _judge(self, call: Call, before: Row | None, after: Row | None, now_ms: int) -> None:
        name = call.name
        row = after or before
        assert row is not None
        was, now = before.state if before else "", after.state if after else ""

        def wrong(text: str) -> None:
            raise Violation(f"{name} of {call.who}: {row.id} {was or '-'}->{now or '-'}: {text}")

        if after is None:
            if was not in _REMOVERS.get(name, ""):
                wrong("the job is lost")
            return
        if was != now and (was, now) not in _MOVES.get(name, ()):
            wrong("this script makes no such change")
        if before is not None and name in _BY_TOKEN and (row.id, before.token) not in _pairs(call):
            wrong(f"a token that lost wrote: the job was {before.token!r}'s")
        if before is not None and was == now and not _may_touch(call, before):
            wrong("this script changes no such job")
        if before is not None and before.cancelled and now not in (was, "f") and was != "f":
            wrong("it was cancelled")
        if now == "f" and after.cancelled and after.code != "cancelled":
            wrong(f"it was cancelled, and its code is {after.code}")
        if before is None:
            self._made(name, after)
        if now == "a" and was != "a":
            self._claimed(call, after, wrong)
        if was == "a" and now != "a":
            assert before is not None
            self._left(call, before, after, now_ms, wrong)
        if name == "retry" and was == "f":
            self.used[row.id] = 0
        if was == "d" and now == "w" and name in ("complete", "sweep"):
            assert before is not None
            if int(before.run_at) > now_ms:
                wrong("it is not due yet")
        self._attempts(name, was, after, wrong)

    def _made(self, name: str, after: Row) -> None:
        self.made.add(after.id)
        if name != "restore":
            self.used[after.id] = 0
        else:
            self.used[after.id] = int(after.made) - (after.state == "c" or after.code == "stalled")

    def _claimed(self, call: Call, after: Row, wrong: Any) -> None:
        token = call.args[1]
        if after.token != token:
            wrong(f"it was claimed with {token!r} and is {after.token!r}'s")
        if token in self.settled:
            wrong("it was claimed when the claim had been answered already: no worker will run it")
        late = call.late or not call.actor.alive
        # A claim that is sent again may find a job that was taken back from it unanswered.
        before = self.holds.get((after.id, token))
        if before is not None and before.received and not late:
            wrong("the same token claimed it twice")
        self.holds[after.id, token] = Hold(after.id, token, call.actor, self.world.now, late)

    def _left(self, call: Call, before: Row, after: Row, now_ms: int, wrong: Any) -> None:
        """The job is no longer active: its token ended it, or its lease expired."""
        hold = self.holds[before.id, before.token]
        hold.ended = f"{call.name} {after.state}"
        if after.code == "cancelled":
            self.used[before.id] += 1
            return
        if call.name == "complete":
            if (before.id, before.token) not in _pairs(call):
                wrong("completed with another token")
            if not hold.finished:
                wrong("completed, though its run did not end well")
            self._lines(hold, after, wrong)
        elif call.name == "fail":
            self.used[before.id] += 1
        elif call.name == "release" and hold.running and hold.worker.alive and self._well(hold):
            wrong("handed back while its worker runs it")
        if after.code == "stalled" and after.state == "f" and not hold.suspect:
            wrong("a stall failed it, though it did not run alone")
        elif call.name == "stall" and hold.worker.alive:
            wrong("its worker was said to be dead, and lives")
        elif call.name == "sweep":
            if int(float(before.score)) > now_ms:
                wrong("its lease had not ended")
            if self._well(hold):
                wrong(
                    f"its lease was taken while {hold.worker.name} could have renewed it"
                    f" (claimed {self.world.now - hold.at:.1f} s ago)"
                )

    def _lines(self, hold: Hold, after: Row, wrong: Any) -> None:
        """The log lines of a completed attempt are all stored, once each and in order."""
        if after.log == "0" and not hold.said:
            return
        begin = hold.token + ":"
        lines = [line.decode() for line in self.log_of(hold.id)]
        mine = [line for line in lines if line.startswith(begin)]
        if len(set(lines)) < len(lines):
            wrong("log lines are written twice")
        # Lines that a killed process, or an ending consumer, had not written are lost with it.
        ended = not hold.worker.alive or hold.worker.group.stopping or hold.token in self.muted
        if mine != hold.said and not ended:
            wrong(f"of its {len(hold.said)} log lines {len(mine)} are there")

    def _well(self, hold: Hold) -> bool:
        """Whether the holder could have kept the lease: alive, not cut off, its claim answered."""
        worker, since = hold.worker, self.world.now - GRACE
        group = worker.group
        if not group.alive or group.stopping or hold.late:
            return False
        if not hold.received and not worker.alive:
            return False
        return max(group.hurt_at, worker.hurt_at, group.frozen_until) < since

    def _attempts(self, name: str, was: str, after: Row, wrong: Any) -> None:
        used, made = self.used[after.id], int(after.made)
        if (after.state == "f" and after.code == "stalled") or after.state in ("a", "c"):
            used += 1
        if made != used:
            wrong(f"{made} attempts are used up, should be {used}")

    # -- runs

    def begins(self, job: Any, actor: Actor) -> Hold:
        """A task's body begins."""
        hold = self.holds.get((job.id, job.token))
        if hold is None or not hold.received:
            raise self.world.violation_of(
                f"{job.id} runs with a token that was never given: {job.token}"
            )
        if hold.ended.startswith("release"):
            raise self.world.violation_of(f"{job.id} runs though it was handed back")
        if hold.finished or hold.running:
            raise self.world.violation_of(f"{job.id} runs twice with one token")
        hold.running, hold.worker = True, actor
        self._beside(hold)
        self.world.note(f"begins {job.id} {job.token} attempt {job.attempt}")
        return hold

    def _beside(self, hold: Hold) -> None:
        """A job whose worker died twice runs while its process runs nothing else."""
        row = self.jobs.get(hold.id)
        hold.suspect = (
            row is not None and row.token == hold.token and int(row.stalls or 0) >= SUSPECT
        )
        if hold.suspect:
            self.seen["suspect"] += 1
        for other in self.holds.values():
            # A thread whose job was failed at its deadline may run on.
            if other is hold or not other.running or other.ended or not other.worker.alive:
                continue
            if other.worker.group is hold.worker.group and (hold.suspect or other.suspect):
                raise self.world.violation_of(
                    f"{hold.id} runs beside {other.id}, and one of them may run only alone"
                )

    def asked_once(self, job: Any, key: str, fresh: bool, earlier: bool) -> None:
        """``once`` answered. ``earlier``: the mark existed before this attempt asked."""
        # An id may come again after its removal, and an undo then bring the first one back.
        name = (job.id, job.created_at, key)
        if fresh:
            if name in self.granted:
                raise self.world.violation_of(f"once({key!r}) of {job.id} was granted to two")
            self.granted[name] = job.token
        elif not earlier and name not in self.granted:
            raise self.world.violation_of(f"once({key!r}) of {job.id} was granted to no attempt")


def _pairs(call: Call) -> set[tuple[str, str]]:
    """The (id, token) pairs that a worker's script names."""
    args = call.args
    if call.name == "complete":
        kinds = args[6 : 6 + KIND_WORDS * int(args[5])]
        tokens = kinds[::KIND_WORDS]
        jobs = args[6 + len(kinds) :]
        return {
            (one, tokens[int(kind) - 1]) for one, kind in zip(jobs[::4], jobs[1::4], strict=True)
        }
    if call.name in ("renew", "stall"):
        return {(args[at], args[at + 1]) for at in range(1, len(args) - 1, 2)}
    if call.name == "release":
        return {(args[at], args[at + 1]) for at in range(0, len(args) - 1, 2)}
    return {(args[0], args[1])}


def _may_touch(call: Call, before: Row) -> bool:
    """Whether a call may change a job that stays in its state."""
    if call.name == "complete":
        # The same call claimed it before: its lease begins again.
        return before.state == "a" and call.args[3] != "0" and before.token == call.args[1]
    return before.state == "a" and call.name in (*_STAYING, "cancel")


def _text(one: Any) -> str:
    return one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
