"""Acts on the jobs that match a filter, and downloads of them as CSV or lines of JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from hsejobs.control import bulk, export
from hsejobs.control.search import prepare
from hsejobs.errors import InvalidInput, InvalidOption
from hsejobs.model import check_reason
from hsejobs_http import bodies
from hsejobs_http.answers import answer
from hsejobs_http.problems import stopping as stopped
from hsejobs_http.state import Shim, actor, caller, number, scope, shim
from hsejobs_http.watching import stopping

router = APIRouter(prefix="/api/jobs")


@router.post("/{queue}/retry")
async def retry_matching(request: Request, queue: str) -> Response:
    """Retries the failed jobs that match a filter."""
    return await _act(request, "retry", queue)


@router.post("/{queue}/promote")
async def promote_matching(request: Request, queue: str) -> Response:
    """Promotes the delayed jobs that match a filter."""
    return await _act(request, "promote", queue)


@router.post("/{queue}/remove")
async def remove_matching(request: Request, queue: str) -> Response:
    """Removes the jobs of one state that match a filter, with their files."""
    return await _act(request, "remove", queue)


@router.post("/{queue}/cancel")
async def cancel_matching(request: Request, queue: str) -> Response:
    """Cancels the jobs of one state that match a filter; a member's own only."""
    return await _act(request, "cancel", queue)


async def _act(request: Request, act: str, queue: str) -> Response:
    shim_state = shim(request)
    acts = shim_state.acts(caller(request))
    acts.check(act)
    info = await run_in_threadpool(shim_state.info, queue)
    given = _parse(act, await bodies.read_json(request))

    def act_on_all() -> dict[str, Any]:
        reader = shim_state.runtime.reader
        found = bulk.match(acts, reader, info, act, given["status"], given["where"])
        if given["dryRun"]:
            return bulk.report(found, None)
        steps = bulk.carry_out(acts, found, reason=given["reason"], stop=stopping().is_set)
        (*_, progress) = steps
        if progress.cancelled:
            raise stopped()
        if progress.error is not None:
            raise progress.error
        return bulk.report(found, progress)

    async with shim_state.bulk:
        return answer(await run_in_threadpool(act_on_all))


def _parse(act: str, body: Any) -> dict[str, Any]:
    """The fields of a body. Raises InvalidOption, which names every invalid one."""
    if not isinstance(body, dict):
        raise InvalidOption("body", 'must be {"status", "where", "dryRun"}')
    names = ("status", "where", "dryRun", *(("reason",) if act == "cancel" else ()))
    wrong = bodies.unknown("", body, names)
    status, where, dry_run = body.get("status"), body.get("where"), body.get("dryRun")
    try:
        if status is None:
            raise InvalidOption("status", "must be given: the state of the jobs")
        bulk.check_status(act, status)
    except InvalidInput as error:
        wrong.append(error)
    if not isinstance(where, str):
        wrong.append(InvalidOption("where", "must be a filter, such as error~timeout"))
    else:
        try:
            bulk.parse_where(where)
        except InvalidInput as error:
            wrong.append(error)
    if dry_run is not None and not isinstance(dry_run, bool):
        wrong.append(InvalidOption("dryRun", "must be true or false"))
    reason = None
    try:
        reason = check_reason(body.get("reason"))
    except InvalidInput as error:
        wrong.append(error)
    if wrong:
        raise bodies.combined(wrong)
    return {"status": status, "where": where, "dryRun": dry_run, "reason": reason}


async def download(request: Request, queue: str, form: str) -> Response:
    """Returns all jobs that match, or the first ``limit``, as they are read."""
    shim_state = shim(request)
    most = None if "limit" not in request.query_params else number(request, "limit", 0)
    if most == 0:
        raise InvalidOption("limit", "must be a number from 1")

    def begin() -> tuple[bytes, Iterator[bytes]]:
        search = prepare(
            shim_state.runtime.reader,
            shim_state.info(queue),
            request.query_params.get("status"),
            request.query_params.get("where", ""),
            actor(caller(request)),
            organization_id=scope(request),
            **export.needs(form),
        )
        cursor = request.query_params.get("cursor") or None
        found = export.pieces(search, shim_state.runtime.reader, form, limit=most, cursor=cursor)
        # A problem with the first page is still answered as one.
        return b"".join(islice(found, 2)), found

    async with shim_state.pages:
        first, rest = await run_in_threadpool(begin)
    headers = {
        "Content-Disposition": f'attachment; filename="{queue}.{form}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(
        _pieces(shim_state, first, rest), headers=headers, media_type=export.MEDIA_TYPES[form]
    )


async def _pieces(shim_state: Shim, first: bytes, rest: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a download; between two of them it occupies no thread and no place for pages."""
    yield first
    while True:
        async with shim_state.pages:
            piece = await run_in_threadpool(next, rest, None)
        if piece is None:
            return
        if piece:
            yield piece
