"""/api/jobs/dashboard/plain: the dashboard without a terminal and scripts, for phones.

It reads what the TUI reads, in a session with the rights of the token, and acts as the dashboard does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hsejobs.control.acts import Acts
from hsejobs.errors import Forbidden, InvalidInput, JobNotFound, JobsError, Refused, UnknownQueue
from hsejobs.model import QUEUE_NAME, JobRecord, State, check_job_id
from hsejobs.settings import redis_target
from hsejobs.store.read_live import Snapshot
from hsejobs.watch.rules import Limits
from hsejobs_http import bodies, plain_pages
from hsejobs_http.dashboard import check_origin, describe_caller, keep_token
from hsejobs_http.pages import PLAIN
from hsejobs_http.plain_pages import Around
from hsejobs_http.problems import Problem, problem_of
from hsejobs_http.state import caller, scope, shim
from hsejobs_http.watching import stopping
from hsejobs_tui.core.acting import actor_of
from hsejobs_tui.core.alerts import Alert, active_alerts, by_level, circuit_alerts
from hsejobs_tui.core.options import DashboardUser, Options
from hsejobs_tui.core.source import LiveSource

router = APIRouter(prefix=PLAIN, include_in_schema=False)
#: The newest failed jobs that a queue's page lists.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Session:
    """One request's reads and acts: as those of a view, with the rights of the token."""

    source: LiveSource
    acts: Acts
    seen: Snapshot
    alerts: list[Alert]

    def may(self, act: str) -> bool:
        """Whether the caller may perform this act."""
        try:
            self.acts.check(act)
        except (Forbidden, Refused):
            return False
        return True

    def check_queue(self, queue: str) -> str:
        """Returns the name if there is such a queue. Raises UnknownQueue."""
        if not QUEUE_NAME.fullmatch(queue) or queue not in self.seen.infos:
            raise UnknownQueue("there is no queue with this name")
        return queue


def _session(request: Request) -> _Session:
    """Reads all queues. Raises Problem 403, RedisUnavailable."""
    shim_state, who = shim(request), caller(request)
    settings = shim_state.settings
    options = Options(
        url=redis_target(settings),
        prefix=shim_state.runtime.prefix,
        home=settings.jobs_home,
        place="",
        organization_id=scope(request),
        limits=Limits.of(settings),
        viewer=DashboardUser(who.user_id, who.role),
    )
    # Registers the queues again if Redis has lost them.
    shim_state.names()
    source = LiveSource(options, shim_state.runtime.redis)
    seen = source.snapshot()
    acts = shim_state.acts_as(actor_of(options))
    alerts = active_alerts(seen, options.limits, source.crowds(whole=True), keys=None)
    alerts = by_level([*alerts, *circuit_alerts(source.circuits(), keys=False)])
    if options.organization_id is not None:
        # What helps is for operators of all organizations.
        alerts = [one._replace(todo="") for one in alerts]
    return _Session(source, acts, seen, alerts)


@router.get("")
async def show_queues(request: Request) -> Response:
    """Shows the alerts and all queues."""
    return await _page(request, lambda session: _queues(session, _around(request)))


@router.get("/{queue}")
async def show_queue(request: Request, queue: str) -> Response:
    """Shows a queue: its counts, its alerts, its newest failed jobs, and what the caller may do."""
    return await _page(request, lambda session: _queue(session, _around(request), queue))


@router.get("/{queue}/jobs/{job}")
async def show_job(request: Request, queue: str, job: str) -> Response:
    """Shows a job: its state, why it is there, its error."""
    return await _page(request, lambda session: _job(session, _around(request), queue, job))


@router.post("/{queue}/{act}")
async def act_on_queue(request: Request, queue: str, act: str) -> Response:
    """Pauses or resumes a queue, or retries the failed jobs that its page counted."""
    if act not in ("pause", "resume", "retry"):
        raise Problem(404, "not_found", "there is nothing at this path")
    form = await _form(request)

    def done(session: _Session) -> Response:
        session.check_queue(queue)
        if act == "retry":
            report = _retry_all(session, queue, form)
        else:
            report = session.acts.pause(queue, act == "pause")
        # What has changed is read again.
        return _queue(_session(request), _around(request, report), queue)

    async with shim(request).bulk:
        return await _page(request, done)


@router.post("/{queue}/jobs/{job}/retry")
async def retry_job(request: Request, queue: str, job: str) -> Response:
    """Retries a failed job, if it has not changed since its page was made."""
    version = (await _form(request)).get("version")
    if not version:
        raise Problem(422, "invalid_option", "version: must be that of the job on the page")

    def done(session: _Session) -> Response:
        _read(session, queue, job)
        session.acts.one("retry", queue, job, version)
        return _job(_session(request), _around(request, "retried"), queue, job)

    return await _page(request, done)


async def _page(request: Request, make: Callable[[_Session], Response]) -> Response:
    """Makes a page in a thread; an error of hsejobs is a page too, with its status."""

    def made() -> Response:
        try:
            return make(_session(request))
        except JobsError as error:
            problem = problem_of(error)
        except Problem as refused:
            problem = refused
        if problem.status == 500:
            raise problem
        return plain_pages.error_page(_around(request), problem)

    async with shim(request).pages:
        response = await run_in_threadpool(made)
    keep_token(request, response)
    return response


async def _form(request: Request) -> dict[str, str]:
    """Reads a form of one of our own pages. Raises Problem 403 for another site's."""
    check_origin(shim(request), request.headers)
    body = (await bodies.read_body(request)).decode("utf-8", "replace")
    try:
        return {name: one[0] for name, one in parse_qs(body, max_num_fields=10).items()}
    except ValueError:
        return {}


def _around(request: Request, report: str = "") -> Around:
    chosen = request.query_params.get("organizationId") or None
    return Around(describe_caller(caller(request)), chosen, report)


def _queues(session: _Session, around: Around) -> Response:
    return plain_pages.queues_page(around, session.seen, session.alerts)


def _queue(session: _Session, around: Around, queue: str) -> Response:
    session.check_queue(queue)
    failed = session.source.window(queue, State.FAILED, offset=0, limit=SHOWN, reverse=True)
    may = [act for act in ("pause", "resume", "retry") if session.may(act)]
    jobs = [job for job in failed.rows if job is not None]
    return plain_pages.queue_page(around, session.seen, session.alerts, queue, jobs, may)


def _job(session: _Session, around: Around, queue: str, job_id: str) -> Response:
    return plain_pages.job_page(
        around, _read(session, queue, job_id), session.seen.now, may_retry=session.may("retry")
    )


def _read(session: _Session, queue: str, job_id: str) -> JobRecord:
    """Returns the job, masked. Raises JobNotFound, also for another organization's."""
    session.check_queue(queue)
    try:
        check_job_id(job_id, internal=True)
    except InvalidInput:
        raise JobNotFound("") from None
    return session.source.job(queue, job_id, tail=0)[0]


def _retry_all(session: _Session, queue: str, form: dict[str, Any]) -> str:
    """Retries the jobs that had failed when the page was made; returns the report."""
    text = form.get("asOf", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise Problem(422, "invalid_option", "asOf: must be the time of the page, in ms")
    stop = stopping().is_set
    (*_, progress) = session.acts.every("retry", queue, stop, as_of=int(text))
    if progress.error is not None:
        raise progress.error
    return progress.report()
