"""The examples of the answers in the OpenAPI document."""

from __future__ import annotations

from typing import Any

_JOB: dict[str, Any] = {
    "id": "org-1:welcome-42",
    "queue": "email",
    "name": "tasks.email.send_email",
    "status": "completed",
    "organizationId": "org-1",
    "userId": "ann",
    "parentId": None,
    "rootId": None,
    "requestId": "5f0c6a1e9b7d4c2f8a3e1d5b7c9f0a2e",
    "data": {"to": ["user@example.com"], "subject": "Hi", "text": "Hi"},
    "priority": 2,
    "attemptsMade": 1,
    "attempts": 5,
    "progress": 100,
    "progressMessage": None,
    "result": {"messageId": "<1@example.com>", "accepted": 1, "refused": [], "via": "smtp"},
    "failedReason": None,
    "errors": [],
    "createdAt": "2026-01-01T12:00:00.000Z",
    "processedAt": "2026-01-01T12:00:00.010Z",
    "finishedAt": "2026-01-01T12:00:00.250Z",
    "runAt": None,
    "timeout": 30000,
    "stalls": 0,
    "cancel": None,
    "why": None,
}
_LISTED = {name: value for name, value in _JOB.items() if name != "why"}
_CANCELLED = {
    **_LISTED,
    "status": "failed",
    "attemptsMade": 0,
    "progress": 0,
    "result": None,
    "failedReason": "cancelled by ann: wrong month",
    "errors": [
        {
            "attempt": 0,
            "error": "cancelled by ann: wrong month",
            "code": "cancelled",
            "traceback": None,
            "startedAt": None,
            "failedAt": "2026-01-01T12:00:00.250Z",
            "worker": None,
        }
    ],
    "processedAt": None,
    "cancel": {"by": "ann", "reason": "wrong month", "at": "2026-01-01T12:00:00.250Z"},
}
_STATS = {
    "waiting": 5,
    "active": 2,
    "completed": 150,
    "failed": 3,
    "delayed": 0,
    "paused": 0,
    "total": 160,
    "rate": 12.4,
    "averageDuration": 231.5,
    "failureRate": 0.02,
    "oldestWaiting": 1800,
    "isPaused": False,
}
_TENANT = {
    "organizationId": "org-1",
    "waiting": 120,
    "active": 4,
    "delayed": 0,
    "failed": 2,
    "rate": 31.2,
    "share": 0.75,
    "weight": 3,
    "limit": 5,
    "paused": False,
}
_TASK = {
    "task": "tasks.email.send_email",
    "paused": True,
    "pausedAt": "2026-01-01T12:00:00.000Z",
    "pausedBy": "ann",
    "aside": 120,
}
_POINT = {
    "at": "2026-01-01T12:00:00.000Z",
    "added": 120,
    "completed": 117,
    "failed": 2,
    "retried": 3,
    "removed": 0,
    "waiting": 14,
    "active": 4,
    "delayed": 1,
    "mostWaiting": 31,
    "oldestWaiting": 420,
    "wait": {"count": 118, "p50": 12.1, "p95": 320, "buckets": [[11.58, 60], [13.78, 58]]},
    "run": {"count": 119, "p50": 231, "p95": 480, "buckets": [[220.5, 119]]},
}
_MARK = {
    "at": "2026-01-01T12:03:20.000Z",
    "kind": "deploy",
    "text": "deploy 4f1c",
    "who": "ann",
    "queue": None,
    "organizationId": None,
}
ANSWER_EXAMPLES: dict[str, Any] = {
    "Created": {
        "jobId": "org-1:welcome-42",
        "queue": "email",
        "status": "waiting",
        "created": True,
    },
    "Job": _JOB,
    "Cancelled": _CANCELLED,
    "JobList": {
        "queue": "email",
        "status": "completed",
        "total": 1,
        "jobs": [_LISTED],
        "next": None,
    },
    "Family": {
        "queue": "data-exports",
        "jobId": "org-1:export-7",
        "parent": None,
        "root": None,
        "children": [
            {
                "queue": "webhooks",
                "id": "sys:follow:5f0c",
                "name": "tasks.webhooks.deliver_webhook",
                "status": "waiting",
                "createdAt": "2026-01-01T12:00:00.000Z",
                "finishedAt": None,
            }
        ],
        "total": 1,
    },
    "Logs": {"lines": ["2026-01-01T12:00:00.100Z connected"], "total": 1},
    "Stats": {"email": _STATS},
    "Tenant": _TENANT,
    "Task": _TASK,
    "TaskList": {"queue": "email", "tasks": [_TASK]},
    "TenantList": {"queue": "email", "tenants": [_TENANT], "next": None},
    "AuditList": {
        "entries": [
            {
                "at": "2026-01-01T12:00:00.000Z",
                "who": "ann",
                "door": "http",
                "act": "cancel",
                "queue": "email",
                "count": 1,
                "ids": ["org-1:welcome-42"],
                "where": None,
                "reason": "wrong month",
            }
        ],
        "next": None,
    },
    "History": {
        "from": "2026-01-01T12:00:00.000Z",
        "to": "2026-01-01T12:10:00.000Z",
        "step": 600000,
        "by": None,
        "series": [{"queue": "email", "points": [_POINT]}],
        "marks": [_MARK],
    },
    "Mark": _MARK,
    "MarkList": {"marks": [_MARK]},
    "Paused": {"queue": "email", "isPaused": True},
    "ActReport": {
        "matched": 3,
        "done": 2,
        "refused": [{"jobId": "org-7:order-42", "why": "changed since they were looked at"}],
    },
    "Removed": {"removed": 12},
    "Health": {"status": "ok"},
    "Alert": [
        {
            "rule": "waiting",
            "queue": "email",
            "state": "on",
            "value": 140,
            "limit": 100,
            "message": "140 jobs wait",
            "since": "2026-01-01T12:00:00.000Z",
            "ended": None,
        }
    ],
    "Worker": [
        {
            "id": "host:71:x1y2z",
            "host": "host",
            "pid": 71,
            "queue": "email",
            "workers": "threads",
            "concurrency": 5,
            "startedAt": "2026-01-01T12:00:00.000Z",
            "release": "1.4.2",
            "tasks": ["tasks.email.send_email"],
            "format": 1,
            "state": "running",
            "hung": 0,
            "memory": 96_468_992,
            "slots": [],
            "heartbeatAge": 800,
        }
    ],
    "WorkersReport": {
        "act": "quiet",
        "done": [{"id": "host:71:x1y2z", "queue": "email"}],
        "refused": [],
        "alone": ["email"],
    },
    "Schedule": [
        {
            "name": "hourly_cleanup",
            "queue": "cleanup",
            "cron": "0 * * * *",
            "next": "2026-01-01T13:00:00.000Z",
            "last": None,
            "lastJob": None,
            "outcome": None,
        }
    ],
    "Problem": {
        "type": "about:blank",
        "title": "Invalid",
        "status": 422,
        "code": "invalid_option",
        "detail": "limit: must be a number from 1 to 200",
        "errors": [{"field": "limit", "problem": "must be a number from 1 to 200"}],
    },
}
