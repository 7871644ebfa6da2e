"""The schemas of the OpenAPI document."""

from __future__ import annotations

from typing import Any

from hsejobs.control.bulk import STATES
from hsejobs.control.filters import LONGEST, PATTERN, PATTERN_OF_ACT
from hsejobs.control.options import TENANT_ATTEMPTS, TENANT_BACKOFF_MS
from hsejobs.control.views import STATUSES
from hsejobs.control.why import CODES
from hsejobs.model import LONGEST_MS, REASON, RESERVED_IDS, State
from hsejobs.services.fields import IDENTIFIER

Schema = dict[str, Any]
QUEUE = "^[a-z][a-z0-9-]{0,39}$"
#: An id that every caller may send: the organization's id, at most 100 characters, is put before it.
SENT_ID = f"^(?!{'|'.join(RESERVED_IDS)})" + "[A-Za-z0-9_:@+=][A-Za-z0-9._:@+=-]{0,98}$"
#: A page's ``next``: an eight-character checksum, then base64 text without control characters.
#: So narrow that random text does not match; an empty cursor is the first page.
CURSOR = "^(?:(?![A-Za-z0-9_-]{8}(?:[A-Za-z0-9_-]{4})*[^I-Za-f])[A-Za-z0-9_-]{19,400})?$"
ORGANIZATION = f"^{IDENTIFIER}{{1,200}}$"
TASK = "^[A-Za-z0-9_.]{1,200}$"
WHERE: Schema = {
    "type": "string",
    "maxLength": LONGEST,
    "pattern": PATTERN,
    "description": "a filter, such as `error~timeout org=org-7 since=1h`; see docs/cli.md",
}
JOB_ID = "^[A-Za-z0-9_:@+=][A-Za-z0-9._:@+=-]{0,199}$"


def ref(name: str) -> Schema:
    """Returns a reference to a schema by name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


def _object(properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


_COUNT: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_MS = {"type": "integer", "minimum": 0, "description": "ms"}
_COUNTS = ("waiting", "active", "completed", "failed", "delayed", "paused", "total")
_REASON: Schema = _or_null(
    "string", pattern=REASON, description="one line, kept with the job and in the audit log"
)
_STATES: Schema = {"enum": [state.value for state in State]}


def options_of(*, outbound: bool) -> dict[str, Schema]:
    """Returns the option schemas of a queue, within what a member may use.

    ``outbound``: the queue calls other people's servers. A null option counts as absent.
    """
    least = TENANT_BACKOFF_MS if outbound else 0
    operators = "; an operator may use {}"
    return {
        "priority": _or_null(
            "integer", minimum=1, maximum=5, description="1 (highest) to 5 (lowest)"
        ),
        "attempts": _or_null(
            "integer",
            minimum=1,
            maximum=TENANT_ATTEMPTS,
            description="total attempts, the first included" + operators.format("up to 1000"),
        ),
        "delay": _or_null(
            "integer", minimum=0, maximum=LONGEST_MS, description="ms before the job may start"
        ),
        "backoff": {
            "anyOf": [
                _or_null("integer", minimum=least, maximum=LONGEST_MS),
                {
                    "type": "object",
                    "required": ["delay"],
                    "additionalProperties": False,
                    "properties": {
                        "type": {"const": "exponential"},
                        "delay": {"type": "integer", "minimum": least, "maximum": LONGEST_MS},
                    },
                },
            ],
            "description": "ms before the second attempt; each further one waits 5 times as long, a"
            " day at most" + (operators.format("less than 1000") if outbound else ""),
        },
        "timeout": _or_null(
            "integer", minimum=1, maximum=LONGEST_MS, description="ms that one attempt may take"
        ),
        "jobId": _or_null(
            "string",
            pattern=SENT_ID,
            description="becomes <organizationId>:<jobId>; the same id again returns the existing job",
        ),
        "organizationId": _or_null(
            "string",
            pattern=ORGANIZATION,
            description="the organization that owns the job; only an operator may name another than the"
            " token's",
        ),
        "userId": _or_null(
            "string",
            pattern=ORGANIZATION,
            description="the user who owns the job; only an operator may name another than the token's",
        ),
    }


def _matching(act: str) -> Schema:
    """Returns the body of an act on the jobs that match a filter."""
    states = [one.value for one in STATES[act]]
    if State.WAITING in STATES[act]:
        states.append("paused")
    reason = {"reason": _REASON} if act == "cancel" else {}
    fields: dict[str, Schema] = {
        "status": {"enum": states},
        "where": WHERE | {"pattern": PATTERN_OF_ACT},
        "dryRun": _or_null("boolean", description="true: count the jobs, change nothing"),
    }
    return {
        **_object(fields | reason, optional=("dryRun", "reason")),
        "additionalProperties": False,
        "example": {"status": states[0], "where": "error~timeout since=1h", "dryRun": True},
    }


SCHEMAS: dict[str, Schema] = {
    **{f"{act.capitalize()}Matching": _matching(act) for act in STATES},
    "ActReport": _object(
        {
            "matched": _COUNT,
            "done": _COUNT,
            "refused": {"type": "array", "items": _object({"jobId": _TEXT, "why": _TEXT})},
        }
    ),
    "Problem": _object(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "stable, as in docs/cli.md"},
            "detail": _TEXT,
            "errors": {"type": "array", "items": _object({"field": _TEXT, "problem": _TEXT})},
        },
        optional=("errors",),
    ),
    "Created": _object(
        {"jobId": _TEXT, "queue": _TEXT, "status": _STATES, "created": {"type": "boolean"}}
    ),
    "AttemptError": _object(
        {
            "attempt": _or_null("integer"),
            "error": _or_null("string"),
            "code": _or_null("string"),
            "traceback": _or_null("string"),
            "startedAt": _MAYBE_TIME,
            "failedAt": _MAYBE_TIME,
            "worker": _or_null("string"),
        }
    ),
    "Job": _object(
        {
            "id": _TEXT,
            "queue": _TEXT,
            "name": _TEXT,
            "status": _STATES,
            "organizationId": _or_null("string"),
            "userId": _or_null("string"),
            "parentId": _or_null(
                "string", description="the job that was running when this one was added"
            ),
            "rootId": _or_null("string", description="the first job of its family"),
            "requestId": _or_null(
                "string", description="the X-Request-ID of the request that caused it"
            ),
            "data": {"description": "secrets as ***; null if the caller may not see it"},
            "priority": {"type": "integer"},
            "attemptsMade": _COUNT,
            "attempts": _COUNT,
            "progress": {"type": "number", "minimum": 0, "maximum": 100},
            "progressMessage": _or_null("string"),
            "result": {},
            "failedReason": _or_null("string"),
            "errors": _or_null("array", items=ref("AttemptError")),
            "createdAt": _TIME,
            "processedAt": _MAYBE_TIME,
            "finishedAt": _MAYBE_TIME,
            "runAt": _MAYBE_TIME,
            "timeout": _or_null("integer"),
            "stalls": _COUNT,
            "cancel": {"anyOf": [ref("JobCancel"), {"type": "null"}]},
            "supersededBy": {
                **_TEXT,
                "description": "the job, an edited copy, that runs instead of this failed one",
            },
            "why": {"anyOf": [ref("JobWhy"), {"type": "null"}]},
        },
        optional=("supersededBy", "why"),
    ),
    "JobWhy": {
        **_object(
            {
                "code": {"enum": list(CODES)},
                "text": _TEXT,
                "until": {**_TIME, "description": "when that ends, if it is known"},
                "place": {**_COUNT, "description": "how many jobs come first"},
            },
            optional=("until", "place"),
        ),
        "description": "why the job is where it is, in the answer for one job; null if it has ended",
    },
    "Ended": {
        "allOf": [
            ref("Job"),
            _object({"jobId": _TEXT, "created": {"type": "boolean"}}),
        ]
    },
    "JobCancel": {
        **_object(
            {"by": _or_null("string"), "reason": _or_null("string"), "at": _MAYBE_TIME},
        ),
        "description": "who cancelled the job, why and when",
    },
    "Relative": _object(
        {
            "queue": _TEXT,
            "id": _TEXT,
            "name": _or_null("string"),
            "status": {"enum": [*_STATES["enum"], None], "description": "null: it was removed"},
            "createdAt": _MAYBE_TIME,
            "finishedAt": _MAYBE_TIME,
        }
    ),
    "Family": _object(
        {
            "queue": _TEXT,
            "jobId": _TEXT,
            "parent": {"anyOf": [ref("Relative"), {"type": "null"}]},
            "root": {"anyOf": [ref("Relative"), {"type": "null"}]},
            "children": {"type": "array", "items": ref("Relative")},
            "total": {**_COUNT, "description": "children that are listed, at most 1,000 a queue"},
        }
    ),
    "JobList": _object(
        {
            "queue": _TEXT,
            "status": {"enum": [*STATUSES, None], "description": "null: every state"},
            "total": _or_null("integer", minimum=0, description="null: not all were read"),
            "jobs": {"type": "array", "items": ref("Job")},
            "next": _or_null("string"),
        }
    ),
    "Logs": _object({"lines": _or_null("array", items=_TEXT), "total": _COUNT}),
    "QueueStats": _object(
        {
            **dict.fromkeys(_COUNTS, _COUNT),
            "rate": {"type": "number", "description": "jobs finished per minute, over 5 minutes"},
            "averageDuration": _or_null("number", description="ms, over 5 minutes"),
            "failureRate": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "description": "over 5 minutes; cancelled jobs do not count",
            },
            "oldestWaiting": _or_null("integer", description="ms"),
            "isPaused": {"type": "boolean"},
        }
    ),
    "Stats": {"type": "object", "additionalProperties": ref("QueueStats")},
    "Alert": _object(
        {
            "rule": {
                "enum": [
                    "waiting",
                    "failures",
                    "stalled",
                    "no_worker",
                    "unknown_task",
                    "sealed",
                    "oldest",
                    "redis",
                ]
            },
            "queue": _or_null("string"),
            "state": {"enum": ["on", "off"]},
            "value": {"type": "number"},
            "limit": {"type": "number"},
            "message": _TEXT,
            "since": _TIME,
            "ended": _MAYBE_TIME,
        }
    ),
    "Worker": _object(
        {
            "id": _TEXT,
            "host": _TEXT,
            "pid": {"type": "integer"},
            "queue": _TEXT,
            "workers": {"enum": ["threads", "processes"]},
            "concurrency": _COUNT,
            "startedAt": _TIME,
            "release": _or_null("string", description="the application's release, if it names one"),
            "tasks": {"type": "array", "items": _TEXT, "description": "what it can run"},
            "format": {
                "type": "integer",
                "description": "the highest record format it can work with",
            },
            "state": {
                "enum": ["running", "quiet", "restarting"],
                "description": "quiet: it claims nothing until it is woken; restarting: it ends once it"
                " runs nothing",
            },
            "hung": _COUNT,
            "memory": _or_null("integer", description="resident bytes, with its worker processes"),
            "slots": {"type": "array"},
            "heartbeatAge": _MS,
        }
    ),
    "Schedule": _object(
        {
            "name": _TEXT,
            "queue": _TEXT,
            "cron": _TEXT,
            "next": _MAYBE_TIME,
            "last": _MAYBE_TIME,
            "lastJob": _or_null("string"),
            "outcome": _or_null("string"),
        }
    ),
    "Paused": _object({"queue": _TEXT, "isPaused": {"type": "boolean"}}),
    "Removed": _object({"removed": _COUNT}),
    "Health": _object({"status": {"const": "ok"}}),
    "Clean": {
        **_object(
            {
                "grace": {
                    **_MS,
                    "maximum": 10 * 366 * 86_400_000,
                    "description": "ms; younger jobs are kept",
                },
                "status": {"enum": ["completed", "failed", "delayed", "waiting"]},
            }
        ),
        "additionalProperties": False,
        "example": {"grace": 3600000, "status": "completed"},
    },
    "Cancel": {
        **_object(
            {"reason": _REASON},
            optional=("reason",),
        ),
        "additionalProperties": False,
        "example": {"reason": "wrong month"},
    },
}
