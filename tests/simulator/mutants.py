"""Old faults, to be put back one at a time: the simulator must find each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from hsejobs.engine import alone, progress_log, stepping, worker
from hsejobs.engine.duties import PendingWrites
from hsejobs.engine.slots import Slot
from hsejobs.engine.workers import WorkerSupervision
from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.store.work import WorkerStore

Patch = Callable[[str], str]


def without(*lines: str) -> Patch:
    """A script's text without these parts."""

    def patch(text: str) -> str:
        for line in lines:
            assert line in text, line
            text = text.replace(line, "")
        return text

    return patch


def replaced(old: str, new: str) -> Patch:
    def patch(text: str) -> str:
        assert old in text, old
        return text.replace(old, new)

    return patch


#: Faults of a script: its name, and how its text becomes the old one.
IN_LUA: dict[str, tuple[str, Patch]] = {
    # A full server refuses what needs memory, unless the script's first write needs none.
    "renewals refused on a full server, sweeps allowed": (
        "renew",
        without("call('ZREM', KEYS[1], '')\n"),
    ),
    "fail without the token check": (
        "fail",
        replaced("if job[2] ~= token then", "if not job[2] then"),
    ),
    "renew without the token check": (
        "renew",
        without(" and job[2] == ARGV[a + 1]"),
    ),
    "log lines written again": ("log", replaced("if new > #ARGV then return 1 end", "new = 6")),
    "a mark used up by a lost reply": (
        "mark",
        replaced("return job[3] == ARGV[5] and 1 or 0", "return 0"),
    ),
    "late sweeps take leases": (
        "sweep",
        replaced("math.min(whole(ARGV[4], 0), now_ms)", "now_ms"),
    ),
    "late claims take jobs": (
        "complete",
        replaced("  if special and rare.is_late(token, again) then return {} end\n", ""),
    ),
    "a postponed job uses an attempt": (
        "postpone",
        replaced("within(job[4], 1, 1000000, 1) - 1", "within(job[4], 1, 1000000, 1)"),
    ),
    "an organization's index forgotten": (
        "release",
        replaced("take_from('a', job[3], id)", "take_from('a', nil, id)"),
    ),
}


@contextlib.contextmanager
def _with(owner: Any, name: str, value: Any) -> Iterator[None]:
    kept = owner.__dict__[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)


def _claims_again() -> Any:
    """A claim is sent again as if it were the first time."""
    step = WorkerStore.step

    def again(
        self: WorkerStore, done: Any, want: int, token: str, lease: int, *, again: int = 0
    ) -> Any:
        return step(self, done, want, token, lease, again=False)

    return _with(WorkerStore, "step", again)


def _drops_outcomes() -> Any:
    """An outcome whose write fails is forgotten."""

    def once(self: Any, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except JobsError as error:
            self.consumer.outage.begins(error, self.name)
            return None

    return _with(stepping.Stepping, "retry", once)


def _taken_back_and_lost() -> Any:
    """What was taken out of a slot is written once, and dropped when Redis does not answer."""

    def flush(self: Any, budget: float = 0.15) -> None:
        writes, self.writes = self.writes, []
        for one in writes:
            one.act()

    return _with(PendingWrites, "flush", flush)


def _taken_back_forever() -> Any:
    """What was taken out of a slot stays in it."""

    def reclaim(self: Slot, *, finished: bool = True, behind: Any = None) -> Any:
        with self._locked():
            _, at, running, flags, count, size, used, started, deadline, half = self._head()
            rows = self._rows(half, size)
            self._put(at, at, running, flags, count, size, used, started, deadline, half)
            done = self._outcomes(half, count, rows)
            return done, [(row[0], row[1]) for row in rows[at:]]

    return _with(Slot, "reclaim", reclaim)


def _sweeps_first() -> Any:
    """After an outage, leases are taken before any consumer could renew."""

    def sweep(self: WorkerStore, max_stalls: int, *, ended_by: int = 0) -> Any:
        return kept(self, max_stalls)

    kept = WorkerStore.sweep
    return _with(WorkerStore, "sweep", sweep)


def _telling_raises() -> Any:
    """``progress`` and ``log`` raise what Redis says."""
    tried = progress_log.ProgressLog._try

    def loud(self: Any, *, lines: bool) -> Any:
        before = self._retry_at
        mine = tried(self, lines=lines)
        if self._retry_at != before:
            raise ValueError("Redis does not answer")
        return mine

    return _with(progress_log.ProgressLog, "_try", loud)


def _ends_workers() -> Any:
    """What Redis says ends the worker."""

    def loop(self: Any, now: Any = None) -> None:
        claim = self.slot.begin(0.0)
        if claim is None:
            try:
                claims = self.work.step(
                    self.done, 1, f"{self.token_base}.x{self._calls}", self.lease, again=False
                )[1]
            except RedisUnavailable as error:
                raise RuntimeError from error
            self._calls += 1
            self.done = []
            self.slot.load(claims)
            if not claims:
                self._wait()
        else:
            self._execute(claim)

    return _with(worker.JobWorker, "loop", loop)


def _forgets_its_dead() -> Any:
    """The outcome of a failed job dies with its process, and nothing reports it before the lease ends."""
    return _with(Slot, "unwritten", lambda self: [])


def _suspects_no_one() -> Any:
    """A job whose worker died twice runs beside others."""
    return _with(alone, "suspected_from", lambda max_stalls: 1_000)


def _begins_at_once() -> Any:
    """A suspect begins before the other jobs of its consumer have ended."""
    return _with(WorkerSupervision, "settle_all", lambda self, slots: True)


def _stays_ahead() -> Any:
    """The jobs of a claim that is on its way stay a worker's, however long its job runs."""
    return _with(Slot, "recall", lambda self, *, behind=None, dead=False: [])


def _forgets_ahead() -> Any:
    """A claim that was on its way when Redis went away is not asked for again."""
    return _with(Slot, "unanswered", lambda self: [])


def _forgets_behind() -> Any:
    """Of two claims that were on their way when Redis went away, the second is not given up."""
    real = Slot.unanswered
    return _with(Slot, "unanswered", lambda self: real(self)[:1])


#: Faults of the engine.
IN_ENGINE: dict[str, Callable[[], Any]] = {
    "a claim is sent again as a new one": _claims_again,
    "an outcome is dropped when its write fails": _drops_outcomes,
    "what was taken back is dropped": _taken_back_and_lost,
    "what was taken back is taken back forever": _taken_back_forever,
    "sweeps before the renewals after an outage": _sweeps_first,
    "telling raises": _telling_raises,
    "what Redis says ends a worker": _ends_workers,
    "a dead process's failure is not noticed": _forgets_its_dead,
    "suspects run beside others": _suspects_no_one,
    "a suspect does not wait": _begins_at_once,
    "a slow job keeps the next batch": _stays_ahead,
    "a lost claim ahead is forgotten": _forgets_ahead,
    "a lost claim behind another is forgotten": _forgets_behind,
}
