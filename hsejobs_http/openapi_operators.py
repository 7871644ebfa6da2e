"""The OpenAPI schemas of what operators see: tenants, held tasks, acts on consumers, the audit log."""

from __future__ import annotations

from hsejobs.rates import MOST_AT_ONCE
from hsejobs.store.shares import MOST_WEIGHT
from hsejobs_http.openapi_schemas import (
    _COUNT,
    _MAYBE_TIME,
    _TEXT,
    _TIME,
    Schema,
    _object,
    _or_null,
    ref,
)

_WEIGHT: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_WEIGHT}
_LIMIT: Schema = _or_null("integer", minimum=1, maximum=MOST_AT_ONCE)

OPERATOR_SCHEMAS: dict[str, Schema] = {
    "Tenant": _object(
        {
            "organizationId": _or_null(
                "string", description="null: all jobs of no organization together"
            ),
            **dict.fromkeys(("waiting", "active", "delayed", "failed"), _COUNT),
            "rate": {"type": "number", "description": "jobs finished per minute, over 5 minutes"},
            "share": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "description": "the part of the queue's running time, over 5 minutes",
            },
            "weight": {
                **_WEIGHT,
                "description": "how many turns it gets, compared with the others; 1 unless set",
            },
            "limit": {
                **_LIMIT,
                "description": "how many of its jobs run at once; null: the queue's own limit for"
                " tenants applies, if it has one",
            },
            "paused": {"type": "boolean", "description": "its jobs stay waiting"},
        }
    ),
    "WorkersMeant": {
        **_object(
            {
                "ids": {
                    "type": "array",
                    "items": {**_TEXT, "minLength": 1, "maxLength": 255},
                    "minItems": 1,
                    "maxItems": 1000,
                    "description": "of consumers, as in the list of workers",
                },
                "host": {
                    **_TEXT,
                    "minLength": 1,
                    "maxLength": 255,
                    "description": "all consumers of this host, instead of ids",
                },
            },
            optional=("ids", "host"),
        ),
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "example": {"host": "worker-3"},
    },
    "WorkersReport": _object(
        {
            "act": {"enum": ["quiet", "wake", "restart"]},
            "done": {"type": "array", "items": _object({"id": _TEXT, "queue": _TEXT})},
            "refused": {
                "type": "array",
                "items": _object({"id": _TEXT, "queue": _TEXT, "why": _TEXT}),
            },
            "alone": {
                "type": "array",
                "items": _TEXT,
                "description": "the queues of which no other consumer claims jobs",
            },
        }
    ),
    "Task": _object(
        {
            "task": {**_TEXT, "description": "its full name"},
            "paused": {"type": "boolean", "description": "its jobs stay waiting"},
            "pausedAt": {**_MAYBE_TIME, "description": "null: it is not paused"},
            "pausedBy": _or_null("string", description="who paused it"),
            "aside": {
                **_COUNT,
                "description": "how many of its waiting jobs consumers have put aside",
            },
        }
    ),
    "TaskList": _object({"queue": _TEXT, "tasks": {"type": "array", "items": ref("Task")}}),
    "TaskSettings": {
        **_object({"paused": {"type": "boolean"}}),
        "additionalProperties": False,
        "example": {"paused": True},
    },
    "AuditEntry": _object(
        {
            "at": _TIME,
            "who": _TEXT,
            "door": {"enum": ["python", "cli", "http", "tui", "dashboard"]},
            "act": _TEXT,
            "queue": _or_null("string", description="null: the act was on no queue"),
            "count": {**_COUNT, "description": "how many jobs it changed; 1 for something else"},
            "ids": {
                "type": "array",
                "items": _TEXT,
                "description": "the first of these jobs; with count 0, those that it was refused",
            },
            "where": _or_null("string", description="a filter, a state, a circuit or the like"),
            "reason": _or_null("string"),
        }
    ),
    "AuditList": _object(
        {
            "entries": {"type": "array", "items": ref("AuditEntry")},
            "next": _or_null("string"),
        }
    ),
    "TenantList": _object(
        {
            "queue": _TEXT,
            "tenants": {"type": "array", "items": ref("Tenant")},
            "next": _or_null("string"),
        }
    ),
    "TenantSettings": {
        **_object(
            {
                "weight": _WEIGHT,
                "limit": {**_LIMIT, "description": "null: none of its own"},
                "paused": {"type": "boolean"},
            },
            optional=("weight", "limit", "paused"),
        ),
        "additionalProperties": False,
        "minProperties": 1,
        "description": "what is not sent stays as it is; one must be sent",
        "example": {"weight": 3, "limit": 5},
    },
}
