"""Why queues are in trouble: errors, full slots, circuits, pauses; and which organizations use workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hsejobs.model import iso_time
from hsejobs.store.minutes import Minute, percentile
from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Snapshot
from hsejobs.watch.advice import DEAD
from hsejobs_tui.core.past import MINUTE_MS, Past
from hsejobs_tui.core.source import Held, LiveSource

if TYPE_CHECKING:
    from hsejobs.store.circuits import Circuit
    from hsejobs.store.marks import Mark

#: Queues in trouble whose causes are read, and slots of each that are looked at.
MOST_QUEUES, MOST_SLOTS = 3, 50
#: Periods without this error after which it began again.
GAP = 5
#: ms, and periods, before the end of the window in which an error is a cause of what is wrong now.
RECENT, RECENT_STEPS = 600_000, 2
#: ms before an error's first failure in which a deploy may have caused it.
AFTER_DEPLOY = 15 * 60_000
HOUR, DAY = 3_600_000, 86_400_000
#: Minutes of the periods in which an error is looked for before the window.
STEP = 10
#: A job seems to hang from this time on (ms), if that is this multiple of the time of 99 % of the runs in
#: the window; and the runs that tell.
HANGS, TIMES, ENOUGH = 120_000, 10, 20
#: Lost workers of a queue, in five minutes, that are no accident.
LOST = 2


class Burst(NamedTuple):
    """Failures with one error. ``since``: when they began, in ms, None if before the window.

    ``deploy``: the deploy after which the error is new. ``recent``: whether it goes on.
    """

    error: str
    failures: int
    since: int | None
    deploy: Mark | None = None
    recent: bool = True


class Filler(NamedTuple):
    """Who has how many of the slots; ``organization`` and ``task`` if one has most of them."""

    busy: int
    slots: int
    jobs: int
    organization: str | None
    task: str


class Slow(NamedTuple):
    """Jobs that run far longer than nearly all others of their queue. Times in ms."""

    jobs: int
    longest: int
    usual: int


@dataclass(slots=True, eq=False, repr=False)
class Causes:
    """What was found, by queue; ``users``: organizations with their share of the running time, 0 to 1."""

    bursts: dict[str, Burst] = field(default_factory=dict)
    fillers: dict[str, Filler] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    slow: dict[str, Slow] = field(default_factory=dict)
    #: How many times in five minutes a job lost its worker.
    lost: dict[str, int] = field(default_factory=dict)
    paused_by: dict[str, str] = field(default_factory=dict)
    circuits: list[Circuit] = field(default_factory=list)
    users: list[tuple[str, float]] | None = None


def slots(seen: Snapshot, stats: QueueStats) -> tuple[int, int]:
    """How many slots of living consumers are busy, and how many there are: of quiet ones, those only.

    How many jobs run is counted now. Heartbeats tell it too, but as it was some seconds ago.
    """
    every = 0
    for one in seen.workers.get(stats.name, ()):
        if int(one.get("heartbeatAge", 0)) <= DEAD:
            taken = sum(slot is not None for slot in one.get("slots") or ())
            awake = one.get("state", "running") == "running"
            every += int(one.get("concurrency") or 0) if awake else taken
    return min(max(0, stats.active - seen.stalled.get(stats.name, 0)), every), every


def read_causes(
    source: LiveSource, seen: Snapshot, past: Past | None, worst: Sequence[str]
) -> Causes:
    """The causes for the ``worst`` queues. Blocks. Raises RedisUnavailable, Forbidden."""
    found = Causes(circuits=source.circuits())
    is_open = [one.name for one in found.circuits if one.state != "closed"]
    for stats in seen.queues:
        if source.options.member:
            # Members may not read the audit log.
            continue
        if slow := _slow(seen, stats, past):
            found.slow[stats.name] = slow
        if (lost := stats.window().stalled) >= LOST:
            found.lost[stats.name] = lost
        if stats.is_paused and (who := source.paused_by(stats.name, stats.paused_at)):
            found.paused_by[stats.name] = who
        if stats.delayed and is_open and (held := source.held(stats.name, is_open)).jobs:
            found.held[stats.name] = held
    for queue in worst[:MOST_QUEUES]:
        if filler := _filler(source, seen, queue):
            found.fillers[queue] = filler
        if past is not None and past.total(queue).failed and source.org is None:
            burst = _burst(source, _last_hour(past, seen.now), queue, seen.now)
            if burst is not None:
                found.bursts[queue] = burst
    return found


def _slow(seen: Snapshot, stats: QueueStats, past: Past | None) -> Slow | None:
    """The jobs that seem to hang; None for none, or where nothing tells how long they run usually."""
    ran = [
        int(slot.get("runningFor") or 0)
        for one in seen.workers.get(stats.name, ())
        if int(str(one.get("heartbeatAge", 0))) <= DEAD
        for slot in one.get("slots") or ()
        if slot
    ]
    if max(ran, default=0) < HANGS or past is None:
        return None
    runs = past.total(stats.name).run
    usual = percentile(runs, 0.99) if sum(runs.values()) >= ENOUGH else None
    late = [one for one in ran if usual is not None and one >= max(HANGS, TIMES * usual)]
    return Slow(len(late), max(late), int(usual or 0)) if late else None


def _last_hour(past: Past, now: int) -> Past:
    """The last hour of a longer window that ends now: its periods are too long to tell what began when."""
    if past.end < now - MINUTE_MS or past.end - past.start <= HOUR + 2 * MINUTE_MS:
        return past
    end = now // MINUTE_MS * MINUTE_MS + MINUTE_MS
    return Past(end - HOUR, end, MINUTE_MS, {}, past.marks)


def read_users(source: LiveSource, past: Past) -> list[tuple[str, float]]:
    """The organizations' shares of the running time of all queues in the window, largest first. Blocks."""
    whole = past.total().run_us
    found: Counter[str] = Counter()
    # One queue after the other: the counters of all would take tens of megabytes.
    for queue in past.queues:
        for name, points in _divided(source, past, [queue], "org", sums=True):
            found[name] += sum(minute.run_us for _, minute in points)
    return [(name, us / whole) for name, us in found.most_common() if us and whole]


def _divided(
    source: LiveSource, past: Past, queues: Sequence[str], by: str, *, sums: bool = False
) -> list[tuple[str, list[tuple[int, Minute]]]]:
    read = source.history(
        queues,
        start=iso_time(past.start),
        end=iso_time(past.end - 1),
        step=f"{past.step // 60_000}m",
        by=by,
        sums=sums,
        brief=True,
        marks=False,
    )
    return [(one.name or "", one.points) for one in read.series]


def _burst(source: LiveSource, past: Past, queue: str, now: int) -> Burst | None:
    """The commonest error of the last minutes of the window, or else of all of it."""
    series = _divided(source, past, [queue], "error")
    recent = past.end - max(RECENT, RECENT_STEPS * past.step)
    late = {
        name: sum(minute.failed for at, minute in points if at >= recent) for name, points in series
    }
    every = {name: sum(minute.failed for _, minute in points) for name, points in series}
    name = max(every, key=lambda one: (late[one], every[one]), default=None)
    if name is None or not every[name]:
        return None
    failed = sorted(at for at, minute in dict(series)[name] if minute.failed)
    began = failed[-1]
    for at in reversed(failed):
        if began - at > GAP * past.step:
            break
        began = at
    since = began if began >= past.start + 2 * past.step else None
    deploy = _deploy(past, failed[0], since)
    if deploy is not None and _seen_before(source, past, queue, name, now):
        deploy = None
    return Burst(name, every[name], since, deploy, late[name] > 0)


def _seen_before(source: LiveSource, past: Past, queue: str, error: str, now: int) -> bool:
    """Whether jobs failed with this error in the day before the window, as far as that is still known."""
    from hsejobs.store.periods import RETENTION

    oldest = max(past.start - DAY, now - RETENTION[STEP] * 1000)
    if oldest >= past.start:
        return False
    read = source.history(
        [queue],
        start=iso_time(oldest),
        end=iso_time(past.start),
        step=f"{STEP}m",
        by="error",
        brief=True,
        marks=False,
    )
    return any(
        one.name == error and at < past.start and minute.failed
        for one in read.series
        for at, minute in one.points
    )


def _deploy(past: Past, first: int, since: int | None) -> Mark | None:
    """The deploy that came just before the first failure of an error."""
    if since is None or first != since:
        return None
    before = [
        one
        for one in past.marks
        if one.kind == "deploy" and 0 <= since + past.step - one.at <= AFTER_DEPLOY + past.step
    ]
    return before[-1] if before else None


def _filler(source: LiveSource, seen: Snapshot, queue: str) -> Filler | None:
    """Who fills the slots of a queue; None unless all are busy."""
    workers = seen.workers.get(queue, [])
    stats = next((one for one in seen.queues if one.name == queue), None)
    if stats is None or not stats.consumers:
        return None
    busy, every = slots(seen, stats)
    if not every or busy < every:
        return None
    taken = [slot for one in workers for slot in one.get("slots") or () if slot is not None]
    ids = [str(slot["job"]) for slot in taken[:MOST_SLOTS]]
    jobs = [job for job in source.jobs(queue, ids) if job is not None]
    tasks = Counter(job.name for job in jobs)
    owners = Counter(job.organization_id for job in jobs)
    if not jobs:
        return None
    (owner, count), (task, _) = owners.most_common(1)[0], tasks.most_common(1)[0]
    if owner is not None and count * 2 > len(jobs):
        return Filler(busy, every, count, owner, task)
    return Filler(busy, every, tasks[task], None, task)
