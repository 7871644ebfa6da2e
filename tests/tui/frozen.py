"""A source with constant data: the same queues, jobs, failures and workers for every snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hsejobs.control import history
from hsejobs.control.filters import Filter
from hsejobs.control.history import History
from hsejobs.error_groups import normalized
from hsejobs.model import JobRecord, State
from hsejobs.store.circuits import Circuit
from hsejobs.store.crowds import Crowd
from hsejobs.store.families import Family
from hsejobs.store.feed import Event
from hsejobs.store.history import Range
from hsejobs.store.marks import Mark
from hsejobs.store.minutes import Minute
from hsejobs.store.read import LastRun, QueueStats
from hsejobs.store.read_live import Server, Snapshot, Window
from hsejobs.store.registry import QueueInfo, ScheduleInfo, TaskInfo
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core import groups
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import Held, Hits, LiveSource
from hsejobs_tui.core.view import kind_of
from tests.tui import frozen_history

NOW = 1_800_000_000_000
FAILED = 812
ERRORS = (
    ("timeout", "[red]no answer[/] within 30 s", 500),
    (
        "smtp_refused",
        "550 5.1.1 <user%d@example.com>: mailbox unavailable\N{RIGHT-TO-LEFT OVERRIDE}",
        300,
    ),
    ("error", "KeyError: 'subject'", 12),
)


def _stats(
    name: str, waiting: int, failed: int, workers: int, *, paused: bool = False
) -> QueueStats:
    minutes = [
        Minute(added=40 - n, completed=30, failed=failed // 50, run={60: 20, 70: 3}, wait={40: 9})
        for n in range(30)
    ]
    return QueueStats(
        name, waiting, 3, 2, 120_345, failed, paused, 754_000, 1000, workers, NOW, minutes
    )


TASK = TaskInfo(
    "tasks.email.send_email",
    {
        "required": ["to", "subject"],
        "properties": {"to": {"type": "string"}, "subject": {"type": "string"}},
    },
    ["password"],
    "Sends a mail.",
)
INFOS = {
    "data-exports": QueueInfo("data-exports"),
    "email": QueueInfo("email", [TASK], TASK.name),
    "tenant-onboarding": QueueInfo("tenant-onboarding"),
    "webhooks": QueueInfo(
        "webhooks",
        schedules=[
            ScheduleInfo("nightly_sweep", "0 3 * * *", "tasks.webhooks.sweep"),
            ScheduleInfo("weekly_compliance", "30 6 * * 1", "tasks.webhooks.comply"),
        ],
    ),
}


def _worker(queue: str, pid: int, age: int, slots: list[Any]) -> dict[str, Any]:
    return {
        "id": f"{queue}-{pid}",
        "queue": queue,
        "host": "worker-7.internal",
        "pid": pid,
        "workers": "threads",
        "concurrency": 5,
        "heartbeatAge": age,
        "startedAt": NOW - 7_300_000,
        "release": "4f1c",
        "memory": 96_000_000,
        "slots": slots,
    }


SLOT = {"job": "1m86k000000000042", "task": TASK.name, "attempt": 2, "runningFor": 65_000}
WORKERS = {
    "email": [_worker("email", 4711, 800, [SLOT, None]), _worker("email", 4712, 31_000, [])],
    "webhooks": [_worker("webhooks", 99, 1_200, [None])],
}
KEPT = [
    {
        "rule": "waiting",
        "queue": "email",
        "state": "on",
        "value": 9,
        "limit": 100,
        "message": "",
        "sinceMs": NOW - 840_000,
        "endedMs": None,
    },
    {
        "rule": "failures",
        "queue": "webhooks",
        "state": "off",
        "value": 9,
        "limit": 10,
        "message": "41 % of jobs failed in 5 minutes",
        "sinceMs": NOW - 3_100_000,
        "endedMs": NOW - 1_900_000,
        "peak": 48,
        "worst": "48 % of jobs failed in 5 minutes",
    },
]
GLANCE = Snapshot(
    [
        _stats("data-exports", 12, 0, 0),
        _stats("email", 145_000, FAILED, 2),
        _stats("tenant-onboarding", 0, 0, 1),
        _stats("webhooks", 7, 40, 1, paused=True),
    ],
    INFOS,
    Server("Redis 7.0.15", 48_000_000, 0, 12, "noeviction"),
    WORKERS,
    (19, 1.2),
    {"email": 3},
    {(str(one["rule"]), str(one["queue"])): one for one in KEPT},
    NOW,
)


def job(n: int, queue: str, state: State) -> JobRecord:
    """A job in that state."""
    code, error, _ = ERRORS[0 if n % 7 else 1]
    text = error % n if "%d" in error else error
    failed = {
        "error": text,
        "attempt": 3,
        "code": code,
        "startedAt": NOW - 80_000,
        "failedAt": NOW - 60_000,
        "traceback": f"Traceback\n  File 'x.py', line {n}\n{text}",
    }
    made = JobRecord(
        f"1m86k{n:012}",
        queue,
        TASK.name,
        state,
        f"org-{n % 7}",
        "user-1",
        2,
        3,
        3,
        5000,
        30_000,
        NOW - 90_000 - n * 1000,
        NOW - 80_000,
        NOW - 60_000 - n * 1000,
    )
    if state is State.FAILED:
        made.code, made.errors = code, (failed,)
    else:
        made.finished_at = None
        made.run_at = NOW + n * 60_000 if state is State.DELAYED else None
        made.attempts_made = int(state is State.ACTIVE)
    return made


class Frozen(LiveSource):
    """Implements all reads at a fixed time."""

    def snapshot(self) -> Snapshot:
        self.infos = GLANCE.infos
        return GLANCE

    def window(self, queue: str, state: State, **place: Any) -> Window:
        # A job has one state.
        first = 0 if state is State.FAILED else 100 * [*State].index(state)
        rows: list[JobRecord | None] = [job(first + n, queue, state) for n in range(60)]
        anchor = place.get("anchor")
        ids = [row.id for row in rows if row]
        found = ids.index(anchor) if anchor in ids else None
        return Window(FAILED, False, 0, found, NOW, rows)

    def stats(self, queue: str) -> QueueStats:
        return next(one for one in GLANCE.queues if one.name == queue)

    def jobs(self, queue: str, ids: Sequence[str]) -> list[JobRecord | None]:
        return [job(int(one[5:]), queue, State.FAILED) for one in ids]

    def job(self, queue: str, job_id: str, tail: int = 50) -> tuple[JobRecord, list[str]]:
        one = job(int(job_id[5:]), queue, State.FAILED)
        one.data = {
            "to": "ann@example.com",
            "subject": "Grüße [red]aus[/] 東京",
            "password": "***",
            "tags": ["a", {"deep": [True, None, 1, 2.5]}],
            "odd": "\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}",
        }
        one.log_count = 2
        return one, ["connecting to mail.example.com", "[bold]no answer[/]"]

    def stored(self, queue: str, job_id: str) -> JobRecord:
        return self.job(queue, job_id)[0]

    def search(
        self, queue: str, state: State, wanted: Filter, hits: Hits | None = None
    ) -> Iterator[Hits]:
        total = getattr(next(one for one in GLANCE.queues if one.name == queue), state.value)
        hits = hits or Hits(queue, state)
        hits.total = hits.seen = total
        hits.done = True
        if state in (State.FAILED, State.DELAYED):
            hits.jobs = [job(n, queue, state) for n in range(3 if state is State.FAILED else 1)]
            hits.bound = [(one.id, one.version) for one in hits.jobs]
            hits.count = len(hits.bound)
        yield hits

    def failures(self) -> Iterator[tuple[dict[str, groups.Group], int, int]]:
        found = {}
        for n, (code, error, count) in enumerate(ERRORS):
            text = normalized(error % 1 if "%" in error else error)
            one = groups.Group("email", kind_of({"code": code, "error": error}), text, code)
            one.count, one.first, one.last = count, NOW - 3_600_000, NOW - 2_000 * (n + 1)
            one.sample, one.sample_error, one.over = "1m86k000000000001", error, True
            one.bound = [("x", "")] * count
            one.orgs.update({"org-007": count - 4, "org-1": 3, "": 1})
            one.tasks[TASK.name] = count
            one.newest = [
                (NOW - 2_000, f"1m86k{at:012}", f"org-{at}", TASK.name) for at in range(9)
            ]
            found[one.key] = one
        yield found, FAILED, FAILED

    def past(
        self, queues: Sequence[str], wanted: Range, by: str | None = None
    ) -> list[history.Series]:
        def minute(n: int, part: float) -> Minute:
            depth = (40 + 3 * n, 3, 2)
            counts = (round(part * 3 * (30 - n)), 20, n % 5)
            oldest = 30_000 * n if part == 1 else None
            return Minute(*counts, wait={40: 9}, sampled=depth, peak=depth, oldest=oldest)

        named: dict[str | None, list[str | None]] = {
            None: [None],
            "error": ["timeout no answer within <n> s", "error KeyError: <text>"],
            "org": ["org-1", "org-2", "org-3"],
            "task": [TASK.name],
        }
        return [
            history.Series(queues[0], name, [(0, minute(n, 1 / at)) for n in range(30)])
            for at, name in enumerate(named[by], 1)
        ]

    def family(self, queue: str, job_id: str, limit: int = 50) -> Family:
        one = job(int(job_id[5:]), queue, State.FAILED)
        if int(job_id[5:]) != 0:
            return Family(one, None, None, [], 0)
        children = [job(n, queue, State.WAITING) for n in (700, 701)]
        return Family(one, None, None, children, 2)

    def schedules(self) -> list[tuple[QueueInfo, ScheduleInfo, LastRun | None, int]]:
        info = INFOS["webhooks"]
        ran = LastRun("periodic:x:1", NOW - 4_000_000, NOW - 3_990_000, State.COMPLETED)
        return [(info, info.schedules[0], ran, NOW), (info, info.schedules[1], None, NOW)]

    def circuits(self) -> list[Circuit]:
        return [
            Circuit(
                "webhook:org-1:hooks.example.com:443",
                "open",
                7,
                NOW - 5_000,
                NOW + 42_000,
                False,
                "the receiver cannot be reached: connection refused",
            ),
            Circuit("smtp:mail.example.com:587", "closed", 2, None, None, False, "421 try later"),
        ]

    def history(self, queues: Sequence[str], **given: Any) -> History:
        return frozen_history.history(queues, NOW, **given)

    def paused_by(self, queue: str, paused_at: int | None) -> str | None:
        return "ann"

    def held(self, queue: str, circuits: Sequence[str]) -> Held:
        return Held(2 * (queue == "webhooks"), ("webhook:org-1:hooks.example.com:443",))

    def crowds(self, *, whole: bool = False) -> dict[str, Crowd]:
        return {}

    def marks(self, start: int, end: int) -> list[Mark]:
        return [one for one in frozen_history.history([], NOW).marks if start <= one.at <= end]

    def postponed(self, queue: str, most: int) -> tuple[list[str], bool]:
        found = ["circuit_open webhook:org-1:hooks.example.com:443"] * 2
        return (found if queue == "webhooks" else []), False

    def running(
        self, wanted: Mapping[str, Sequence[str]], limit: int
    ) -> list[tuple[JobRecord, int | None]]:
        old, lost = job(42, "email", State.ACTIVE), job(7, "webhooks", State.ACTIVE)
        old.progress, old.progress_message = 62, "page 31 of [red]50[/]"
        old.processed_at, lost.processed_at = NOW - 1_865_000, NOW - 90_000
        return [(old, NOW + 20_000), (lost, NOW - 41_000)]

    def feed(
        self, queue: str, known: str | None, start: int, end: int | None
    ) -> tuple[str, list[Event], int | None]:
        if known is not None or queue != "email":
            return known or "0-0", [], None
        kinds = ("waiting", "active", "failed", "delayed", "completed")
        events = [
            Event(NOW - 5_000 + n * 100, queue, kind, ((f"1m86k{n:012}", f"org-{n}"),))
            for n, kind in enumerate(kinds)
        ]
        return "1-1", events, NOW - 1_500_000


def frozen_app(home: Path, **values: Any) -> JobsApp:
    """The app on this source; it polls once, and on request."""
    given: dict[str, Any] = {"production": True, "refresh": 3600, **values}
    made = JobsApp(Options("unix:///nowhere", "t", home, "prod-eu", **given))
    made.animation_level = "none"
    made.session.source = Frozen(made.options, made.session.redis)
    return made
