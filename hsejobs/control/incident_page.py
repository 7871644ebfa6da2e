"""The page of an incident's report, in Markdown: what happened, alerts, acts, errors, tenants, jobs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hsejobs.control.act_words import of_one_act
from hsejobs.control.audit import AuditEntry
from hsejobs.control.durations import duration
from hsejobs.control.findings import Chosen, ErrorChange, Findings, SlowJob, SpanJobs
from hsejobs.control.history import History
from hsejobs.control.incident_chart import visible
from hsejobs.store.marks import Mark
from hsejobs.store.minutes import Minute, percentile
from hsejobs.store.periods import By
from hsejobs.store.read import QueueStats
from hsejobs.wording import counted

#: Rows of a table.
MOST_ROWS = 20
#: A tenant is named in the summary if it added at least this share of the jobs.
_LARGE = 0.3


@dataclass(frozen=True, slots=True)
class Facts:
    """What the page tells. ``every``: whether the queues are all that there are. Times in ms.

    ``only``: what it is limited to; ``jobs``: what the jobs tell that the history does not.
    """

    queues: list[str]
    every: bool
    organization_id: str | None
    only: Chosen | None
    found: Findings
    history: History
    acts: list[AuditEntry]
    jobs: SpanJobs
    waited: list[SlowJob]
    ran: list[SlowJob]
    examples: Mapping[str, str]
    standing: list[QueueStats]
    written_at: int
    written_by: str
    picture: str


def page(facts: Facts) -> str:
    """The whole page."""
    found = facts.found
    about = "all queues" if facts.every and len(facts.queues) > 1 else ", ".join(facts.queues)
    about = _text(about) + _part(facts.only)
    lines = [
        f"# Incident: {about}, {_moment(found.start)} to {_moment(found.end)} UTC",
        "",
        f"Written {_moment(facts.written_at)} UTC by {_text(facts.written_by)}. "
        "Figures are those of the history; times are UTC, secrets are masked.",
        "",
    ]
    if facts.organization_id is not None:
        lines += [f"Only jobs of the organization {_code(facts.organization_id)}.", ""]
    if facts.only is not None:
        lines += [_limits(facts.only), ""]
    lines += [
        "## What happened",
        "",
        *(f"- {one}" for one in _sentences(facts)),
        "",
        f"![Waiting times, rates, failures and depth, with the span shaded]({facts.picture})",
        "",
        *_figures(found),
        *_queues(facts),
        *_marks(facts),
        *_acts(facts.acts),
        *(_errors(facts) if facts.only is None or facts.only.by is By.ERROR else _failed(facts)),
        *(_tenants(found) if facts.only is None else _ended(facts)),
        *_jobs("Jobs that waited longest", "waited", facts.waited),
        *_jobs("Jobs that ran longest", "ran", facts.ran),
        *_standing(facts),
    ]
    return "\n".join(lines).rstrip() + "\n"


#: What the parts of a history are called.
_WORDS = {By.TASK: "task", By.ERROR: "error", By.ORG: "organization"}


def _part(only: Chosen | None) -> str:
    """What the report is limited to, for its title."""
    return "" if only is None else f", {_WORDS[only.by]} {_code(only.name or 'none')}"


def _limits(only: Chosen) -> str:
    """What the figures are of, and what is not limited to it."""
    word = _WORDS[only.by]
    of = "failures with" if only.by is By.ERROR else "jobs of"
    return (
        f"Only {of} the {word} {_code(only.name or 'none')}. Deploys, alerts, acts and the counts when "
        "this was written are those of the whole queues."
    )


def _sentences(facts: Facts) -> Iterable[str]:
    """The summary: what stands out, most important first."""
    found, before = facts.found, facts.found.before
    whole = found.whole
    share, share_before = whole.failure_ratio, before.failure_ratio
    yield (
        f"{counted(whole.added, 'job')} {_were(whole.added)} added, {whole.ended:,} ended, "
        f"{whole.failed:,} failed ({share:.0%} of those that ended; {share_before:.0%} in as long before)."
    )
    deploys = [one for one in facts.history.marks if one.kind == "deploy"]
    for error in [one for one in found.errors if one.began][:3]:
        after = _after(facts, deploys)
        where = f"{_code(_named(error))} in {_text(error.queue)}"
        yield f"New: {where}, {counted(error.count, 'time')}{after}."
    for error in [one for one in found.errors if not one.began][:2]:
        expected = error.expected(found.length)
        if error.count > 2 * expected:
            where = f"{_code(_named(error))} in {_text(error.queue)}"
            yield f"More of {where}: {error.count:,}, {expected:,.0f} at the rate before."
    waited, waited_before = (percentile(one.wait, 0.95) for one in (whole, before))
    if waited is not None:
        earlier = f"{duration(waited_before)} before"
        yield f"95 % of the jobs that began waited less than {duration(waited)} ({earlier})."
    depth = _deepest(facts)
    if depth is not None:
        yield f"At most {counted(depth[1], 'job')} waited, at {_moment(depth[0], '%H:%M')}."
    for part in found.tenants[:1]:
        if whole.added and part.counters.added / whole.added >= _LARGE and len(found.tenants) > 1:
            yield (
                f"{_code(part.name or 'no organization')} added {part.counters.added:,} of "
                f"{whole.added:,} jobs ({part.counters.added / whole.added:.0%})."
            )
    people = sorted({one.who for one in facts.acts})
    if people:
        yield f"{counted(len(facts.acts), 'act')} by {', '.join(map(_text, people[:5]))}."


def _after(facts: Facts, deploys: Sequence[Mark]) -> str:
    """The last deploy before an error began, if it was within the hour before or in the span."""
    earlier = [one for one in deploys if one.at < facts.found.end]
    if not earlier:
        return ""
    last = earlier[-1]
    return f", after {_text(last.text)} at {_moment(last.at, '%H:%M')}"


def _deepest(facts: Facts) -> tuple[int, int] | None:
    depths: dict[int, int] = {}
    for one in facts.history.series:
        for at, minute in one.points:
            if facts.found.start <= at < facts.found.end and minute.peak is not None:
                depths[at] = depths.get(at, 0) + minute.peak[0]
    best = max(depths, key=lambda at: depths[at], default=None)
    return None if best is None or not depths[best] else (best, depths[best])


def _figures(found: Findings) -> list[str]:
    def row(name: str, value: str, before: str) -> tuple[str, ...]:
        return (name, value, before)

    whole, before = found.whole, found.before
    rows = [
        row(name, f"{getattr(whole, field):,}", f"{getattr(before, field):,}")
        for name, field in (
            ("added", "added"),
            ("completed", "completed"),
            ("failed", "failed"),
            ("retried after an attempt failed", "retried"),
            ("removed", "removed"),
            ("refused, a tenant's backlog was full", "refused"),
        )
    ]
    for word in ("wait", "run"):
        for share in (0.5, 0.95):
            here, there = (percentile(getattr(one, word), share) for one in (whole, before))
            rows.append(
                row(
                    f"{word} time, {share * 100:.0f} % of jobs at most",
                    duration(here),
                    duration(there),
                )
            )
    return _table("Figures", ("", "in this time", "in as long before"), rows)


def _queues(facts: Facts) -> list[str]:
    """A row for each queue in which something happened, those with most failures first."""
    if len(facts.queues) < 2:
        return []
    rows = []
    for one in facts.history.series:
        total, most = Minute(), 0
        for at, minute in one.points:
            if facts.found.start <= at < facts.found.end:
                total += minute
                most = max(most, minute.peak[0] if minute.peak is not None else 0)
        rows.append((one.queue, total, most))
    rows.sort(key=lambda row: (-row[1].failed, -row[1].added, row[0]))
    cells = [
        (
            _text(queue),
            f"{total.added:,}",
            f"{total.ended:,}",
            f"{total.failed:,}",
            duration(percentile(total.wait, 0.95)),
            f"{most:,}",
        )
        for queue, total, most in rows
        if total.added or total.ended or most
    ]
    head = ("queue", "added", "ended", "failed", "95 % waited at most", "most waiting")
    return _table("Queues", head, cells)


def _marks(facts: Facts) -> list[str]:
    found = facts.found
    shown = [one for one in facts.history.marks if one.kind != "act"]
    rows = [
        (
            _moment(one.at, "%m-%d %H:%M:%S"),
            one.kind,
            _text(one.text),
            _text(one.queue or ""),
            _text(one.who),
            "" if found.start <= one.at < found.end else "outside the span",
        )
        for one in shown
    ]
    return _table("Deploys and alerts", ("at", "kind", "what", "queue", "by", ""), rows)


def _acts(acts: Sequence[AuditEntry]) -> list[str]:
    rows = [
        (
            _moment(each[0].at, "%m-%d %H:%M:%S"),
            _text(each[0].who),
            each[0].door,
            each[0].act,
            _text(", ".join(one.queue for one in each if one.queue)),
            f"{sum(one.count for one in each):,}",
            _text("; ".join(_about(each))),
        )
        for each in of_one_act(acts)
    ]
    head = ("at", "who", "through", "act", "queue", "count", "where, reason")
    return _table("Acts of people", head, rows, most=len(rows))


def _about(entries: Sequence[AuditEntry]) -> dict[str, None]:
    """What the entries of one act say that they are about, and why, each text once."""
    texts = (text for one in entries for text in (one.where, one.reason))
    return dict.fromkeys(text for text in texts if text)


def _errors(facts: Facts) -> list[str]:
    found = facts.found
    rows = []
    for one in found.errors:
        example = facts.examples.get(f"{one.queue} {one.code} {one.text}", "")
        rows.append(
            (
                _code(_named(one)),
                _text(one.queue),
                f"{one.count:,}",
                f"{one.before:,} in {duration(one.before_ms)}",
                "began here" if one.began else "",
                _code(example) if example else "",
            )
        )
    head = ("error", "queue", "attempts that failed", "before", "", "a failed job")
    return _table("Errors", head, [one for one in rows if one[2] != "0"])


def _failed(facts: Facts) -> list[str]:
    """The errors of the failed jobs: of one task or organization, the history counts no attempts."""
    rows = []
    for name, count in facts.jobs.errors.most_common():
        found = (facts.examples.get(f"{queue} {name}") for queue in facts.queues)
        example = next(filter(None, found), "")
        rows.append((_code(name), f"{count:,}", _code(example) if example else ""))
    return _table(f"Errors{_of_jobs(facts)}", ("error", "jobs that failed", "one of them"), rows)


def _ended(facts: Facts) -> list[str]:
    """The tenants of the jobs that ended and are kept; nothing to tell of one tenant."""
    if facts.only is not None and facts.only.by is By.ORG:
        return []
    tenants = facts.jobs.tenants.most_common()
    rows = [(_code(name) if name else "no organization", f"{count:,}") for name, count in tenants]
    return _table(f"Tenants{_of_jobs(facts)}", ("tenant", "jobs that ended"), rows)


def _of_jobs(facts: Facts) -> str:
    return ", of the jobs that are kept" if facts.jobs.whole else ", of the newest jobs"


def _tenants(found: Findings) -> list[str]:
    us = sum(one.counters.run_us for one in found.tenants) or 1
    rows = [
        (
            _code(one.name) if one.name else "no organization",
            f"{one.counters.added:,}",
            f"{one.counters.ended:,}",
            f"{one.counters.failed:,}",
            f"{one.counters.run_us / us:.0%}",
        )
        for one in found.tenants
    ]
    return _table("Tenants", ("tenant", "added", "ended", "failed", "of the running time"), rows)


def _jobs(title: str, word: str, jobs: Sequence[SlowJob]) -> list[str]:
    rows = [
        (
            _code(one.job.id),
            _text(one.job.queue),
            _text(one.job.name.rpartition(".")[2]),
            _text(one.job.organization_id or ""),
            duration(one.ms) + ("" if one.over else " so far"),
            str(one.job.status),
        )
        for one in jobs
    ]
    return _table(title, ("job", "queue", "task", "tenant", word, "state now"), rows)


def _standing(facts: Facts) -> list[str]:
    rows = [
        (
            _text(one.name),
            "paused" if one.is_paused else "",
            f"{one.waiting:,}",
            f"{one.active:,}",
            f"{one.delayed:,}",
            f"{one.failed:,}",
            duration(one.oldest_waiting),
        )
        for one in facts.standing
    ]
    head = ("queue", "", "waiting", "running", "delayed", "failed", "oldest waits")
    return _table("When this was written", head, rows, most=len(rows))


def _table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], most: int = MOST_ROWS
) -> list[str]:
    lines = [f"## {title}", ""]
    if not rows:
        return [*lines, "None.", ""]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows[:most]]
    if len(rows) > most:
        lines += ["", f"{len(rows) - most:,} more."]
    return [*lines, ""]


def _named(error: ErrorChange) -> str:
    return f"{error.code} {error.text}".strip() or "other errors"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _moment(ms: int, form: str = "%Y-%m-%d %H:%M") -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(form)


def _text(text: str) -> str:
    """Data as text: nothing in it is Markdown or HTML, and it stays in its cell."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", visible(text))


def _code(text: str) -> str:
    """Data as code, in a cell of a table."""
    shown = visible(text).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`"
