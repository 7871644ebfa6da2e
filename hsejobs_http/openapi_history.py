"""The schemas of the history and its marks in the OpenAPI document."""

from __future__ import annotations

from hsejobs.control.history import MARK_LENGTH
from hsejobs.model import UNSEEN
from hsejobs_http.openapi_schemas import _COUNT, _MS, _TEXT, _TIME, Schema, _object, _or_null, ref

#: A time, or a duration before now.
MOMENT = (
    r"^(?:now|-?[0-9]{1,3}(?:m|h)|20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{3})?)?Z)$"
)
#: Whole minutes.
STEP = "^[1-9][0-9]{0,2}(?:m|h|d)$"
HISTORY_SCHEMAS: dict[str, Schema] = {
    "History": _object(
        {
            "from": _TIME,
            "to": _TIME,
            "step": {**_MS, "description": "ms between two points"},
            "by": _or_null("string"),
            "series": {"type": "array", "items": ref("Series")},
            "marks": {"type": "array", "items": ref("Mark")},
        }
    ),
    "Series": {
        **_object(
            {
                "queue": _TEXT,
                "task": _TEXT,
                "code": _or_null("string"),
                "error": _or_null("string"),
                "organizationId": _TEXT,
                "points": {"type": "array", "items": ref("HistoryPoint")},
            },
            optional=("task", "code", "error", "organizationId"),
        ),
        "description": "of a queue; or, divided, of one task, error group (code and error) or"
        " organization in it, with a point for each step in which it had anything. The code and error"
        " null: groups beyond the limit",
    },
    "HistoryPoint": _object(
        {
            "at": {**_TIME, "description": "the start of the step"},
            **dict.fromkeys(("added", "completed", "failed", "retried", "removed"), _COUNT),
            **dict.fromkeys(
                ("waiting", "active", "delayed"),
                _or_null("integer", description="at the last sample; null without one"),
            ),
            "mostWaiting": _or_null("integer", description="the highest of the samples"),
            "oldestWaiting": _or_null(
                "integer",
                description="the longest that a job had waited at a sample, in ms; null without one, or"
                " of a part of the queue",
            ),
            "wait": ref("Times"),
            "run": ref("Times"),
        }
    ),
    "Times": _object(
        {
            "count": _COUNT,
            "p50": _or_null("number", description="ms"),
            "p95": _or_null("number", description="ms"),
            "buckets": {
                "type": "array",
                "description": "of each that has any: its upper bound in ms, and how many are in it",
                "items": {"type": "array", "items": {"type": "number"}},
            },
        }
    ),
    "Mark": _object(
        {
            "at": _TIME,
            "kind": {"enum": ["deploy", "act", "alert"]},
            "text": _TEXT,
            "who": _TEXT,
            "queue": _or_null("string"),
            "organizationId": _or_null("string"),
        }
    ),
    "MarkList": _object({"marks": {"type": "array", "items": ref("Mark")}}),
    "NewMark": {
        **_object(
            {
                "text": {
                    "type": "string",
                    "pattern": rf"^[^{UNSEEN}]([^{UNSEEN}]{{0,{MARK_LENGTH - 2}}}[^{UNSEEN}])?$",
                    "description": "one line: what happened",
                }
            }
        ),
        "additionalProperties": False,
        "example": {"text": "deploy 4f1c"},
    },
}
