"""What each queue does: one module a queue, with its payload model, its task and its helper.

The helpers are imported at their first use, so that ``from tasks import
queue_email`` loads what mail needs and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.data_exports import queue_data_export
    from tasks.email import queue_email
    from tasks.reports import queue_report
    from tasks.tenant_onboarding import queue_tenant_onboarding
    from tasks.webhooks import fan_out, queue_webhook

__all__ = [
    "fan_out",
    "queue_data_export",
    "queue_email",
    "queue_report",
    "queue_tenant_onboarding",
    "queue_webhook",
]

_HOME = {
    "fan_out": "webhooks",
    "queue_data_export": "data_exports",
    "queue_email": "email",
    "queue_report": "reports",
    "queue_tenant_onboarding": "tenant_onboarding",
    "queue_webhook": "webhooks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tasks' has no attribute {name!r}")
    return getattr(import_module(f"tasks.{_HOME[name]}"), name)
