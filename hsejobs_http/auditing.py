"""GET /api/jobs/audit: who did what, through which interface."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hsejobs.control.actors import Actor
from hsejobs.control.audit import page
from hsejobs_http.answers import answer
from hsejobs_http.state import actor, number, require_role, scope, shim

router = APIRouter(prefix="/api/jobs")


@router.get("/audit")
async def list_audit(request: Request) -> Response:
    """Lists the acts of the last 90 days, newest first, one page at a time."""
    require_role(request, "admin")
    async with shim(request).pages:
        return await run_in_threadpool(_page, request)


def _page(request: Request) -> Response:
    shim_state, query = shim(request), request.query_params
    who = require_role(request, "admin")
    reading = actor(who)
    limited = Actor(reading.door, reading.role, scope(request), reading.user_id)
    names, queue = shim_state.names(), query.get("queue")
    if queue is not None:
        shim_state.info(queue)
    found = page(
        shim_state.runtime.redis,
        shim_state.runtime.prefix,
        limited,
        names,
        queue=queue,
        who=query.get("who"),
        act=query.get("act"),
        since=query.get("since"),
        until=query.get("until"),
        limit=number(request, "limit", 50),
        cursor=query.get("cursor"),
    )
    return answer(found.public())
