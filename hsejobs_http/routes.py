"""The routes under /api/jobs, except the one that adds jobs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hsejobs.control import export, families, holding, sharing, views, why
from hsejobs.control.acts import Acts
from hsejobs.control.search import listing
from hsejobs.errors import InvalidInput, InvalidOption, JobNotFound, UnknownTask
from hsejobs.model import JobRecord, State, check_job_id
from hsejobs.store.registry import QueueInfo
from hsejobs.store.sweeps import Selection
from hsejobs.watch import alerts
from hsejobs_http import bodies, bulk, dashboard
from hsejobs_http.answers import answer
from hsejobs_http.problems import Problem
from hsejobs_http.state import Shim, actor, caller, number, require_role, scope, shim
from hsejobs_http.tokens import Caller

router = APIRouter(prefix="/api/jobs")
#: The longest grace period of a clean, in ms: ten years.
LONGEST_GRACE = 10 * 366 * 86_400_000
#: The values of ``format`` in a listing.
FORMATS = ("json", *export.FORMATS)
TENANT_SETTINGS = ("weight", "limit", "paused")
TASK_SETTINGS = ("paused",)


def _stats(shim_state: Shim, organization_id: str | None) -> dict[str, Any]:
    found = shim_state.runtime.reader.stats(shim_state.names(), organization_id)
    return {one.name: one.public() for one in found}


@router.get("/stats")
def stats(request: Request) -> Response:
    """Shows the counts, rates and durations of every queue."""
    return answer(_stats(shim(request), scope(request)))


@router.get("/dashboard")
def show_dashboard(request: Request) -> Response:
    """Shows the operator's TUI in a browser; without scripts, the counts as a table."""
    organization_id = scope(request)
    return dashboard.page(request, organization_id, _stats(shim(request), organization_id))


@router.get("/alerts")
def list_alerts(request: Request) -> Response:
    """Lists the alerts that are on, and those that ended in the last day."""
    require_role(request, "operator")
    shim_state = shim(request)
    return answer(alerts.stored(shim_state.runtime.redis, shim_state.runtime.prefix))


@router.get("/workers")
def workers(request: Request) -> Response:
    """Lists the live consumers and what they run."""
    require_role(request, "operator")
    shim_state = shim(request)
    return answer(views.workers(shim_state.runtime.reader, shim_state.names()))


@router.get("/schedules")
def schedules(request: Request) -> Response:
    """Lists the periodic tasks: cron, next and last run."""
    from hsejobs.control.schedules import list_schedules

    require_role(request, "operator")
    shim_state = shim(request)
    return answer(list_schedules(shim_state.runtime.reader, shim_state.infos()))


def job_of(
    request: Request, queue: str, job_id: str, *, explained: bool = False
) -> tuple[JobRecord, QueueInfo, Caller]:
    """Returns a job that the caller may see, its queue and the caller. Raises JobNotFound, UnknownQueue.

    ``explained``: with why the job is where it is.
    """
    shim_state, who = shim(request), caller(request)
    info = shim_state.info(queue)
    try:
        check_job_id(job_id, internal=True)
    except InvalidInput:
        raise JobNotFound("") from None
    reader = shim_state.runtime.reader
    if explained:
        return why.read(reader, queue, job_id, actor(who)), info, who
    return reader.job(queue, job_id, who.scope), info, who


@router.get("/{queue}/tenants")
async def list_tenants(request: Request, queue: str) -> Response:
    """Lists a queue's tenants, the busiest first, one page at a time."""
    require_role(request, "operator")
    async with shim(request).pages:
        return await run_in_threadpool(_tenants, request, queue)


def _tenants(request: Request, queue: str) -> Response:
    shim_state = shim(request)
    shim_state.info(queue)
    page = sharing.list_tenants(
        shim_state.acts(caller(request)),
        queue,
        limit=number(request, "limit", 50),
        cursor=request.query_params.get("cursor"),
        organization_id=scope(request),
    )
    return answer(page.public())


# An organization's id may contain slashes.
@router.put("/{queue}/tenants/{organization_id:path}")
async def set_tenant(request: Request, queue: str, organization_id: str) -> Response:
    """Sets an organization's weight, limit or pause in a queue; what is not sent stays as it is."""
    acts = acting(request, "tenants set")
    await run_in_threadpool(shim(request).info, queue)
    settings = _parse_tenant(await bodies.read_json(request))
    tenant = await run_in_threadpool(
        partial(sharing.set_tenant, acts, queue, organization_id, **settings)
    )
    return answer(tenant.public())


def _parse_tenant(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise InvalidOption("body", 'must be {"weight", "limit", "paused"}, or some of them')
    given = {name: bodies.integral(value) for name, value in body.items()}
    wrong = bodies.unknown("", given, TENANT_SETTINGS)
    known = {name: given[name] for name in TENANT_SETTINGS if name in given}
    try:
        sharing.check_settings(**known)
    except InvalidInput as error:
        wrong.append(error)
    if wrong:
        raise bodies.combined(wrong)
    return known


@router.get("/{queue}/tasks")
def list_tasks(request: Request, queue: str) -> Response:
    """Lists a queue's tasks, those that are held first."""
    require_role(request, "operator")
    shim_state = shim(request)
    info = shim_state.info(queue)
    return answer(holding.list_tasks(shim_state.acts(caller(request)), info).public())


@router.put("/{queue}/tasks/{task}")
async def set_task(request: Request, queue: str, task: str) -> Response:
    """Holds a task of a queue, or lets it go: none of its jobs starts while it is held."""
    acts = acting(request, "tasks set")
    info = await run_in_threadpool(shim(request).info, queue)
    paused = _parse_paused(await bodies.read_json(request))
    act = partial(holding.set_task, acts, info, task, paused=paused)
    try:
        found = await run_in_threadpool(act)
    except UnknownTask as error:
        # It is part of the path, not of the body.
        raise Problem(404, error.code, str(error)) from None
    return answer(found.public())


def _parse_paused(body: Any) -> bool:
    if not isinstance(body, dict):
        raise InvalidOption("body", 'must be {"paused": true} or {"paused": false}')
    wrong = bodies.unknown("", body, TASK_SETTINGS)
    paused = body.get("paused")
    if not isinstance(paused, bool):
        wrong.append(InvalidOption("paused", "must be true or false"))
    if wrong:
        raise bodies.combined(wrong)
    return bool(paused)


@router.get("/{queue}/jobs")
async def jobs(request: Request, queue: str) -> Response:
    """Lists the jobs in a state, one page at a time; or all of them, as CSV or lines of JSON."""
    form = export.check_format(request.query_params.get("format", "json"), FORMATS)
    if form != "json":
        return await bulk.download(request, queue, form)
    # Pages are the most expensive answers, so they may not occupy all threads.
    async with shim(request).pages:
        return await run_in_threadpool(_page, request, queue)


def _page(request: Request, queue: str) -> Response:
    shim_state, who = shim(request), caller(request)
    listed = listing(
        shim_state.runtime.reader,
        shim_state.info(queue),
        request.query_params.get("status"),
        actor(who),
        limit=number(request, "limit", 50),
        cursor=request.query_params.get("cursor"),
        organization_id=scope(request),
        where=request.query_params.get("where", ""),
    )
    return answer(listed)


@router.get("/{queue}/jobs/{job_id}/family")
def family(request: Request, queue: str, job_id: str) -> Response:
    """Shows the job that added this one, the first of its family, and the jobs that it added."""
    record, _, who = job_of(request, queue, job_id)
    shim_state, limit = shim(request), number(request, "limit", 50)
    found = families.of(
        shim_state.runtime.reader, shim_state.names(), record, actor(who), limit=limit
    )
    return answer(families.public(found))


@router.get("/{queue}/jobs/{job_id}/logs")
def logs(request: Request, queue: str, job_id: str) -> Response:
    """Shows the job's log lines; null for a member if the job is another user's."""
    record, info, who = job_of(request, queue, job_id)
    lines, total = views.logs(shim(request).runtime.reader, record, info, actor(who))
    return answer({"lines": lines, "total": total})


def acting(request: Request, act: str) -> Acts:
    """Returns the caller's acts, if it may perform this one. Raises Forbidden."""
    acts = shim(request).acts(caller(request))
    acts.check(act)
    return acts


def _act_on(request: Request, act: str, queue: str, job_id: str, reason: str | None) -> Response:
    acts = acting(request, act)
    _, info, who = job_of(request, queue, job_id)
    acts.one(act, queue, job_id, reason=reason)
    record = shim(request).runtime.reader.job(queue, job_id, who.scope)
    return answer(views.job(record, info, acts.actor))


async def _act_alone(
    request: Request,
    act: str,
    queue: str,
    job_id: str,
    read: Callable[[bytes], str | None] = bodies.check_empty,
) -> Response:
    """Acts on a job; ``read`` checks the body and returns the reason, if the act has one."""
    acting(request, act)
    reason = read(await bodies.read_body(request))
    return await run_in_threadpool(_act_on, request, act, queue, job_id, reason)


@router.post("/{queue}/jobs/{job_id}/retry")
async def retry(request: Request, queue: str, job_id: str) -> Response:
    """Retries a failed job: it waits again, with all its attempts."""
    return await _act_alone(request, "retry", queue, job_id)


@router.post("/{queue}/jobs/{job_id}/promote")
async def promote(request: Request, queue: str, job_id: str) -> Response:
    """Promotes a delayed job: it waits for a worker now."""
    return await _act_alone(request, "promote", queue, job_id)


@router.post("/{queue}/jobs/{job_id}/cancel")
async def cancel(request: Request, queue: str, job_id: str) -> Response:
    """Cancels a job: a waiting or delayed one fails now, a running one is interrupted and then fails."""
    return await _act_alone(request, "cancel", queue, job_id, bodies.read_reason)


@router.delete("/{queue}/jobs/{job_id}", status_code=204)
def remove(request: Request, queue: str, job_id: str) -> Response:
    """Removes a job that is not active, with its file."""
    acts = acting(request, "remove")
    job_of(request, queue, job_id)
    acts.one("remove", queue, job_id)
    return Response(status_code=204)


@router.post("/{queue}/clean")
async def clean(request: Request, queue: str) -> Response:
    """Removes the jobs in a state that are older than ``grace`` ms."""
    acts, shim_state = acting(request, "clean"), shim(request)
    await run_in_threadpool(shim_state.info, queue)
    # The request covers the jobs at the time it arrives; its body may arrive later.
    moment = await run_in_threadpool(shim_state.runtime.reader.now, queue)
    grace, status = _parse_clean(await bodies.read_json(request))

    def clean_jobs() -> int:
        selection = Selection(0, moment)
        (*_, done) = acts.sweep("clean", queue, selection, state=status, grace_ms=grace)
        return done.done

    removed = await run_in_threadpool(clean_jobs)
    return answer({"removed": removed})


def _parse_clean(body: Any) -> tuple[int, State]:
    if not isinstance(body, dict):
        raise InvalidOption("body", 'must be {"grace": ms, "status": state}')
    wrong: list[InvalidInput] = []
    grace, status = bodies.integral(body.get("grace")), body.get("status")
    if isinstance(grace, bool) or not isinstance(grace, int) or not 0 <= grace <= LONGEST_GRACE:
        wrong.append(InvalidOption("grace", f"must be whole ms, 0 to {LONGEST_GRACE}"))
    if not isinstance(status, str) or status not in tuple(State):
        wrong.append(InvalidOption("status", "must be completed, failed, delayed or waiting"))
    # An unknown field is refused: it may have been meant to keep some of the jobs.
    wrong += bodies.unknown("", body, ("grace", "status"))
    if wrong:
        raise bodies.combined(wrong)
    return grace, State(str(status))


async def _pause(request: Request, queue: str, *, paused: bool) -> Response:
    acts = acting(request, "pause" if paused else "resume")
    bodies.check_empty(await bodies.read_body(request))

    def act() -> Response:
        shim(request).info(queue)
        acts.pause(queue, paused)
        return answer({"queue": queue, "isPaused": paused})

    return await run_in_threadpool(act)


@router.post("/{queue}/pause")
async def pause(request: Request, queue: str) -> Response:
    """Pauses a queue: running jobs finish, no new ones start."""
    return await _pause(request, queue, paused=True)


@router.post("/{queue}/resume")
async def resume(request: Request, queue: str) -> Response:
    """Resumes a paused queue: workers start jobs again."""
    return await _pause(request, queue, paused=False)
