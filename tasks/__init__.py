"""The application's queues: one module per queue, with its payload model, task and helper.

Helpers are imported at their first use, so that ``from tasks import
queue_email`` loads only what mail needs.
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

_MODULES = {
    "fan_out": "webhooks",
    "queue_data_export": "data_exports",
    "queue_email": "email",
    "queue_report": "reports",
    "queue_tenant_onboarding": "tenant_onboarding",
    "queue_webhook": "webhooks",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'tasks' has no attribute {name!r}")
    return getattr(import_module(f"tasks.{_MODULES[name]}"), name)
