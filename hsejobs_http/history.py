"""The routes of the history and its marks."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hsejobs.control import history
from hsejobs.errors import InvalidInput, InvalidOption
from hsejobs.store.history import Range
from hsejobs_http import bodies
from hsejobs_http.answers import answer
from hsejobs_http.state import actor, caller, require_role, scope, shim

router = APIRouter(prefix="/api/jobs")


@router.get("/history")
async def read_history(request: Request) -> Response:
    """Shows what happened in the queues: counters, samples and times of each step, and the marks."""
    require_role(request, "admin")
    # A long history takes as much as a page of jobs.
    async with shim(request).pages:
        return await run_in_threadpool(_history, request)


def _history(request: Request) -> Response:
    shim_state, given = shim(request), request.query_params
    queue = given.get("queue")
    names = shim_state.names() if queue is None else [shim_state.info(queue).name]
    found = history.read(
        shim_state.runtime.redis,
        shim_state.runtime.prefix,
        names,
        _span(request, len(names) if given.get("by") else 0),
        actor(caller(request)),
        by=given.get("by"),
        organization_id=scope(request),
    )
    return Response(b"".join(found.pieces()), media_type="application/json")


def _span(request: Request, divided: int) -> Range:
    given = request.query_params
    times = given.get("from"), given.get("to"), given.get("step")
    return history.span(_now(request), *times, divided=divided)


def _now(request: Request) -> int:
    runtime = shim(request).runtime
    return history.now(runtime.redis, runtime.prefix)


@router.get("/marks")
def list_marks(request: Request) -> Response:
    """Lists the marks of a time, the oldest first: deploys, alerts that began or ended."""
    require_role(request, "admin")
    runtime, given = shim(request).runtime, request.query_params
    found = history.marks_between(
        runtime.redis,
        runtime.prefix,
        actor(caller(request)),
        since=given.get("from"),
        until=given.get("to"),
        organization_id=scope(request),
    )
    return answer({"marks": [history.public_mark(one) for one in found]})


@router.post("/marks", status_code=201)
async def add_mark(request: Request) -> Response:
    """Marks a deploy in the history, now."""
    require_role(request, "operator")
    text = _parse_mark(await bodies.read_json(request))
    runtime, who = shim(request).runtime, actor(caller(request))
    mark = await run_in_threadpool(history.add_mark, runtime.redis, runtime.prefix, text, who)
    return answer(history.public_mark(mark), 201)


def _parse_mark(body: Any) -> str:
    if not isinstance(body, dict):
        raise InvalidOption("body", 'must be {"text": "deploy 4f1c"}')
    wrong: list[InvalidInput] = list(bodies.unknown("", body, ("text",)))
    text = body.get("text")
    if not isinstance(text, str):
        wrong.append(InvalidOption("text", "must be a text such as deploy 4f1c"))
    if wrong:
        raise bodies.combined(wrong)
    return str(text)
