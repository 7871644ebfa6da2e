"""The routes that act on consumers: quiet, wake, restart."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hsejobs.control import consumers
from hsejobs.errors import InvalidOption
from hsejobs_http import bodies
from hsejobs_http.answers import answer
from hsejobs_http.state import caller, shim

router = APIRouter(prefix="/api/jobs")
#: The most consumers that one request names.
MOST = 1_000


@router.post("/workers/quiet")
async def quiet_workers(request: Request) -> Response:
    """Makes consumers quiet: they finish what they run and claim nothing more."""
    return await _order(request, "quiet")


@router.post("/workers/wake")
async def wake_workers(request: Request) -> Response:
    """Wakes quiet consumers: they claim jobs again."""
    return await _order(request, "wake")


@router.post("/workers/restart")
async def restart_workers(request: Request) -> Response:
    """Restarts consumers, once they have finished what they run."""
    return await _order(request, "restart")


async def _order(request: Request, order: str) -> Response:
    shim_state = shim(request)
    acts = shim_state.acts(caller(request))
    acts.check(f"workers {order}")
    ids, host = _parse(await bodies.read_json(request))

    def ask() -> dict[str, Any]:
        found = shim_state.runtime.reader.workers(shim_state.names())
        chosen = consumers.choose(found, ids, host)
        alone = [] if order == "wake" else consumers.without_others(found, chosen)
        return consumers.report(order, consumers.order(acts, order, chosen), alone)

    return answer(await run_in_threadpool(ask))


def _parse(body: Any) -> tuple[list[str], str | None]:
    """The ids and the host of a body. Raises InvalidOption."""
    if not isinstance(body, dict):
        raise InvalidOption("body", 'must be {"ids": [...]} or {"host": name}')
    wrong = bodies.unknown("", body, ("ids", "host"))
    ids, host = body.get("ids"), body.get("host")
    if (ids is None) == (host is None):
        wrong.append(InvalidOption("ids", "or host must be given, and not both"))
    if ids is not None and not _is_list(ids):
        wrong.append(InvalidOption("ids", f"must be a list of 1 to {MOST:,} ids of consumers"))
    if host is not None and not (isinstance(host, str) and 1 <= len(host) <= 255):
        wrong.append(InvalidOption("host", "must be a host's name"))
    if wrong:
        raise bodies.combined(wrong)
    return ids or [], host


def _is_list(ids: Any) -> bool:
    fits = isinstance(ids, list) and 1 <= len(ids) <= MOST
    return fits and all(isinstance(one, str) and 1 <= len(one) <= 255 for one in ids)
