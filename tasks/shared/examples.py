"""An example job for each queue: for the OpenAPI document and the output of ``hsejobs up``."""

from __future__ import annotations

from typing import Any

#: By queue: a payload, with options next to its fields.
EXAMPLES: dict[str, dict[str, Any]] = {
    "email": {
        "to": "user@example.com",
        "subject": "Test Email",
        "html": "<p>Hello!</p>",
        "text": "Hello!",
        "priority": 2,
    },
    "reports": {
        "type": "audits",
        "filters": {"status": "Completed"},
        "format": "json",
        "notifyEmail": "user@example.com",
    },
    "data-exports": {
        "entities": ["stations", "audits", "incidents"],
        "format": "json",
        "notifyEmail": "user@example.com",
    },
    "webhooks": {
        "url": "https://api.example.com/webhook",
        "payload": {"event": "test"},
        "secret": "webhook-secret",
        "eventType": "test.event",
    },
    "tenant-onboarding": {
        "organizationName": "Acme Corp",
        "adminEmail": "admin@acme.com",
        "adminName": "John Doe",
        "tier": "professional",
    },
    "cleanup": {"completedHours": 24, "failedHours": 168},
}
