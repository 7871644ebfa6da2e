"""The HTML of the dashboard without a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, urlencode

from starlette.responses import HTMLResponse

from hsejobs.control import why
from hsejobs.model import JobRecord, State
from hsejobs.store.read import QueueStats
from hsejobs.store.read_live import Snapshot
from hsejobs.wording import counted
from hsejobs_http.pages import PLAIN, html_page
from hsejobs_http.problems import Problem
from hsejobs_tui.core.alerts import LEVELS, Alert
from hsejobs_tui.core.text import clock, duration, safe
from hsejobs_tui.core.view import kind, when
from hsejobs_tui.session.addresses import ROOT, address_of
from hsejobs_tui.session.places import JobPlace, ListPlace, Place, QueuePlace

#: Seconds after which a page that has no buttons reads again.
AGAIN = 15
_STYLE = """<style>
main{margin:0 auto;padding:.6rem .8rem 2rem;max-width:44rem;overflow-wrap:anywhere}
h1{font-size:1.3rem;margin:.8rem 0 .2rem}h2{font-size:1rem;margin:1.4rem 0 .3rem;color:var(--dim)}
ul{list-style:none;margin:0;padding:0}li{padding:.55rem 0;border-bottom:1px solid #8884}
nav{display:flex;flex-wrap:wrap;gap:.8rem;padding:.5rem .8rem;background:var(--bar);align-items:center}
nav form{margin-left:auto}form{display:inline-block;margin:.4rem .6rem .4rem 0}
main button,main .button{min-height:2.75rem;padding:.4rem 1rem}
nav a,li a{display:inline-block;padding:.35rem 0}
.critical,.failed{color:var(--fail);font-weight:700}.warning,.paused{color:var(--warn);font-weight:700}
.dim,dt{color:var(--dim)}dd{margin:0 0 .5rem}p[role=status]{border:1px solid var(--edge);padding:.6rem}
</style>"""


@dataclass(frozen=True, slots=True)
class Around:
    """What every page has: who looks, the organization that an operator chose, what was just done."""

    who: str
    organization_id: str | None
    report: str = ""

    def link(self, path: str) -> str:
        """The address of a page below this one, escaped."""
        query = (
            f"?{urlencode({'organizationId': self.organization_id})}"
            if self.organization_id is not None
            else ""
        )
        return escape(f"{PLAIN}{path}{query}")

    def terminal(self, place: Place) -> str:
        """The address of the terminal at a place, escaped."""
        address = address_of(place)
        if self.organization_id is not None:
            sign = "&" if "?" in address else "?"
            address += f"{sign}{urlencode({'organizationId': self.organization_id})}"
        return escape(f"{address}#terminal")


def queues_page(around: Around, seen: Snapshot, alerts: Sequence[Alert]) -> HTMLResponse:
    """Returns the page of all queues, those in trouble first; it reads again by itself."""
    levels = {one.queue: LEVELS.index(one.level) for one in reversed(alerts)}
    ordered = sorted(seen.queues, key=lambda one: (levels.get(one.name, len(LEVELS)), one.name))
    rows = "".join(
        f"<li><a href='{around.link(f'/{one.name}')}'><b>{escape(one.name)}</b></a> {_state(one)}</li>"
        for one in ordered
    )
    rows = rows or "<li>There are no queues.</li>"
    body = f"<h1>Queues</h1>{_alerts(around, alerts, seen)}<h2>State</h2><ul>{rows}</ul>"
    title = f"({len(alerts)}) Jobs" if alerts else "Jobs"
    return _page(around, body, seen.now, title, ListPlace("overview"), again=True)


def queue_page(
    around: Around,
    seen: Snapshot,
    alerts: Sequence[Alert],
    queue: str,
    failed: Sequence[JobRecord],
    may: Sequence[str],
) -> HTMLResponse:
    """Returns the page of a queue. ``failed``: its newest failed jobs; ``may``: the caller's acts."""
    stats = next(one for one in seen.queues if one.name == queue)
    act = "resume" if stats.is_paused else "pause"
    buttons = _button(around, f"/{queue}/{act}", act.capitalize()) if act in may else ""
    if "retry" in may and stats.failed:
        label = f"Retry {counted(stats.failed, 'failed job')}"
        buttons += _button(around, f"/{queue}/retry", label, asOf=str(seen.now))
        buttons += f"<p class=dim>Retries those that had failed by {clock(seen.now)} UTC.</p>"
    own = [one for one in alerts if one.queue == queue]
    body = (
        f"<h1>{escape(queue)}</h1><p>{_state(stats)}</p>{buttons}{_alerts(around, own, seen)}"
        f"<h2>Failed, newest first</h2><ul>{''.join(_failed(around, one, seen.now) for one in failed)}"
        f"{'' if failed else '<li>No job has failed.</li>'}</ul>"
    )
    return _page(around, body, seen.now, queue, QueuePlace(queue, State.FAILED))


def job_page(around: Around, job: JobRecord, now: int, *, may_retry: bool) -> HTMLResponse:
    """Returns the page of a job, which is masked already."""
    cause = _error(job, 2_000)
    facts = {
        "state": job.status.value,
        "why": why.line(job.why) if job.why is not None else None,
        "error": cause or None,
        "task": job.name,
        "organization": job.organization_id,
        "attempts": f"{job.attempts_made} of {job.attempts}",
        "added": f"{clock(job.created_at)} UTC",
        "began": f"{clock(job.processed_at)} UTC" if job.processed_at else None,
        "ended": f"{clock(job.finished_at)} UTC" if job.finished_at else None,
    }
    rows = "".join(
        f"<dt>{name}</dt><dd>{escape(safe(value, 2_500))}</dd>"
        for name, value in facts.items()
        if value is not None
    )
    button = ""
    if may_retry and job.status is State.FAILED:
        path = f"/{job.queue}/jobs/{_id(job)}/retry"
        button = _button(around, path, "Retry this job", version=job.version)
    queue = f"<a href='{around.link(f'/{job.queue}')}'>{escape(job.queue)}</a>"
    body = f"<h1>{escape(safe(job.id, 200))}</h1><p>{queue}</p>"
    return _page(around, f"{body}{button}<dl>{rows}</dl>", now, job.id, JobPlace(job.queue, job.id))


def error_page(around: Around, problem: Problem) -> HTMLResponse:
    """Returns a page that says what is wrong; while Redis does not answer, it tries again."""
    body = f"<h1>Jobs</h1><p class=wrong>{escape(safe(problem.detail))}</p>"
    if problem.status == 503:
        body += f"<p>This page tries again every {AGAIN} seconds.</p>"
    page = _page(around, body, 0, "Jobs", ListPlace("overview"), again=problem.status == 503)
    page.status_code = problem.status
    page.headers.update(problem.headers)
    return page


def _page(
    around: Around, body: str, now: int, title: str, place: Place, *, again: bool = False
) -> HTMLResponse:
    report = f"<p role=status>{escape(around.report)}</p>" if around.report else ""
    read = f"<p class=dim>Read at {clock(now)} UTC.</p>" if now else ""
    head = f"<meta http-equiv=refresh content={AGAIN}>" if again else ""
    return html_page(
        f"<nav><a href='{around.link('')}'>Queues</a><a href='{around.terminal(place)}'>Terminal</a>"
        f"<form method=post action='{ROOT}/logout'><button>Log out</button></form></nav>"
        f"<main><p class=dim>{escape(around.who)}</p>{report}{body}{read}</main>",
        head=head + _STYLE,
        title=safe(title, 250),
    )


def _button(around: Around, path: str, label: str, **fields: str) -> str:
    hidden = "".join(
        f"<input type=hidden name={name} value='{escape(value)}'>" for name, value in fields.items()
    )
    return f"<form method=post action='{around.link(path)}'>{hidden}<button>{escape(label)}</button></form>"


def _state(one: QueueStats) -> str:
    """The queue's counts that are not 0, and whether anything works on it."""
    counts = (
        ("paused" if one.is_paused else "waiting", one.waiting),
        ("active", one.active),
        ("delayed", one.delayed),
        ("failed", one.failed),
        ("completed", one.completed),
    )
    words = [f"<span class={name}>{count:,} {name}</span>" for name, count in counts if count]
    if one.is_paused and not one.waiting:
        words.insert(0, "<span class=paused>paused</span>")
    if one.oldest_waiting:
        words.append(f"oldest {duration(one.oldest_waiting)}")
    last = one.window()
    if last.judged:
        words.append(f"{100 * last.failure_ratio:.0f} % fail")
    if not one.consumers:
        words.append("no worker" if words else "<span class=dim>no jobs, no worker</span>")
    elif not words:
        words.append("<span class=dim>no jobs</span>")
    return ", ".join(words)


def _alerts(around: Around, alerts: Sequence[Alert], seen: Snapshot) -> str:
    if not alerts:
        return "<p>No alerts.</p>"
    rows = []
    for one in alerts:
        known = one.queue in seen.infos
        name = escape(one.queue)
        queue = f"<a href='{around.link(f'/{one.queue}')}'>{name}</a>" if known else name
        since = f", for {duration(max(0, seen.now - one.since))}" if one.since else ""
        what = escape(safe(one.told, 300))
        todo = f"<br>{escape(safe(one.todo, 200))}" if one.todo else ""
        rows.append(
            f"<li><span class={one.level}>{one.level}</span> {queue}: {what}{since}{todo}</li>"
        )
    return f"<h2>{counted(len(alerts), 'alert')}</h2><ul>{''.join(rows)}</ul>"


def _failed(around: Around, job: JobRecord, now: int) -> str:
    link = around.link(f"/{job.queue}/jobs/{_id(job)}")
    return (
        f"<li><a href='{link}'>{escape(safe(job.id, 200))}</a>"
        f" <span class=dim>{escape(when(job, now))}</span><br>{escape(_error(job, 200))}</li>"
    )


def _error(job: JobRecord, length: int) -> str:
    """The job's error with its kind first; '' for none."""
    text, first = safe(job.failed_reason or "", length), safe(kind(job), 60)
    return text if not text or text.startswith(first) else f"{first}: {text}"


def _id(job: JobRecord) -> str:
    return quote(job.id, safe=":@+=")
