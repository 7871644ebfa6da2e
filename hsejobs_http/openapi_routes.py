"""What each route of the OpenAPI document takes and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hsejobs.control.act_table import ACTS
from hsejobs.control.bulk import STATES
from hsejobs.control.consumers import ORDERS
from hsejobs.control.export import FORMATS
from hsejobs.control.views import STATUSES
from hsejobs.model import PAYLOAD_LIMIT
from hsejobs.services.fields import IDENTIFIER
from hsejobs_http.bodies import BODY_LIMIT, OPTIONS
from hsejobs_http.openapi_examples import ANSWER_EXAMPLES
from hsejobs_http.openapi_history import MOMENT, STEP
from hsejobs_http.openapi_schemas import CURSOR, QUEUE, WHERE, Schema, ref
from hsejobs_http.problems import MEDIA_TYPE, TITLES
from hsejobs_http.watching import LONGEST_WAIT

WHY = {
    400: "the body is not valid JSON, or the request is not valid HTTP",
    401: "the token is missing or invalid",
    403: "the token's role or organization does not allow it",
    404: "it does not exist, or belongs to another organization",
    409: "its state does not allow it, or the Idempotency-Key was used with another body",
    413: f"the body has more than {BODY_LIMIT:,} bytes, or the payload more than {PAYLOAD_LIMIT:,}",
    416: "the range begins after the end of the file",
    422: "a value is invalid; the errors name each field",
    429: "the organization has as many jobs in the queue as its quota allows; see Retry-After",
    503: "Redis or the artifact store cannot be reached; see Retry-After",
}


@dataclass(frozen=True, slots=True)
class Route:
    """A route's answer: the name of a schema (``many``: a list of it), or a media type."""

    answer: str
    errors: tuple[int, ...] = ()
    many: bool = False
    query: tuple[Schema, ...] = ()
    body: str | None = None
    optional_body: bool = False
    status: int = 200
    #: The example of its answer, if it is not that of the schema.
    example: str | None = None
    #: The schema of its answer 200 if the job has ended, beside the usual one.
    ended: str | None = None


def _query(name: str, description: str, **schema: Any) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_ORG = _query(
    "organizationId",
    "limits an operator's view to one organization; others always see their own",
    type="string",
    pattern=f"^{IDENTIFIER}{{0,200}}$",
)
_CURSOR = _query("cursor", "the `next` value of the previous page", type="string", pattern=CURSOR)
_LIMIT = _query("limit", "default: 50", type="integer", minimum=1, maximum=200)
_FROM = _query(
    "from",
    "a time, or a duration before now such as 24h; default: 3h",
    type="string",
    pattern=MOMENT,
)
_TO = _query("to", "a time, or a duration before now; default: now", type="string", pattern=MOMENT)
_HISTORY = (
    _query("queue", "default: all queues", type="string", pattern=QUEUE),
    _FROM,
    _TO,
    _query(
        "step", "such as 1m, 10m, 1h or 1d; default: the shortest kept", type="string", pattern=STEP
    ),
    _query("by", "divides by the busiest 50", type="string", enum=["task", "error", "org"]),
    _ORG,
)
_WHERE = _query("where", **WHERE)
_FORMAT = _query(
    "format",
    "default: json, one page; csv (text/csv) and jsonl (application/x-ndjson, a job per line) have all"
    " jobs, or the first `limit`",
    type="string",
    enum=["json", *FORMATS],
)
_WAIT = _query(
    "wait",
    "seconds to wait for the job's end",
    type="integer",
    minimum=0,
    maximum=LONGEST_WAIT,
)
_LIST = (
    _query(
        "status",
        "default: waiting; with `where`, every state",
        type="string",
        enum=list(STATUSES),
    ),
    _WHERE,
    _FORMAT,
    _LIMIT,
    _CURSOR,
    _ORG,
)
_AUDIT = (
    _query("queue", "only acts on this queue", type="string", pattern=QUEUE),
    _query("who", "only acts of this user", type="string", pattern=f"^{IDENTIFIER}{{1,200}}$"),
    _query("act", "only acts of this kind", type="string", enum=sorted(ACTS)),
    _query(
        "since",
        "only acts from a time on, or a duration before now such as 7d",
        type="string",
        pattern=MOMENT,
    ),
    _query(
        "until",
        "only acts before a time, or a duration before now",
        type="string",
        pattern=MOMENT,
    ),
    _LIMIT,
    _CURSOR,
    _ORG,
)
#: The document's name for adding to a queue of another program, ``/api/jobs/{queue}`` in the routes:
#: the application's own queues have paths of their own, with their payload schemas.
OTHER_QUEUES = "/api/jobs/{other_queue}"
#: Every path below /api/jobs also has 400, 401, 403, 413 and 503.
ROUTES: dict[tuple[str, str], Route] = {
    ("get", "/api/jobs/stats"): Route("Stats", (422,), query=(_ORG,)),
    ("get", "/api/jobs/dashboard"): Route("text/html", (422,), query=(_ORG,)),
    ("get", "/api/jobs/alerts"): Route("Alert", many=True),
    ("get", "/api/jobs/audit"): Route("AuditList", (404, 422), query=_AUDIT),
    ("get", "/api/jobs/workers"): Route("Worker", many=True),
    **{
        ("post", f"/api/jobs/workers/{order}"): Route(
            "WorkersReport", (404, 422), body="WorkersMeant"
        )
        for order in ORDERS
    },
    ("get", "/api/jobs/history"): Route("History", (404, 422), query=_HISTORY),
    ("get", "/api/jobs/marks"): Route("MarkList", (422,), query=(_FROM, _TO, _ORG)),
    ("post", "/api/jobs/marks"): Route("Mark", (422,), body="NewMark", status=201),
    ("get", "/api/jobs/schedules"): Route("Schedule", many=True),
    ("post", OTHER_QUEUES): Route(
        "Created", (404, 409, 422, 429), status=202, query=(_WAIT,), ended="Ended"
    ),
    ("get", "/api/jobs/{queue}/jobs"): Route("JobList", (404, 422), query=_LIST),
    ("get", "/api/jobs/{queue}/jobs/{job_id}"): Route("Job", (404, 422), query=(_WAIT,)),
    ("get", "/api/jobs/{queue}/jobs/{job_id}/events"): Route(
        "text/event-stream", (404, 422), query=(_ORG,)
    ),
    ("get", "/api/jobs/{queue}/events"): Route("text/event-stream", (404, 422), query=(_ORG,)),
    ("delete", "/api/jobs/{queue}/jobs/{job_id}"): Route("", (404, 409), status=204),
    ("get", "/api/jobs/{queue}/jobs/{job_id}/family"): Route("Family", (404, 422), query=(_LIMIT,)),
    ("get", "/api/jobs/{queue}/jobs/{job_id}/logs"): Route("Logs", (404,)),
    ("get", "/api/jobs/{queue}/jobs/{job_id}/artifact"): Route("*/*", (404, 416)),
    ("delete", "/api/jobs/{queue}/jobs/{job_id}/artifact"): Route("", (404, 409), status=204),
    ("post", "/api/jobs/{queue}/jobs/{job_id}/retry"): Route("Job", (404, 409, 422)),
    ("post", "/api/jobs/{queue}/jobs/{job_id}/promote"): Route("Job", (404, 409, 422)),
    ("post", "/api/jobs/{queue}/jobs/{job_id}/cancel"): Route(
        "Job", (404, 409, 422), body="Cancel", optional_body=True, example="Cancelled"
    ),
    ("get", "/api/jobs/{queue}/tenants"): Route(
        "TenantList", (404, 422), query=(_LIMIT, _CURSOR, _ORG)
    ),
    ("put", "/api/jobs/{queue}/tenants/{organization_id}"): Route(
        "Tenant", (404, 422), body="TenantSettings"
    ),
    ("get", "/api/jobs/{queue}/tasks"): Route("TaskList", (404, 422)),
    ("put", "/api/jobs/{queue}/tasks/{task}"): Route("Task", (404, 422), body="TaskSettings"),
    **{
        ("post", f"/api/jobs/{{queue}}/{act}"): Route(
            "ActReport", (404, 422), body=f"{act.capitalize()}Matching"
        )
        for act in STATES
    },
    ("post", "/api/jobs/{queue}/clean"): Route("Removed", (404, 422), body="Clean"),
    ("post", "/api/jobs/{queue}/pause"): Route("Paused", (404, 422)),
    ("post", "/api/jobs/{queue}/resume"): Route("Paused", (404, 422)),
    ("get", "/healthz"): Route("Health"),
    ("get", "/readyz"): Route("Health", (503,)),
    ("get", "/metrics"): Route("text/plain", (401, 503)),
    ("get", "/artifacts/{token}"): Route("*/*", (404, 416, 503)),
}
_EVERYWHERE = (400, 401, 403, 413, 503)


def without_options(example: Schema) -> Schema:
    """Returns the payload of an example body, without the options next to it."""
    return {name: value for name, value in example.items() if name not in OPTIONS}


def responses(route: Route, path: str) -> Schema:
    """Returns the ``responses`` of an operation."""
    found: Schema = {str(route.status): _answer(route)}
    if route.ended is not None:
        content = {"application/json": {"schema": ref(route.ended)}}
        found["200"] = {"description": "with `wait`: the job has ended", "content": content}
    errors = set(route.errors) | (set(_EVERYWHERE) if path.startswith("/api/jobs") else set())
    for status in sorted(errors):
        found[str(status)] = {
            "description": f"{TITLES[status]}: {WHY[status]}",
            "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
        }
        if status in (429, 503):
            found[str(status)]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return found


def _answer(route: Route) -> Schema:
    if not route.answer:
        return {"description": "done"}
    if "/" in route.answer:
        return {
            "description": "the text" if route.answer.startswith("text") else "the file",
            "content": {route.answer: {"schema": {"type": "string"}}},
        }
    schema = ref(route.answer)
    content: Schema = {"schema": {"type": "array", "items": schema} if route.many else schema}
    example = route.example or route.answer
    if example in ANSWER_EXAMPLES:
        content["example"] = ANSWER_EXAMPLES[example]
    answer: Schema = {"description": "done", "content": {"application/json": content}}
    if route.status == 202:
        answer["description"] = "the job is in Redis"
        answer["headers"] = {"Location": {"schema": {"type": "string"}}}
    return answer
