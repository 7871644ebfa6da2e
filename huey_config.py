"""The application: one Huey per queue, for ``huey_consumer huey_config.email`` and so on.

To add a queue, add one line, see ``docs/new-queue.md``; its name here is the queue's name with
``_`` for ``-``. Queues are listed in this order.
"""
# ruff: noqa: F401, I001

from hsejobs.engine import JobHuey
from tasks.shared.examples import EXAMPLES as examples
from tasks.shared.platform.hooks import add_commands, doctor_checks, tenant_rows
from tasks.email import huey as email
from tasks.reports import huey as reports
from tasks.data_exports import huey as data_exports
from tasks.webhooks import huey as webhooks
from tasks.tenant_onboarding import huey as tenant_onboarding
from tasks.cleanup import huey as cleanup

#: Every queue of the platform by its name.
QUEUES: dict[str, JobHuey] = {
    huey.name: huey for huey in list(globals().values()) if isinstance(huey, JobHuey)
}
