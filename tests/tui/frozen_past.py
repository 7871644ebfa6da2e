"""A constant past for the frozen source: an incident, a deploy before it, a tenant that floods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hsejobs.control.findings import Chosen, ErrorChange, Findings, Part, SlowJob, SpanJobs
from hsejobs.control.history import History, Series
from hsejobs.control.moments import parse_moment
from hsejobs.model import JobRecord, State
from hsejobs.store.marks import Mark
from hsejobs.store.minutes import Minute
from hsejobs.store.periods import By, Period
from hsejobs.store.shares import QueueTenant, TenantPage
from hsejobs_tui.app import JobsApp
from tests.tui.frozen import NOW, Frozen, frozen_app
from tests.tui.frozen_history import act_mark
from tests.tui.past import bucket, period

MINUTE = 60_000
#: The incident lasts from that many minutes ago to fewer minutes ago.
BEGAN, ENDED = 42, 31
REFUSED = "ConnectionRefused tcp <n>: connection refused"
TIMEOUT = "timeout [red]no answer[/] within <n> s"
ORGS = tuple(f"org-{n:03}" for n in range(1, 15))


def story(queue: str, ago: int) -> Period:
    """A minute of a queue, with waves, so that charts have something to show."""
    wave = (7 * ago + len(queue)) % 13
    size = {"email": 60, "webhooks": 20, "data-exports": 2}.get(queue, 0)
    bad = queue == "email" and ENDED < ago <= BEGAN
    added = size + size * wave // 20
    errors = {TIMEOUT: 1 + wave % 3} if size > 2 and not ago % 4 else {}
    tenants = {org: 1 + (n + wave) % 3 for n, org in enumerate(ORGS)} if size else {}
    if bad:
        added, errors, tenants = (
            added * 4,
            {REFUSED: 30 + wave, TIMEOUT: 2},
            {**tenants, "org-007": 140},
        )
    made = period(
        added,
        added // 6 if bad else max(0, added - sum(errors.values())),
        wait_ms=18_000 + 900 * wave if bad else 40 + 5 * wave,
        run_ms=150 + 10 * wave,
        depth=90 * (BEGAN - ago) if bad else wave % 3,
        errors=errors,
        tenants=tenants,
        task=f"tasks.{queue}.run",
    )
    for at, ms in enumerate((4, 20, 90, 300, 900)):
        if size and (wave + at) % 3:
            made.whole.wait[bucket(ms)] = 1 + size * (5 - at) // 9
    return made


def history(
    queues: Sequence[str], now: int, start: int, end: int, by: By | None, only: str | None
) -> History:
    """The history of a span in ms, by minutes."""
    first, last = start // MINUTE * MINUTE, -(-end // MINUTE) * MINUTE
    series: dict[tuple[str, str | None], Series] = {}
    for at in range(first, last, MINUTE):
        for queue in queues:
            one = story(queue, (now - at) // MINUTE)
            parts: dict[str | None, Minute] = {None: one.whole}
            if by is not None:
                parts = {name: part for name, part in one.parts[by].items() if only in (None, name)}
            for name, part in parts.items():
                series.setdefault((queue, name), Series(queue, name)).points.append((at, part))
    minute = now - now % MINUTE
    marks = [
        Mark(minute - 43 * MINUTE, "deploy", "deploy [4f1c]", "ci"),
        Mark(minute - 40 * MINUTE, "alert", "email: 31 % failed", "hsejobs", "email"),
        act_mark(minute - 35 * MINUTE, "pause", "ann", "email"),
        act_mark(minute - 32 * MINUTE, "resume", "ann", "email"),
    ]
    shown = [one for one in marks if start <= one.at < end]
    return History(first, last, MINUTE, by, list(series.values()), shown)


def findings(
    queues: Sequence[str], now: int, start: int, end: int, only: Chosen | None
) -> Findings:
    """What a span shows, or one part of it."""
    found = Findings(start, end)
    by, name = (only.by, only.name) if only is not None else (None, None)
    whole = history(queues, now, start - (end - start), end, by, name)
    for one in whole.series:
        for at, minute in one.points:
            total = found.whole if at >= start else found.before
            total += minute
    found.errors = [
        _error("email", REFUSED, 390, 0),
        _error("email", TIMEOUT, 61, 57),
        _error("webhooks", "error KeyError: <text>", 3, 9),
        _error("webhooks", "error ValueError: <text>", 0, 4),
    ]
    if only is not None:
        named = [one for one in found.errors if f"{one.code} {one.text}" == name]
        found.errors = named if by is By.ERROR else []
        return found
    found.tenants = [
        Part(org, Minute(added=900 if org == "org-007" else 120 - n, completed=80, failed=n // 5))
        for n, org in enumerate(ORGS)
    ]
    found.tenants.sort(key=lambda one: -one.counters.added)
    return found


def _error(queue: str, group: str, count: int, before: int) -> ErrorChange:
    code, _, text = group.partition(" ")
    return ErrorChange(queue, code, text, count, before, 3_600_000)


def slowest(now: int) -> list[SlowJob]:
    """Jobs of a span that waited long."""
    made = []
    for n in range(9):
        job = JobRecord(
            f"1m86k{n:012}",
            "email",
            "tasks.email.send_email",
            State.COMPLETED if n else State.WAITING,
            ORGS[n],
            None,
            3,
            1,
            1,
            0,
            0,
            now - 2_500_000,
        )
        made.append(SlowJob(job, 41_000 - 3_000 * n, bool(n)))
    return made


def tenants(queue: str) -> TenantPage:
    """How organizations share a queue."""
    rows = []
    if queue in ("email", "webhooks"):
        rows = [
            QueueTenant(
                org,
                420 if org == "org-007" else 40 - 2 * n,
                1 + n % 3,
                n % 2,
                n,
                1.5,
                0.1,
                5 if n == 2 else 1,
                3 if n == 2 else None,
                n == 4,
            )
            for n, org in enumerate(ORGS)
        ]
        rows.append(QueueTenant(None, 3, 0, 0, 0, 0.0, 0.0))
    return TenantPage(queue, rows, None)


class Past(Frozen):
    """The frozen source with this past."""

    def history(self, queues: Sequence[str], **given: Any) -> History:
        first, last = (parse_moment(given.get(name) or "now", NOW) for name in ("start", "end"))
        by = By(given["by"]) if given.get("by") else None
        return history(queues, NOW, first, last, by, given.get("only"))

    def findings(
        self, queues: Sequence[str], start: int, end: int, only: Chosen | None = None
    ) -> Findings:
        return findings(queues, NOW, start, end, only)

    def span_jobs(self, queues: Sequence[str], start: int, end: int, **limits: Any) -> SpanJobs:
        only = limits["only"]
        found = SpanJobs([one for one in slowest(NOW) if only is None or only.has(one.job)])
        found.errors.update({REFUSED: 61, TIMEOUT: 12})
        found.tenants.update({org: 40 - n for n, org in enumerate(ORGS)})
        return found

    def tenants(self, queue: str, **place: Any) -> TenantPage:
        return tenants(queue)


def past_app(home: Path, **values: Any) -> JobsApp:
    """The app on this source."""
    made = frozen_app(home, **values)
    made.session.source = Past(made.options, made.session.redis)
    return made
